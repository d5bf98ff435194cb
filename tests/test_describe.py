"""What ``describe`` and ``fit_report`` say of a workload worked out by hand."""

from __future__ import annotations

import json

import pytest

from hexsched.errors import InputError
from hexsched.model import Call, Workflow
from hexsched.workloads.describe import MOST_KINDS, describe, measure
from hexsched.workloads.families import generate
from hexsched.workloads.fit_report import fit_report

pytestmark = pytest.mark.quick


def call(name: str, *parents: str, kind: str = "step", cached: int = 0, delay: float = 0.0) -> Call:
    return Call(
        call_id=name,
        prompt_tokens=100,
        output_tokens=10,
        parents=parents,
        kind=kind,
        cached_tokens=cached,
        delay=delay,
    )


DIAMOND = Workflow(
    workflow_id="diamond",
    arrival=0.0,
    calls=(call("d", "b", "c", delay=2.0), call("b", "a"), call("c", "a", cached=60), call("a", kind="plan")),
)
SINGLE = Workflow(workflow_id="single", arrival=4.0, calls=(call("a", kind="plan"),))
LATE = Workflow(workflow_id="late", arrival=6.0, calls=(call("a"), call("b", "a")))


def row(quantity: str) -> dict[str, float]:
    frame = describe([DIAMOND, SINGLE, LATE]).set_index("quantity")
    return frame.loc[quantity].to_dict()


def test_shape_is_that_of_the_dag() -> None:
    samples = measure([DIAMOND, SINGLE, LATE])
    assert samples["depth"].tolist() == [3, 1, 2]
    assert samples["width"].tolist() == [2, 1, 1]
    assert samples["calls_per_workflow"].tolist() == [4, 1, 2]
    assert samples["tokens_per_workflow"].tolist() == [440, 110, 220]


def test_totals_and_quantiles() -> None:
    assert row("workflows")["value"] == 3
    assert row("calls")["value"] == 7
    assert row("prompt_tokens")["value"] == 700
    assert row("cached_tokens")["value"] == 60
    assert row("delay")["max"] == 2.0
    assert row("calls_per_workflow")["p50"] == 2
    assert row("calls_per_workflow")["mean"] == pytest.approx(7 / 3)


def test_arrivals() -> None:
    assert row("arrival_span")["value"] == 6.0
    assert row("arrival_rate")["value"] == pytest.approx(2 / 6)
    assert row("inter_arrival")["mean"] == 3.0
    assert row("inter_arrival_cv")["value"] == pytest.approx(1 / 3)  # gaps 4 and 2


def test_kinds_are_counted() -> None:
    assert row("kind:step")["value"] == 5
    assert row("kind:plan")["value"] == 2


def test_many_kinds_are_summed_up() -> None:
    kinds = ["often"] * 40 + [f"node-{k:03}" for k in range(200)]
    workflows = [
        Workflow(workflow_id=f"w{k}", arrival=k, calls=(call("a", kind=kind),)) for k, kind in enumerate(kinds)
    ]
    names = [name for name in describe(workflows)["quantity"] if "kind" in name]
    assert names[:2] == ["kind:often", "kind:node-000"]
    assert names[-1] == f"{201 - MOST_KINDS + 1} other kinds"
    assert len(names) == MOST_KINDS
    frame = describe(workflows).set_index("quantity")
    assert frame.loc[names, "value"].sum() == 240


def test_one_workflow_has_no_rate() -> None:
    frame = describe([SINGLE]).set_index("quantity")
    assert frame.loc["arrival_span", "value"] == 0.0
    assert frame["value"].isna()["arrival_rate"]
    assert "inter_arrival_cv" not in frame.index


def test_table_survives_json() -> None:
    rows = json.loads(describe(generate("text2sql", 5, seed=0)).to_json(orient="records"))
    assert {"quantity", "unit", "value", "mean", "p5", "p50", "p95", "p99", "max"} == set(rows[0])


def test_nothing_to_describe() -> None:
    with pytest.raises(InputError, match="no workflows to describe"):
        describe([])


def test_report_compares_like_with_like() -> None:
    doubled = [
        Workflow(
            workflow_id=w.workflow_id,
            arrival=0.0,
            calls=tuple(
                Call(
                    call_id=c.call_id,
                    prompt_tokens=2 * c.prompt_tokens,
                    output_tokens=c.output_tokens,
                    parents=c.parents,
                    kind=c.kind,
                )
                for c in w.calls
            ),
        )
        for w in generate("sharegpt", 200, seed=0)
    ]
    report = fit_report("sharegpt", real=generate("sharegpt", 200, seed=0), generated=doubled)
    errors = report[report.series == "error"].set_index("quantity")
    assert errors.loc["prompt_tokens", "worst_error"] == pytest.approx(1.0, abs=1e-3)
    assert errors.loc["prompt_tokens", "p50"] == pytest.approx(1.0, abs=1e-3)
    assert errors.loc["output_tokens", "worst_error"] == pytest.approx(0.0, abs=1e-3)
    assert errors.loc["prompt_tokens", "ks"] > 0.2
    assert set(report.series) == {"real", "generated", "error"}


def test_report_needs_real_data() -> None:
    with pytest.raises(InputError, match="'mixed' has no real data of its own"):
        fit_report("mixed")
