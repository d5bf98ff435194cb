"""What formats of export are made of: what one is, models of formulations, flat instances."""
