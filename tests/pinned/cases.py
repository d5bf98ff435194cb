"""What is pinned: runs of every policy, placement and estimator over families and clusters, searches, and bounds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from experiments.bench.simulator import bench_cluster, bench_workload
from hexsched.clusters import compile_instance, read_cluster
from hexsched.engine.tables import Workload
from hexsched.model import Instance, Schedule
from hexsched.workloads.arrivals import apply_arrivals, read_arrivals
from hexsched.workloads.families import generate

RUNS, SEARCHES, BOUNDS, CROWDS = (
    Path(__file__).with_name(f"{name}.csv") for name in ("runs", "searches", "bounds", "crowds")
)

# name -> family, workflows, arrivals, cluster, decode model
INSTANCES: dict[str, tuple[str, int, str, str, str]] = {
    "small-fluid": ("bfcl", 6, "fixed:3", "demo", "fluid"),
    "small-fixed": ("lats", 3, "fixed:1", "demo", "fixed"),
    "bfcl": ("bfcl", 60, "fixed:4", "qwen235b-hetero-1", "fluid"),
    "sharegpt": ("sharegpt", 120, "poisson:20", "llama70b-hetero-2", "fluid"),
    "lats": ("lats", 20, "fixed:1000", "qwen235b-hetero-2", "fluid"),
    "mixed": ("mixed", 50, "fixed:6", "llama70b-hetero-1", "fluid"),
    "text2sql": ("text2sql", 40, "fixed:5", "qwen235b-homo-h100", "fluid"),
    "coding-agent": ("coding_agent", 4, "fixed:1000", "llama70b-homo-a100", "fluid"),
    "tree-of-thoughts": ("tree_of_thoughts", 20, "poisson:2", "llama70b-homo-h200", "fluid"),
    "react-fixed": ("react", 30, "fixed:4", "demo", "fixed"),
}
SMALL = ("small-fluid", "small-fixed")  # on these, plain runs are compared too

PLACEMENTS = ("round-robin", "random", "power-of-two", "jsq", "least-kv", "earliest-finish", "plan")
ORDERS = ("hexagent", "fcfs", "workflow-fcfs", "workflow-llf", "edf", "sjf", "plas", "atlas", "critical-path")
ABLATIONS = tuple(f"hexagent({part}=off)" for part in ("risk", "joint", "kv", "transfer", "replan"))
POLICIES = (
    *ORDERS,
    *ABLATIONS,
    "hexagent(horizon=oracle)",
    "workflow-llf(slo_scale=1)",
    "plas(quantum=0.2,levels=4,beta=1)@plan",
    "atlas(beta=0.5)@jsq",
)
OTHER_ESTIMATORS = ("noise(0.3)", "class_mean")


class Pin(NamedTuple):
    """A run, and what its schedule was."""

    instance: str
    policy: str
    estimator: str
    sha256: str = ""


def runs() -> Iterator[Pin]:
    """Every run: all policies everywhere, orders on placements and estimators by turns."""
    for k, name in enumerate(INSTANCES):
        for policy in POLICIES:
            yield Pin(name, policy, "exact")
        for o, order in enumerate(ORDERS):
            yield Pin(name, f"{order}@{PLACEMENTS[(k + o) % len(PLACEMENTS)]}", "exact")
        for o, order in enumerate(ORDERS[: 1 if name in SMALL else 9]):
            yield Pin(name, order, OTHER_ESTIMATORS[(k + o) % 2])


@cache
def instance(name: str) -> Instance:
    """The instance of that name."""
    family, workflows, arrivals, cluster, decode_model = INSTANCES[name]
    drawn = apply_arrivals(generate(family, workflows=workflows, seed=7), read_arrivals(arrivals), seed=7)
    return replace(compile_instance(read_cluster(cluster), drawn), decode_model=decode_model)


def digest(schedule: Schedule) -> str:
    """Of the schedule as a file, but for the name of the policy."""
    return hashlib.sha256(replace(schedule, policy="").to_bytes()).hexdigest()[:16]


class SearchPin(NamedTuple):
    """A clairvoyant search that ends by its number of evaluations, and what it found."""

    instance: str
    objective: str
    evaluations: int
    value: str = ""
    sha256: str = ""


def searches() -> Iterator[SearchPin]:
    """Long ones on small instances, which reach windows, and short ones on larger ones."""
    for name in SMALL:
        for objective in ("max_ratio", "req(0.7)", "mean_ratio", "misses(1.2)"):
            yield SearchPin(name, objective, 1500)
    for name in ("bfcl", "lats", "react-fixed"):
        for objective in ("req(0.95)", "mean_ratio"):
            yield SearchPin(name, objective, 250)


class BoundPin(NamedTuple):
    """A lower bound that depends on no clock, and its value."""

    instance: str
    objective: str
    bound: str
    value: str = ""


def bounds() -> Iterator[BoundPin]:
    """The bounds that end by themselves."""
    for name in ("small-fixed", "react-fixed"):
        for objective in ("max_ratio", "req(0.7)", "mean_ratio", "mean_latency", "misses(1.2)"):
            for bound in ("critical-path", "load", "single-machine"):
                yield BoundPin(name, objective, bound)


class CrowdPin(NamedTuple):
    """A run on many machines, or of many calls at once, and where and when each call was served in it."""

    instances: int
    calls: int
    arrivals: str
    policy: str
    sha256: str = ""


def crowds() -> Iterator[CrowdPin]:
    """Streams on up to 1,024 machines, and bursts on 16."""
    for instances, calls, arrivals in (
        *((64, 1500, "stream"), (256, 3000, "stream"), (512, 4000, "stream"), (1024, 6000, "stream")),
        *((16, 1500, "bursts"), (64, 1500, "bursts")),
    ):
        for policy in ("fcfs", "workflow-fcfs", "workflow-llf", "sjf", "atlas", "atlas@plan", "hexagent"):
            yield CrowdPin(instances, calls, arrivals, policy)


@cache
def crowd(instances: int, calls: int, arrivals: str) -> tuple[Instance, Workload]:
    """Calls with the lengths of a real trace."""
    cluster = bench_cluster(instances)
    drawn = bench_workload(cluster, calls, 1, 0.9, seed=4)
    if arrivals == "bursts":
        return cluster, drawn._replace(arrival=np.floor(np.arange(calls) * 3 / calls) * 20)
    return cluster, drawn
