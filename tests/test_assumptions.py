"""What the paper does not state: loads under a placement, sets of assumptions, and the claims under each of them."""

from __future__ import annotations

import math

import pytest
from stored import write_runs

import hexsched as hx
from experiments.grid.loads import read_load
from experiments.grid.plan import make_plan
from experiments.grid.scene import instance_of
from experiments.grid.spec import read_grid
from experiments.load import at_rate
from hexsched.baselines import BASELINES
from hexsched.clusters import read_cluster
from hexsched.errors import InputError
from hexsched.simulator import simulate
from hexsched.workloads.families import generate
from paper_figs.drawing.figure import write_figure
from paper_figs.figures import FIGURES
from paper_figs.reading.assumptions import ASSUMPTIONS, SHIPPED, by_value, read_assumptions, reproduced, values
from paper_figs.reading.claims import judge
from paper_figs.reading.intervals import Interval
from paper_figs.reading.store import NoDataError, read_runs
from paper_figs.report.assumed import assumptions

POOLS = ("hetero-1", "hetero-3")
SCALES = ("workflow-llf", "workflow-llf(slo_scale=1)")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two workloads on two clusters, two placements and two scales of LLF; rates as a search might find them."""
    folder = tmp_path_factory.mktemp("assumptions") / "store"
    shipped = (*(name for name in BASELINES if name not in SCALES), *SCALES)
    placed = tuple(f"{name}@jsq" for name in shipped)
    for pool in POOLS:
        for workload in ("bfcl", "mixed"):
            named = {"cluster": f"qwen235b-{pool}", "model": "qwen3-235b-a22b", "pool": pool, "workflows": 100}
            named |= {"prefill_instances": 8, "decode_instances": 8}
            of = {"named": named, "workload": workload, "workflows": 6, "seeds": (0, 1)}
            write_runs(folder, policies=("hexagent", *shipped, *placed), load="rate:2", rate=2.0, **of)
            write_runs(folder, policies=("hexagent", *shipped), load="stress:5.6", rate=6.0, **of)
            write_runs(folder, policies=("hexagent", *placed), load="stress:5.6@jsq", rate=4.0, **of)
    return folder


@pytest.fixture(scope="module")
def found(store):
    return read_assumptions(store)


@pytest.mark.quick
def test_a_stress_may_be_that_under_a_placement():
    rule = read_load(" stress:2@round-robin")
    assert str(rule) == "stress:2@round-robin"
    cluster, workflows = read_cluster("demo"), generate("bfcl", 10, 0)
    rate, found = rule.rule.search(lambda rate: at_rate(cluster, workflows, rate), rule)
    assert found["reached"]
    assert found["baseline"].endswith("@round-robin")
    instance = at_rate(cluster, workflows, rate)
    assert found["req95"] == min(simulate(instance, f"{name}@round-robin").metrics.req95 for name in BASELINES)
    for text, told in (
        ("stress:2@jsk", "unknown placement 'jsk'; did you mean 'jsq'"),
        ("stress:2@", "unknown placement ''"),
        ("saturation:1@jsq", "takes no placement"),
        ("stress@jsq", "expected stress:NUMBER"),
    ):
        with pytest.raises(InputError, match=told):
            read_load(text)


@pytest.mark.quick
def test_a_process_may_follow_a_rate(tmp_path):
    assert [str(read_load(text)) for text in ("rate:2  gamma, cv=3.0", "rate:2 fixed", "stress:2@jsq poisson")] == [
        "rate:2 gamma,cv=3",
        "rate:2",
        "stress:2@jsq poisson",
    ]
    grid = {"clusters": "demo", "workloads": "bfcl", "workflows": 6, "seeds": [3], "policies": "fcfs"}
    cell = next(iter(make_plan(read_grid({**grid, "loads": "rate:2 gamma,cv=3"})).cells.values()))
    instance = instance_of(cell.scene, None)
    assert tuple(instance.workflows) == tuple(hx.workload("bfcl", workflows=6, seed=3, arrivals="gamma:2,cv=3"))
    for text, told in (
        ("rate:2 poison", "unknown arrival process 'poison'; expected fixed or poisson or gamma,cv=CV"),
        ("rate:2 gamma", "missing"),
        ("rate:2 gamma,cv=0", "cv must be from 0.01 to 100"),
        ("rate:2 poisson,cv=3", "cv"),
        ("at-once poisson", "takes no arrival process"),
        ("closed-loop:2 poisson", "takes no arrival process"),
    ):
        with pytest.raises(InputError, match=told):
            read_load(text)


def test_every_set_of_assumptions_is_judged_by_its_own_runs(store, found):
    sets = {tuple(row) for row in found[ASSUMPTIONS].drop_duplicates().to_numpy()}
    loads = ("rate:2", "stress:5.6")
    assert sets == {(p, s, load, k) for p in (SHIPPED, "jsq") for s in ("1", "4") for load in loads for k in POOLS}
    assert set(found.groupby(ASSUMPTIONS)["claim"].nunique()) == {9}
    runs = read_runs(store).set_index(["cluster", "workload", "load", "policy", "seed"])["req99"]
    for placement, load in ((SHIPPED, "stress:5.6"), ("jsq", "stress:5.6@jsq")):
        llf = "workflow-llf(slo_scale=1)" + ("@jsq" if placement == "jsq" else "")
        at = runs.loc["qwen235b-hetero-3", "mixed", load]
        by_seed = [1 - at["hexagent", seed] / at[llf, seed] for seed in (0, 1)]
        case = {"placement": placement, "scale": "1", "load": "stress:5.6", "pool": "hetero-3"}
        row = found[(found[list(case)] == list(case.values())).all(axis="columns")]
        row = row[row["claim"] == "qwen-mixed-req99"].iloc[0]
        assert row["ours"] == pytest.approx(sum(by_seed) / 2, abs=1e-12)
        assert row["verdict"] == judge(row["paper"], Interval(row["ours"], row["low"], row["high"], 2))


def test_sets_are_ordered_by_what_they_reproduce(found):
    sets = reproduced(found)
    assert len(sets) == 16
    assert list(sets["within"]) == sorted(sets["within"], reverse=True)
    first = sets.iloc[0]
    rows = found[(found[ASSUMPTIONS] == first[ASSUMPTIONS]).all(axis="columns")]
    assert first["distance"] == pytest.approx((rows["ours"] - rows["paper"]).abs().mean())
    marginal = by_value(found, "mean-req95")
    assert list(marginal["value"]) == [SHIPPED, "jsq", "1", "4", "rate:2", "stress:5.6", *POOLS]
    mine = found[(found["claim"] == "mean-req95") & (found["placement"] == "jsq")]["ours"]
    row = marginal.set_index("value").loc["jsq"]
    assert (row["least"], row["most"]) == (mine.min(), mine.max())
    assert math.isclose(row["mean"], mine.mean())
    assert values(found, "load") == ["rate:2", "stress:5.6"]


def test_figure_and_report(store, tmp_path):
    first = write_figure(FIGURES.find("assumptions"), store, tmp_path / "a").files
    again = write_figure(FIGURES.find("assumptions"), store, tmp_path / "b").files
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    text = assumptions(store)
    assert "16 sets of assumptions" in text
    assert text.count("\n| Mean reduction of Req95") == 1


def test_one_placement_is_no_study(tmp_path):
    write_runs(tmp_path / "s", workflows=6, seeds=(0,))
    with pytest.raises(NoDataError, match=r"no baselines|hexsched grid run assumptions"):
        read_assumptions(tmp_path / "s")
