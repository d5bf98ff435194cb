"""How the cost of a call grows: with the cluster, the length of a run, a burst, and agents that wait for room.

A benchmark of a scheduler is easily wrong in its favour: with few calls a machine the cluster never fills, with a load
that cannot be served the queue alone is measured, and a clock on the wall also counts what others do. So calls are in
proportion to machines, how many calls wait is told at three moments, and seconds are the CPU's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from experiments.bench.simulator import TimedRun, bench_cluster, bench_workload, timed_run
from hexsched.clusters import read_cluster
from hexsched.engine import state as st
from hexsched.engine.heap import heap_pop, heap_push
from hexsched.engine.kernel import entry
from hexsched.engine.tables import Workload, workload_columns
from hexsched.errors import InputError
from hexsched.model import Instance
from hexsched.policies import Policy
from hexsched.registry import choices
from hexsched.workloads.families import generate
from hexsched.workloads.instances import compose
from hexsched.workloads.workload import Workload as Workflows

LOAD = 0.9  # arrival rate over what the prefill pool can sustain
INSTANCES = 16  # where the cluster is not what grows
SECONDS = 0.5  # CPU seconds for which a small run is repeated
RUNS = 3  # at least, of runs that take less than that
EVENTS = 4  # of each call: release, end of prefill, end of transfer, end of decode
MOMENTS = (0.25, 0.5, 1.0)  # of the time until the last release, at which waiting calls are counted
HEAP_OPERATIONS = 200_000  # that are timed

Form = Literal["quick", "full"]


@dataclass(frozen=True)
class Case:
    """What grows, and how it is made.

    Attributes
    ----------
    summary, unit : str
        What is measured; what a size counts.
    make : callable
        Cluster and workload of a size and a seed.
    quick, full : tuple of int
        Sizes, from the least on.
    steady : bool
        Whether calls arrive as fast as they can be served, so that waiting calls should not become more and more.
    """

    summary: str
    unit: str
    make: Callable[[int, int], tuple[Instance, Workload]]
    quick: tuple[int, ...]
    full: tuple[int, ...]
    steady: bool = True


def _cluster(instances: int, seed: int) -> tuple[Instance, Workload]:
    return _stream(instances, 200 * instances, seed)


def _length(calls: int, seed: int) -> tuple[Instance, Workload]:
    return _stream(INSTANCES, calls, seed)


def _stream(instances: int, calls: int, seed: int) -> tuple[Instance, Workload]:
    cluster = bench_cluster(instances)
    return cluster, bench_workload(cluster, calls, 1, LOAD, seed)


def _burst(calls: int, seed: int) -> tuple[Instance, Workload]:
    cluster, workload = _stream(INSTANCES, calls, seed)
    return cluster, workload._replace(arrival=np.zeros(calls))


def _agents(sessions: int, seed: int) -> tuple[Instance, Workload]:
    agents = Workflows(generate("coding_agent", sessions, seed))
    instance = compose(read_cluster("llama70b-homo-a100"), agents, leave_out_oversize=True).instance
    return instance, workload_columns(instance)[0]


CASES = {
    "cluster": Case(
        f"a stream at {LOAD:g} of what prefill can sustain, 200 calls an instance",
        "instances",
        _cluster,
        (16, 64, 256),
        (16, 64, 256, 512, 1024),
    ),
    "length": Case(
        f"the same stream on {INSTANCES} instances, longer and longer",
        "calls",
        _length,
        (10_000, 100_000),
        (10_000, 100_000, 1_000_000),
    ),
    "burst": Case(
        f"calls that are all released at once, on {INSTANCES} instances",
        "calls",
        _burst,
        (1_000, 5_000),
        (1_000, 5_000, 50_000),
        steady=False,
    ),
    "agents": Case(
        "coding agents that begin at once on llama70b-homo-a100, where KV cache is short",
        "workflows",
        _agents,
        (50, 200),
        (50, 200, 1_000),
        steady=False,
    ),
}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One policy at one size of a case.

    Attributes
    ----------
    case, policy : str
    size, calls, instances, runs : int
        ``runs`` are those of which ``seconds`` is the median.
    seconds, us_per_call : float
        CPU seconds of the event loop; the same in microseconds a call.
    growth : float
        ``us_per_call`` over that of the least size of this case and policy.
    floor_us : float
        Microseconds a call that a heap of as many entries as there were machines and waiting calls takes for the four
        events of a call: what a simulator with such a heap cannot be faster than, timed just before the run.
    over_floor : float
    waiting : tuple of int
        Calls that wait for prefill or for admission at a quarter, at half and at the end of the time in which calls are
        released.
    most_waiting : int
        At any release.
    growing : bool or None
        Whether ever more calls wait, see ``is_growing``; None for what is released at once.
    """

    case: str
    policy: str
    size: int
    calls: int
    instances: int
    runs: int
    seconds: float
    us_per_call: float
    growth: float
    floor_us: float
    over_floor: float
    waiting: tuple[int, int, int]
    most_waiting: int
    growing: bool | None


def measure_growth(
    cases: Sequence[str], policies: Sequence[Policy], form: Form = "quick", seed: int = 0, known: Sequence[Row] = ()
) -> Iterator[Row]:
    """Each row as it is measured; those that ``known`` has are given as they are.

    Raises
    ------
    InputError
        For an unknown case, or a policy in plain Python.
    """
    for name in cases:
        if name not in CASES:
            raise InputError(f"unknown case {name!r}; {choices(name, CASES, 'cases are')}")
    for policy in policies:
        if policy.is_plain:
            raise InputError(f"policy {policy.name!r} is plain Python; this measures compiled policies")
    had = {(row.case, row.policy, row.size): row for row in known}
    for name in cases:
        case = CASES[name]
        for policy in policies:
            least = None
            for size in case.full if form == "full" else case.quick:
                row = had.get((name, policy.name, size)) or _measure(name, case, policy, size, seed, least)
                least = least or row.us_per_call
                yield row


def _measure(name: str, case: Case, policy: Policy, size: int, seed: int, least: float | None) -> Row:
    cluster, workload = case.make(size, seed)
    if least is None:
        timed_run(policy, *_stream(2, 50, seed))  # compiles, or loads what was compiled
    seconds: list[float] = []
    while not seconds or (sum(seconds) < SECONDS and len(seconds) < 100) or (len(seconds) < RUNS and sum(seconds) < 2):
        run = timed_run(policy, cluster, workload, seed)
        seconds.append(run.seconds)
    machines, calls = len(cluster.prefill) + len(cluster.decode), len(workload.n)
    at = [part * float(run.calls.released.max()) for part in MOMENTS]
    waits = waiting_calls(run, at)
    most = int(waiting_calls(run, np.unique(run.calls.released)).max())
    us = statistics.median(seconds) / calls * 1e6
    floor = EVENTS * heap_seconds(machines + most) * 1e6
    return Row(
        case=name,
        policy=policy.name,
        size=size,
        calls=calls,
        instances=machines,
        runs=len(seconds),
        seconds=statistics.median(seconds),
        us_per_call=us,
        growth=us / (least or us),
        floor_us=floor,
        over_floor=us / floor,
        waiting=(int(waits[0]), int(waits[1]), int(waits[2])),
        most_waiting=most,
        growing=is_growing(waits) if case.steady else None,
    )


def waiting_calls(run: TimedRun, moments: Sequence[float] | st.Array) -> st.Array:
    """How many calls are released and not in prefill, or through prefill and not admitted, at each moment."""
    calls = run.calls

    def until(times: st.Array) -> st.Array:
        return np.searchsorted(np.sort(times), moments, side="right")

    return until(calls.released) - until(calls.prefill_start) + until(calls.prefill_end) - until(calls.admitted)


def is_growing(waiting: Sequence[int] | st.Array) -> bool:
    """Whether a queue grows with time and not by chance, from its length at a quarter, at half and at the end.

    One that cannot be served doubles each time. So it counts as growing when it is a quarter longer each time, and in
    all by more than six standard deviations of a Poisson count of what it is at the end.
    """
    quarter, half, end = (float(count) for count in waiting)
    return half > 1.25 * quarter and end > 1.25 * half and end - quarter > 6 * np.sqrt(end)


@entry
def _take_and_put(heap: st.Records, size: int, keys: st.Array) -> None:
    """Take the least of a heap of ``size`` entries and put a later one in its place, for each of ``keys``."""
    for k in range(len(keys)):
        now = heap[0].key
        code = heap_pop(heap, size)
        heap_push(heap, size - 1, now + keys[k], code)


def heap_seconds(entries: int) -> float:
    """CPU seconds that one entry takes to go out of a heap of so many, and another to come in, on this machine now."""
    rng = np.random.default_rng(0)
    heap = st.records(entries, st.HEAP_ENTRY)
    heap.key, heap.code = np.sort(rng.random(entries)), np.arange(entries)
    keys = 2 * rng.random(HEAP_OPERATIONS)  # as far ahead as entries are apart, so that they go anywhere in the heap
    _take_and_put(heap, entries, keys[:1])
    begun = time.process_time()
    _take_and_put(heap, entries, keys)
    return (time.process_time() - begun) / HEAP_OPERATIONS
