"""How long cells will take: from the times of cells like them in the store, else from stated defaults."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from experiments.grid.cell import Cell
from experiments.grid.kinds import KINDS
from experiments.store.schema import TIMINGS
from experiments.store.store import Store

OVERHEAD = 0.02  # seconds a cell: its way to a process, to disk and back
BASIS_DEFAULT = "stated defaults"
BASIS_STORE = "times in the store"


def estimate_seconds(cells: Iterable[Cell], store: Store | None, workers: int) -> tuple[float, str]:
    """Seconds that the cells will take on so many workers, and what that rests on.

    The basis is the mean of the cells in the store that have the same kind and are alike (``Kind.alike``); failing
    that, of those of the same kind, in proportion to ``Kind.amount``; failing that, ``Kind.seconds``.
    """
    known = _known(store)
    total, bases = 0.0, set()
    for cell in cells:
        seconds, basis = _seconds(cell, known)
        total += seconds + OVERHEAD
        bases.add(basis)
    return total / workers, " and ".join(sorted(bases))


def _seconds(cell: Cell, known: dict[tuple[Any, ...], float]) -> tuple[float, str]:
    kind, case = cell.kind, cell.case
    mean = known.get((kind.name, *(case[column] for column in kind.alike)))
    if mean is not None:
        return mean, BASIS_STORE
    amount: Any = case[kind.amount]
    rate = known.get((kind.name,))
    return (kind.seconds * amount, BASIS_DEFAULT) if rate is None else (rate * amount, BASIS_STORE)


def _known(store: Store | None) -> dict[tuple[Any, ...], float]:
    """Mean wall-clock seconds of a cell, by kind and what makes cells alike; by (kind,) seconds a unit of amount."""
    if store is None or not store.keys(TIMINGS):
        return {}
    from experiments.store.reading import read_table

    timings = read_table(store.path, TIMINGS)[["key", "kind", "wall_seconds"]]
    known: dict[tuple[Any, ...], float] = {}
    for kind in KINDS.values():
        columns = list(dict.fromkeys((*kind.alike, kind.amount)))
        cells = read_table(store.path, kind.marker)[["key", *columns]].drop_duplicates()
        rows = timings[timings["kind"] == kind.name].merge(cells, on="key")
        if len(rows):
            known[(kind.name,)] = float(rows["wall_seconds"].sum() / rows[kind.amount].sum())
            for alike, group in rows.groupby(list(kind.alike)):
                known[(kind.name, *alike)] = float(group["wall_seconds"].mean())
    return known
