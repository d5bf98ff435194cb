"""The best schedule of tiny instances in which everything starts at an event; shares no code with what it tests.

Events are releases, ends of prefills, of transfers and of decodes. At each of them every prefill instance that is free
may start any released call or stay idle, and every prefilled call may be admitted wherever there is room, or wait. All
of that is tried, so the search covers every placement, every order of prefills and of admissions with each as early as
that order allows, and all ways of waiting deliberately until a later event.

What this proves: the values are those of valid schedules, so no lower bound may be above them. In ``fixed`` they are
the optima, since some optimal schedule starts everything at events. In ``fluid`` they are upper bounds of the optima
alone: there it may pay to start between two events, to spare a call that is about to finish.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from hexsched.model import Call, DecodeInstance, Instance, PrefillInstance
from reference.exhaustive import Name, Value
from reference.formulas import alone_time, base_time, fits, prefill_time, transfer_time

CLOSE = 1e-9  # seconds or tokens: events this near to each other are one


@dataclass
class _Running:
    """A call on a decode instance: in transfer until ``arrives``, then with ``left`` tokens to go."""

    name: Name
    call: Call
    arrives: float
    left: float


@dataclass
class _State:
    """All there is to know at one moment."""

    now: float
    prefilling: dict[str, tuple[Name, float]] = field(default_factory=dict)  # instance: call, end
    waiting: dict[Name, str] = field(default_factory=dict)  # prefilled: where
    decoding: dict[str, list[_Running]] = field(default_factory=dict)
    started: frozenset[Name] = frozenset()
    completed: dict[Name, float] = field(default_factory=dict)

    def copy(self) -> _State:
        return _State(
            self.now,
            dict(self.prefilling),
            dict(self.waiting),
            {j: [replace(run) for run in runs] for j, runs in self.decoding.items()},
            self.started,
            dict(self.completed),
        )


def event_optima(
    instance: Instance, objectives: Mapping[str, Value], steps: int = 10**9
) -> tuple[dict[str, float], bool]:
    """The least value of each objective over all schedules in which everything starts at an event.

    Returns
    -------
    values : dict of str to float
    complete : bool
        False when the search ended after ``steps`` steps with the best so far: still values of valid schedules.
    """
    search = _Search(instance, objectives, steps)
    first = min(w.arrival for w in instance.workflows)
    search.explore(_State(first, decoding={d.id: [] for d in instance.decode}), 0)
    return search.best, search.steps > 0


class _Search:
    def __init__(self, instance: Instance, objectives: Mapping[str, Value], steps: int) -> None:
        self.instance, self.objectives, self.steps = instance, objectives, steps
        self.best = dict.fromkeys(objectives, math.inf)
        self.calls = {(w.workflow_id, c.call_id): c for w in instance.workflows for c in w.calls}
        self.arrival = {w.workflow_id: w.arrival for w in instance.workflows}
        self.after_prefill = {
            (name, p.id): min(
                transfer_time(instance, p.id, d.id, call) + alone_time(instance, d, call)
                for d in instance.decode
                if fits(d, call)
            )
            for name, call in self.calls.items()
            for p in instance.prefill
        }
        self.standalone = {
            name: min(prefill_time(p, call) + self.after_prefill[name, p.id] for p in instance.prefill)
            for name, call in self.calls.items()
        }
        self.order = list(self.topological())
        idle = self.completions(_State(-math.inf))
        self.horizon = {w: idle[w] - a for w, a in self.arrival.items()}

    def topological(self) -> Iterator[Name]:
        left = dict(self.calls)
        while left:
            for name, call in list(left.items()):
                if not any((name[0], parent) in left for parent in call.parents):
                    del left[name]
                    yield name

    def release(self, name: Name, end: Mapping[Name, float]) -> float:
        call = self.calls[name]
        return max([self.arrival[name[0]], *(end[name[0], parent] for parent in call.parents)]) + call.delay

    def completions(self, state: _State) -> dict[str, float]:
        """The earliest that each workflow can complete from here on."""
        end = dict(state.completed)
        for machine in self.instance.decode:
            for run in state.decoding.get(machine.id, ()):
                end[run.name] = max(run.arrives, state.now) + self.alone_left(machine, run)
        for machine_id, (name, prefilled) in state.prefilling.items():
            end[name] = prefilled + self.after_prefill[name, machine_id]
        for name, machine_id in state.waiting.items():
            end[name] = state.now + self.after_prefill[name, machine_id]
        last: dict[str, float] = {}
        for name in self.order:
            if name not in end:
                end[name] = max(self.release(name, end), state.now) + self.standalone[name]
            last[name[0]] = max(last.get(name[0], -math.inf), end[name])
        return last

    def alone_left(self, machine: DecodeInstance, run: _Running) -> float:
        held = run.call.prompt_tokens + run.call.output_tokens - run.left
        growth = 0.0 if self.fixed else machine.decode_coeffs[2]
        return self.tau(machine, 1, held) * run.left + growth * run.left**2 / 2

    @property
    def fixed(self) -> bool:
        return self.instance.decode_model == "fixed"

    def tau(self, machine: DecodeInstance, batch: int, held: float) -> float:
        if self.fixed:
            return float(machine.fixed_iteration_time)
        return base_time(machine, batch) + machine.decode_coeffs[2] * held

    def values(self, state: _State) -> dict[str, float]:
        last = self.completions(state)
        latencies = [last[w] - self.arrival[w] for w in last]
        ratios = [(last[w] - self.arrival[w]) / self.horizon[w] for w in last]
        return {name: value(ratios, latencies) for name, value in self.objectives.items()}

    def explore(self, state: _State, position: int) -> None:
        """Try every decision at ``state.now`` for the calls from ``position`` on, then go to the next event."""
        if self.steps <= 0:
            return
        self.steps -= 1
        values = self.values(state)
        if all(value >= self.best[name] for name, value in values.items()):
            return
        if len(state.completed) == len(self.calls):
            self.best = {name: min(value, values[name]) for name, value in self.best.items()}
            return
        for k in range(position, len(self.order)):
            name = self.order[k]
            for machine in self.places(state, name):
                after = state.copy()
                self.place(after, name, machine)
                self.explore(after, k + 1)
        if self.next_events(state):
            after = state.copy()
            self.advance(after)
            self.explore(after, 0)

    def places(self, state: _State, name: Name) -> Iterator[PrefillInstance | DecodeInstance]:
        """Where the call can go right now."""
        call = self.calls[name]
        if name in state.waiting:
            for machine in self.instance.decode:
                runs = state.decoding[machine.id]
                held = sum(run.call.prompt_tokens + run.call.output_tokens for run in runs)
                if len(runs) < machine.max_batch and (
                    held + call.prompt_tokens + call.output_tokens <= machine.kv_capacity_tokens
                ):
                    yield machine
        elif self.startable(state, name) and self.release(name, state.completed) <= state.now + CLOSE:
            for source in self.instance.prefill:
                if source.id not in state.prefilling:
                    yield source

    def startable(self, state: _State, name: Name) -> bool:
        """Whether it is only its release that a call may have to wait for."""
        parents = self.calls[name].parents
        return name not in state.started and all((name[0], parent) in state.completed for parent in parents)

    def place(self, state: _State, name: Name, machine: PrefillInstance | DecodeInstance) -> None:
        call = self.calls[name]
        if isinstance(machine, PrefillInstance):
            state.prefilling[machine.id] = (name, state.now + prefill_time(machine, call))
            state.started |= {name}
        else:
            source = state.waiting.pop(name)
            arrives = state.now + transfer_time(self.instance, source, machine.id, call)
            state.decoding[machine.id].append(_Running(name, call, arrives, float(call.output_tokens)))

    def next_events(self, state: _State) -> list[float]:
        found = [end for _, end in state.prefilling.values()]
        releases = (self.release(name, state.completed) for name in self.calls if self.startable(state, name))
        found += [release for release in releases if release > state.now + CLOSE]
        for machine in self.instance.decode:
            runs = state.decoding[machine.id]
            found += [run.arrives for run in runs if run.arrives > state.now]
            batch = [run for run in runs if run.arrives <= state.now]
            if batch:
                tau, growth = self.pace(machine, batch)
                least = min(run.left for run in batch)
                found.append(state.now + tau * least + growth * least**2 / 2)
        return found

    def pace(self, machine: DecodeInstance, batch: list[_Running]) -> tuple[float, float]:
        """Seconds of the next iteration, and how much longer each one after it is."""
        held = sum(run.call.prompt_tokens + run.call.output_tokens - run.left for run in batch)
        growth = 0.0 if self.fixed else machine.decode_coeffs[2] * len(batch)
        return self.tau(machine, len(batch), held), float(growth)

    def advance(self, state: _State) -> None:
        """Go to the next event, and complete what ends there."""
        then = min(self.next_events(state))
        seconds = then - state.now
        for machine in self.instance.decode:
            runs = state.decoding[machine.id]
            batch = [run for run in runs if run.arrives <= state.now]
            if batch:
                tau, growth = self.pace(machine, batch)
                tokens = 2 * seconds / (tau + math.sqrt(tau * tau + 2 * growth * seconds))
                for run in batch:
                    run.left -= tokens
                    if run.left <= CLOSE:
                        state.completed[run.name] = then
            state.decoding[machine.id] = [run for run in runs if run.name not in state.completed]
            for run in runs:
                if state.now < run.arrives <= then + CLOSE:
                    run.arrives = then
        state.now = then
        for machine_id, (name, end) in list(state.prefilling.items()):
            if end <= then + CLOSE:
                del state.prefilling[machine_id]
                state.waiting[name] = machine_id
