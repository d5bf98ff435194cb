"""What formulations are made of: what one is."""
