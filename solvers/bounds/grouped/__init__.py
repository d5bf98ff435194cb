"""Bounds of a whole from groups of its workflows: which groups, what is proved of each, and what that adds up to."""
