"""How long cells will take: from the times of cells like them in the store, else from stated defaults."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from experiments.grid.cell import Cell
from experiments.store.store import Store

# seconds a workflow, on one core of a 2020s server; of ``gap`` and ``solve`` it is the time limit that counts
DEFAULT_SECONDS = {"load": 4e-3, "simulate": 4e-4}
OVERHEAD = 0.02  # seconds a cell: its way to a process, to disk and back
BASIS_DEFAULT = "stated defaults"
BASIS_STORE = "times in the store"


def estimate_seconds(cells: Iterable[Cell], store: Store | None, workers: int) -> tuple[float, str]:
    """Seconds that the cells will take on so many workers, and what that rests on.

    The basis is the mean of the cells in the store that have the same kind, workload and number of workflows; failing
    that, of those of the same kind, by the workflow; failing that, ``DEFAULT_SECONDS``.
    """
    known = _known(store)
    total, bases = 0.0, set()
    for cell in cells:
        seconds, basis = _seconds(cell, known)
        total += seconds + OVERHEAD
        bases.add(basis)
    return total / workers, " and ".join(sorted(bases))


def _seconds(cell: Cell, known: dict[tuple[Any, ...], float]) -> tuple[float, str]:
    limit = getattr(cell, "time_limit", None)
    if limit is not None:
        exact = known.get((cell.kind, limit))
        return (limit, BASIS_DEFAULT) if exact is None else (exact, BASIS_STORE)
    scene: Any = cell.group
    exact = known.get((cell.kind, scene.workload.name, scene.workflows))
    if exact is not None:
        return exact, BASIS_STORE
    rate = known.get((cell.kind,))
    if rate is not None:
        return rate * scene.workflows, BASIS_STORE
    return DEFAULT_SECONDS[cell.kind] * scene.workflows, BASIS_DEFAULT


def _known(store: Store | None) -> dict[tuple[Any, ...], float]:
    """Mean wall-clock seconds by (kind, workload, workflows) and by (kind, time limit); by (kind,) of a workflow."""
    if store is None or not store.keys("timings"):
        return {}
    from experiments.store.reading import read_table

    timings = read_table(store.path, "timings")[["key", "kind", "wall_seconds"]]
    found: dict[tuple[Any, ...], float] = {}
    for kind, table in (("load", "loads"), ("simulate", "runs")):
        rows = timings[timings["kind"] == kind].merge(read_table(store.path, table), on="key")
        if len(rows):
            means = rows.groupby(["workload", "workflows"], as_index=False)["wall_seconds"].mean()
            found |= {
                (kind, workload, int(workflows)): float(mean)
                for workload, workflows, mean in means.itertuples(index=False)
            }
            found[(kind,)] = float(rows["wall_seconds"].sum() / rows["workflows"].sum())
    for kind, table in (("gap", "gaps"), ("solve", "solves")):
        once = read_table(store.path, table)[["key", "time_limit"]].drop_duplicates()
        rows = timings[timings["kind"] == kind].merge(once, on="key")
        found |= {
            (kind, limit): float(mean) for limit, mean in rows.groupby("time_limit")["wall_seconds"].mean().items()
        }
    return found
