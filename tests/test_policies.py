"""The contract of every policy: each registered one, every order on every placement, every ablation."""

from __future__ import annotations

import dataclasses
import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instance, corner_instances, named_calls, one_pair, workflow
from msgspec.structs import replace

from hexsched.errors import InputError
from hexsched.model import Instance, Schedule
from hexsched.policies import policies, read_policy
from hexsched.policies.parts.option import Option, Value
from hexsched.simulator import simulate
from hexsched.verifier import verify

ESTIMATORS = ("exact", "noise(0.3)", "class_mean")


@settings(max_examples=15)
@given(instance=corner_instances(), estimator=st.sampled_from(ESTIMATORS), seed=st.integers(0, 3))
def test_schedules_are_valid_and_metrics_agree(policy_name, instance, estimator, seed):
    run = simulate(instance, policy_name, estimator=estimator, seed=seed)
    report = verify(instance, run.schedule)
    assert report.violations == ()
    for name in run.metrics:
        assert getattr(run.metrics, name) == pytest.approx(getattr(report.metrics, name), rel=1e-9), name
    ratios = [w.ratio for w in report.metrics.per_workflow]
    assert run.ratio == pytest.approx(ratios, rel=1e-9)
    assert min(ratios) >= 1 - 1e-9


@settings(max_examples=10)
@given(instance=corner_instances(room="barely"), estimator=st.sampled_from(ESTIMATORS))
def test_every_call_is_served_once_within_capacity(policy_name, instance, estimator):
    schedule = simulate(instance, policy_name, estimator=estimator).schedule
    assert [(row.workflow_id, row.call_id) for row in schedule.calls] == [name for name, _, _ in named_calls(instance)]
    need = {name: one.prompt_tokens + one.output_tokens for name, _, one in named_calls(instance)}
    for machine in instance.prefill:
        rows = sorted((r for r in schedule.calls if r.prefill_instance == machine.id), key=lambda r: r.prefill_start)
        assert all(a.prefill_end <= b.prefill_start for a, b in itertools.pairwise(rows))
    for machine in instance.decode:
        rows = [row for row in schedule.calls if row.decode_instance == machine.id]
        for moment in (row.admitted for row in rows):
            held = [row for row in rows if row.admitted <= moment < row.decode_end]
            assert len(held) <= machine.max_batch
            assert sum(need[row.workflow_id, row.call_id] for row in held) <= machine.kv_capacity_tokens


@settings(max_examples=8)
@given(instance=corner_instances(), estimator=st.sampled_from(ESTIMATORS), seed=st.integers(0, 2**32 - 1))
def test_file_order_does_not_matter(policy_name, instance, estimator, seed):
    rng = np.random.default_rng(seed)
    flows = [instance.workflows[k] for k in rng.permutation(len(instance.workflows))]
    shuffled = replace(
        instance,
        workflows=tuple(replace(w, calls=tuple(w.calls[k] for k in rng.permutation(len(w.calls)))) for w in flows),
    )

    def rows(one: Instance) -> list[tuple[object, ...]]:
        schedule = simulate(one, policy_name, estimator=estimator, seed=seed).schedule
        return sorted(msgspec.structs.astuple(row) for row in schedule.calls)

    assert rows(instance) == rows(shuffled)


def test_runs_are_functions_of_their_inputs(policy_name):
    instance = corner_instance(np.random.default_rng(7), workflows=(12, 12), calls=(2, 5), arrivals="together")
    before = instance.to_bytes()
    first, second = (simulate(instance, policy_name, estimator="noise(0.3)", seed=3).schedule for _ in range(2))
    assert first.to_bytes() == second.to_bytes()
    assert instance.to_bytes() == before
    assert first.policy == policy_name


@pytest.mark.parametrize("placement", ["random", "power-of-two"])
def test_the_seed_matters_where_chance_decides(placement):
    instance = corner_instance(np.random.default_rng(1), workflows=(12, 12), arrivals="together", room="loose")
    assert len(instance.prefill) * len(instance.decode) > 1
    name = f"fcfs@{placement}"
    assert len({simulate(instance, name, seed=seed).schedule.to_bytes() for seed in range(4)}) > 1
    assert len({simulate(instance, "fcfs@jsq", seed=seed).schedule.to_bytes() for seed in range(4)}) == 1


@pytest.mark.parametrize("seed", range(30))
def test_a_chain_alone_runs_at_its_horizon_under_hexagent(seed):
    rng = np.random.default_rng(seed)
    instance = corner_instance(rng, workflows=(1, 1), calls=(4, 4), decode_model="fluid" if seed % 2 else "fixed")
    (flow,) = instance.workflows
    names = [one.call_id for one in flow.calls]
    chain = (replace(one, parents=(before,)) for one, before in zip(flow.calls[1:], names, strict=False))
    flow = replace(flow, calls=(replace(flow.calls[0], parents=()), *chain))
    # the projection leaves out how d2 slows a call as it grows; with one d2 that is no reason to choose
    decode = tuple(replace(m, decode_coeffs=(*m.decode_coeffs[:2], 3e-8)) for m in instance.decode)
    run = simulate(replace(instance, decode=decode, workflows=(flow,)), "hexagent")
    assert run.ratio == pytest.approx([1.0], rel=1e-9)


# --- what each order and placement does, on instances small enough to see it -----------------------------------------


def prefill_order(schedule: Schedule) -> list[str]:
    """Workflow ids in the order of their prefills."""
    return [row.workflow_id for row in sorted(schedule.calls, key=lambda row: row.prefill_start)]


# "0" holds the prefill instance for 1 + 0.1 * 20 + 0.01 * 400 = 7 s while the others queue behind it; they are given
# in the order of their arrivals
QUEUE = one_pair(
    workflow("0", 0, call("c", 20, 50)),
    workflow("d", 1, call("c", 30, 10)),
    workflow("c", 2, call("c", 10, 80)),
    workflow("b", 3, call("c", 40, 60)),
    workflow("a", 4, call("c", 10, 18)),
)


@pytest.mark.parametrize("placement", ["plan", "jsq", "earliest-finish"])
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        # P: d 13, c 3, b 21, a 3; T: d 3.5, c 1.5, b 4.5, a 1.5; alone 1.5 m + 0.01 (n m + m^2 / 2): d 18.5, c 160,
        # b 132, a 30.42; so best_c: d 35, c 164.5, b 157.5, a 34.92
        ("fcfs", "0dcba"),
        ("workflow-fcfs", "0dcba"),
        ("sjf", "0adbc"),
        ("critical-path", "0cbda"),
        ("edf(slo_scale=1)", "0dabc"),  # arrival + horizon: d 36, c 166.5, b 160.5, a 38.92
        ("workflow-llf(slo_scale=1)", "0dcba"),  # at scale 1 the slack of a first call is its arrival
        ("workflow-llf(slo_scale=2)", "0dabc"),  # arrival + H: as edf
        ("plas", "0dcba"),  # nobody has been served yet
        ("atlas", "0dcba"),
    ],
)
def test_orders(order, expected, placement):
    assert "".join(prefill_order(simulate(QUEUE, f"{order}@{placement}").schedule)) == expected


def test_hexagent_takes_the_highest_risk_first():
    # At 7 s, when the prefill instance is free: R = ((t - a_w) + P + T + m tau(2, 20 + n)) / H_w, "0" being planned.
    def risk(arrival: float, n: int, m: int, best: float) -> float:
        prefill, transfer = 1 + 0.1 * n + 0.01 * n**2, 0.5 + 0.1 * n
        held = 20 + n  # "0" is in transfer, no token is out yet
        return ((7 - arrival) + prefill + transfer + m * (2 + 0.01 * held)) / best

    risks = {
        "d": risk(1, 30, 10, 35),
        "c": risk(2, 10, 80, 164.5),
        "b": risk(3, 40, 60, 157.5),
        "a": risk(4, 10, 18, 34.92),
    }
    assert prefill_order(simulate(QUEUE, "hexagent").schedule)[1] == max(risks, key=risks.__getitem__)


def test_atlas_serves_the_chain_with_less_service_and_plas_the_workflow():
    # w has a served chain and a fresh call at 30 s; v has had a little service. PLAS holds w's fresh call back.
    served = [call("a", 10, 10), call("b", 10, 5, delay=29.5)]
    instance = one_pair(
        workflow("w", 0, *served),
        workflow("v", 24, call("b", 10, 5, delay=5.6)),
        workflow("x", 28, call("c", 10, 5)),
    )
    plas = prefill_order(simulate(instance, "plas@jsq").schedule)
    atlas = prefill_order(simulate(instance, "atlas@jsq").schedule)
    assert plas == ["w", "x", "v", "w"]
    assert atlas == ["w", "x", "w", "v"]


def test_a_starved_workflow_is_served_first():
    # w has had 21 s of service, so its second call ranks behind fresh ones, until its waiting makes beta times that.
    fresh = [workflow(f"x{k:02}", 24 + 2.9 * k, call("c", 10, 1)) for k in range(20)]
    instance = one_pair(workflow("w", 0, call("a", 10, 10), call("b", 10, 1, "a", delay=4)), *fresh)
    patient, impatient = (
        prefill_order(simulate(instance, f"plas(beta={beta})@jsq").schedule).index("w", 1) for beta in (1000, 0.5)
    )
    assert impatient < patient


def test_calls_released_together_are_placed_by_their_ids():
    # "a" decodes on the second instance and completes together with "b" on the first; its child still goes first.
    pair = one_pair(
        workflow("z", 0, call("c0", 10, 50)),
        workflow("a", 1, call("c0", 10, 4), call("c1", 10, 4, "c0")),
        workflow("b", 1, call("c0", 10, 4), call("c1", 10, 4, "c0")),
        decode_model="fixed",
    )
    prefill = tuple(replace(pair.prefill[0], id=name) for name in ("p0", "p1", "p2"))
    decode = tuple(replace(pair.decode[0], id=name) for name in ("d0", "d1"))
    links = tuple(replace(pair.links[0], source=p.id, to=d.id) for p in prefill for d in decode)
    schedule = simulate(replace(pair, prefill=prefill, decode=decode, links=links), "fcfs@round-robin").schedule
    row = {(row.workflow_id, row.call_id): row for row in schedule.calls}
    assert (row["a", "c0"].decode_instance, row["b", "c0"].decode_instance) == ("d1", "d0")
    assert row["a", "c1"].prefill_start == row["b", "c1"].prefill_start
    assert (row["a", "c1"].prefill_instance, row["b", "c1"].prefill_instance) == ("p0", "p1")


def test_bad_policy_names():
    for text, part in [
        ("fcsf", "did you mean 'fcfs'"),
        ("fcfs@jqs", "did you mean 'jsq'"),
        ("fcfs(quantum=1)", "it has none"),
        ("plas(quantum=x)", "must be a number"),
        ("plas(levels=1.5)", "must be a whole number"),
        ("plas(levels=0)", "must be from 1"),
        ("plas(beta=nan)", "must be from 0"),
        ("hexagent(risk=maybe)", "must be on or off"),
        ("hexagent(horizon=on)", "must be revealed or oracle"),
        ("hexagent(", "expected NAME"),
        ("", "expected NAME"),
    ]:
        with pytest.raises(InputError, match="(?s)" + part.replace("(", r"\(")) as caught:
            read_policy(text)
        assert "\n" not in str(caught.value)


def test_options_reach_the_engine():
    # a policy with an option that is lost on the way would pass every other test
    instances = [corner_instance(np.random.default_rng(seed), workflows=(8, 10), calls=(3, 5)) for seed in range(30)]

    def besides(name: str, key: str) -> str:
        """Options under which others matter: of few workflows a share, too, is put off, before anybody is late."""
        if name != "triage":
            return ""
        return "q=0.5,clean=0," + ("" if key in ("deadline", "slo_scale") else "deadline=off,")

    def changed_to(name: str, option: Option) -> Value:
        if isinstance(option.default, str):
            return next(text for text in option.choices if text != option.default)
        return 1 if option.is_whole else 1e9 if name == "clean" else 0.125

    pairs = [
        (
            f"{base.name}({besides(base.name, key)})",
            f"{base.name}({besides(base.name, key)}{key}={changed_to(key, one)})",
        )
        for base in policies()
        for key, one in base.declared.items()
        if key != "rest"  # that says nothing before 80 workflows have ended: tests/test_triage.py
    ]
    assert len(pairs) >= 25

    def times(instance: Instance, name: str) -> list[float]:
        return [row.decode_end for row in simulate(instance, name).schedule.calls]

    same = [changed for plain, changed in pairs if all(times(i, plain) == times(i, changed) for i in instances)]
    assert same == []


def test_policies_are_described():
    for one in policies():
        assert one.summary
        assert one.source
        assert dataclasses.replace(one) == read_policy(one.name)
