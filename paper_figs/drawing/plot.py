"""What a plot of results in hand is, and the axes that it draws on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paper_figs.drawing.style import PAGE_WIDTH, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 2.6  # inches of a plot that has the page's width


@dataclass(frozen=True)
class Plot:
    """A plot of results.

    Attributes
    ----------
    name, summary : str
    draw : callable
        From results (and ``ax``) to the axes it drew on.
    takes : tuple of str
        Names of the classes whose objects have it in ``result.plot``.
    tells_most_of : tuple of str
        Those for which it is what ``result.plot()`` draws.
    """

    name: str
    summary: str
    draw: Callable[..., Axes]
    takes: tuple[str, ...] = ()
    tells_most_of: tuple[str, ...] = ()

    def suits(self, kind: type) -> bool:
        """Whether objects of the class have it."""
        return any(base.__name__ in self.takes for base in kind.__mro__)

    def tells_most(self, kind: type) -> bool:
        """Whether it is the first to look at."""
        return any(base.__name__ in self.tells_most_of for base in kind.__mro__)


@contextmanager
def drawn_on(ax: Axes | None, width: float = PAGE_WIDTH, height: float = HEIGHT) -> Iterator[Axes]:
    """The axes that were given, whose figure keeps its own look; or those of a new figure (inches) in ours."""
    if ax is not None:
        yield ax
        return
    from matplotlib import pyplot as plt

    with look():
        _, new = plt.subplots(figsize=(width, height), layout="constrained")
        yield new
