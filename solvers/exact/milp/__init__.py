"""What the mixed-integer formulations share: solvers behind PuLP, time windows, objectives, plans to start from."""
