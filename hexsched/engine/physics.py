"""Service times in closed form (model.md sections 2 to 4)."""

from __future__ import annotations

import math

from hexsched.engine.kernel import kernel


@kernel
def prefill_seconds(prefill, n, h):
    """P_i(n, h) = p0 + p1 (n - h) + p2 (n^2 - h^2)."""
    return prefill.p0 + prefill.p1 * (n - h) + prefill.p2 * (n * n - h * h)


@kernel
def transfer_seconds(board, i, j, n):
    """T_ij(n) = lambda_ij + n kappa / omega_ij."""
    return board.links[i, j].latency + n * board.links[i, j].per_token


@kernel
def iteration_seconds(board, j, batch, kv):
    """tau_j(B, K) = g_j(B) + d2 K in ``fluid``, theta_j in ``fixed``; batches past the table cost as its last entry."""
    decode = board.decodes[j]
    if board.clock[0].fixed:
        return decode.theta
    return board.batch_seconds[j, min(batch, board.batch_seconds.shape[1] - 1)] + decode.d2 * kv


@kernel
def seconds_for(tau, growth, iterations):
    """Seconds that ``iterations`` take when the first costs ``tau`` and each token costs ``growth`` = d2 B more."""
    return tau * iterations + growth * iterations * iterations / 2.0


@kernel
def iterations_in(tau, growth, seconds):
    """Inverse of ``seconds_for``, in the form of the quadratic root that does not cancel."""
    return 2.0 * seconds / (tau + math.sqrt(tau * tau + 2.0 * growth * seconds))


@kernel
def alone_seconds(board, j, n, m):
    """alone_j(c): decode time of ``m`` tokens after ``n`` prompt tokens with nothing else in the batch."""
    decode = board.decodes[j]
    if board.clock[0].fixed:
        return m * decode.theta
    return (board.batch_seconds[j, 1] + decode.d2 * n) * m + decode.d2 * m * m / 2.0


@kernel
def best_seconds(board, n, h, m, needs_capacity):
    """best_c = min over pairs (i, j) that can hold c of P_i + T_ij + alone_j.

    ``board.pairs`` holds one (i, j) of each kind of pair: identical instances need no second look.
    """
    best = math.inf
    for k in range(board.pairs.shape[0]):
        i = board.pairs[k, 0]
        j = board.pairs[k, 1]
        if board.decodes[j].kv_capacity >= needs_capacity:
            seconds = (
                prefill_seconds(board.prefills[i], n, h)
                + transfer_seconds(board, i, j, n)
                + alone_seconds(board, j, n, m)
            )
            best = min(best, seconds)
    return best


@kernel
def best_after_prefill(board, i, n, m, needs_capacity):
    """min over decode instances j that can hold the call of T_ij + alone_j: what is left of it once prefilled on i."""
    best = math.inf
    for j in range(board.decodes.shape[0]):
        if board.decodes[j].kv_capacity >= needs_capacity:
            best = min(best, transfer_seconds(board, i, j, n) + alone_seconds(board, j, n, m))
    return best
