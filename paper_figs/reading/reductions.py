"""By how much the policy under study needs less than others: cell by cell, paired by seed.

Under study is HexAGenT unless another policy is. A cell is a cluster, workload, number of workflows, load and
estimator. Its reduction at a seed is 1 - policy / baseline, both on the same instance. The *strongest baseline* of a
cell is the one with the least mean over the seeds, one for Req95 and one for Req99. Choosing it anew at each seed would
hold the policy against the luckiest of several runs, which no single scheduler could reach; choosing it once still
favours the baselines a little, since the same seeds serve to choose and to compare. Candidates are the paper's
baselines, or the policies that were selected by name; other policies are compared with and are never the strongest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from paper_figs.reading.intervals import Interval, mean_interval
from paper_figs.reading.paper_numbers import BASELINES, HEXAGENT, INSTANCES, MODELS, WORKFLOWS, WORKLOADS
from paper_figs.reading.selection import in_order
from paper_figs.reading.store import CELL, EXACT

HEADLINES = ("req95", "req99")
STRESS = "stress"  # the load rule that is shown where as many settings have another
COLUMNS = ["seed", "reached", "metric", "policy", "baseline", "value", "needed", "reduction", "strongest"]


def reductions(
    runs: pd.DataFrame,
    metrics: Sequence[str] = HEADLINES,
    study: str = HEXAGENT,
    rivals: Sequence[str] = BASELINES,
) -> pd.DataFrame:
    """One row a cell, seed, metric and baseline.

    Parameters
    ----------
    runs : DataFrame
        As ``read_runs`` gives it.
    metrics : sequence of str
        Columns to compare.
    study : str
        The policy under study.
    rivals : sequence of str
        The policies of which one is the strongest.

    Returns
    -------
    DataFrame
        ``CELL``, model, pool, seed, reached (share of the cell's runs at the load asked for),
        metric, policy (under study), baseline, value (the baseline's), needed (by the
        policy under study), reduction, strongest. Seeds at which the policy under study or one of the cell's rivals is
        missing are left out: means over other seeds do not compare. Other policies have rows where they ran.
    """
    cell = [*CELL, "model", "pool"]
    others = [name for name in in_order(runs["policy"]) if name != study]
    rivals = [name for name in others if name in rivals]
    parts = []
    for metric in metrics if study in set(runs["policy"]) and others else ():
        values = runs.pivot(index=[*cell, "seed"], columns="policy", values=metric)
        ran = values[[*rivals, study]].notna().groupby(level=cell).transform("any")
        complete = (values[[*rivals, study]].notna() | ~ran).all(axis="columns")
        values = values[ran[study] & complete]
        if rivals:
            means = values[rivals].groupby(level=cell).transform("mean")
            best = means.fillna(math.inf).idxmin(axis="columns").where(means.notna().any(axis="columns"))
        for name in others:
            rows = values[[name, study]].set_axis(["value", "needed"], axis="columns")
            rows = rows.assign(metric=metric, policy=study, baseline=name, strongest=bool(rivals) and best == name)
            rows = rows.dropna(subset=["value"])
            parts.append(rows.assign(reduction=1.0 - rows["needed"] / rows["value"]).reset_index())
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=[*cell, *COLUMNS])
    found = pd.concat(parts, ignore_index=True)
    met = runs.groupby(CELL)["reached"].mean() if "reached" in runs else pd.Series(dtype=float)
    found = found.join(met.rename("reached"), on=CELL) if len(met) else found.assign(reached=1.0)
    found = found[[*cell, *COLUMNS]]
    return found.sort_values([*cell, "metric", "baseline", "seed"], kind="stable", ignore_index=True)


def leads_by_estimator(runs: pd.DataFrame, study: str, rivals: Sequence[str]) -> pd.DataFrame:
    """``reductions`` against the strongest where both know output lengths equally well, of settings with an estimator
    beside the exact one.
    """
    setting = [column for column in CELL if column != "estimator"]
    other = runs.loc[runs["estimator"] != EXACT, setting].drop_duplicates()
    less = reductions(runs.merge(other, on=setting), study=study, rivals=rivals)
    return less[less["strongest"].astype(bool)]


def at_shared_seeds(runs: pd.DataFrame, study: str = HEXAGENT, rivals: Sequence[str] = BASELINES) -> pd.DataFrame:
    """The runs, of all policies, at the seeds of ``reductions``: the policy under study and all of a cell's rivals ran.

    Cells of which no seed is such are left out.
    """
    core = runs[runs["policy"].isin([study, *rivals])]
    ran = core.groupby([*CELL, "seed"])["policy"].transform("nunique")
    seeds = core.loc[ran == core.groupby(CELL)["policy"].transform("nunique"), [*CELL, "seed"]].drop_duplicates()
    return runs.merge(seeds, on=[*CELL, "seed"])


def pooled(rows: pd.DataFrame, column: str = "reduction", by: Sequence[str] = (*CELL, "baseline")) -> Interval:
    """Mean over groups of the mean over seeds; the interval is over seeds.

    At every seed that all groups share, the mean over the groups is one value; seeds are independent, groups with the
    same seed are not (they share their workload). Without two such seeds there is no interval.
    """
    table = rows.pivot_table(index="seed", columns=list(by), values=column, aggfunc="mean")
    if table.empty:
        return mean_interval([])
    shared = table.dropna()
    if len(shared) >= 2:
        return mean_interval(shared.mean(axis="columns").tolist())
    return Interval(float(table.mean().mean()), math.nan, math.nan, len(shared))


def paper_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows within the paper's set-up: its models, workloads, numbers of workflows and sizes of cluster."""
    inside = (
        frame["model"].isin(MODELS)
        & frame["workload"].isin(WORKLOADS)
        & frame["workflows"].between(WORKFLOWS[0], WORKFLOWS[1])
    )
    if "prefill_instances" in frame and "decode_instances" in frame:
        inside &= (frame["prefill_instances"] + frame["decode_instances"]).between(INSTANCES[0], INSTANCES[1])
    return frame[inside]


def main_load(frame: pd.DataFrame) -> str:
    """The rule by which most settings were loaded; at a tie a stress, and of several the first by name."""
    return _most_common(_settings_of_loads(frame))[0]


def load_choice(frame: pd.DataFrame) -> str:
    """In a sentence, which load ``main_load`` chooses and why; "" where there are not two."""
    counts = _settings_of_loads(frame)
    if len(counts) < 2:
        return ""
    most = _most_common(counts)
    shown, beside = most[0], [load for load in most if load != most[0]]
    if not beside:
        return f"Of {len(counts)} loads, {shown} is shown since most settings have it ({counts[shown]})."
    stress = rule_of(shown)[0] == STRESS
    several = not stress or any(rule_of(load)[0] == STRESS for load in beside)
    why = [*(["a stress comes first"] if stress else []), *(["the first by name"] if several else [])]
    return f"As many settings ({counts[shown]}) have load {', '.join(beside)}; {shown} is shown: {', then '.join(why)}."


def _settings_of_loads(frame: pd.DataFrame) -> dict[str, int]:
    settings = frame.drop_duplicates(["cluster", "workload", "workflows", "load"])
    return {str(load): int(count) for load, count in settings["load"].value_counts().items()}


def _most_common(counts: Mapping[str, int]) -> list[str]:
    """The loads that most settings have, the one that is shown first."""
    most = [load for load, count in counts.items() if count == max(counts.values())]
    return sorted(most, key=lambda load: (rule_of(load)[0] != STRESS, load))


def rule_of(load: str) -> tuple[str, float]:
    """``"stress:5.6"`` as its rule and number; NaN for a rule without one."""
    rule, _, number = load.partition(":")
    try:
        return rule, float(number)
    except ValueError:
        return rule, math.nan
