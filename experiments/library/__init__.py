"""The instance library: seeded instances of the offline problem, with the best bounds and schedules known."""
