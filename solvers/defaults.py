"""What is taken where nobody says otherwise, and what stands for it."""

OBJECTIVE = "req(0.95)"
BLIND = "class_mean"  # the estimator that knows nothing of an output before it is complete
AUTO = "auto"  # the formulation that measured times say is fastest
