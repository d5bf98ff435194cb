"""Service times in closed form (model M5 to M8, M15, M16, M18)."""

from __future__ import annotations

import math

from hexsched.engine.kernel import kernel


@kernel
def prefill_seconds(prefill, n, h):
    """P_i(n, h) = p0 + p1 (n - h) + p2 (n^2 - h^2)."""
    return prefill.p0 + prefill.p1 * (n - h) + prefill.p2 * (n * n - h * h)


@kernel
def transfer_seconds(seen, i, j, n):
    """T_ij(n) = lambda_ij + n kappa / omega_ij."""
    link = seen.links[seen.prefills[i].kind, seen.decodes[j].kind]
    return link.latency + n * link.per_token


@kernel
def iteration_seconds(seen, j, batch, kv):
    """tau_j(B, K) = g_j(B) + d2 K in ``fluid``, theta_j in ``fixed``; batches past the table cost as its last entry."""
    decode = seen.decodes[j]
    if seen.clock[0].fixed:
        return decode.theta
    return seen.batch_seconds[decode.kind, min(batch, seen.batch_seconds.shape[1] - 1)] + decode.d2 * kv


@kernel
def seconds_for(tau, growth, iterations):
    """Seconds that ``iterations`` take when the first costs ``tau`` and each token costs ``growth`` = d2 B more."""
    return tau * iterations + growth * iterations * iterations / 2.0


@kernel
def iterations_in(tau, growth, seconds):
    """Inverse of ``seconds_for``, in the form of the quadratic root that does not cancel."""
    return 2.0 * seconds / (tau + math.sqrt(tau * tau + 2.0 * growth * seconds))


@kernel
def alone_seconds(seen, j, n, m):
    """alone_j(c): decode time of ``m`` tokens after ``n`` prompt tokens with nothing else in the batch."""
    decode = seen.decodes[j]
    if seen.clock[0].fixed:
        return m * decode.theta
    return (seen.batch_seconds[decode.kind, 1] + decode.d2 * n) * m + decode.d2 * m * m / 2.0


@kernel
def best_seconds(seen, n, h, m, needs_capacity):
    """best_c = min over pairs (i, j) that can hold c of P_i + T_ij + alone_j.

    ``seen.pairs`` holds one (i, j) of each kind of pair: identical instances need no second look.
    """
    best = math.inf
    for k in range(seen.pairs.shape[0]):
        i = seen.pairs[k, 0]
        j = seen.pairs[k, 1]
        if seen.decodes[j].kv_capacity >= needs_capacity:
            seconds = (
                prefill_seconds(seen.prefills[i], n, h) + transfer_seconds(seen, i, j, n) + alone_seconds(seen, j, n, m)
            )
            best = min(best, seconds)
    return best


@kernel
def best_after_prefill(seen, i, n, m, needs_capacity):
    """min over decode instances j that can hold the call of T_ij + alone_j: what is left of it once prefilled on i."""
    best = math.inf
    for k in range(seen.pairs.shape[0]):
        j = seen.pairs[k, 1]
        same = seen.prefills[seen.pairs[k, 0]].kind == seen.prefills[i].kind
        if same and seen.decodes[j].kv_capacity >= needs_capacity:
            best = min(best, transfer_seconds(seen, i, j, n) + alone_seconds(seen, j, n, m))
    return best


@kernel
def iterations_since_settled(seen, j):
    """Iterations that ``j`` has done since it was last settled."""
    decode = seen.decodes[j]
    seconds = seen.clock[0].now - decode.settled_at
    if decode.batch == 0 or seconds <= 0.0:
        return 0.0
    tau = iteration_seconds(seen, j, decode.batch, decode.kv)
    if seen.clock[0].fixed:
        return seconds / tau
    return iterations_in(tau, decode.d2 * decode.batch, seconds)
