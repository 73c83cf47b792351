"""Data sets as uint8 tensors: published ones, folders of images, images drawn by code, and what is taken from them."""
