"""Formulations that share the instance must share the optimum."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from experiments.formulations.rows import Row

ACCURACY = 1e-3  # relative: optimal values that differ by more are not the same optimum
CONTRADICTION = 1e-6  # relative: a bound this far above a verified schedule is wrong, not rounded

Claim = tuple[str, float]  # who says so, and the value


def disagreements(rows: Iterable[Row], known: Mapping[tuple[str, str], tuple[Claim, Claim]] | None = None) -> list[str]:
    """What cannot be true together, a sentence each.

    Two optimal values of an instance and objective that differ, and lower bounds above another's verified schedule.

    Parameters
    ----------
    rows : iterable of Row
    known : dict, optional
        By SHA-256 of the instance and objective: best lower and upper bound known from elsewhere.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.sha256, row.objective), []).append(row)
    sentences = []
    for key, group in groups.items():
        where = f"{group[0].instance}, {group[0].objective}"
        optima = [(row.method, row.value) for row in group if row.optimal and row.value is not None]
        for (one, a), (other, b) in itertools.combinations(optima, 2):
            if abs(a - b) > ACCURACY * max(abs(a), abs(b)):
                sentences.append(f"{where}: {one} proves the optimum {a!r}, {other} {b!r}")
        lower = [(row.method, row.lower_bound) for row in group if row.lower_bound is not None]
        upper = [(row.method, row.value) for row in group if row.value is not None]
        if known is not None and key in known:
            lower.append(known[key][0])
            upper.append(known[key][1])
        for (one, bound), (other, value) in itertools.product(lower, upper):
            if bound > value * (1 + CONTRADICTION) + 1e-12:
                sentences.append(
                    f"{where}: {one} claims at least {bound!r}, but {other} has a verified schedule of {value!r}"
                )
    return list(dict.fromkeys(sentences))
