"""Results in hand, as the tables that figures are drawn from: runs, comparisons, lists of them, data frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from hexsched.errors import InputError
from hexsched.simulator import Run
from paper_figs.reading.store import CELL

EXPECTED = "expected a run, a comparison, a list or dict of them, a data frame, or the folder of a store"


class Named(NamedTuple):
    """A run and what it is shown as.

    Attributes
    ----------
    instance : str
        Empty where the results do not name it.
    policy : str
    run : Run
    """

    instance: str
    policy: str
    run: Run


def is_store(data: object) -> bool:
    """Whether results are given as the folder that holds them."""
    return isinstance(data, str | PathLike)


def runs_in(data: object) -> list[Named]:
    """The runs of results in hand.

    A mapping from names to runs says what they are shown as, and one from names to comparisons which instance each of
    those is; runs of one policy on one instance are repetitions, such as seeds.

    Raises
    ------
    InputError
        For anything else, and where there is no run.
    """
    found = list(_walk(data, "", None))
    if not found:
        raise InputError(f"there is no run in these results; {EXPECTED}")
    return found


def _walk(data: object, instance: str, name: str | None) -> Iterator[Named]:
    if isinstance(data, Run):
        yield Named(instance, name or data.policy, data)
    elif isinstance(data, Mapping):
        for key, value in data.items():
            if isinstance(value, Mapping):
                yield from _walk(value, str(key), None)
            else:
                yield from _walk(value, instance, str(key))
    elif isinstance(data, Iterable) and not isinstance(data, str | bytes | pd.DataFrame):
        for value in data:
            yield from _walk(value, instance, name)
    else:
        raise InputError(f"cannot plot a {type(data).__name__}; {EXPECTED}")


def workflows_in(data: object) -> pd.DataFrame:
    """A row a workflow of each run, warm-up left out: instance, policy, repetition, arrival, latency, horizon, ratio.

    A data frame needs columns ``policy`` and ``ratio``, and is taken as it is but for the columns that it lacks.

    Raises
    ------
    InputError
        As ``runs_in``; and for a data frame without these columns or without rows.
    """
    if isinstance(data, pd.DataFrame):
        _check_columns(data, ("policy", "ratio"))
        seeds = data.get("seed", 0)
        return data.assign(
            instance=data.get("instance", ""),
            repetition=data.get("repetition", seeds),
        )
    count: dict[tuple[str, str], int] = {}
    parts = []
    for instance, policy, run in runs_in(data):
        k = count[instance, policy] = count.get((instance, policy), -1) + 1
        frame = run.to_frame()
        parts.append(frame[~frame["warm_up"]].assign(instance=instance, policy=policy, repetition=k))
    return pd.concat(parts, ignore_index=True)


def run_rows_in(data: object) -> pd.DataFrame:
    """A row a run, with the columns of ``read_stored`` that tell settings apart, policy, seed and all metrics.

    A data frame needs columns ``policy``, ``req95`` and ``req99``.
    """
    if isinstance(data, pd.DataFrame):
        _check_columns(data, ("policy", "req95", "req99"))
        rows = data.reset_index(drop=True)
        if "seed" not in rows:
            rows = rows.assign(seed=rows.groupby("policy").cumcount())
    else:
        count: dict[tuple[str, str], int] = {}
        records = []
        for instance, policy, run in runs_in(data):
            seed = count[instance, policy] = count.get((instance, policy), -1) + 1
            records.append({"cluster": instance, **run.metrics, "policy": policy, "seed": seed})
        rows = pd.DataFrame(records)
    absent = {name: "" for name in (*CELL, "model", "pool") if name not in rows}
    return rows.assign(**absent)


def _check_columns(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    for name in columns:
        if name not in frame:
            raise InputError(f"the data frame has no column {name!r}; its columns are {', '.join(map(str, frame))}")
    if frame.empty:
        raise InputError("the data frame has no rows")


def one_instance(table: pd.DataFrame, column: str, instance: str | None, source: object) -> pd.DataFrame:
    """The rows of the only instance, or of the only one whose name has ``instance`` in it, whatever the case.

    Raises
    ------
    InputError
        When there are several, or none, with what there is.
    """
    names = [str(name) for name in dict.fromkeys(table[column])]
    wanted = names if instance is None else [name for name in names if instance.lower() in name.lower()]
    if instance in names:
        wanted = [str(instance)]
    where = Path(str(source)) if is_store(source) else None
    if not wanted:
        raise InputError(f"no instance has {instance!r} in its name; there are {'; '.join(names)}", where)
    if len(wanted) > 1:
        raise InputError(f"there are {len(wanted)} instances: choose with instance=...; {'; '.join(wanted)}", where)
    return table[table[column] == wanted[0]].reset_index(drop=True)
