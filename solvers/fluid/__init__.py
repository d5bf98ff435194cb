"""Lower bounds for instances of any decode model, at the paper's scale: linear programs over time windows."""
