"""A comparison in few numbers: a summary, performance profiles, and what size is still proven.

All take the rows as a data frame (``experiments.formulations.rows.as_frame``), and call a row solved when optimality
was proven within the limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from solvers.brackets.choice import PENALTY

if TYPE_CHECKING:
    import pandas as pd

SHIFT = 1.0  # second, of the shifted geometric mean: differences of milliseconds should not count
PROBLEM = ["sha256", "objective"]
SOLVED = [*PROBLEM, "seed"]  # a problem with a seed of the solver: what is solved once by each formulation
Z = 1.959964  # of a normal distribution: 95 % of it lies within so many standard deviations


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
    formulations = frame.groupby(SOLVED)["formulation"].transform("nunique")
    return frame[formulations == frame["formulation"].nunique()]


def tried_by_all_able(frame: pd.DataFrame) -> pd.DataFrame:
    """As ``tried_by_all``, of each objective by itself, which some formulations cannot minimise."""
    formulations = frame.groupby(SOLVED)["formulation"].transform("nunique")
    return frame[formulations == frame.groupby("objective")["formulation"].transform("nunique")]


def performance_profile(frame: pd.DataFrame) -> pd.DataFrame:
    """Dolan and Moré (2002): the share of problems that a formulation solves within tau times the best time.

    A problem is an instance, objective and seed; for formulation s, r = t_s / min t in wall-clock seconds, infinite
    where s does not solve it, and rho_s(tau) is the share of problems with r <= tau. Those that none solves count too,
    so that the curves end at the share that is solved.

    Returns
    -------
    DataFrame
        ``formulation``, ``tau``, ``rho``: a row a step of the curve, from tau = 1 to the largest ratio of all.
    """
    import pandas as pd

    if frame.empty:
        return pd.DataFrame(columns=["formulation", "tau", "rho"])
    table = times(frame)
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


def times(frame: pd.DataFrame) -> pd.DataFrame:
    """Seconds to a proof, infinite where there is none: a row a problem and seed, a column a formulation."""
    proven = frame.assign(time=frame["seconds"].where(frame["status"] == "optimal", np.inf))
    table = proven.pivot_table(index=SOLVED, columns="formulation", values="time", aggfunc="min", sort=False)
    return table.reindex(columns=frame["formulation"].unique()).fillna(np.inf)  # without a row it is not solved either


def proven_by_size(frame: pd.DataFrame) -> pd.DataFrame:
    """The share proven optimal within the limit, and how sure that is of other instances of this size.

    Returns
    -------
    DataFrame
        ``formulation``, ``calls``, ``rows``, ``solved``, ``share``; ``instances``; ``low``, ``high``, Wilson's interval
        (1927) of 95 % over instances: seeds of one instance say little of others, so they count as one, by their share.
    """
    solved = frame.assign(solved=frame["status"] == "optimal")
    by_size = solved.groupby(["formulation", "calls"], sort=False)
    table = by_size.agg(
        rows=("solved", "size"), solved=("solved", "sum"), instances=("sha256", "nunique")
    ).reset_index()
    table["share"] = table["solved"] / table["rows"]
    table["low"], table["high"] = wilson(table["share"].to_numpy(), table["instances"].to_numpy())
    rank = {name: k for k, name in enumerate(frame["formulation"].unique())}
    return table.sort_values(
        ["formulation", "calls"], key=lambda c: c.map(rank) if c.name == "formulation" else c, ignore_index=True
    )


def wilson(share: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the interval of 95 % of a share that was seen in so many cases."""
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * np.sqrt(share * (1 - share) / count + (Z / (2 * count)) ** 2)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def virtual_best(frame: pd.DataFrame) -> pd.DataFrame:
    """Each formulation against the virtual best: whatever is fastest on each problem that something proved.

    Returns
    -------
    DataFrame
        ``formulation``; ``solvable``, how many problems that is, seeds apart; ``proven``; ``fastest``, the share of
        them on which it is fastest, those on which several are divided; ``alone``, the share that nothing else proves;
        ``ratio``, geometric mean of its time over the fastest, what it does not prove at ``PENALTY`` times the limit.
    """
    import pandas as pd

    table = times(frame)
    table = table[np.isfinite(table.min(axis=1))]
    limit = frame.groupby(SOLVED)["time_limit"].max().reindex(table.index).to_numpy()
    best = table.min(axis=1).to_numpy()
    first = table.eq(best, axis=0).to_numpy()
    proven = np.isfinite(table.to_numpy())
    records = []
    for k, name in enumerate(table.columns):
        cost = np.where(proven[:, k], table[name], PENALTY * limit)
        records.append(
            {
                "formulation": name,
                "solvable": len(table),
                "proven": int(proven[:, k].sum()),
                "fastest": float((first[:, k] / first.sum(axis=1)).mean()) if len(table) else np.nan,
                "alone": float((proven[:, k] & (proven.sum(axis=1) == 1)).mean()) if len(table) else np.nan,
                "ratio": float(np.exp(np.log(cost / best).mean())) if len(table) else np.nan,
            }
        )
    return pd.DataFrame(records)


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
