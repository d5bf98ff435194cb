"""All figures, a module each; a module may hold several that are one idea.

To add one: a module here with a ``FIGURE`` in it.
"""

from hexsched.registry import Registry
from paper_figs.drawing.figure import Figure

FIGURES: Registry[Figure] = Registry(__name__, "FIGURE", "figure", rank=lambda figure: figure.rank)

__all__ = ["FIGURES"]
