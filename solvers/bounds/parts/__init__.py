"""What bounds are made of: what one is, linear programs, one-machine relaxations, the search over SLO scales."""
