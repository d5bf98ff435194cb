"""Formats in which instances are handed to solvers of others, a module each; ``parts`` holds what they are made of.

To add one: a module here with an ``EXPORT`` in it.
"""

from experiments.exports.parts.export import Export
from hexsched.registry import Registry

EXPORTS: Registry[Export] = Registry(__name__, "EXPORT", "export format")

__all__ = ["EXPORTS"]
