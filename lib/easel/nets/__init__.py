"""Networks by name: the papers' small ones, torchvision's, and both at any width."""
