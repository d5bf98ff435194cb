"""Pauses between requests of a session, where a trace has only the times at which they were sent.

From one start to the next lies what the first request took, and then the pause. A call is released its delay after its
parent is complete (model M3), so the delay is the pause alone: with what the request took in it, that would count
twice, once as recorded and once as simulated. Where no end is recorded it is estimated.
"""

from __future__ import annotations

from functools import lru_cache

from hexsched.profiles import Service, service
from hexsched.workloads.importers.parts.graph import Draft
from hexsched.workloads.importers.parts.trace import Trace

# What an unknown system is taken for: a large dense model on one node, in the middle of what is served (some 30
# milliseconds a token), in a moderate batch (``TypicalBatch``) and without queueing.
REFERENCE = ("llama-3.1-70b", "H100", 4)


def idle_seconds(gap: float, before: Draft, took: float | None, trace: Trace) -> float:
    """The pause in the time from the start of one request to the start of the next, never below 0.

    Parameters
    ----------
    gap : float
        Seconds from start to start.
    before : Draft
        The first request.
    took : float or None
        Seconds that it took, where that is recorded; otherwise it is estimated, unless the trace is read with
        ``estimate_service=false``.
    trace : Trace
        Is told of estimates.
    """
    if not (before.prompt_tokens and before.output_tokens):
        return max(0.0, gap)  # it is left out, and nothing is simulated in its place
    if took is None:
        if not trace.estimate_service:
            return max(0.0, gap)
        took = estimated_seconds(before)
        model, gpu, tp = REFERENCE
        trace.counted[
            "delays are from start to start less an estimate of what the request before took, as no end is recorded "
            f"({model} on {gpu} at tp {tp}); estimate_service=false takes nothing off"
        ] += 1
    return max(0.0, gap - took)


def estimated_seconds(request: Draft) -> float:
    """Seconds of prefill and decode of a request on the reference system, without waiting."""
    numbers = _reference()
    p0, p1, p2 = numbers.prefill_coeffs
    n, h = request.prompt_tokens, request.cached_tokens
    return p0 + p1 * (n - h) + p2 * (float(n) * n - float(h) * h) + request.output_tokens * numbers.fixed_iteration_time


@lru_cache(maxsize=1)
def _reference() -> Service:
    return service(*REFERENCE)
