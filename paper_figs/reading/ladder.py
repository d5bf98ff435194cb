"""From HexAGenT to the best possible: what each step is worth, relative to HexAGenT on the same instance."""

from __future__ import annotations

import pandas as pd

from paper_figs.reading.intervals import mean_interval
from paper_figs.reading.paper_numbers import HEXAGENT
from paper_figs.reading.store import GAP_CASE, NoDataError, StorePath, fill, ordered, read_stored

GRID = "ladder"
BEST, BOUND = "best schedule found", "lower bound"
# as they are climbed; each knows more, or minds more, than the one before
STEPS = {
    HEXAGENT: "HexAGenT",
    "triage(q=0.95)": "triage, q = 0.95",
    "triage": "triage, q = 0.99",
    f"{HEXAGENT}(horizon=oracle)": "oracle's horizon",
    "triage(q=0.95,horizon=oracle)": "oracle's horizon, triage, q = 0.95",
    "triage(horizon=oracle)": "oracle's horizon, triage, q = 0.99",
    BEST: BEST,
    BOUND: BOUND,
}
CASE = ["workload", "objective"]


def read_ladder(store: StorePath) -> pd.DataFrame:
    """A row a workload, objective and step, steps in their order.

    Columns: workload, objective, step (of ``STEPS``), mean, low, high (of value / HexAGenT's over instances), n, closed
    (mean share of the distance from HexAGenT to the best schedule found that the step closes; NaN where there is none),
    and the setting: cluster, workflows, load, seeds.

    Raises
    ------
    NoDataError
        Without a bracket that has HexAGenT and another step among its policies.
    """
    ratios = ladder_rows(read_stored(store, "gaps", GRID))
    if ratios.empty:
        raise NoDataError(f"no bracket with HexAGenT and a step beyond it; make them with {fill(GRID, store)}", store)
    rows = []
    for (workload, objective), group in ratios.groupby(CASE, sort=True):
        about = {
            "cluster": ", ".join(sorted(set(group["cluster"]))),
            "workflows": ", ".join(map(str, sorted(set(group["workflows"])))),
            "load": ", ".join(sorted(set(group["load"]))),
            "seeds": group["seed"].nunique(),
        }
        for step in ordered(group["step"], STEPS):
            found = group[group["step"] == step]
            ratio = mean_interval(found["ratio"].tolist()).within(0.0)
            values = {"mean": ratio.mean, "low": ratio.low, "high": ratio.high, "n": ratio.n}
            closed = found["closed"].mean()
            rows.append(
                {"workload": workload, "objective": objective, "step": step, **values, "closed": closed, **about}
            )
    return pd.DataFrame(rows)


def ladder_rows(gaps: pd.DataFrame) -> pd.DataFrame:
    """A row an instance, objective and step: ``GAP_CASE``, objective, step, ratio (to HexAGenT), closed (a share)."""
    case = [*GAP_CASE, "objective"]
    hexagent = gaps[gaps["policy"] == HEXAGENT].drop_duplicates(case).set_index(case)["value"].rename("of_hexagent")
    steps = gaps[gaps["policy"].isin(STEPS)]
    with_steps = steps[steps["policy"] != HEXAGENT][case].drop_duplicates()
    steps = steps.merge(with_steps, on=case)
    once = steps.drop_duplicates(case)
    ends = [once.assign(policy=BEST, value=once["upper_bound"]), once.assign(policy=BOUND, value=once["lower_bound"])]
    every = pd.concat([steps, *ends], ignore_index=True).join(hexagent, on=case).dropna(subset=["of_hexagent"])
    gained, gainable = every["of_hexagent"] - every["value"], every["of_hexagent"] - every["upper_bound"]
    return every.assign(
        step=every["policy"],
        ratio=every["value"] / every["of_hexagent"],
        closed=(gained / gainable.where(gainable > 0)).where(every["policy"] != BOUND),
    )[[*case, "step", "ratio", "closed"]].sort_values([*case, "step"], kind="stable", ignore_index=True)
