"""Formulations compared as a subject of its own: solved in turn, tabled, checked against each other."""
