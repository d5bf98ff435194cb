"""From the axes of a grid to its points: the product, changed by overrides, thinned by filters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from experiments.grid.axes import AXES, Value
from experiments.grid.settings import Setting
from experiments.grid.spec import MOST_CELLS, Filter, Section, check_cells
from hexsched.errors import InputError
from hexsched.registry import choices


@dataclass(frozen=True)
class Point:
    """One value of each axis, by plural name, and settings."""

    values: tuple[tuple[str, Value], ...]
    settings: tuple[tuple[str, Any], ...]

    def __getitem__(self, axis: str) -> Any:
        return dict(self.values)[axis]

    def changed(self, setting: Setting, value: object) -> Point:
        """The point with another value of a setting, if it has that setting."""
        settings = tuple((name, value if name == setting.name else old) for name, old in self.settings)
        return Point(self.values, settings)


def points(section: Section, most_cells: int = MOST_CELLS) -> list[Point]:
    """The points of one named grid, in the order of its axes and each once.

    Raises
    ------
    InputError
        When there are more than ``most_cells``, and when a filter speaks of a value that no axis has: it would do
        nothing.
    """
    optional = {axis: values or (None,) for axis, values in section.axes.items()}
    check_cells(math.prod(map(len, optional.values())), most_cells)
    product = itertools.product(*optional.values())
    cells = [(dict(zip(optional, combination, strict=True)), dict(section.settings)) for combination in product]
    for change in section.overrides:
        _check_known(change.match, (values for values, _ in cells), section)
        factor = math.prod(map(len, change.axes.values()))
        check_cells(factor * sum(matches(values, change.match) for values, _ in cells), most_cells)
        changed: dict[Point, tuple[dict[str, Any], dict[str, Any]]] = {}
        for values, settings in cells:
            if not matches(values, change.match):
                changed.setdefault(_point(values, settings), (values, settings))
                continue
            for combination in itertools.product(*change.axes.values()):
                new = {**values, **dict(zip(change.axes, combination, strict=True))}
                merged = {**settings, **change.settings}
                changed.setdefault(_point(new, merged), (new, merged))
        cells = list(changed.values())
    for filter_ in (*section.exclude, *itertools.chain(*section.only)):
        _check_known(filter_, (values for values, _ in cells), section)
    for group in section.only:
        cells = [cell for cell in cells if any(matches(cell[0], filter_) for filter_ in group)]
    cells = [cell for cell in cells if not any(matches(cell[0], filter_) for filter_ in section.exclude)]
    return [_point(values, settings) for values, settings in cells]


def matches(values: dict[str, Any], filter_: Filter) -> bool:
    """Whether a cell has, on every axis of the filter, one of the values wanted."""
    return all(
        any(_equal(values[axis], pattern) for pattern in patterns) for axis, patterns in filter_.patterns.items()
    )


def _equal(value: object, pattern: str | int) -> bool:
    return value == pattern if isinstance(pattern, int) else fnmatchcase(str(value), pattern)


def _point(values: dict[str, Any], settings: dict[str, Any]) -> Point:
    return Point(tuple(values.items()), tuple(settings.items()))


def _check_known(filter_: Filter, cells: Iterable[dict[str, Any]], section: Section) -> None:
    if filter_.inherited:  # meant for other grids of the file, perhaps
        return
    values_of_cells = list(cells)
    for axis, patterns in filter_.patterns.items():
        present = {**dict.fromkeys(section.axes[axis]), **dict.fromkeys(values[axis] for values in values_of_cells)}
        for pattern in patterns:
            if not any(_equal(value, pattern) for value in present):
                names = [str(value) for value in present]
                raise InputError(
                    f"{AXES[axis].singular}: no cell has {pattern!r}; {choices(str(pattern), names, 'there are')}",
                    filter_.where,
                )
