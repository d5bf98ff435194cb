"""Schedules found with everything known: upper bounds on the optimum."""
