"""Reports of brackets in hand, as the tables that figures are drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import pandas as pd

from hexsched.errors import InputError
from paper_figs.reading.store import GAP_CASE
from solvers.brackets.gap import GapReport
from solvers.problem.result import SolveResult

EXPECTED = "expected what gap() gave back, a list or dict of such, or the folder of a store"


class NamedReport(NamedTuple):
    """A report and the name of its instance, which is empty where it has none."""

    instance: str
    report: GapReport | SolveResult


def reports_in(data: object) -> list[NamedReport]:
    """The reports of a report, or of a list or mapping of them.

    Raises
    ------
    InputError
        For anything else, and where there is none.
    """
    found = list(_walk(data, ""))
    if not found:
        raise InputError(f"there is no report in these results; {EXPECTED}")
    return found


def _walk(data: object, name: str) -> Iterator[NamedReport]:
    if isinstance(data, GapReport | SolveResult):
        yield NamedReport(name, data)
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _walk(value, str(key))
    elif isinstance(data, Iterable) and not isinstance(data, str | bytes | pd.DataFrame):
        for value in data:
            yield from _walk(value, name)
    else:
        raise InputError(f"cannot plot a {type(data).__name__} here; {EXPECTED}")


def gaps_in(data: object) -> pd.DataFrame:
    """A row a report and policy: ``GAP_CASE``, objective, policy, value, lower_bound, upper_bound.

    The name of an instance stands for its cluster, and the place of a report in a list for its seed.

    Raises
    ------
    InputError
        As ``reports_in``; and for the result of a solve, which compares no policies.
    """
    rows = []
    for k, (instance, report) in enumerate(reports_in(data)):
        if not isinstance(report, GapReport):
            raise InputError(f"a {type(report).__name__} compares no policies; {EXPECTED}")
        case = {**dict.fromkeys(GAP_CASE, ""), "cluster": instance, "seed": k, "objective": report.objective}
        bounds = {"lower_bound": report.lower_bound, "upper_bound": report.upper_bound}
        rows += [{**case, "policy": name, "value": gap.value, **bounds} for name, gap in report.policies.items()]
    return pd.DataFrame(rows)


def series_in(data: object) -> pd.DataFrame:
    """A row a step: key (of the report), objective, seconds, lower_bound, upper_bound; 0 where there is none yet."""
    rows = []
    for k, (_, report) in enumerate(reports_in(data)):
        if isinstance(report, GapReport):
            objective, steps = report.objective, list(report.series)
        else:
            objective = report.objective_name
            steps = [(step.seconds, step.bound or 0.0, step.value or 0.0) for step in report.series]
        rows += [
            {"key": f"{k:06d}", "objective": objective, "seconds": at, "lower_bound": low, "upper_bound": high}
            for at, low, high in steps
        ]
    return pd.DataFrame(rows, columns=["key", "objective", "seconds", "lower_bound", "upper_bound"])


def one_objective(table: pd.DataFrame, objective: str | None) -> pd.DataFrame:
    """The rows of one objective: that one, or the only one.

    Raises
    ------
    InputError
        When there are several to choose from, and when there is none of that name.
    """
    names = sorted(set(table["objective"].dropna()))
    if objective is None and len(names) == 1:
        return table
    if objective is None:
        raise InputError(f"there are {len(names)} objectives: choose with objective=...; {', '.join(names)}")
    if objective not in names:
        raise InputError(f"no results on {objective!r}; there are {', '.join(names)}")
    return table[table["objective"] == objective].reset_index(drop=True)
