"""The paper's claims beside what the store says, with a verdict by a stated rule.

For a claimed reduction p and our 95 % interval [low, high] over seeds:

==================================================  ===============================
interval                                            verdict
==================================================  ===============================
holds p, low > 0, reaches at most p / 2 either side  within the interval
holds p, low <= 0 or reaches farther                too wide to tell
low > p                                             larger
high < p, low > 0                                   same direction, smaller
high < p, low <= 0                                  disagrees (no reduction shown)
none (under two seeds, no data)                     not tested
==================================================  ===============================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from hexsched.errors import InputError
from paper_figs.reading import paper_numbers as paper
from paper_figs.reading.intervals import Interval, mean_interval
from paper_figs.reading.loads import load_text
from paper_figs.reading.reductions import main_load, paper_cells, pooled, reductions
from paper_figs.reading.selection import Selection
from paper_figs.reading.store import CELL, EXACT, NoDataError, StorePath, read_runs, read_stored

AGREES = "agrees"  # with a range, or with what is said in words
WITHIN = "within the interval"
LARGER = "larger"
SMALLER = "same direction, smaller"
UNDECIDED = "too wide to tell"
DISAGREES = "disagrees"
NOT_TESTED = "not tested"
NO_RUNS = "no runs in the paper's set-up"  # in place of a load

WIDEST = 0.5  # of the paper's number: with more to either side an interval holds almost anything
MODERATE = 0.25  # our reading of "degrades moderately": Req99 grows by at most a quarter
NONE = Interval(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class Claim:
    """A number of the paper, and how ours is found.

    Attributes
    ----------
    name : str
    text : str
        The claim in a sentence.
    metric : str
    paper : float
        A reduction, or what ``judge`` takes.
    measure : callable
        From the reductions of the paper's cells at one load to our number.
    note : str
        What to know when the two are set side by side.
    """

    name: str
    text: str
    metric: str
    paper: float
    measure: Callable[[pd.DataFrame], Interval]
    note: str = ""


def judge(claimed: float, ours: Interval) -> str:
    """The verdict on a claimed reduction, by the rule of this module."""
    if not ours.known:
        return NOT_TESTED
    if ours.low > claimed:
        return LARGER
    shown = ours.low > 0
    if ours.high < claimed:
        return SMALLER if shown else DISAGREES
    return WITHIN if shown and (ours.high - ours.low) / 2 <= WIDEST * claimed else UNDECIDED


def judge_range(least: float, most: float, ours: Interval) -> str:
    """The verdict on a cost given as a range: within, below or above; open where the interval crosses an end."""
    if not ours.known:
        return NOT_TESTED
    if ours.high < least:
        return "below the paper's"
    if ours.low > most:
        return "above the paper's"
    return AGREES if least <= ours.low and ours.high <= most else UNDECIDED


def judge_growth(most: float, ours: Interval) -> str:
    """The verdict on a growth that is said to stay small."""
    if not ours.known:
        return NOT_TESTED
    if ours.high <= most:
        return AGREES
    return DISAGREES if ours.low > most else UNDECIDED


def _mean(rows: pd.DataFrame) -> Interval:
    return pooled(rows)


def _largest(rows: pd.DataFrame) -> Interval:
    """The cell and baseline with the largest mean; over two seeds at least, where there are such."""
    groups = [group["reduction"].tolist() for _, group in rows.groupby([*CELL, "baseline"], sort=True)]
    tested = [values for values in groups if len(values) > 1] or groups
    return max((mean_interval(values) for values in tested), key=lambda found: found.mean, default=NONE)


def _hetero(rows: pd.DataFrame) -> Interval:
    return pooled(rows[rows["strongest"] & rows["pool"].str.startswith("hetero")])


def _qwen(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["model"] == "qwen3-235b-a22b") & (rows["pool"] == "hetero-1")]


def _qwen_strongest(rows: pd.DataFrame) -> Interval:
    found = _qwen(rows)
    return pooled(found[found["strongest"]])


def _qwen_mixed(rows: pd.DataFrame) -> Interval:
    found = _qwen(rows)
    return pooled(found[(found["workload"] == "mixed") & (found["baseline"] == "workflow-llf")])


def _reductions_claimed() -> list[Claim]:
    claims = []
    for metric, q in (("req95", "Req95"), ("req99", "Req99")):
        claims.append(
            Claim(
                f"mean-{metric}",
                f"Mean reduction of {q}, all settings",
                metric,
                paper.MEAN_REDUCTION[metric],
                _mean,
                "the paper does not say against whom: ours is the mean over all four baselines",
            )
        )
    for metric, q in (("req95", "Req95"), ("req99", "Req99")):
        claims.append(
            Claim(
                f"largest-{metric}",
                f"Largest reduction of {q}",
                metric,
                paper.LARGEST_REDUCTION[metric],
                _largest,
                "ours is the largest mean over seeds of any setting and baseline; picking the largest flatters it",
            )
        )
    for metric, q in (("req95", "Req95"), ("req99", "Req99")):
        claims.append(
            Claim(
                f"hetero-{metric}",
                f"Heterogeneous clusters, strongest baseline: mean reduction of {q}",
                metric,
                paper.HETERO_REDUCTION[metric],
                _hetero,
            )
        )
    for metric, (baseline, hexagent) in paper.QWEN_HETERO_1.items():
        claims.append(
            Claim(
                f"qwen-{metric}",
                f"Qwen, Hetero-1, strongest baseline: {metric.capitalize()} {baseline:.2f} → {hexagent:.2f}",
                metric,
                1 - hexagent / baseline,
                _qwen_strongest,
                "which workload is not said: ours is the mean over the four",
            )
        )
    for metric, (baseline, hexagent) in paper.QWEN_HETERO_1_MIXED_LLF.items():
        claims.append(
            Claim(
                f"qwen-mixed-{metric}",
                f"Qwen, Hetero-1, Mixed, Workflow-LLF: {metric.capitalize()} {baseline:.2f} → {hexagent:.2f}",
                metric,
                1 - hexagent / baseline,
                _qwen_mixed,
            )
        )
    return claims


CLAIMS = tuple(_reductions_claimed())


def read_claims(store: StorePath) -> pd.DataFrame:
    """Every claim at every load: claim, text, policy, load, load_text, main, unit, paper, ours, low, high, n,
    verdict, note.

    Reductions and growths are shares, decision times milliseconds. ``main`` marks the load that
    ``main_load`` chooses. A policy under study takes HexAGenT's place; it is held against the paper's baselines alone.
    """
    study = Selection.of(store).study
    runs = read_runs(store)
    exact = paper_cells(runs[runs["estimator"] == EXACT])
    rows = []
    main = main_load(exact) if len(exact) else "-"
    loads = sorted(exact["load"].unique(), key=lambda load: (load != main, load)) or [main]
    for load in loads:
        found = reductions(exact[exact["load"] == load], study=study)
        found = found[found["baseline"].isin(paper.BASELINES)]
        for claim in CLAIMS:
            ours = claim.measure(found[found["metric"] == claim.metric]).within(most=1.0) if len(found) else NONE
            values = (claim.paper, f"{100 * claim.paper:.1f} %", ours, judge(claim.paper, ours))
            rows.append(_row(claim.name, claim.text, load, main, "share", *values, claim.note))
    rows.append(_decision_row(store, exact[exact["policy"] == study], main))
    rows.append(_estimate_row(runs[runs["policy"] == study], main))
    said = {load: load_text(exact[exact["load"] == load]) if len(exact) else NO_RUNS for load in loads}
    return pd.DataFrame(rows).assign(policy=study, load_text=lambda table: table["load"].map(said))


def _row(
    name: str,
    text: str,
    load: str,
    main: str,
    unit: str,
    value: float,
    said: str,
    ours: Interval,
    verdict: str,
    note: str,
) -> dict[str, object]:
    return {
        "claim": name,
        "text": text,
        "load": load,
        "main": load == main,
        "unit": unit,
        "paper": value,
        "paper_text": said,
        "ours": ours.mean,
        "low": ours.low,
        "high": ours.high,
        "n": ours.n,
        "verdict": verdict,
        "note": note,
    }


def _decision_row(store: StorePath, exact: pd.DataFrame, main: str) -> dict[str, object]:
    least, most = paper.DECISION_MS
    ours = NONE
    runs = exact[exact["pool"].str.startswith("hetero")]
    try:
        timed = runs.merge(read_stored(store, "timings", "paper")[["key", "decision_mean_us"]], on="key")
    except NoDataError:
        pass
    else:
        ours = pooled(timed.assign(ms=timed["decision_mean_us"] / 1000), "ms", CELL).within(0.0)
    text = "A scheduler invocation, heterogeneous clusters, mean"
    note = "ours is compiled code on another machine, theirs a Python simulator: the two do not compare"
    said = f"{least:.1f} to {most:.1f} ms"
    return _row("decision", text, main, main, "ms", most, said, ours, judge_range(least, most, ours), note)


def estimate_growth(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """How much more a policy needs with an estimator than with exact lengths, one row a cell, policy and seed.

    Columns: cluster, workload, workflows, load, policy, seed, estimator, growth (a share; 0.1 is 10 % more).
    """
    cell = [*(column for column in CELL if column != "estimator"), "model", "pool", "policy", "seed"]
    exact = runs[runs["estimator"] == EXACT][[*cell, metric]]
    other = runs[runs["estimator"] != EXACT][[*cell, "estimator", metric]]
    both = other.merge(exact, on=cell, suffixes=("", "_exact"))
    both["growth"] = both[metric] / both[f"{metric}_exact"] - 1.0
    return both.drop(columns=[metric, f"{metric}_exact"])


def noise_of(estimator: str) -> float:
    """Sigma of ``noise(SIGMA)``, 0 for ``exact``, NaN for other estimators."""
    if estimator == EXACT:
        return 0.0
    if estimator.startswith("noise(") and estimator.endswith(")"):
        try:
            return float(estimator[len("noise(") : -1])
        except ValueError:
            raise InputError(f"cannot read the estimator {estimator!r} of a stored run") from None
    return math.nan


def _estimate_row(runs: pd.DataFrame, main: str) -> dict[str, object]:
    growth = estimate_growth(paper_cells(runs), "req99")
    largest = growth[[math.isclose(noise_of(name), paper.ESTIMATE_ERRORS[1]) for name in growth["estimator"]]]
    ours = pooled(largest, "growth", CELL).within(-1.0) if len(largest) else NONE
    text = f"Req99 degrades moderately at an error of {100 * paper.ESTIMATE_ERRORS[1]:.0f} % in the estimates"
    note = (
        f"'moderately' is read as at most {100 * MODERATE:.0f} % more; the paper errs in prefill and decode times, "
        "here output lengths err"
    )
    said = "moderately"
    return _row("estimates", text, main, main, "growth", MODERATE, said, ours, judge_growth(MODERATE, ours), note)
