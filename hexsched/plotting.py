"""``result.plot``: the plots that suit a result, from whatever package offers them.

A package offers plots through the entry-point group ``hexsched.plots``: the entry point is a mapping from name to an
object with ``name``, ``summary``, ``draw(result, ...)``, ``suits(class)`` and ``tells_most(class)``. hexsched itself
draws nothing; ``paper_figs`` does, which comes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from hexsched.beside import BESIDE, check_beside
from hexsched.registry import suggest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GROUP = "hexsched.plots"
ABSENT = "no plots are installed; they come with the package paper_figs of hexsched: pip install hexsched"


class OfferedPlot(Protocol):
    """A plot as a package offers it."""

    @property
    def name(self) -> str:
        """Its name in ``result.plot``."""

    @property
    def summary(self) -> str:
        """What it shows, in a line."""

    @property
    def draw(self) -> Any:
        """From the result, and what else it takes, to matplotlib Axes."""

    def suits(self, kind: type) -> bool:
        """Whether it is for objects of the class."""

    def tells_most(self, kind: type) -> bool:
        """Whether it is the first to look at for such objects."""


class Accessor:
    """The plots of a result: ``result.plot.NAME(ax=None, ...)``, and ``result.plot()`` for the most telling one.

    Parameters
    ----------
    result : object
        Given to the plots as their first argument.
    """

    def __init__(self, result: object) -> None:
        self._result = result

    def __call__(self, **options: Any) -> Axes:
        """Draw the most telling plot; ``options``, such as ``ax``, are its own."""
        found = suitable(type(self._result))
        first = next((plot for plot in found.values() if plot.tells_most(type(self._result))), None)
        plot = first or next(iter(found.values()), None)
        if plot is None:
            raise AttributeError(self._none())
        return plot.draw(self._result, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what notebooks and copy ask for
            raise AttributeError(name)
        from functools import partial, update_wrapper

        found = suitable(type(self._result))
        if not found:
            raise AttributeError(self._none())
        if name not in found:
            raise AttributeError(f"a {type(self._result).__name__} has no plot {name!r}{suggest(name, found)}")
        return update_wrapper(partial(found[name].draw, self._result), found[name].draw)

    def __dir__(self) -> list[str]:
        return sorted(suitable(type(self._result)))

    def __repr__(self) -> str:
        found = suitable(type(self._result))
        lines = [f"  .{name}()  {plot.summary}" for name, plot in found.items()]
        return "\n".join([f"plots of a {type(self._result).__name__}:", *lines]) if found else self._none()

    def _none(self) -> str:
        return ABSENT if not offered() else f"there is no plot of a {type(self._result).__name__}"


def suitable(kind: type) -> dict[str, OfferedPlot]:
    """The plots for objects of a class, by name."""
    return {name: plot for source in offered() for name, plot in source.items() if plot.suits(kind)}


@cache
def offered() -> tuple[Mapping[str, OfferedPlot], ...]:
    """What installed packages offer, in the order of the entry points' names."""
    from importlib.metadata import entry_points

    found = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        package = entry.module.partition(".")[0]
        if package in BESIDE:
            check_beside(package)
        try:
            found.append(entry.load())
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            # announced by its metadata, but the package itself is gone: as if it were not installed
    return tuple(found)
