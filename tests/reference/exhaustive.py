"""The optimum of tiny ``fixed`` instances by trying everything; shares no code with solvers, simulator or verifier.

Every objective grows with every completion time. So some optimal schedule is semi-active: given the placements, and on
each instance the order of prefills and of admissions, all happens as early as it can. In such a schedule each start
depends on earlier starts alone; hence all of them are made by adding prefills and admissions in order of time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from hexsched.model import Instance
from reference.formulas import alone_time, fits, prefill_time, transfer_time

Name = tuple[str, str]  # workflow id, call id
Ratios = list[float]
Value = Callable[[Ratios, Ratios], float]  # of ratios and latencies, by workflow


def largest(ratios: Ratios, latencies: Ratios) -> float:
    """max_ratio."""
    return max(ratios)


def mean_ratio(ratios: Ratios, latencies: Ratios) -> float:
    """mean_ratio."""
    return sum(ratios) / len(ratios)


def mean_latency(ratios: Ratios, latencies: Ratios) -> float:
    """mean_latency."""
    return sum(latencies) / len(latencies)


def required(q: str) -> Value:
    """req(q): the ceil(q N)-th smallest ratio."""

    def value(ratios: Ratios, latencies: Ratios) -> float:
        return sorted(ratios)[math.ceil(Fraction(q) * len(ratios)) - 1]

    return value


def misses(scale: float) -> Value:
    """misses(s): workflows whose ratio is above s by more than rounding."""

    def value(ratios: Ratios, latencies: Ratios) -> float:
        return float(sum(ratio > scale * (1 + 1e-9) for ratio in ratios))

    return value


def optima(instance: Instance, objectives: Mapping[str, Value]) -> dict[str, float]:
    """The least value of each objective over all schedules of ``instance``."""
    search = _Search(instance, objectives)
    search.extend(-math.inf)
    return search.best


class _Search:
    def __init__(self, instance: Instance, objectives: Mapping[str, Value]) -> None:
        self.instance = instance
        self.objectives = objectives
        self.best = dict.fromkeys(objectives, math.inf)
        self.calls = {(w.workflow_id, c.call_id): c for w in instance.workflows for c in w.calls}
        self.arrival = {w.workflow_id: w.arrival for w in instance.workflows}
        self.standalone = {
            name: min(
                prefill_time(p, call) + transfer_time(instance, p.id, d.id, call) + alone_time(instance, d, call)
                for p in instance.prefill
                for d in instance.decode
                if fits(d, call)
            )
            for name, call in self.calls.items()
        }
        self.horizon = {
            w.workflow_id: max(self.chain(w.workflow_id, c.call_id) for c in w.calls) for w in instance.workflows
        }
        self.prefilled: dict[Name, tuple[str, float]] = {}  # instance, end
        self.completed: dict[Name, float] = {}
        self.free = {p.id: 0.0 for p in instance.prefill}
        self.held: dict[str, list[tuple[float, float, int]]] = {d.id: [] for d in instance.decode}  # from, to, tokens

    def chain(self, workflow: str, call: str) -> float:
        """Critical path up to and with a call."""
        own = self.calls[workflow, call]
        before = max((self.chain(workflow, parent) for parent in own.parents), default=0.0)
        return before + own.delay + self.standalone[workflow, call]

    def extend(self, now: float) -> None:
        """Try every prefill and every admission that can come next, none before ``now``."""
        if len(self.completed) == len(self.calls):
            self.evaluate()
            return
        if self.hopeless():
            return
        for name, call in self.calls.items():
            if name in self.completed:
                continue
            if name in self.prefilled:
                self.admit(name, now)
            elif all((name[0], parent) in self.completed for parent in call.parents):
                self.start(name, now)

    def start(self, name: Name, now: float) -> None:
        """Prefill a call on each instance, behind all that ran there."""
        call = self.calls[name]
        release = max([self.arrival[name[0]], *(self.completed[name[0], p] for p in call.parents)]) + call.delay
        for machine in self.instance.prefill:
            before = self.free[machine.id]
            begin = max(release, before)
            if begin < now:
                continue  # in order of time, this is reached from elsewhere
            end = begin + prefill_time(machine, call)
            self.free[machine.id] = end
            self.prefilled[name] = (machine.id, end)
            self.extend(begin)
            del self.prefilled[name]
            self.free[machine.id] = before

    def admit(self, name: Name, now: float) -> None:
        """Admit a call to each decode instance that it fits, no earlier than those admitted there before it."""
        call = self.calls[name]
        source, end = self.prefilled[name]
        for machine in self.instance.decode:
            if not fits(machine, call):
                continue
            held = self.held[machine.id]
            earliest = max([end, *(begin for begin, _, _ in held)])
            moments = sorted({earliest, *(to for _, to, _ in held if to > earliest)})
            begin = next(
                t
                for t in moments
                if sum(to > t for _, to, _ in held) < machine.max_batch
                and sum(tokens for _, to, tokens in held if to > t) + call.prompt_tokens + call.output_tokens
                <= machine.kv_capacity_tokens
            )
            if begin < now:
                continue
            to = (
                begin
                + transfer_time(self.instance, source, machine.id, call)
                + alone_time(self.instance, machine, call)
            )
            held.append((begin, to, call.prompt_tokens + call.output_tokens))
            self.completed[name] = to
            self.extend(begin)
            del self.completed[name]
            held.pop()

    def values(self) -> dict[str, float]:
        """Each objective with the workflows as far as they are completed, and at their best otherwise."""
        latency = dict(self.horizon)
        for (workflow, _), end in self.completed.items():
            latency[workflow] = max(latency[workflow], end - self.arrival[workflow])
        latencies = list(latency.values())
        ratios = [latency[w] / self.horizon[w] for w in latency]
        return {name: value(ratios, latencies) for name, value in self.objectives.items()}

    def hopeless(self) -> bool:
        """Whether nothing that follows can improve any objective."""
        return all(value >= self.best[name] for name, value in self.values().items())

    def evaluate(self) -> None:
        for name, value in self.values().items():
            self.best[name] = min(self.best[name], value)
