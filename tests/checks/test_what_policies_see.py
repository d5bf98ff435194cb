"""At every decision all that a policy may look at is recomputed from what has happened so far (model M4)."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from instances import corner_instance
from msgspec.structs import replace
from reference.formulas import alone_time, base_time, fits, prefill_time, transfer_time

from hexsched.errors import InputError
from hexsched.model import Call, ClosedLoop, DecodeInstance, Instance, Schedule
from hexsched.policies.estimators import read_estimator
from hexsched.simulator import simulate
from hexsched.simulator.views.calls import CallView, WorkflowView
from hexsched.simulator.views.machines import DecodeView, PrefillView
from hexsched.simulator.views.view import View
from hexsched.verifier import verify

pytestmark = pytest.mark.quick

Name = tuple[str, str]


class Observer:
    """Places calls at random and looks at everything; what it is told must fit what it has seen happen."""

    def __init__(self, instance: Instance, estimator: str, seed: int) -> None:
        self.instance, self.estimator = instance, estimator
        self.rng = np.random.default_rng(seed)
        self.calls: dict[Name, Call] = {(w.workflow_id, c.call_id): c for w in instance.workflows for c in w.calls}
        self.arrival = {w.workflow_id: w.arrival for w in instance.workflows}
        self.kinds = {name: call.kind for name, call in self.calls.items()}
        self.guessed: dict[Name, float] = {}
        given = read_estimator(estimator).estimates(instance, 5)
        if given is not None:
            self.guessed = dict(zip(self.calls, given.tolist(), strict=True))
        self.views: dict[Name, CallView] = {}
        self.done: dict[Name, float] = {}
        self.heard: list[tuple[str, Name | str, float]] = []
        self.now = 0.0
        self.batches: list[tuple[float, str, int, float]] = []
        self.admitted: dict[str, set[Name]] = {machine.id: set() for machine in instance.decode}
        self.started: dict[Name, tuple[str, float]] = {}
        self.horizons: dict[str, float] = {}

    # --- what is told -----------------------------------------------------------------------------------------------

    def on_completion(self, call: CallView) -> None:
        name = (call.workflow_id, call.call_id)
        assert call.completed is not None
        self.done[name] = call.completed
        assert call.decode is not None
        self.admitted[call.decode.id].remove(name)
        self.heard.append(("completion", name, call.completed))

    def on_workflow_end(self, flow: WorkflowView) -> None:
        names = [name for name in self.calls if name[0] == flow.workflow_id]
        assert all(name in self.done for name in names)
        assert len(flow.calls) == len(names)
        self.heard.append(("end", flow.workflow_id, max(self.done[name] for name in names)))

    def on_prefill_end(self, call: CallView) -> None:
        self.heard.append(("prefilled", (call.workflow_id, call.call_id), float(call.prefill_end or 0)))

    def on_release(self, call: CallView) -> None:
        name = (call.workflow_id, call.call_id)
        assert name not in self.views
        self.views[name] = call
        if name not in self.guessed:
            self.guessed[name] = self._guess(name)
        self.heard.append(("release", name, call.released))

    def _guess(self, name: Name) -> float:
        if self.estimator == "exact":
            return self.calls[name].output_tokens
        alike = [self.calls[other].output_tokens for other in self.done if self.kinds[other] == self.kinds[name]]
        known = alike or [self.calls[other].output_tokens for other in self.done]
        return sum(known) / len(known) if known else 256

    # --- a decision --------------------------------------------------------------------------------------------------

    def decide(self, view: View) -> None:
        assert view.now >= self.now
        self.now = view.now
        assert [one.id for one in view.prefill] == [one.id for one in self.instance.prefill]
        assert [one.id for one in view.decode] == [one.id for one in self.instance.decode]
        waiting = sorted(name for name in self.views if name not in self.started)
        assert [(one.workflow_id, one.call_id) for one in view.ready] == waiting
        inside = set().union(*self.admitted.values()) | set(self.done)
        prefilled = sorted(n for n, (_, end) in self.started.items() if end <= view.now and n not in inside)
        assert [(one.workflow_id, one.call_id) for one in view.prefilled] == prefilled
        for name, call in self.views.items():
            self._check_call(name, call, view)
        for place, machine in zip(view.prefill, self.instance.prefill, strict=True):
            self._check_prefill(place, machine.id, machine.gpu)
        for place, server in zip(view.decode, self.instance.decode, strict=True):
            self._check_decode(place, server)
        self._act(view)

    def _check_call(self, name: Name, call: CallView, view: View) -> None:
        own = self.calls[name]
        assert (call.prompt_tokens, call.cached_tokens, call.kind) == (own.prompt_tokens, own.cached_tokens, own.kind)
        estimate = own.output_tokens if name in self.done else self.guessed[name]
        assert call.estimated_output_tokens == pytest.approx(estimate, rel=1e-12)
        assert call.best == pytest.approx(self._best(own, estimate), rel=1e-9)
        assert call.path == pytest.approx(self._path(name), rel=1e-9)
        assert [(p.workflow_id, p.call_id) for p in call.parents] == sorted((name[0], p) for p in own.parents)
        assert call.depth == self._depth(name)
        before = [self.done[name[0], parent] for parent in own.parents]
        assert call.released == pytest.approx(max(before, default=call.arrival) + own.delay, rel=1e-12)
        if self.instance.closed_loop is None:
            assert call.arrival == call.workflow.arrival == self.arrival[name[0]]
        ours = [n for n in self.views if n[0] == name[0]]
        assert {(c.workflow_id, c.call_id) for c in call.workflow.calls} == set(ours)
        largest = max([self.horizons.get(name[0], 0.0), *(self._path(n) for n in ours)])
        self.horizons[name[0]] = largest
        assert call.horizon == call.workflow.horizon == pytest.approx(largest, rel=1e-9)
        where, end = self.started.get(name, (None, None))
        assert (None if call.prefill is None else call.prefill.id) == where
        assert call.prefill_end == end
        home = next((place for place, members in self.admitted.items() if name in members), None)
        if name not in self.done:
            assert (None if call.decode is None else call.decode.id) == home
            assert (call.admitted is None) == (home is None)
            assert call.completed is None
        else:
            assert call.completed == self.done[name] <= view.now

    def _check_prefill(self, place: PrefillView, name: str, gpu: str) -> None:
        assert (place.id, place.gpu) == (name, gpu)
        running = [n for n, (where, end) in self.started.items() if where == name and end > self.now]
        assert place.idle == (not running)
        assert (place.running is None) == place.idle
        if running:
            (one,) = running
            assert (place.running.workflow_id, place.running.call_id) == one  # type: ignore[union-attr]
            assert place.free_at == self.started[one][1]
        else:
            assert place.free_at <= self.now
        assert (place.waiting, place.waiting_tokens, place.waiting_seconds) == (0, 0, 0)

    def _check_decode(self, place: DecodeView, server: DecodeInstance) -> None:
        members = self.admitted[server.id]
        assert (place.id, place.gpu, place.max_batch, place.kv_capacity) == (
            server.id,
            server.gpu,
            server.max_batch,
            server.kv_capacity_tokens,
        )
        assert place.admitted == len(members)
        assert [(c.workflow_id, c.call_id) for c in place.running] == sorted(members)
        reserved = sum(self.calls[n].prompt_tokens + self.guessed[n] for n in members)
        assert place.kv_reserved == pytest.approx(reserved, rel=1e-9, abs=1e-6)
        assert place.kv_room == pytest.approx(server.kv_capacity_tokens - reserved, rel=1e-9, abs=1e-6)
        assert place.waiting == 0
        for batch, held in ((1, 0), (server.max_batch, 1000), (2, 10)):
            if batch <= server.max_batch:
                tau = base_time(server, batch) + server.decode_coeffs[2] * held
                tau = server.fixed_iteration_time if self.instance.decode_model == "fixed" else tau
                assert place.iteration_seconds(batch, held) == pytest.approx(tau, rel=1e-12)
        self.batches.append((self.now, server.id, place.batch, place.kv_tokens))

    def _act(self, view: View) -> None:
        for call in view.ready:
            idle = [one for one in view.prefill if one.idle]
            if not idle:
                break
            place, own = idle[self.rng.integers(len(idle))], self.calls[call.workflow_id, call.call_id]
            machine = next(one for one in self.instance.prefill if one.id == place.id)
            assert place.seconds(call) == pytest.approx(prefill_time(machine, own), rel=1e-12)
            if any(one.running is not None for one in view.prefill):
                busy = next(one for one in view.prefill if one.running is not None)
                with pytest.raises(InputError, match="busy"):
                    view.start(call, busy)
            view.start(call, place)
            self.started[call.workflow_id, call.call_id] = (place.id, float(call.prefill_end or 0))
            assert call.prefill_end == pytest.approx(view.now + prefill_time(machine, own), rel=1e-12)
            with pytest.raises(InputError, match="not ready"):
                view.start(call, place)
        for call in view.prefilled:
            self._admit(view, call)

    def _admit(self, view: View, call: CallView) -> None:
        name = (call.workflow_id, call.call_id)
        own = self.calls[name]
        able = [one for one in view.decode if one.can_hold(call)]
        assert {one.id for one in able} == {d.id for d in self.instance.decode if fits(d, own)}
        for k in self.rng.permutation(len(able)):
            place = able[k]
            server = next(one for one in self.instance.decode if one.id == place.id)
            held = sum(self.calls[n].prompt_tokens + self.calls[n].output_tokens for n in self.admitted[place.id])
            room = held + own.prompt_tokens + own.output_tokens <= server.kv_capacity_tokens
            room = room and len(self.admitted[place.id]) < server.max_batch
            seconds = transfer_time(self.instance, self.started[name][0], place.id, own)
            assert call.prefill is not None
            assert call.prefill.transfer_seconds(call, place) == pytest.approx(seconds, rel=1e-12)
            assert view.admit(call, place) == room
            if room:
                self.admitted[place.id].add(name)
                assert call.admitted == view.now
                with pytest.raises(InputError, match="does not wait"):
                    view.admit(call, place)
                with pytest.raises(InputError, match="does not"):
                    view.projected(call)
                return

    # --- the model's words -------------------------------------------------------------------------------------------

    def _best(self, call: Call, estimate: float) -> float:
        guessed = replace(call, output_tokens=estimate)
        return min(
            prefill_time(p, call)
            + transfer_time(self.instance, p.id, d.id, call)
            + alone_time(self.instance, d, guessed)
            for p in self.instance.prefill
            for d in self.instance.decode
            if fits(d, call)
        )

    def _path(self, name: Name) -> float:
        own = self.calls[name]
        above = max((self._path((name[0], parent)) for parent in own.parents), default=0.0)
        return above + own.delay + self._best(own, own.output_tokens if name in self.done else self.guessed[name])

    def _depth(self, name: Name) -> int:
        return max((self._depth((name[0], parent)) + 1 for parent in self.calls[name].parents), default=0)


def held(instance: Instance, machine: DecodeInstance, plan: Schedule, until: float) -> tuple[int, float]:
    """B and K of a decode instance at a time, by going through its batches."""
    rows = {(r.workflow_id, r.call_id): r for r in plan.calls if r.decode_instance == machine.id}
    prompt = {(w.workflow_id, c.call_id): c.prompt_tokens for w in instance.workflows for c in w.calls}
    out = dict.fromkeys(rows, 0.0)
    times = sorted({t for r in rows.values() for t in (r.decode_start, r.decode_end) if t < until} | {until})
    for start, end in itertools.pairwise(times):
        batch = [name for name, row in rows.items() if row.decode_start <= start < row.decode_end]
        if not batch:
            continue
        if instance.decode_model == "fixed":
            done = (end - start) / machine.fixed_iteration_time
        else:
            a = base_time(machine, len(batch)) + machine.decode_coeffs[2] * sum(prompt[n] + out[n] for n in batch)
            b = machine.decode_coeffs[2] * len(batch) / 2
            done = (end - start) / a if b == 0 else (math.sqrt(a * a + 4 * b * (end - start)) - a) / (2 * b)
        for name in batch:
            out[name] += done
    inside = [name for name, row in rows.items() if row.decode_start <= until < row.decode_end]
    return len(inside), sum(prompt[name] + out[name] for name in inside)


@pytest.mark.parametrize("seed", range(9))
def test_all_that_is_seen_fits_what_has_happened(seed: int) -> None:
    rng = np.random.default_rng([seed, 3])
    instance = corner_instance(rng, workflows=(3, 5), calls=(2, 4), decode_model=("fluid", "fixed")[seed % 2])
    if seed % 4 == 3:
        flows = tuple(replace(flow, arrival=0.0) for flow in instance.workflows)
        instance = replace(instance, workflows=flows, closed_loop=ClosedLoop(sessions=2))
    estimator = ("exact", "class_mean", "noise(0.5)")[seed % 3]
    made: list[Observer] = []

    class Policy(Observer):
        def __init__(self) -> None:
            super().__init__(instance, estimator, seed)
            made.append(self)

    told: list[tuple[int, int]] = []
    run = simulate(
        instance, Policy, estimator=estimator, seed=5, progress=lambda done, total: told.append((int(done), int(total)))
    )
    assert verify(instance, run.schedule).violations == ()
    observer = made[-1]
    rows: dict[Name, Any] = {(row.workflow_id, row.call_id): row for row in run.schedule.calls}
    assert set(observer.done) == set(rows)
    for name, row in rows.items():
        assert ("completion", name, row.decode_end) in observer.heard
        assert ("prefilled", name, row.prefill_end) in observer.heard
        assert [kind for kind, who, _ in observer.heard if who == name] == ["release", "prefilled", "completion"]
    assert sum(kind == "end" for kind, _, _ in observer.heard) == len(instance.workflows)
    times = [time for _, _, time in observer.heard]
    assert times == sorted(times)
    changes = {t for row in rows.values() for t in (row.decode_start, row.decode_end)}
    for now, place, batch, tokens in observer.batches:
        if now in changes:  # at the moment of a change its order within the moment decides
            continue
        machine = next(one for one in instance.decode if one.id == place)
        assert (batch, tokens) == pytest.approx(held(instance, machine, run.schedule, now), rel=1e-6, abs=1e-6)
    assert all(0 <= done <= total == instance.call_count for done, total in told)
    assert len(told) <= 2 + 3 * instance.call_count  # a release, a prefill and a completion each: nothing else is asked
    assert run.decisions <= 3 * instance.call_count
