"""The rate at which a cluster has no capacity left.

Let all workflows of the workload pass through in T seconds, their calls divided among the instances as well as can be
(fractions of a call included) and every instance busy all the time. Then for each stage

    minimise T  subject to  sum_c y_ci w_ci <= T,  sum_i y_ci = 1,  y >= 0,

with w_ci the seconds that instance i gives to call c: in prefill P_i(n, h), in decode the share of a full batch,
m g(B) / B + d2 (n m + m^2 / 2) (in the ``fixed`` decode model m theta / B). A full batch B has Bmax calls, or as many
as the KV cache holds of the workload's mean reservation n + m, weighted by m: by how long it is held. The saturation
rate is the number of workflows over the larger T. It measures capacity, and is no bound: queues, transfers and
dependencies are left out, and so is that calls of unequal length may be put together cleverly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hexsched.errors import InputError
from hexsched.model import DecodeInstance, Instance

Array = np.ndarray[Any, Any]

ACCURACY = 1e-7  # relative, of the rate; it is rounded to four digits later
MOST_CUTS = 1000  # cutting planes of a stage; the shipped clusters need 1 to 25


def saturation_rate(instance: Instance) -> float:
    """Workflows a second that exhaust the busier stage; arrival times of the instance do not matter.

    Raises
    ------
    InputError
        When the division of the calls cannot be found.
    """
    calls = [call for workflow in instance.workflows for call in workflow.calls]
    prefill = [[p.prefill_seconds(call.prompt_tokens, call.cached_tokens) for call in calls] for p in instance.prefill]
    n = np.array([call.prompt_tokens for call in calls], dtype=float)
    m = np.array([call.output_tokens for call in calls], dtype=float)
    decode = [_decode_seconds(machine, n, m, instance.decode_model) for machine in instance.decode]
    return len(instance.workflows) / max(_busy_seconds(prefill), _busy_seconds(decode))


def _decode_seconds(machine: DecodeInstance, n: Array, m: Array, decode_model: str) -> Array:
    """Seconds of the machine that each call takes at a full batch; infinite where it does not fit."""
    reserved = float((m * (n + m)).sum() / m.sum())
    batch = max(min(machine.max_batch, int(machine.kv_capacity_tokens / reserved)), 1)
    if decode_model == "fixed":
        seconds = m * machine.fixed_iteration_time / batch
    else:
        seconds = m * machine.batch_seconds(batch) / batch + machine.decode_coeffs[2] * (n * m + m * m / 2)
    return np.where(n + m <= machine.kv_capacity_tokens, seconds, np.inf)


def _busy_seconds(seconds: Sequence[Sequence[float] | Array]) -> float:
    """The least T for which the calls fit: (instances, calls) seconds, instances with equal rows put together.

    With a price w_k on a second of each of the n_k instances of kind k, sum_k n_k w_k = 1, the dual is to maximise
    sum_c min_k w_k seconds_kc. That is concave and has as many variables as there are kinds, so a few cutting planes
    (Kelley 1960) find it, where the linear program itself takes a minute for 3,000 workflows.
    """
    from scipy.optimize import linprog

    rows, count = np.unique(np.array(seconds, dtype=float), axis=0, return_counts=True)
    calls = np.arange(rows.shape[1])
    fits = np.isfinite(rows)
    finite = np.where(fits, rows, 0.0)
    price = np.full(len(rows), 1.0 / count.sum())
    cuts: list[Array] = []
    best = 0.0
    for _ in range(MOST_CUTS):
        cheapest = np.where(fits, price[:, None] * finite, np.inf).argmin(axis=0)
        work = np.bincount(cheapest, weights=rows[cheapest, calls], minlength=len(rows))
        best = max(best, float(price @ work))
        cuts.append(work)
        # maximise t subject to t <= price . work for every cut
        limits: Any = np.column_stack([-np.array(cuts), np.ones(len(cuts))])
        solved = linprog(
            np.append(np.zeros(len(rows)), -1.0),
            A_ub=limits,
            b_ub=np.zeros(len(cuts)),
            A_eq=np.append(count.astype(float), 0.0)[None, :],
            b_eq=np.ones(1),
            method="highs",
        )
        if solved.x is None or solved.fun is None:
            break
        price = solved.x[:-1]
        if -solved.fun <= best * (1 + ACCURACY):
            return best
    raise InputError("the saturation rate cannot be computed: the cutting planes do not converge")
