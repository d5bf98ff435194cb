"""Policies, orders and placements in plain Python: what is asked of them when the engine stops for them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from hexsched.engine.kernel import interpreted
from hexsched.engine.state import Records, State, bare
from hexsched.engine.tables import Places
from hexsched.errors import InputError
from hexsched.model import Instance
from hexsched.model.hint import Hint
from hexsched.model.rows import Texts
from hexsched.policies import Policy
from hexsched.policies.decide import each_time
from hexsched.policies.memory import Memory
from hexsched.policies.own import HOOKS
from hexsched.simulator.steps import ADMIT, PROJECT, START, take_steps
from hexsched.simulator.views.calls import CallView
from hexsched.simulator.views.numbers import numbers, numbers_of
from hexsched.simulator.views.view import View, Views

Names = list[tuple[str, str, str]]
LARGEST = sys.float_info.max


def python_turn(
    state: State,
    memory: Memory,
    settings: Records,
    policy: Policy,
    instance: Instance,
    places: Places,
    compiled: bool,
) -> Callable[[], None]:
    """What to call when the engine waits for plain Python; it never does for compiled policies."""
    if not policy.is_plain:
        return lambda: None
    decide = _Turn(state, memory, settings, policy, instance, places, compiled).take
    nanoseconds = numbers(memory.counters, "plain_nanoseconds")
    clock = time.perf_counter_ns

    def turn() -> None:
        start = clock()
        decide()
        nanoseconds[0] = clock() - start

    return turn


class _Steps:
    """What plain Python makes the engine do and work out."""

    def __init__(self, state: State, memory: Memory, settings: Records, compiled: bool) -> None:
        self._given: Any = bare((state, memory, settings)) if compiled else (state, memory, settings)
        self._take: Any = take_steps if compiled else interpreted(take_steps)
        self._arrays = np.zeros(3, np.int64), np.zeros(1)
        self._request, self._seconds = map(numbers_of, self._arrays)
        self._next: Callable[[], bool] = lambda: False

    def prepare(self) -> None:
        """Compile them, or read them from the cache; before any is taken."""
        given = (*self._given, *self._arrays)
        if self._take is take_steps:
            take_steps.compile_for(*given)
        self._next = each_time(self._take, *given).__next__

    def start(self, c: int, i: int) -> None:
        """Start the prefill of call ``c`` on instance ``i``."""
        request = self._request
        request[0], request[1], request[2] = START, c, i
        self._next()

    def admit(self, c: int, j: int) -> bool:
        """Admit call ``c`` to instance ``j`` if it has room; whether it had."""
        request = self._request
        request[0], request[1], request[2] = ADMIT, c, j
        self._next()
        return bool(request[2])

    def project(self, c: int) -> tuple[int, int, float]:
        """The pair on which waiting call ``c`` is projected to complete first, and that in seconds from now."""
        request = self._request
        request[0], request[1] = PROJECT, c
        self._next()
        return request[1], request[2], self._seconds[0]


class _Turn:
    """The objects of one run, and what they are told and asked at each decision."""

    def __init__(
        self,
        state: State,
        memory: Memory,
        settings: Records,
        policy: Policy,
        instance: Instance,
        places: Places,
        compiled: bool,
    ) -> None:
        seen = state.seen
        self.name = policy.name
        names, hints = _names(instance, places), _hints(instance, places)
        self.views = Views(seen, memory, names, instance.prefill, instance.decode, hints)
        deciding, placing = policy.make()
        steps = _Steps(state, memory, settings, compiled)
        self.view = View(self.views, steps.project, *((steps.start, steps.admit) if policy.decides else ()))
        if policy.decides or placing is not None:
            steps.prepare()  # now, so that compiling is not taken for the time of the first decision
        self.decide = _method(policy, deciding, "decide") if policy.decides else None
        self.key = _method(policy, deciding, "key") if policy.own is not None and not policy.decides else None
        self.placing = placing
        objects = [one for k, one in enumerate((deciding, placing)) if one is not None and one not in (deciding,)[:k]]
        self.hooks = {name: [getattr(one, name) for one in objects if hasattr(one, name)] for name in HOOKS}
        self.left = _calls_left(instance, places) if self.hooks["on_workflow_end"] else {}
        self.tells = any(self.hooks.values())
        self.waits = self.decide is not None or placing is not None  # whether anyone looks at what waits
        self.now = numbers(seen.clock, "now")
        self.counts = tuple(numbers(seen.clock, name) for name in ("released", "prefilled", "completed"))
        self.happened = tuple(map(numbers_of, (seen.released, seen.prefilled, seen.completed)))
        self.keys, self.places = numbers(memory.calls, "plain_key"), numbers(memory.calls, "plain_place")

    def take(self) -> None:
        """One decision: tell what happened, then ask."""
        views = self.views
        (n_released,), (n_prefilled,), (n_completed,) = self.counts
        numbers_released, numbers_prefilled, numbers_completed = self.happened
        released = [views.reveal(c) for c in numbers_released[:n_released]] if n_released else []
        prefilled = [views[c] for c in numbers_prefilled[:n_prefilled]] if n_prefilled else []
        if self.tells:
            self._tell(released, prefilled, [views[c] for c in numbers_completed[:n_completed]])
        if self.waits:
            if self.placing is not None:
                self.view._leave()
            self.view._enter(released, prefilled)
        if self.decide is not None:
            self.decide(self.view)
            return
        if self.placing is not None:
            self._place(released, prefilled)
        key = self.key
        if key is not None:
            now = self.now[0]
            for call in (*released, *prefilled):
                priority = key(call, now)
                if type(priority) not in (float, int) or not -LARGEST <= priority <= LARGEST:
                    priority = self._finite(call, priority)
                self.keys[call._number] = priority

    def _tell(self, released: list[CallView], prefilled: list[CallView], completed: list[CallView]) -> None:
        """What happened, in the order in which the engine lets things happen at one instant."""
        hooks = self.hooks
        for call in completed:
            for hook in hooks["on_completion"]:
                hook(call)
            w = call.workflow._number
            if w in self.left:
                self.left[w] -= 1
                if self.left[w] == 0:
                    for hook in hooks["on_workflow_end"]:
                        hook(call.workflow)
        for name, calls in (("on_prefill_end", prefilled), ("on_release", released)):
            for call in calls:
                for hook in hooks[name]:
                    hook(call)

    def _finite(self, call: CallView, priority: object) -> float:
        try:
            number = float(priority) if isinstance(priority, Real | np.bool_) else np.nan
        except OverflowError:
            number = np.inf
        if not np.isfinite(number):
            given = f"gave {call!r} the priority {priority!r}"
            raise InputError(f"policy {self.name!r} {given}; expected a finite number")
        return number

    def _place(self, released: list[CallView], prefilled: list[CallView]) -> None:
        """Where calls go that become ready; those before them in this decision count as waiting there."""
        view, placed = self.view, self.views.placed
        for ask, calls, machines, what in (
            (self.placing.prefill, released, view.prefill, "prefill"),
            (self.placing.decode, prefilled, view.decode, "decode"),
        ):
            for call in calls:
                chosen = ask(call, view)
                number = next((k for k, machine in enumerate(machines) if machine is chosen), -1)
                if number < 0:
                    where = f"placed {call!r} on {chosen!r}"
                    raise InputError(f"policy {self.name!r} {where}; expected one of view.{what}")
                if what == "decode" and not view.decode[number].can_hold(call):
                    where = f"placed {call!r} on {chosen!r}"
                    raise InputError(f"policy {self.name!r} {where}, which can never hold it; see can_hold(call)")
                placed[what == "decode"][number].append(call)
                self.places[call._number] = number
        for of_stage in placed:
            for calls in of_stage:
                calls.clear()


def _names(instance: Instance, places: Places) -> Names:
    """(workflow id, call id, kind) of every call, by its number."""
    columns = instance.columns
    workflow_ids = Texts(columns.workflow, columns.workflow_id).tolist()
    in_file = list(zip(workflow_ids, columns.call_id.tolist(), columns.kind.tolist(), strict=True))
    order = np.empty_like(places.call)
    order[places.call] = np.arange(len(order))
    return [in_file[k] for k in order.tolist()]


def _hints(instance: Instance, places: Places) -> tuple[dict[int, Hint], dict[int, Hint]]:
    """The hints of workflows and of calls, by their numbers."""
    columns = instance.columns
    of_workflows = columns.hints.between(0, len(columns.workflow_id))
    of_calls = columns.call_hints.between(0, columns.calls)
    return (
        {int(places.workflow[w]): hint for w, hint in of_workflows.items()},
        {int(places.call[c]): hint for c, hint in of_calls.items()},
    )


def _calls_left(instance: Instance, places: Places) -> dict[int, int]:
    """Calls of every workflow, by its number."""
    return dict(zip(places.workflow.tolist(), np.diff(instance.columns.first).tolist(), strict=True))


def _method(policy: Policy, thing: Any, name: str) -> Any:
    method = getattr(thing, name, None)
    if not callable(method):
        raise InputError(f"policy {policy.name!r} has no method {name}")
    return method
