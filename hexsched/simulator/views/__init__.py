"""What plain Python sees of the system and does to it: what may be observed, read through small objects."""
