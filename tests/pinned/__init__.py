"""Schedules and values that must not change by accident: ``cases`` says of what, ``write`` writes them down anew."""
