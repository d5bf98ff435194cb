"""All figures, a module each."""
