"""Estimates of output lengths (model M31). Policies decide on them; physics and admission use the truth."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hexsched.errors import InputError
from hexsched.policies.parts.sigma import MOST_SIGMA, read_sigma
from hexsched.registry import choices

if TYPE_CHECKING:
    from hexsched.engine.state import Array
    from hexsched.model import Instance


@dataclass(frozen=True)
class Estimator:
    """How policies come to know output lengths.

    Attributes
    ----------
    name : str
        As it was asked for.
    estimates : callable
        ``(instance, seed) -> (N,) float array`` of estimates in file order, or None for the true lengths.
    class_mean : bool
        Estimate each call at its release by the mean length of the completed calls of its kind.
    """

    name: str
    estimates: Callable[[Instance, int], Array | None]
    class_mean: bool = False


ESTIMATORS = {
    "exact": "the true output length",
    "noise(SIGMA)": "the true length times a log-normal factor of mean 1 and standard deviation SIGMA, once a call",
    "class_mean": "the mean length of completed calls of the same kind; of all kinds, or 256, before there is one",
}


def read_estimator(text: str) -> Estimator:
    """Read ``exact``, ``noise(0.2)`` or ``class_mean``.

    Raises
    ------
    InputError
        For anything else.
    """
    name = text.strip()
    if name == "exact":
        return Estimator(name, lambda instance, seed: None)
    if name == "class_mean":
        return Estimator(name, lambda instance, seed: None, class_mean=True)
    sigma = read_sigma(name, "noise")
    if sigma is not None:
        if math.isnan(sigma):
            raise InputError(f"estimator {text!r}: SIGMA must be a number from 0 to {MOST_SIGMA:g}")
        return Estimator(name, lambda instance, seed: _noisy(instance, sigma, seed))
    raise InputError(f"unknown estimator {text!r}; {choices(text.partition('(')[0], ESTIMATORS)}")


def _noisy(instance: Instance, sigma: float, seed: int) -> Array:
    """Each call's factor depends on its ids and the seed alone, so that no call's estimate tells of another's."""
    import numpy as np

    from hexsched.model.rows import Texts

    estimates = []
    columns = instance.columns
    workflow_ids = Texts(columns.workflow, columns.workflow_id).tolist()
    for workflow_id, call_id, output in zip(
        workflow_ids, columns.call_id.tolist(), columns.output.tolist(), strict=True
    ):
        estimates.append(max(output * lognormal(f"{seed}/{workflow_id}/{call_id}", sigma), 1.0))
    return np.array(estimates)


def lognormal(name: str, sigma: float) -> float:
    """A log-normal number of mean 1 and standard deviation ``sigma`` that depends on the name alone."""
    import numpy as np

    spread = np.sqrt(np.log1p(sigma**2))
    bits = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    z = np.random.Generator(np.random.PCG64(bits)).standard_normal()
    return float(np.exp(spread * z - spread**2 / 2))
