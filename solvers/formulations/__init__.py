"""Formulations of the offline problem, a module each; ``registry`` lists them."""
