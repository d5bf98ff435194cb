"""Standalone completion horizons H_w (model M19), from true lengths."""

from __future__ import annotations

import numpy as np

from hexsched.engine.kernel import entry, interpreted
from hexsched.engine.physics import best_seconds
from hexsched.engine.state import Array
from hexsched.engine.tables import Workload, build_seen, workload_columns
from hexsched.model import Instance
from hexsched.model.clock import check_clock


def horizons(instance: Instance) -> dict[str, float]:
    """H_w of every workflow of an instance, in seconds, by workflow id in file order."""
    workload, places = workload_columns(instance)
    seconds = standalone_horizons(instance, workload)
    return {name: float(seconds[k]) for name, k in zip(instance.columns.workflow_id, places.workflow, strict=True)}


def standalone_horizons(instance: Instance, workload: Workload, compiled: bool = True) -> Array:
    """H_w: the critical path with weight delay + best on each call, (W,) seconds in the order of ``workload``.

    Raises
    ------
    InputError
        When the clock is too coarse for them.
    """
    seen = build_seen(instance, 1, 1)
    calls = len(workload.n)
    path = np.zeros(calls)
    best = best_of_each if compiled else interpreted(best_of_each)
    best(seen, workload.n, workload.h, workload.m, path)
    walk = extend_paths if compiled else interpreted(extend_paths)
    parent, child = workload.edges[:, 0], workload.edges[:, 1]
    children = np.bincount(parent, minlength=calls)
    missing = np.bincount(child, minlength=calls)
    first_child = np.cumsum(children) - children
    before, stack = np.zeros(calls), np.empty(calls, np.int64)
    walk(path, before, stack, workload.delay, missing, first_child, children, np.ascontiguousarray(child))
    longest = np.zeros(len(workload.arrival))
    np.maximum.at(longest, workload.workflow, path)
    check_clock(lambda: sorted(instance.columns.workflow_id), workload.arrival, longest)
    return longest


@entry
def best_of_each(seen, n, h, m, out):
    """best_c of every call."""
    for c in range(n.shape[0]):
        out[c] = best_seconds(seen, n[c], h[c], float(m[c]), n[c] + m[c])


@entry
def extend_paths(path, before, stack, delay, missing, first_child, children, child_list):
    """Turn best_c in ``path`` into the longest chain of delay + best that ends with c; ``missing`` is used up.

    ``before`` (zeros) and ``stack`` are scratch.
    """
    size = 0
    for c in range(path.shape[0]):
        if missing[c] == 0:
            stack[size] = c
            size += 1
    while size > 0:
        size -= 1
        c = stack[size]
        path[c] += before[c] + delay[c]
        for k in range(first_child[c], first_child[c] + children[c]):
            x = child_list[k]
            before[x] = max(before[x], path[c])
            missing[x] -= 1
            if missing[x] == 0:
                stack[size] = x
                size += 1
