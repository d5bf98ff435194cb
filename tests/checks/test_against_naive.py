"""Schedules of the naive loop are valid, and worth what it says: a second opinion for verifier and engine."""

from __future__ import annotations

import math

import numpy as np
import pytest
from instances import corner_instance
from msgspec.structs import replace

from checks.naive import Played, play, shuffled
from hexsched.model import ClosedLoop, Instance
from hexsched.simulator import replay_run
from hexsched.verifier import verify

pytestmark = pytest.mark.quick

SEEDS = range(16)


def drawn(seed: int) -> tuple[Instance, np.random.Generator]:
    """In turn both decode models, given arrivals and closed loops; some calls of one token."""
    rng = np.random.default_rng([seed, 77])
    instance = corner_instance(
        rng,
        workflows=(3, 6),
        calls=(1, 4),
        decode_model=("fluid", "fixed")[seed % 2],
        arrivals=("spread", "together")[seed // 8],
    )
    flows = tuple(
        replace(
            flow,
            calls=tuple(
                replace(c, output_tokens=1 if rng.random() < 0.2 else int(rng.integers(2, 9, endpoint=True)))
                for c in flow.calls
            ),
        )
        for flow in instance.workflows
    )
    instance = replace(instance, workflows=flows)
    if seed // 4 % 2:
        loop = ClosedLoop(
            sessions=int(rng.integers(1, len(flows), endpoint=True)), warm_up=int(rng.integers(len(flows)))
        )
        instance = replace(instance, workflows=tuple(replace(flow, arrival=0.0) for flow in flows), closed_loop=loop)
    return instance, rng


@pytest.fixture(params=SEEDS, scope="module")
def played(request: pytest.FixtureRequest) -> Played:
    instance, rng = drawn(request.param)
    return play(instance, rng, pauses=request.param % 4 > 1)


def test_it_is_valid_and_its_metrics_are_those_of_the_model(played: Played) -> None:
    report = verify(played.instance, shuffled(played.schedule, np.random.default_rng(0)))
    assert report.violations == ()
    for name, value in played.metrics().items():
        assert getattr(report.metrics, name) == pytest.approx(value, rel=1e-7, abs=1e-7, nan_ok=True), name


def test_each_call_and_workflow_has_its_times(played: Played) -> None:
    metrics = verify(played.instance, played.schedule).metrics
    loop = played.instance.closed_loop
    counted = [flow.workflow_id for flow in played.instance.workflows][0 if loop is None else loop.warm_up :]
    assert [one.workflow_id for one in metrics.per_workflow] == counted
    for one in metrics.per_workflow:
        ends = [fate.completed for name, fate in played.fates.items() if name[0] == one.workflow_id]
        assert one.horizon == pytest.approx(played.horizon[one.workflow_id], rel=1e-12)
        assert one.latency == pytest.approx(max(ends) - played.arrival[one.workflow_id], rel=1e-9)
        assert one.ratio == pytest.approx(one.latency / one.horizon, rel=1e-12)
    fates = {name: fate for name, fate in played.fates.items() if name[0] in counted}
    assert [(one.workflow_id, one.call_id) for one in metrics.per_call] == list(fates)
    for one, fate in zip(metrics.per_call, fates.values(), strict=True):
        tokens = fate.call.output_tokens
        tpot = math.nan if tokens == 1 else (fate.completed - fate.first) / (tokens - 1)
        expected = (
            fate.start - fate.released,
            fate.admitted - fate.end,
            fate.joined - fate.admitted,
            fate.first - fate.released,
            tpot,
        )
        found = (one.queueing, one.admission, one.transfer, one.ttft, math.nan if one.tpot is None else one.tpot)
        assert found == pytest.approx(expected, rel=1e-7, abs=1e-7, nan_ok=True)
        assert (one.tpot is None) == (tokens == 1)
    scale = float(np.median([one.ratio for one in metrics.per_workflow]))
    over = sum(one.ratio > scale for one in metrics.per_workflow)
    assert metrics.misses(scale) == over
    assert metrics.attainment(scale) == pytest.approx(1 - over / len(counted))


@pytest.mark.parametrize("seed", [s for s in SEEDS if s % 4 < 2])
def test_the_engine_makes_the_same_times_of_the_same_decisions(seed: int) -> None:
    """Without pauses every call of a naive schedule is as early as its queue lets it be, and so is it when replayed."""
    instance, rng = drawn(seed)
    played = play(instance, rng)
    run = replay_run(instance, played.schedule)
    for row, fate in zip(run.schedule.calls, played.fates.values(), strict=True):
        found = (row.prefill_start, row.prefill_end, row.admitted, row.decode_start, row.decode_end)
        assert found == pytest.approx(
            (fate.start, fate.end, fate.admitted, fate.joined, fate.completed), rel=1e-8, abs=1e-8
        )
    assert run.arrival.tolist() == pytest.approx([played.arrival[w.workflow_id] for w in instance.workflows], abs=1e-8)
    assert run.horizon.tolist() == pytest.approx([played.horizon[w.workflow_id] for w in instance.workflows])
    for name, value in played.metrics().items():
        assert name == "span" or run.metrics[name] == pytest.approx(value, rel=1e-7, abs=1e-7, nan_ok=True), name
    assert run.call_times.first_token.tolist() == pytest.approx([f.first for f in played.fates.values()], rel=1e-8)
