"""What the calls of an instance can hold together in a batch."""

from __future__ import annotations

import numpy as np

from solvers.problem.offline import Array, OfflineProblem


def least_beside(problem: OfflineProblem, kind: int) -> Array:
    """Prompt tokens that the others hold at least in a batch of 1, 2, ... calls on decode type ``kind``.

    The calls of a batch are distinct, all fit the type, and none descends from another. Put each call under one of its
    parents: the paths from the leaves of that forest to its roots are chains that cover a workflow, so no more of its
    calls are in a batch than it has leaves. The B - 1 others of a batch of B therefore hold at least the sum of the
    B - 1 shortest prompts of a pool that has, of each workflow, as many of its shortest as it has leaves. With
    reservations in place of prompts, the B smallest must have room, or there is no batch of B.

    Parameters
    ----------
    problem : OfflineProblem
    kind : int

    Returns
    -------
    (B,) float array
        From 0, ascending; as long as the largest batch, and at least 1.
    """
    machine = problem.decode_machines[kind]
    fits = np.isfinite(problem.decode_of_type[:, kind])
    most = _most_at_once(problem)

    def pool(tokens: Array) -> Array:
        calls = np.flatnonzero(fits)
        calls = calls[np.lexsort((tokens[calls], problem.workflow[calls]))]
        owner = problem.workflow[calls]
        rank = np.arange(len(calls)) - np.searchsorted(owner, owner)
        return np.sort(tokens[calls[rank < most[owner]]])[: machine.max_batch]

    room = int(np.searchsorted(np.cumsum(pool(problem.kv)), machine.kv_capacity_tokens, "right"))
    return np.concatenate([[0.0], np.cumsum(pool(problem.prompt))])[: max(room, 1)].astype(float)


def _most_at_once(problem: OfflineProblem) -> Array:
    """(W,) calls of each workflow of which none descends from another, at most: leaves of a forest."""
    place = np.empty(problem.calls, np.int64)
    place[problem.topological] = np.arange(problem.calls)
    is_leaf = np.ones(problem.calls, bool)
    for parents in problem.parents:
        if parents:
            is_leaf[max(parents, key=lambda p: place[p])] = False  # the last one, for few leaves
    return np.bincount(problem.workflow, is_leaf, problem.workflows).astype(int)
