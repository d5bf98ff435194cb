"""What placements share: which instances can hold a call, random numbers, and the choice among them by number."""
