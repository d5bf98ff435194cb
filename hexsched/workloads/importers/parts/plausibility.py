"""Whether the numbers of a trace make sense as seconds and tokens: a wrong unit is said, nothing is changed.

A unit that is wrong is wrong by a factor of 1,000; so what is said is far from what traces of any real system show, and
silence proves nothing. Durations and gaps are held against the reference system of ``pauses``.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Iterator, Sequence

from hexsched.profiles import shipped_profile
from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.pauses import REFERENCE, estimated_seconds
from hexsched.workloads.importers.parts.sessions import Turn
from hexsched.workloads.importers.parts.times import PER_SECOND, Unit
from hexsched.workloads.importers.parts.trace import Trace

ENOUGH = 10  # of anything, for a median of it to say something
FAST = 1000.0  # workflows a second: more than the largest published trace has by a factor of ten
INSTANCES = 100  # of the fastest measured prefill, to compute all prompts of a trace as they come
PROMPT = 4096  # tokens of the prompts by which the fastest is told
DAY = 86_400.0  # seconds
FAR = 100.0  # times as long, or as short, as on the reference system
LONGEST_CONTEXT = 10**7  # tokens: of no model in use is it longer


def watch(arrivals: Iterable[Arrival], trace: Trace) -> Iterator[Arrival]:
    """The arrivals as they are; at their end the trace is told what about them makes no sense."""
    workflows = delays = long_delays = too_long = 0
    computed = 0
    first = last = 0.0
    for item in arrivals:
        first = item.at if not workflows else min(first, item.at)
        last = item.at if not workflows else max(last, item.at)
        workflows += 1
        for call in item.workflow.calls:
            computed += call.prompt_tokens - call.cached_tokens
            too_long += call.prompt_tokens + call.output_tokens > LONGEST_CONTEXT
            if call.parents and call.delay:
                delays += 1
                long_delays += call.delay > DAY
        yield item
    span = last - first
    if span > 0:
        rate, tokens = (workflows - 1) / span, computed / span
        most = INSTANCES * max(PROMPT / fit.laws().prefill_seconds(PROMPT) for fit in shipped_profile().fits)
        if rate > FAST or tokens > most:
            trace.note(
                f"{workflows:,} workflows over {span:,.4g} s are {rate:,.4g} a second, with {tokens:,.4g} prompt "
                "tokens to compute a second; if that is too many, time_unit is another"
            )
    if delays >= ENOUGH and long_delays > delays / 2:
        trace.note(
            f"{long_delays:,} of {delays:,} delays between calls are longer than a day; if that is too long, their "
            "unit is another (time_unit, delay_unit), or max_idle cuts them"
        )
    if too_long:
        trace.note(
            f"{too_long:,} calls have more than {LONGEST_CONTEXT:,} tokens, more than any model's context: are these "
            "characters or bytes?"
        )


def doubt_durations(requests: Sequence[Turn], unit: Unit, trace: Trace) -> None:
    """Say where recorded durations are far from what requests take."""
    pairs = [
        (turn.service, estimated_seconds(turn.draft))
        for turn in requests
        if turn.service and turn.draft.prompt_tokens and turn.draft.output_tokens
    ]
    if len(pairs) < ENOUGH:
        return
    ratio = statistics.median(took / expected for took, expected in pairs)
    if 1 / FAR <= ratio <= FAR:
        return
    took, expected = (statistics.median(column) for column in zip(*pairs, strict=True))
    trace.note(
        f"durations make little sense in {unit}: the median request would take {took:,.3g} s, where {_reference()} "
        f"takes {expected:,.3g} s{_better(ratio, unit, 'delay_unit')}"
    )


def doubt_gaps(sessions: Iterable[Sequence[Turn]], unit: Unit | None, trace: Trace) -> None:
    """Say where turns of sessions follow each other faster than any system could answer.

    Parameters
    ----------
    sessions : iterable of sequences of Turn
        By time.
    unit : Unit or None
        That the times were taken in; None for wall-clock times.
    trace : Trace
    """
    pairs = [
        (turn.at - before.at, estimated_seconds(before.draft))
        for turns in sessions
        for before, turn in itertools.pairwise(turns)
        if turn.at is not None and before.at is not None and before.draft.output_tokens and before.draft.prompt_tokens
    ]
    if len(pairs) < ENOUGH:
        return
    ratio = statistics.median(gap / expected for gap, expected in pairs)
    if ratio >= 1 / FAR:
        return
    gap, expected = (statistics.median(column) for column in zip(*pairs, strict=True))
    better = "" if unit is None else _better(ratio, unit, "time_unit")
    trace.note(
        f"turns of a session follow each other after {gap:,.3g} s in the median, where {_reference()} takes "
        f"{expected:,.3g} s to answer: they run side by side, or the unit of times is another{better}"
    )


def _reference() -> str:
    model, gpu, tp = REFERENCE
    return f"{model} on {gpu} at tp {tp}"


def _better(ratio: float, unit: Unit, option: str) -> str:
    """The unit in which what is so many times as long as expected would be plausible, as an option."""
    in_unit = {other: ratio * PER_SECOND[unit] / PER_SECOND[other] for other in PER_SECOND}
    fitting = [other for other, value in in_unit.items() if 1 / FAR <= value <= FAR and other != unit]
    if not fitting:
        return ""
    nearest = min(fitting, key=lambda other: abs(in_unit[other] - 1))
    return f"; {option}={nearest} would fit"
