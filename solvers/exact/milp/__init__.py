"""What the mixed-integer formulations share: solvers behind PuLP, time windows, objectives, where to start."""
