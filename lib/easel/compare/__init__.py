"""Pure functions on what trials knew: scores of images, how alike two rankings are, intervals and claims."""
