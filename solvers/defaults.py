"""What is taken where nobody says otherwise, and what stands for it."""

OBJECTIVE = "req(0.95)"
AUTO = "auto"  # the formulation that measured times say is fastest
