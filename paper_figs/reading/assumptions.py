"""The paper's claims under what it does not state: how often each is reproduced, and by which assumptions.

A *set of assumptions* is a placement of the baselines, a scale of Workflow-LLF's deadline, a load rule and the cluster
that stands for "heterogeneous". HexAGenT is the same in all of them. Where the load is a stress, it is that of the
strongest baseline under the same placement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from paper_figs.reading.claims import CLAIMS, NONE, WITHIN, judge
from paper_figs.reading.paper_numbers import BASELINES, HEXAGENT
from paper_figs.reading.reductions import paper_cells, reductions
from paper_figs.reading.store import EXACT, NoDataError, StorePath, fill, read_runs

GRID = "assumptions"
SHIPPED = "as they are"  # the placement that each baseline has where none is named
SCALED = "workflow-llf"  # the baseline with a scale
ASSUMPTIONS = ["placement", "scale", "load", "pool"]
NAMES = {"placement": "placement of baselines", "scale": "scale of LLF", "load": "load", "pool": "heterogeneous is"}
_POLICY = re.compile(rf"(?P<base>{'|'.join(BASELINES)})(\(slo_scale=(?P<scale>[^,()]+)\))?(@(?P<placement>[a-z-]+))?")
_HETERO, _PAPERS = "hetero", "hetero-1"  # pools: how such names begin, and what claims about one cluster look for


def read_assumptions(store: StorePath) -> pd.DataFrame:
    """A row a set of assumptions and claim.

    Columns: ``ASSUMPTIONS``, claim, text, paper (a reduction), ours, low, high, n (seeds), verdict.

    Raises
    ------
    NoDataError
        Unless baselines ran with several placements.
    """
    runs = read_runs(store, GRID)
    told = _told(paper_cells(runs[runs["estimator"] == EXACT]))
    baselines = told[told["base"] != HEXAGENT]
    if baselines["placement"].nunique() < 2:
        raise NoDataError(f"no baselines with several placements; make them with {fill(GRID, store)}", store)
    rows = []
    for placement in [SHIPPED, *_sorted(baselines["placement"])]:
        placed = baselines[baselines["shipped"] if placement == SHIPPED else baselines["placement"] == placement]
        for load, group in told.groupby("load", sort=True):
            at_load = group[group["searched"].isin({"", placement})]
            hexagent, others = at_load[at_load["base"] == HEXAGENT], at_load.loc[at_load.index.isin(placed.index)]
            for scale in _sorted(others.loc[others["base"] == SCALED, "scale"]):
                chosen = others[(others["base"] != SCALED) | (others["scale"] == scale)]
                if set(chosen["base"]) != set(BASELINES) or hexagent.empty:
                    continue
                found = reductions(pd.concat([hexagent, chosen]).assign(policy=lambda rows: rows["base"]))
                case = {"placement": placement, "scale": scale, "load": load}
                rows += [case | row for row in _claims(found)]
    if not rows:
        raise NoDataError(f"no placement under which HexAGenT and all baselines ran; {fill(GRID, store)}", store)
    return pd.DataFrame(rows)


def reproduced(table: pd.DataFrame) -> pd.DataFrame:
    """A row a set of assumptions, the closest to the paper first.

    Columns: ``ASSUMPTIONS``, within (claims whose interval holds the paper's number), claims, distance (mean distance
    of our reductions from the paper's, a share).
    """
    measured = table.dropna(subset=["ours"])
    measured = measured.assign(within=measured["verdict"] == WITHIN, far=(measured["ours"] - measured["paper"]).abs())
    sets = measured.groupby(ASSUMPTIONS, sort=True).agg(
        within=("within", "sum"), claims=("claim", "size"), distance=("far", "mean")
    )
    order = sets.reset_index().sort_values(["within", "distance"], ascending=[False, True], kind="stable")
    return order.reset_index(drop=True)


def by_value(table: pd.DataFrame, claim: str) -> pd.DataFrame:
    """Of one claim, a row a value of each assumption: column, value, least, mean and most of ours over the others."""
    rows = table[(table["claim"] == claim) & table["ours"].notna()]
    parts = []
    for column in ASSUMPTIONS:
        found = rows.groupby(column, sort=False)["ours"].agg(["min", "mean", "max"]).reindex(values(rows, column))
        found = found.set_axis(["least", "mean", "most"], axis="columns").rename_axis("value").reset_index()
        parts.append(found.assign(column=column))
    return pd.concat(parts, ignore_index=True)


def values(table: pd.DataFrame, column: str) -> list[str]:
    """The values of an assumption: what is shipped first, numbers by size."""
    found = _sorted(table[column])
    return sorted(found, key=lambda value: value != SHIPPED)


def _told(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs of HexAGenT and of the baselines, with what was assumed; other policies are left out."""
    from hexsched.policies.orders import ORDERS

    shipped = {name: ORDERS[name].placement for name in BASELINES}
    scale = f"{ORDERS[SCALED].options['slo_scale'].default:g}"
    parts = runs["policy"].str.extract(_POLICY.pattern + "$")
    load = runs["load"].str.extract(r"^(?P<load>[^@ ]*)(@(?P<searched>[^ ]*))?(?P<process> .*)?$")
    usual = parts["base"].map(shipped)
    told = runs.assign(
        base=parts["base"].where(runs["policy"] != HEXAGENT, HEXAGENT),
        placement=parts["placement"].fillna(usual),
        shipped=parts["placement"].isna() | (parts["placement"] == usual),
        scale=parts["scale"].fillna(scale),
        load=load["load"] + load["process"].fillna(""),
        # a stress is that under a placement, other loads are the same for all
        searched=load["searched"].fillna(SHIPPED).where(load["load"].str.startswith("stress"), ""),
    )
    return told[told["base"].notna()].reset_index(drop=True)


def _claims(found: pd.DataFrame) -> list[dict[str, object]]:
    """A row a heterogeneous cluster and claim; clusters of equal GPUs count in each."""
    rows: list[dict[str, object]] = []
    hetero = found["pool"].str.startswith(_HETERO)
    for pool in _sorted(found.loc[hetero, "pool"]):
        one = found[~hetero | (found["pool"] == pool)]
        one = one.assign(pool=one["pool"].where(~hetero, _PAPERS))
        for claim in CLAIMS:
            ours = claim.measure(one[one["metric"] == claim.metric]).within(most=1.0) if len(one) else NONE
            verdict = judge(claim.paper, ours)
            numbers = {"paper": claim.paper, "ours": ours.mean, "low": ours.low, "high": ours.high, "n": ours.n}
            rows.append({"pool": pool, "claim": claim.name, "text": claim.text, **numbers, "verdict": verdict})
    return rows


def _sorted(found: Sequence[str] | pd.Series) -> list[str]:
    """Distinct values by name, and by number where they end in one."""

    def rank(value: str) -> tuple[str, float, str]:
        number = re.search(r"[\d.]+$", value)
        return (value[: number.start()], float(number[0]), value) if number else (value, 0.0, value)

    return sorted(set(found), key=rank)
