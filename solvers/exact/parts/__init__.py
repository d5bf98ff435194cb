"""What formulations are made of, whichever their solver: what one is, and where it starts."""
