"""Policies and orders in plain Python: what is asked of them when the engine stops for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from numbers import Real

import numpy as np

from hexsched.engine.kernel import compile_for, interpreted
from hexsched.engine.state import Seen, State
from hexsched.engine.tables import Places
from hexsched.errors import InputError
from hexsched.model import Instance
from hexsched.policies import Policy
from hexsched.policies.memory import Memory
from hexsched.simulator.steps import admit_step, start_step
from hexsched.simulator.view import CallView, DecodeView, PrefillView, View


def python_turn(
    state: State, memory: Memory, policy: Policy, instance: Instance, places: Places, compiled: bool
) -> Callable[[], None]:
    """What to call when the engine waits for plain Python; it never does for compiled policies."""
    if policy.decider is None and policy.order_function is None:
        return lambda: None
    views = CallViews(state.seen, memory, instance, places)
    if policy.decider is not None:
        decide = _decider(state, policy, instance, views, compiled)
    else:
        decide = _priorities(state.seen, memory, policy, views)

    def turn() -> None:
        start = time.perf_counter_ns()
        decide()
        memory.counters[0].plain_nanoseconds = time.perf_counter_ns() - start

    return turn


class CallViews:
    """The views of released calls, made when first asked for."""

    def __init__(self, seen: Seen, memory: Memory, instance: Instance, places: Places) -> None:
        self._seen, self._memory = seen, memory
        self._names = [("", "", "")] * len(places.call)
        files = ((w.workflow_id, c.call_id, c.kind) for w in instance.workflows for c in w.calls)
        for number, names in zip(places.call, files, strict=True):
            self._names[number] = names
        self._views: dict[int, CallView] = {}

    def __getitem__(self, number: int) -> CallView:
        if number not in self._views:
            self._views[number] = CallView(self._seen, self._memory, number, *self._names[number])
        return self._views[number]


def _priorities(seen: Seen, memory: Memory, policy: Policy, views: CallViews) -> Callable[[], None]:
    """An order: give the calls that enter a queue now their priority."""
    key = policy.order_function
    assert key is not None

    def decide() -> None:
        clock = seen.clock[0]
        now = float(clock.now)
        for calls, count in ((seen.released, clock.released), (seen.prefilled, clock.prefilled)):
            for c in calls[:count]:
                priority = key(views[int(c)], now)
                if not isinstance(priority, Real) or not np.isfinite(float(priority)):
                    given = f"gave {views[int(c)]!r} the priority {priority!r}"
                    raise InputError(f"policy {policy.name!r} {given}; expected a finite number")
                memory.calls[c].plain_key = priority

    return decide


def _decider(state: State, policy: Policy, instance: Instance, views: CallViews, compiled: bool) -> Callable[[], None]:
    """A whole policy: let it start prefills and admit calls."""
    seen = state.seen
    if compiled:  # now, so that it is not taken for the time of the first decision
        compile_for(start_step, state, 0, 0)
        compile_for(admit_step, state, 0, 0)
    start = start_step if compiled else interpreted(start_step)
    admit = admit_step if compiled else interpreted(admit_step)
    view = View(
        seen,
        [PrefillView(seen, i, machine.id) for i, machine in enumerate(instance.prefill)],
        [DecodeView(seen, j, machine.id) for j, machine in enumerate(instance.decode)],
        lambda c, i: start(state, c, i),
        lambda c, j: bool(admit(state, c, j)),
    )
    assert policy.decider is not None
    decider = policy.decider()
    if not callable(getattr(decider, "decide", None)):
        raise InputError(f"policy {policy.name!r} has no method decide(view)")

    def by_ids(call: CallView) -> int:
        return call._number

    def decide() -> None:
        clock = seen.clock[0]
        view.ready.extend(views[int(c)] for c in seen.released[: clock.released])
        view.prefilled.extend(views[int(c)] for c in seen.prefilled[: clock.prefilled])
        view.ready.sort(key=by_ids)
        view.prefilled.sort(key=by_ids)
        decider.decide(view)

    return decide
