"""What a policy is told about the future of workflows besides what is revealed: oracles, hints (model M41, M42)."""

from __future__ import annotations

from typing import Any

import numpy as np

from hexsched.engine import physics
from hexsched.engine.kernel import interpreted
from hexsched.engine.state import Array, Records, Seen, State
from hexsched.engine.tables import Places
from hexsched.model import Instance
from hexsched.policies.estimators import lognormal
from hexsched.policies.orders.parts.horizon import HINT, ORACLE
from hexsched.policies.orders.parts.work import BATCH, UNTOLD
from hexsched.policies.parts.sigma import read_sigma

# plain arithmetic, so arrays go through them as numbers do
prefill_seconds: Any = interpreted(physics.prefill_seconds)
transfer_seconds: Any = interpreted(physics.transfer_seconds)
alone_seconds: Any = interpreted(physics.alone_seconds)
iteration_seconds: Any = interpreted(physics.iteration_seconds)


def tell(state: State, instance: Instance, places: Places, horizon: Array, shown: str, seed: int) -> None:
    """Prepare what is told with each release.

    Parameters
    ----------
    state : State
        Before it starts; ``horizon`` of its workflows is H_w already.
    instance : Instance
    places : Places
    horizon : (W,) float array
        H_w, seconds, in the engine's order.
    shown : str
        The policy's option: ``revealed``, ``oracle``, ``hint``, ``hint(SIGMA)``.
    seed : int
        Of the noise.
    """
    truth, columns = state.truth, instance.columns
    truth.progress.oracle_horizon = int(shown == ORACLE)
    sigma = read_sigma(shown, HINT)
    if sigma is not None:
        truth.workflows.told = horizon * noise(sorted(columns.workflow_id), sigma, seed)
    elif shown == HINT:
        truth.workflows.told[places.workflow[columns.hints.of]] = hinted_seconds(state.seen, columns.hints.values)
        truth.calls.rest[places.call[columns.call_hints.of]] = hinted_seconds(state.seen, columns.call_hints.values)


def tell_work(state: State, instance: Instance, told: str, seed: int) -> None:
    """Prepare what is told of all work of each workflow with its first release.

    Parameters
    ----------
    state : State
        Before it starts.
    instance : Instance
    told : str
        The policy's option, as ``in_effect`` has it: empty, ``oracle`` or ``hint(SIGMA)``.
    seed : int
        Of the noise.
    """
    if told == UNTOLD:
        return
    flows, calls = state.truth.workflows, state.truth.calls
    sigma = read_sigma(told, HINT) or 0.0
    factor = noise(sorted(instance.columns.workflow_id), sigma, seed, of="work")
    for field, of_calls in zip(("prefill_told", "decode_told"), pool_work(state.seen, calls), strict=True):
        flows[field] = factor * np.bincount(calls.workflow, of_calls, len(flows))


def pool_work(seen: Seen, calls: Records) -> tuple[Array, Array]:
    """w_p and w_d of every call: its mean seconds on the instances of a pool, over their number (model M42)."""
    n, h, m = (column.astype(np.float64) for column in (calls.n, calls.h, calls.m))
    prefill = np.mean([prefill_seconds(one, n, h) for one in seen.prefills], axis=0) / len(seen.prefills)
    growth = 0.0 if seen.clock[0].fixed else seen.decodes.d2.mean() * (n + m / 2) * m
    share = np.mean([iteration_seconds(seen, j, BATCH, 0) / BATCH for j in range(len(seen.decodes))])
    return prefill, (m * share + growth) / len(seen.decodes)


def noise(workflow_ids: list[str], sigma: float, seed: int, of: str = "horizon") -> Array:
    """A factor of mean 1 and standard deviation ``sigma`` a workflow, from its id, the seed and what it is of."""
    return np.array([lognormal(f"{of}/{seed}/{name}", sigma) for name in workflow_ids])


def hinted_seconds(seen: Seen, values: Array) -> Array:
    """How long the chains take that hints declare, on an idle cluster: rounds times (delay + best of a mean call).

    Parameters
    ----------
    seen : Seen
        Of its cluster.
    values : (K, 4) float array
        As in ``Hints``.
    """
    rounds, n, m, delay = values.T
    best = np.full(len(values), np.inf)
    for i, j in seen.pairs.tolist():
        seconds = (
            prefill_seconds(seen.prefills[i], n, 0) + transfer_seconds(seen, i, j, n) + alone_seconds(seen, j, n, m)
        )
        best = np.minimum(best, seconds)
    return np.asarray(rounds * (delay + best))
