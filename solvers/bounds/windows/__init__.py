"""Linear programs over time windows, in either decode model."""
