"""The papers' own experiments, a module a section; printed values beside them."""
