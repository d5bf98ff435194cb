"""``python -m campaigns.drift``: ten million events, and nothing of what a schedule conserves drifts.

Instances are kept busy for as long as a run lasts, so that no idle moment sets a running sum back to 0. What is checked
is the schedule, against docs/model.md, in whole numbers where tokens and places are whole, else in extended precision.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hexsched.model import Call, DecodeInstance, Instance, Link, PrefillInstance, Schedule, Workflow
from hexsched.model.instance import ClosedLoop
from hexsched.simulator import simulate

Array = np.ndarray[Any, Any]
Exact = np.longdouble

EVENTS = 6  # of a call: release, start and end of its prefill, admission, end of its transfer, completion
PRECISION = 1e-9  # relative
POLICIES = (
    "fcfs",
    "hexagent",
    "workflow-llf",
    "atlas",
    "sjf@jsq",
    "workflow-fcfs@least-kv",
    "edf",
    "plas@power-of-two",
)
TIMES = ("prefill_start", "prefill_end", "admitted", "decode_start", "decode_end")
PARTS = 10  # of a run, by completion, to see whether the last is less exact than the first


@dataclass
class Drift:
    """How far what a schedule says is from what the model says; all relative.

    Attributes
    ----------
    tokens : list of float
        Of each part of the run, the largest |tokens decoded - m| / m of a call; ``all_tokens`` of all together.
    prefill, transfer, stages : float
        Seconds of all prefills and transfers; five stages against completion less release.
    broken : list of str
        What is no matter of rounding: room that is over or below 0, or not given back.
    """

    tokens: list[float] = field(default_factory=lambda: [0.0] * PARTS)
    all_tokens: float = 0.0
    prefill: float = 0.0
    transfer: float = 0.0
    stages: float = 0.0
    broken: list[str] = field(default_factory=list)

    @property
    def worst(self) -> float:
        """The largest of all."""
        return max([*self.tokens, self.all_tokens, self.prefill, self.transfer, self.stages])


@dataclass
class Columns:
    """Calls and their rows, in the order of the instance."""

    n: Array
    m: Array
    h: Array
    released: Array
    source: Array
    target: Array
    times: dict[str, Array]


def draw(rng: np.random.Generator, model: str, calls: int) -> Instance:
    """Workflows of one to six calls, chains and joins, on two kinds of instances each; 60 sessions keep them busy."""
    flows: list[Workflow] = []
    left = calls
    while left:
        count = min(int(rng.integers(1, 7)), left)
        left -= count
        prompt, output = rng.integers(1, 3000, count), np.maximum(rng.geometric(0.01, count), 1)
        cached = np.where(rng.random(count) < 0.5, rng.integers(0, prompt), 0)
        delay = np.where(rng.random(count) < 0.5, rng.exponential(2.0, count), 0.0)
        own = []
        for k in range(count):
            parents = sorted({int(p) for p in rng.integers(0, k, min(k, int(rng.integers(0, 3))))}) if k else []
            one = Call(
                call_id=f"c{k}",
                prompt_tokens=int(prompt[k]),
                output_tokens=int(output[k]),
                cached_tokens=int(cached[k]),
                parents=tuple(f"c{p}" for p in parents),
                delay=float(delay[k]),
            )
            own.append(one)
        flows.append(Workflow(workflow_id=f"w{len(flows)}", arrival=0.0, calls=tuple(own)))
    prefill = [(0.021, 7.9e-5, 1.5e-9), (0.031, 2.5e-4, 4.7e-9)]
    decode = [((0.0137, 7.9e-5, 2.4e-8), 48, 60_000), ((0.029, 2.5e-4, 5.9e-8), 24, 40_000)]
    return Instance(
        format="hexsched-instance/1",
        decode_model=model,
        kv_bytes_per_token=131_072,
        prefill=tuple(PrefillInstance(id=f"p{i}", gpu="X", prefill_coeffs=prefill[i % 2]) for i in range(4)),
        decode=tuple(
            DecodeInstance(
                id=f"d{j}",
                gpu="X",
                decode_coeffs=decode[j % 2][0],
                fixed_iteration_time=1.3 * decode[j % 2][0][0],
                max_batch=decode[j % 2][1],
                kv_capacity_tokens=decode[j % 2][2],
            )
            for j in range(3)
        ),
        links=tuple(
            Link(source=f"p{i}", to=f"d{j}", latency=0.003, bandwidth=25e9 / (1 + i + j))
            for i in range(4)
            for j in range(3)
        ),
        workflows=tuple(flows),
        closed_loop=ClosedLoop(sessions=60),
    )


def columns_of(instance: Instance, schedule: Schedule) -> Columns:
    """The columns, with releases by model M3 and M39."""
    row = {(one.workflow_id, one.call_id): one for one in schedule.calls}
    names = [(flow.workflow_id, call) for flow in instance.workflows for call in flow.calls]
    rows = [row[flow, call.call_id] for flow, call in names]
    source = {machine.id: i for i, machine in enumerate(instance.prefill)}
    target = {machine.id: j for j, machine in enumerate(instance.decode)}
    complete = [max(row[flow.workflow_id, c.call_id].decode_end for c in flow.calls) for flow in instance.workflows]
    arrival = [flow.arrival for flow in instance.workflows]
    if instance.closed_loop is not None:
        sessions = instance.closed_loop.sessions
        arrival[sessions:] = sorted(complete)[: max(len(arrival) - sessions, 0)]
    released = [
        max([begun, *(row[flow.workflow_id, parent].decode_end for parent in call.parents)]) + call.delay
        for flow, begun in zip(instance.workflows, arrival, strict=True)
        for call in flow.calls
    ]
    return Columns(
        n=np.array([call.prompt_tokens for _, call in names]),
        m=np.array([call.output_tokens for _, call in names]),
        h=np.array([call.cached_tokens for _, call in names]),
        released=np.array(released),
        source=np.array([source[one.prefill_instance] for one in rows]),
        target=np.array([target[one.decode_instance] for one in rows]),
        times={name: np.array([getattr(one, name) for one in rows]) for name in TIMES},
    )


def measure(instance: Instance, schedule: Schedule) -> Drift:
    """How far a schedule has drifted."""
    calls, found = columns_of(instance, schedule), Drift()
    times = {name: column.astype(Exact) for name, column in calls.times.items()}
    if len(schedule.calls) != len(calls.n):
        found.broken.append(f"{len(schedule.calls)} rows of {len(calls.n)} calls")
    prefill, transfer = _stage_seconds(instance, calls)
    found.prefill = _apart((times["prefill_end"] - times["prefill_start"]).sum(), prefill.sum())
    found.transfer = _apart((times["decode_start"] - times["admitted"]).sum(), transfer.sum())
    edges = [calls.released, *(calls.times[name] for name in TIMES)]
    stages = math.fsum(float(x) for a, b in itertools.pairwise(edges) for x in (b - a).tolist())
    found.stages = _apart(stages, (times["decode_end"] - calls.released.astype(Exact)).sum())
    for name, before, after in zip(("release", *TIMES[:-1]), edges[:-1], edges[1:], strict=True):
        if (after < before).any():
            found.broken.append(f"{int((after < before).sum())} calls go back in time after their {name}")
    for i in range(len(instance.prefill)):
        here = np.flatnonzero(calls.source == i)
        _room(
            f"prefills on {i}",
            np.ones(len(here), int),
            times["prefill_start"][here],
            times["prefill_end"][here],
            1,
            found,
        )
    for j, machine in enumerate(instance.decode):
        here = np.flatnonzero(calls.target == j)
        held = (times["admitted"][here], times["decode_end"][here])
        _room(f"places on {j}", np.ones(len(here), int), *held, machine.max_batch, found)
        _room(f"tokens on {j}", calls.n[here] + calls.m[here], *held, machine.kv_capacity_tokens, found)
    done = _tokens(instance, calls)
    found.all_tokens = _apart(done.sum(), Exact(int(calls.m.sum())))
    error = np.abs(done - calls.m) / calls.m
    parts = np.array_split(np.argsort(calls.times["decode_end"], kind="stable"), PARTS)
    found.tokens = [float(error[part].max(initial=0)) for part in parts]
    return found


def _apart(value: Any, known: Any) -> float:
    return float(abs(value - known) / abs(known)) if known else float(abs(value))


def _stage_seconds(instance: Instance, calls: Columns) -> tuple[Array, Array]:
    """P and T of each call where it ran, by model M5 and M8."""
    n, h = calls.n.astype(Exact), calls.h.astype(Exact)
    p = np.array([machine.prefill_coeffs for machine in instance.prefill], Exact)[calls.source]
    link = {(one.source, one.to): (one.latency, one.bandwidth) for one in instance.links}
    ends = np.array([[link[i.id, j.id] for j in instance.decode] for i in instance.prefill], Exact)
    ends = ends[calls.source, calls.target]
    prefill = p[:, 0] + p[:, 1] * (n - h) + p[:, 2] * (n * n - h * h)
    return prefill, ends[:, 0] + n * Exact(instance.kv_bytes_per_token) / ends[:, 1]


def _room(what: str, size: Array, begin: Array, end: Array, most: int, found: Drift) -> None:
    """Whether what is taken is given back, and neither below 0 nor over; in whole numbers."""
    change = np.concatenate([-size, size])
    order = np.argsort(np.concatenate([end, begin]), kind="stable")  # what ends is given back first
    held = np.cumsum(change[order])
    if len(held) and (held.min() < 0 or held.max() > most or held[-1] != 0):
        found.broken.append(f"{what}: from {held.min()} to {held.max()} of {most}, {held[-1]} at the end")


def _tokens(instance: Instance, calls: Columns) -> Array:
    """Tokens that each call gets between start and end of its decode (model M15, M16), in extended precision."""
    start, end = calls.times["decode_start"], calls.times["decode_end"]
    done = np.zeros(len(start), Exact)
    for j, machine in enumerate(instance.decode):
        here = np.flatnonzero(calls.target == j)
        if instance.decode_model == "fixed":
            lasted = end[here].astype(Exact) - start[here].astype(Exact)
            done[here] = lasted / Exact(machine.fixed_iteration_time)
        else:
            done[here] = _follow(machine, start[here], end[here], calls.n[here], calls.m[here])
    return done


def _follow(machine: DecodeInstance, start: Array, end: Array, n: Array, m: Array) -> list[Exact]:
    """Follow a batch from change to change.

    A call that leaves takes n + m tokens with it, as the model says; so no error of one is passed on to the next, and
    what the simulator carries along does not go unseen.
    """
    assert machine.batch_curve is None
    d0, d1, d2 = (Exact(x) for x in machine.decode_coeffs)
    count = len(start)
    order = np.argsort(np.concatenate([end, start]), kind="stable").tolist()
    when = np.concatenate([end, start]).astype(Exact)
    prompt, output = n.tolist(), m.tolist()
    done = [Exact(0)] * count
    joined: dict[int, Exact] = {}
    prompts, iterations, now = 0, Exact(0), Exact(0)
    out = Exact(0)  # tokens out of the calls in the batch, together
    for event in order:
        at, batch = when[event], len(joined)
        if batch and at > now:
            tau, growth, passed = d0 + d1 * batch + d2 * (prompts + out), d2 * batch, at - now
            steps = 2 * passed / (tau + np.sqrt(tau * tau + 2 * growth * passed))
            iterations += steps
            out += batch * steps
        now = at
        call = event % count
        if event < count:
            done[call] = iterations - joined.pop(call)
            out -= output[call]
            prompts -= prompt[call]
        else:
            joined[call] = iterations
            prompts += prompt[call]
    return done


def runs(events: int, seed: int) -> Iterator[tuple[str, Instance, Schedule]]:
    """So many events, shared out among policies and decode models; of each two runs one is an open loop."""
    share = max(events // (EVENTS * 2 * len(POLICIES)) + 1, 200)
    for model in ("fluid", "fixed"):
        for k, policy in enumerate(POLICIES):
            rng = np.random.default_rng([seed, len(model), k])
            instance = draw(rng, model, share)
            if k % 2:  # what arrived in a closed loop, at times of their own
                instance = simulate(instance, "fcfs").open_instance()
            yield f"{policy}, {model}, {'open' if k % 2 else 'closed'}", instance, simulate(instance, policy).schedule


def main(words: Sequence[str] | None = None) -> int:
    """Print a row a run; 1 where anything is further off than the precision."""
    parser = argparse.ArgumentParser(prog="campaigns.drift", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(words)
    events, worst, broken = 0, 0.0, 0
    print(
        f"{'run':<40}{'events':>12}{'last s':>10}{'tokens, first and last tenth':>32}{'all tokens':>12}{'prefill':>10}"
    )
    for name, instance, schedule in runs(given.events, given.seed):
        began = time.monotonic()
        found = measure(instance, schedule)
        events += EVENTS * len(schedule.calls)
        worst, broken = max(worst, found.worst), broken + len(found.broken)
        last = max(row.decode_end for row in schedule.calls)
        tenths = f"{found.tokens[0]:.1e} {found.tokens[-1]:.1e}"
        print(
            f"{name:<40}{EVENTS * len(schedule.calls):>12,}{last:>10,.0f}{tenths:>32}{found.all_tokens:>12.1e}"
            f"{found.prefill:>10.1e}  {time.monotonic() - began:.0f} s",
            flush=True,
        )
        for sentence in found.broken:
            print("  " + sentence)
    print(f"{events:,} events; off by at most {worst:.1e}, relative; {broken} sums of tokens or places are wrong")
    return int(worst > PRECISION or broken > 0)


if __name__ == "__main__":
    sys.exit(main())
