"""Policies and orders in plain Python: what is asked of them when the engine stops for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from numbers import Real

import numpy as np

from hexsched.engine.kernel import interpreted
from hexsched.engine.state import State
from hexsched.engine.tables import Places
from hexsched.errors import InputError
from hexsched.model import Instance
from hexsched.policies import Policy
from hexsched.simulator.steps import admit_step, start_step
from hexsched.simulator.view import CallView, DecodeView, PrefillView, View


def python_turn(state: State, policy: Policy, instance: Instance, places: Places, compiled: bool) -> Callable[[], None]:
    """What to call when the engine waits for plain Python; it never does for compiled policies."""
    if policy.decider is None and policy.order_function is None:
        return lambda: None
    seen = CallViews(state, instance, places)
    if policy.decider is not None:
        decide = _decider(state, policy, instance, seen, compiled)
    else:
        decide = _priorities(state, policy, seen)

    def turn() -> None:
        start = time.perf_counter_ns()
        decide()
        state.board.clock[0].python_nanoseconds = time.perf_counter_ns() - start

    return turn


class CallViews:
    """The views of released calls, made when first asked for."""

    def __init__(self, state: State, instance: Instance, places: Places) -> None:
        self._board = state.board
        self._names = [("", "", "")] * len(places.call)
        files = ((w.workflow_id, c.call_id, c.kind) for w in instance.workflows for c in w.calls)
        for number, names in zip(places.call, files, strict=True):
            self._names[number] = names
        self._views: dict[int, CallView] = {}

    def __getitem__(self, number: int) -> CallView:
        if number not in self._views:
            self._views[number] = CallView(self._board, number, *self._names[number])
        return self._views[number]


def _priorities(state: State, policy: Policy, seen: CallViews) -> Callable[[], None]:
    """An order: give the calls that enter a queue now their priority."""
    board = state.board
    key = policy.order_function
    assert key is not None

    def decide() -> None:
        clock = board.clock[0]
        now = float(clock.now)
        for calls, count in ((board.lists.released, clock.released), (board.lists.prefilled, clock.prefilled)):
            for c in calls[:count]:
                priority = key(seen[int(c)], now)
                if not isinstance(priority, Real) or not np.isfinite(float(priority)):
                    given = f"gave {seen[int(c)]!r} the priority {priority!r}"
                    raise InputError(f"policy {policy.name!r} {given}; expected a finite number")
                board.calls[c].python_key = priority

    return decide


def _decider(state: State, policy: Policy, instance: Instance, seen: CallViews, compiled: bool) -> Callable[[], None]:
    """A whole policy: let it start prefills and admit calls."""
    board = state.board
    start = start_step if compiled else interpreted(start_step)
    admit = admit_step if compiled else interpreted(admit_step)
    view = View(
        board,
        [PrefillView(board, i, machine.id) for i, machine in enumerate(instance.prefill)],
        [DecodeView(board, j, machine.id) for j, machine in enumerate(instance.decode)],
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
        clock = board.clock[0]
        view.ready.extend(seen[int(c)] for c in board.lists.released[: clock.released])
        view.prefilled.extend(seen[int(c)] for c in board.lists.prefilled[: clock.prefilled])
        view.ready.sort(key=by_ids)
        view.prefilled.sort(key=by_ids)
        decider.decide(view)

    return decide
