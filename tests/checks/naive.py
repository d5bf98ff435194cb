"""Schedules and their metrics by the shortest way from docs/model.md, with no thought of speed.

One loop goes from event to event. Between two of them every batch is constant, and a quadratic says how far it got
(M15). Nothing is shared with hexsched but the data types of files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from reference.formulas import alone_time, base_time, fits, prefill_time, transfer_time

from hexsched.model import Call, Instance, Schedule, ScheduledCall, Workflow

Name = tuple[str, str]
NEAR = 1e-9  # seconds: events this close are one


@dataclass
class Fate:
    """What becomes of a call."""

    flow: Workflow
    call: Call
    prefill: int
    decode: int
    released: float = math.inf
    start: float = math.inf
    end: float = math.inf
    admitted: float = math.inf
    joined: float = math.inf
    first: float = math.inf
    completed: float = math.inf
    out: float = 0.0  # tokens


@dataclass
class Played:
    """A schedule and everything that the model says of it."""

    instance: Instance
    fates: dict[Name, Fate]
    arrival: dict[str, float]
    horizon: dict[str, float]
    pause: dict[Name, float]  # what each call waits for nothing, before its prefill and before its admission

    @property
    def schedule(self) -> Schedule:
        rows = [
            ScheduledCall(
                workflow_id=name[0],
                call_id=name[1],
                prefill_instance=self.instance.prefill[fate.prefill].id,
                prefill_start=fate.start,
                prefill_end=fate.end,
                decode_instance=self.instance.decode[fate.decode].id,
                admitted=fate.admitted,
                decode_start=fate.joined,
                decode_end=fate.completed,
            )
            for name, fate in self.fates.items()
        ]
        return Schedule(format="hexsched-schedule/1", policy="naive", calls=tuple(rows))

    def metrics(self) -> dict[str, object]:
        """Every metric of M20, M21, M36 and M37, by the names that reports have for them."""
        skipped = 0 if self.instance.closed_loop is None else self.instance.closed_loop.warm_up
        flows = [flow.workflow_id for flow in self.instance.workflows][skipped:]
        fates = [fate for name, fate in self.fates.items() if name[0] in flows]
        latency = {
            flow: max(f.completed for n, f in self.fates.items() if n[0] == flow) - self.arrival[flow] for flow in flows
        }
        ratio = {flow: latency[flow] / self.horizon[flow] for flow in flows}
        ttft = [f.first - f.released for f in fates]
        tpot = [(f.completed - f.first) / (f.call.output_tokens - 1) for f in fates if f.call.output_tokens > 1]
        last = max(f.completed for f in fates)
        return {
            **{f"req{q}": smallest(list(ratio.values()), q) for q in (50, 95, 99)},
            "max_ratio": max(ratio.values()),
            "mean_ratio": sum(ratio.values()) / len(ratio),
            "mean_latency": sum(latency.values()) / len(latency),
            "makespan": last,
            **{f"ttft_p{q}": smallest(ttft, q) for q in (50, 95, 99)},
            **{f"tpot_p{q}": smallest(tpot, q) for q in (50, 95, 99)},
            "mean_queueing": sum(f.start - f.released for f in fates) / len(fates),
            "mean_admission": sum(f.admitted - f.end for f in fates) / len(fates),
            "mean_transfer": sum(f.joined - f.admitted for f in fates) / len(fates),
            "workflows": len(flows),
            "calls": len(fates),
            "span": last - min(self.arrival[flow] for flow in flows),
        }


def smallest(values: list[float], percent: int) -> float:
    """The least of the values that so many percent of them do not exceed."""
    for value in sorted(values):
        if 100 * sum(other <= value for other in values) >= percent * len(values):
            return value
    return math.nan


def play(instance: Instance, rng: np.random.Generator, *, pauses: bool = False) -> Played:
    """Random places; every queue is served in the order in which calls come to it, by ids where they come together."""
    fates: dict[Name, Fate] = {}
    for flow in instance.workflows:
        for call in flow.calls:
            able = [j for j, machine in enumerate(instance.decode) if fits(machine, call)]
            place = int(rng.integers(len(instance.prefill)))
            fates[flow.workflow_id, call.call_id] = Fate(flow, call, place, able[rng.integers(len(able))])
    loop = instance.closed_loop
    order = [flow.workflow_id for flow in instance.workflows]
    arrival = {flow.workflow_id: flow.arrival for flow in instance.workflows}
    if loop is not None:
        arrival |= dict.fromkeys(order[loop.sessions :], math.inf)
    pause = {name: float(rng.uniform(0, 1)) if pauses and rng.random() < 0.3 else 0.0 for name in fates}
    played = Played(instance, fates, arrival, _horizons(instance), pause)
    now = 0.0
    while any(fate.completed == math.inf for fate in fates.values()):
        _settle(played, now)
        later = _next(played, now)
        for j in range(len(instance.decode)):
            _decode(played, j, now, later)
        now = later
        if loop is not None:
            ends = [_end_of(played, flow) for flow in order]
            for flow, end in zip(order[loop.sessions :], sorted(e for e in ends if e < math.inf), strict=False):
                arrival[flow] = end
    return played


def _end_of(played: Played, flow: str) -> float:
    return max(fate.completed for name, fate in played.fates.items() if name[0] == flow)


def _settle(played: Played, now: float) -> None:
    """Everything that happens at a moment once completions are known."""
    fates, instance, pause = played.fates, played.instance, played.pause
    for (flow, _), fate in fates.items():
        if fate.released == math.inf:
            before = [fates[flow, parent].completed for parent in fate.call.parents]
            fate.released = max([played.arrival[flow], *before]) + fate.call.delay
    waiting = sorted((n for n in fates if fates[n].released <= now), key=lambda n: (fates[n].released, n))
    for name in waiting:
        fate = fates[name]
        busy = any(f.prefill == fate.prefill and f.start <= now < f.end for f in fates.values())
        if fate.start == math.inf and not busy and now >= fate.released + pause[name]:
            fate.start = now
            fate.end = now + prefill_time(instance.prefill[fate.prefill], fate.call)
    waiting = sorted((n for n in fates if fates[n].end <= now), key=lambda n: (fates[n].end, n))
    for name in waiting:
        fate = fates[name]
        machine = instance.decode[fate.decode]
        held = [f.call for f in fates.values() if f.decode == fate.decode and f.admitted <= now < f.completed]
        tokens = sum(call.prompt_tokens + call.output_tokens for call in (*held, fate.call))
        ahead = any(fates[n].decode == fate.decode and fates[n].admitted == math.inf for n in _before(waiting, name))
        room = len(held) < machine.max_batch and tokens <= machine.kv_capacity_tokens
        if fate.admitted == math.inf and room and not ahead and now >= fate.end + pause[name]:
            source = instance.prefill[fate.prefill].id
            fate.admitted = now
            fate.joined = now + transfer_time(instance, source, machine.id, fate.call)


def _before(names: list[Name], name: Name) -> list[Name]:
    return names[: names.index(name)]


def _next(played: Played, now: float) -> float:
    times = [time for time in played.arrival.values() if time > now]
    for name, fate in played.fates.items():
        own = played.pause[name]
        moments = (fate.released, fate.released + own, fate.end, fate.end + own, fate.joined)
        times += [time for time in moments if now < time < math.inf]
    for j in range(len(played.instance.decode)):
        times += [now + _seconds(played, j, now, left) for left in _targets(played, j, now)]
    return min(times)


def _batch(played: Played, j: int, now: float) -> list[Fate]:
    return [f for f in played.fates.values() if f.decode == j and f.joined <= now and f.completed == math.inf]


def _targets(played: Played, j: int, now: float) -> list[float]:
    """Tokens until something is to be noted: a first token, a completion."""
    return [
        target - fate.out
        for fate in _batch(played, j, now)
        for target in (1.0, float(fate.call.output_tokens))
        if fate.out < target
    ]


def _terms(played: Played, j: int, now: float) -> tuple[float, float]:
    """The seconds of v iterations are a v + b v^2."""
    machine, batch = played.instance.decode[j], _batch(played, j, now)
    if played.instance.decode_model == "fixed":
        return machine.fixed_iteration_time, 0.0
    held = sum(fate.call.prompt_tokens + fate.out for fate in batch)
    d2 = machine.decode_coeffs[2]
    return base_time(machine, len(batch)) + d2 * held, d2 * len(batch) / 2


def _seconds(played: Played, j: int, now: float, tokens: float) -> float:
    a, b = _terms(played, j, now)
    return a * tokens + b * tokens**2


def _decode(played: Played, j: int, now: float, later: float) -> None:
    """Advance a batch, and note what is reached."""
    batch = _batch(played, j, now)
    if not batch:
        return
    a, b = _terms(played, j, now)
    near = {target: now + a * target + b * target**2 for target in _targets(played, j, now)}
    done = next((target for target, time in near.items() if abs(time - later) < NEAR), None)
    if done is None:
        seconds = later - now
        done = seconds / a if b == 0 else (math.sqrt(a * a + 4 * b * seconds) - a) / (2 * b)
    for fate in batch:
        before, fate.out = fate.out, fate.out + done
        if before < 1.0 and fate.out > 1.0 - 1e-9:
            fate.first = later
            fate.out = max(fate.out, 1.0)
        if fate.out > fate.call.output_tokens - 1e-9:
            fate.completed = later


def _horizons(instance: Instance) -> dict[str, float]:
    found = {}
    for flow in instance.workflows:
        paths: dict[str, float] = {}
        left = list(flow.calls)
        while left:
            call = next(c for c in left if all(parent in paths for parent in c.parents))
            left.remove(call)
            best = min(
                prefill_time(p, call) + transfer_time(instance, p.id, d.id, call) + alone_time(instance, d, call)
                for p in instance.prefill
                for d in instance.decode
                if fits(d, call)
            )
            paths[call.call_id] = max((paths[parent] for parent in call.parents), default=0.0) + call.delay + best
        found[flow.workflow_id] = max(paths.values())
    return found


def shuffled(plan: Schedule, rng: np.random.Generator) -> Schedule:
    """The same rows in another order."""
    return replace(plan, calls=tuple(plan.calls[k] for k in rng.permutation(len(plan.calls))))
