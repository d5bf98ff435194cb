"""A comparison in few numbers: a summary, performance profiles, and what size is still proven.

All take the rows as a data frame (``experiments.formulations.rows.as_frame``), and call a row solved when optimality
was proven within the limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SHIFT = 1.0  # second, of the shifted geometric mean: differences of milliseconds should not count
PROBLEM = ["sha256", "objective"]


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a formulation.

    Returns
    -------
    DataFrame
        ``formulation``; ``rows``; ``solved``; ``seconds``, the shifted geometric mean of wall-clock seconds with a
        shift of 1 s, unsolved rows at their time limit; ``cpu_seconds``, the sum; ``gap``, the mean of the final gaps,
        1 where there is no schedule or no bound;
        ``root_gap``, the mean of (best - root bound) / best with the best value that any formulation found, over
        ``root_bounds`` rows that tell one; ``variables``, ``constraints``, ``nonzeros``, medians; ``failed``, rows
        without a schedule.
    """
    import pandas as pd

    best = frame.groupby(PROBLEM)["value"].transform("min")
    root = frame["root_bound"].clip(lower=0.0)
    data = frame.assign(
        is_solved=frame["status"] == "optimal",
        counted=frame["seconds"].where(frame["status"] == "optimal", frame["time_limit"]),
        # where the best is 0 nothing is above it
        root_share=((best - root).clip(lower=0.0) / best.where(best > 0, 1.0)).where(root.notna()),
    )
    records = []
    for name, rows in data.groupby("formulation", sort=False):
        records.append(
            {
                "formulation": name,
                "rows": len(rows),
                "solved": int(rows["is_solved"].sum()),
                "seconds": shifted_geometric_mean(rows["counted"].to_numpy()),
                "cpu_seconds": float(rows["cpu_seconds"].sum()),
                "gap": float(rows["gap"].fillna(1.0).mean()),
                "root_gap": float(rows["root_share"].mean()),
                "root_bounds": int(rows["root_share"].notna().sum()),
                "variables": float(rows["variables"].median()),
                "constraints": float(rows["constraints"].median()),
                "nonzeros": float(rows["nonzeros"].median()),
                "failed": int(rows["value"].isna().sum()),
            }
        )
    return pd.DataFrame(records)


def shifted_geometric_mean(seconds: np.ndarray, shift: float = SHIFT) -> float:
    """exp(mean(log(t + shift))) - shift."""
    return float(np.expm1(np.mean(np.log(seconds + shift) - np.log(shift))) * shift)


def tried_by_all(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of problems that every formulation has a row on: only on those do profiles compare like with like."""
    formulations = frame.groupby(PROBLEM)["formulation"].transform("nunique")
    return frame[formulations == frame["formulation"].nunique()]


def performance_profile(frame: pd.DataFrame) -> pd.DataFrame:
    """Dolan and Moré (2002): the share of problems that a formulation solves within tau times the best time.

    A problem is an instance and objective; for formulation s, r = t_s / min t in wall-clock seconds, infinite where s
    does not solve it, and rho_s(tau) is the share of problems with r <= tau. Those that none solves count too, so that
    the curves end at the share that is solved.

    Returns
    -------
    DataFrame
        ``formulation``, ``tau``, ``rho``: a row a step of the curve, from tau = 1 to the largest ratio of all.
    """
    import pandas as pd

    time = frame["seconds"].where(frame["status"] == "optimal", np.inf)
    if frame.empty:
        return pd.DataFrame(columns=["formulation", "tau", "rho"])
    table = frame.assign(time=time).pivot_table(
        index=PROBLEM, columns="formulation", values="time", aggfunc="min", sort=False
    )
    table = table.fillna(np.inf)  # a task without a row is not solved either
    best = table.min(axis=1).where(lambda least: np.isfinite(least), 1.0)
    ratio = table.div(best, axis=0)
    finite = ratio.to_numpy()[np.isfinite(ratio.to_numpy())]
    last = float(finite.max(initial=1.0))
    parts = []
    for name in frame["formulation"].unique():
        steps = np.sort(ratio[name].to_numpy())
        tau = np.unique([1.0, *steps[np.isfinite(steps)], last])
        rho = np.searchsorted(steps, tau, side="right") / len(steps)
        parts.append(pd.DataFrame({"formulation": name, "tau": tau, "rho": rho}))
    return pd.concat(parts, ignore_index=True)


def profile_at(profile: pd.DataFrame, factors: tuple[float, ...]) -> pd.DataFrame:
    """rho of each formulation at some tau: ``formulation``, and a column a factor."""
    import pandas as pd

    records = []
    for name, rows in profile.groupby("formulation", sort=False):
        tau, rho = rows["tau"].to_numpy(), rows["rho"].to_numpy()
        records.append(
            {"formulation": name} | {f: float(rho[np.searchsorted(tau, f, side="right") - 1]) for f in factors}
        )
    return pd.DataFrame(records)


def proven_by_size(frame: pd.DataFrame) -> pd.DataFrame:
    """The share proven optimal within the limit: ``formulation``, ``calls``, ``rows``, ``solved``, ``share``."""
    solved = frame.assign(solved=frame["status"] == "optimal")
    table = solved.groupby(["formulation", "calls"], sort=False)["solved"].agg(rows="size", solved="sum").reset_index()
    table["share"] = table["solved"] / table["rows"]
    rank = {name: k for k, name in enumerate(frame["formulation"].unique())}
    return table.sort_values(
        ["formulation", "calls"], key=lambda c: c.map(rank) if c.name == "formulation" else c, ignore_index=True
    )


def largest_proven(frame: pd.DataFrame) -> pd.DataFrame:
    """The largest number of calls at which half, and all, of the rows are proven; NaN where there is none.

    Returns
    -------
    DataFrame
        ``formulation``, ``half``, ``all``, ``any``.
    """
    import pandas as pd

    sizes = proven_by_size(frame)
    records = []
    for name, rows in sizes.groupby("formulation", sort=False):
        largest = {
            column: float(rows.loc[rows["share"] >= share, "calls"].max())
            for column, share in (("all", 1.0), ("half", 0.5), ("any", 1e-9))
        }
        records.append({"formulation": name, **largest})
    return pd.DataFrame(records)
