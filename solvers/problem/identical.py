"""Instances that can be swapped without changing anything: what symmetry is broken over."""

from __future__ import annotations

import numpy as np

from solvers.problem.offline import Problem


def identical_prefill(problem: Problem) -> list[list[int]]:
    """Groups of two or more prefill instances with equal prefill and transfer times."""
    keys = [
        problem.prefill[:, i].tobytes() + np.ascontiguousarray(problem.transfer[:, i, :]).tobytes()
        for i in range(problem.prefill.shape[1])
    ]
    return _groups(keys)


def identical_decode(problem: Problem) -> list[list[int]]:
    """Groups of two or more decode instances with equal decode and transfer times, KV capacity and largest batch."""
    keys = [
        problem.decode[:, j].tobytes()
        + np.ascontiguousarray(problem.transfer[:, :, j]).tobytes()
        + bytes(f"{problem.capacity[j]} {problem.max_batch[j]}", "ascii")
        for j in range(len(problem.capacity))
    ]
    return _groups(keys)


def _groups(keys: list[bytes]) -> list[list[int]]:
    found: dict[bytes, list[int]] = {}
    for k, key in enumerate(keys):
        found.setdefault(key, []).append(k)
    return [group for group in found.values() if len(group) > 1]
