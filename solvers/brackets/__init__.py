"""What brings bounds, schedules and formulations together: ``solve``, ``portfolio``, ``gap``."""
