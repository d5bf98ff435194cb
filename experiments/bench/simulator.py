"""How fast the event loop is: calls per second, memory and decision latency at a load where queues are real."""

from __future__ import annotations

import platform
import resource
import time
from importlib.metadata import version
from typing import NamedTuple

import msgspec
import numpy as np

from hexsched.clusters import ClusterSpec, DecodePool, PrefillPool, compile_instance
from hexsched.engine.state import Array, Records
from hexsched.engine.tables import Workload, build_state
from hexsched.engine.wallclock import mean_seconds, new_histogram, quantile_seconds
from hexsched.errors import InputError
from hexsched.model import Call, Instance, Workflow
from hexsched.policies import Policy, read_policy
from hexsched.policies.decide import each_time, run_epochs

# Prompt and output tokens of the Azure LLM inference trace 2023, conversation (19,366 requests, CC-BY-4.0)
QUANTILES = (0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1)
PROMPT_TOKENS = (2, 29, 181, 207, 387, 403, 703, 1020, 1071, 1130, 1315, 2735, 4083, 4142, 6212, 14050)
OUTPUT_TOKENS = (7, 16, 41, 54, 77, 91, 103, 129, 177, 384, 400, 424, 451, 601, 954, 1000)

GPUS = ("H100", "A100", "H200")
EPOCHS_AT_A_TIME = 1_000_000  # decision epochs of one call of the compiled loop


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the event loop.

    Attributes
    ----------
    policy : str
    calls, instances, calls_per_workflow : int
    utilisation : float
        Share of the time until the last prefill that prefill instances were busy.
    seconds : float
        CPU seconds of the event loop alone, after compilation.
    calls_per_second : float
    decisions : int
        Decision epochs.
    decision_latency, decision_latency_p99 : float
        Wall-clock seconds the policy took for one epoch.
    set_up_seconds : float
        CPU seconds of drawing the workload and allocating the arrays.
    peak_memory_mb : float
        Largest resident set of the process so far.
    python, numba, machine : str
    """

    policy: str
    calls: int
    instances: int
    calls_per_workflow: int
    utilisation: float
    seconds: float
    calls_per_second: float
    decisions: int
    decision_latency: float
    decision_latency_p99: float
    set_up_seconds: float
    peak_memory_mb: float
    python: str
    numba: str
    machine: str


def measure(
    policy: str, calls: int, instances: int, *, load: float = 0.9, calls_per_workflow: int = 1, seed: int = 0
) -> Measurement:
    """Run ``policy`` on Poisson arrivals of Azure-conversation calls.

    Parameters
    ----------
    policy : str
    calls : int
        Rounded up to whole workflows.
    instances : int
        Half of them prefill, half decode, over H100, A100 and H200 (llama-3.1-70b, tensor parallelism 4).
    load : float
        Arrival rate over the rate that the prefill pool could sustain at most.
    calls_per_workflow : int
        Length of each workflow's chain of calls.
    seed : int

    Raises
    ------
    InputError
        For sizes that make no sense.
    """
    if instances < 2 or instances % 2:
        raise InputError(f"--instances must be an even number from 2 on, got {instances}")
    if calls < 1 or calls_per_workflow < 1:
        raise InputError("--calls and --calls-per-workflow must be at least 1")
    if not load > 0:
        raise InputError(f"--load must be above 0, got {load}")
    chosen = read_policy(policy)
    if chosen.is_plain:
        raise InputError(f"policy {policy!r} is plain Python; this measures compiled policies")
    cluster = bench_cluster(instances)
    timed_run(chosen, cluster, bench_workload(cluster, 50, 1, load, seed))  # compiles, or loads what was compiled
    start = time.process_time()
    workload = bench_workload(cluster, -(-calls // calls_per_workflow), calls_per_workflow, load, seed)
    drawn = time.process_time() - start
    run = timed_run(chosen, cluster, workload, seed)
    seconds, histogram, done = run.seconds, run.latency, run.calls
    busy = float(np.sum(done.prefill_end - done.prefill_start))
    span = float(done.prefill_end.max()) * len(cluster.prefill)
    return Measurement(
        policy=policy,
        calls=len(workload.n),
        instances=instances,
        calls_per_workflow=calls_per_workflow,
        utilisation=busy / span,
        seconds=seconds,
        calls_per_second=len(workload.n) / seconds,
        decisions=int(histogram[-2]),
        decision_latency=mean_seconds(histogram),
        decision_latency_p99=quantile_seconds(histogram, 0.99),
        set_up_seconds=drawn + run.set_up_seconds,
        peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        python=platform.python_version(),
        numba=version("numba"),
        machine=f"{platform.machine()} {platform.system()}",
    )


def bench_cluster(instances: int) -> Instance:
    """A heterogeneous cluster of that many instances, half prefill, half decode, with a workflow to make it valid."""
    half = instances // 2
    counts = [len(range(k, half, len(GPUS))) for k in range(len(GPUS))]
    pools = [(gpu, count) for gpu, count in zip(GPUS, counts, strict=True) if count]
    spec = ClusterSpec(
        name=f"bench-{instances}",
        model="llama-3.1-70b",
        prefill=tuple(PrefillPool(gpu=gpu, count=count, tensor_parallel=4) for gpu, count in pools),
        decode=tuple(DecodePool(gpu=gpu, count=count, tensor_parallel=4) for gpu, count in pools),
    )
    call = Call(call_id="c", prompt_tokens=1, output_tokens=1)
    return compile_instance(spec, [Workflow(workflow_id="w", arrival=0.0, calls=(call,))])


def bench_workload(cluster: Instance, workflows: int, chain: int, load: float, seed: int) -> Workload:
    """Chains of calls with Azure-conversation lengths, arriving at ``load`` times what the prefill pool sustains."""
    rng = np.random.default_rng(seed)
    calls = workflows * chain
    n, m = _draw(rng, PROMPT_TOKENS, calls), _draw(rng, OUTPUT_TOKENS, calls)
    sustained = 0.0
    for machine in cluster.prefill:
        p0, p1, p2 = machine.prefill_coeffs
        sustained += 1.0 / float(np.mean(p0 + p1 * n + p2 * np.square(n, dtype=np.float64)))
    rate = load * sustained / chain
    number = np.arange(calls, dtype=np.int64)
    later = number[number % chain != 0]
    return Workload(
        arrival=np.cumsum(rng.exponential(1.0 / rate, workflows)),
        workflow=number // chain,
        n=n,
        m=m,
        h=np.zeros(calls, np.int64),
        delay=np.zeros(calls),
        kind=np.zeros(calls, np.int64),
        edges=np.stack([later - 1, later], axis=1),
    )


def _draw(rng: np.random.Generator, tokens: tuple[int, ...], size: int) -> Array:
    return np.maximum(np.interp(rng.random(size), QUANTILES, tokens).astype(np.int64), 1)


class TimedRun(NamedTuple):
    """A run of the event loop alone.

    Attributes
    ----------
    seconds, set_up_seconds : float
        CPU seconds of the loop, and of the arrays before it.
    calls : Records
        What happened to each call.
    latency : Array
        Histogram of how long decisions took.
    """

    seconds: float
    set_up_seconds: float
    calls: Records
    latency: Array


def timed_run(policy: Policy, cluster: Instance, workload: Workload, seed: int = 0) -> TimedRun:
    """Serve a workload under a compiled policy; the clock is the CPU's."""
    begun = time.process_time()
    state = build_state(cluster, workload)
    memory, settings, latency = policy.memory(state.seen, seed), policy.settings(), new_histogram()
    started = time.process_time()
    for _ in each_time(run_epochs, state, memory, settings, EPOCHS_AT_A_TIME, latency, np.zeros(2, np.int64)):
        pass  # an interrupt is heard
    return TimedRun(time.process_time() - started, started - begun, state.seen.calls, latency)
