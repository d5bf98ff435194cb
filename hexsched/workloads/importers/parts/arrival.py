"""A workflow on its way in, with the time at which it arrived; what is done to one whatever its format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from hexsched.errors import InputError
from hexsched.model import Call, Workflow
from hexsched.workloads.importers.parts.trace import Trace


class Arrival(NamedTuple):
    """A workflow (``arrival`` still 0) and when it arrived, seconds on the trace's own clock."""

    at: float
    workflow: Workflow


def single_call(workflow_id: str, prompt: int, output: int, cached: int, kind: str, where: str) -> Workflow:
    """A workflow of one request."""
    try:
        call = Call(call_id="c0", prompt_tokens=prompt, output_tokens=output, cached_tokens=cached, kind=kind)
        return Workflow(workflow_id=workflow_id, arrival=0.0, calls=(call,))
    except ValueError as error:
        raise InputError(str(error), where) from None


def cut_delays(arrivals: Iterable[Arrival], most: float, trace: Trace) -> Iterator[Arrival]:
    """The arrivals, no delay of a call longer than ``most`` seconds."""
    for item in arrivals:
        long = sum(call.delay > most for call in item.workflow.calls)
        if not long:
            yield item
            continue
        trace.counted[f"delays cut to {most:g} s"] += long
        calls = tuple(
            msgspec.structs.replace(call, delay=most) if call.delay > most else call for call in item.workflow.calls
        )
        yield Arrival(item.at, msgspec.structs.replace(item.workflow, calls=calls))


def within_context(arrivals: Iterable[Arrival], most: int, trace: Trace) -> Iterator[Arrival]:
    """The arrivals of which no call has more than ``most`` tokens, prompt and output together."""
    for item in arrivals:
        if all(call.prompt_tokens + call.output_tokens <= most for call in item.workflow.calls):
            yield item
            continue
        trace.counted[f"workflows left out for a call of more than {most:,} tokens, prompt and output together"] += 1
        trace.dropped[f"workflows with a call of more than {most:,} tokens"] += len(item.workflow.calls)
