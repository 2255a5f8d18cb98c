"""One folder per in-cluster role."""
