"""Figures and tables, each drawn from stored results alone."""
