"""Plots of results in hand, a module each: ``paper_figs.NAME(results, ax=None)`` and ``result.plot.NAME()``.

To add one: a module here with a ``PLOT`` in it. What it draws with, figures draw with too.
"""

from hexsched.registry import Registry
from paper_figs.drawing.plot import Plot

PLOTS: Registry[Plot] = Registry(__name__, "PLOT", "plot")

__all__ = ["PLOTS"]
