"""How close a family's workflows are to the real ones it was fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hexsched.model import Workflow
from hexsched.workloads.describe import Values, measure
from hexsched.workloads.families import fitted_family, generate
from hexsched.workloads.families.parts.tables import LEVELS
from hexsched.workloads.fitting import observe

if TYPE_CHECKING:
    import pandas as pd

STATISTICS = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
JUDGED = ("p25", "p50", "p75", "p95")  # statistics that the worst error is taken over
DEFAULT_WORKFLOWS = 2000  # enough that the generated side's own noise is small beside the fit's error


def fit_report(
    name: str,
    real: Sequence[Workflow] | None = None,
    generated: Sequence[Workflow] | None = None,
    *,
    workflows: int = DEFAULT_WORKFLOWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Set generated workflows beside real ones, quantity by quantity.

    Parameters
    ----------
    name : str
        A fitted family.
    real : sequence of Workflow, optional
        The original workflows; the quantiles stored with the fit when left out.
    generated : sequence of Workflow, optional
        Drawn by ``generate(name, workflows, seed)`` when left out.

    Returns
    -------
    DataFrame
        Three rows a quantity: ``series`` is ``real``, ``generated`` or ``error`` (generated over real, less 1).
        Columns p5 to p99 and mean; on the error rows also ``worst_error``, the largest |error| from p25 to p95, and
        ``ks``, the Kolmogorov-Smirnov distance as far as the real quantile table shows it (a lower bound of the
        distance between the samples).

    Raises
    ------
    InputError
        For an unknown family, or one that has no real data of its own and no ``real`` is given.
    """
    import pandas as pd

    observed = fitted_family(name).packaged.observed if real is None else observe(real)
    samples = measure(generate(name, workflows, seed) if generated is None else generated)
    rows = []
    for quantity, facts in observed.items():
        values = samples[quantity]
        at = dict(zip(LEVELS[facts.quantiles.grid], facts.quantiles.values, strict=True))
        truth = np.array([*(facts.quantiles.at(level) for level in STATISTICS.values()), facts.mean])
        ours = np.array([*np.quantile(values, list(STATISTICS.values())), values.mean()])
        error = np.divide(ours - truth, truth, out=np.full_like(truth, np.nan), where=truth > 0)
        columns = [*STATISTICS, "mean"]
        for series, numbers in (("real", truth), ("generated", ours), ("error", error)):
            rows.append({"quantity": quantity, "series": series, **dict(zip(columns, numbers.tolist(), strict=True))})
        judged = [error[columns.index(statistic)] for statistic in JUDGED]
        rows[-1]["worst_error"] = float(np.nanmax(np.abs(judged)))
        rows[-1]["ks"] = max(_distance(values, level, quantile) for level, quantile in at.items())
    return pd.DataFrame(rows)


def _distance(values: Values, level: float, quantile: float) -> float:
    """How far ``level`` lies outside the generated CDF's jump at ``quantile``."""
    below, upto = float((values < quantile).mean()), float((values <= quantile).mean())
    return max(0.0, below - level, level - upto)
