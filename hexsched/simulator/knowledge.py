"""What a policy is told about the future of workflows besides what is revealed of it: the oracle, hints (model M41)."""

from __future__ import annotations

from typing import Any

import numpy as np

from hexsched.engine import physics
from hexsched.engine.kernel import interpreted
from hexsched.engine.state import Array, Seen, State
from hexsched.engine.tables import Places
from hexsched.model import Instance
from hexsched.policies.orders.parts.horizon import HINT, ORACLE
from hexsched.policies.parts.sigma import read_sigma
from hexsched.simulator.estimators import lognormal

# plain arithmetic, so arrays go through them as numbers do
prefill_seconds: Any = interpreted(physics.prefill_seconds)
transfer_seconds: Any = interpreted(physics.transfer_seconds)
alone_seconds: Any = interpreted(physics.alone_seconds)


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


def noise(workflow_ids: list[str], sigma: float, seed: int) -> Array:
    """A factor of mean 1 and standard deviation ``sigma`` for each workflow, which depends on its id and the seed."""
    return np.array([lognormal(f"horizon/{seed}/{name}", sigma) for name in workflow_ids])


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
