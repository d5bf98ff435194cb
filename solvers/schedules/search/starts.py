"""Where the search starts: clairvoyant priority rules, and the decisions of schedules."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsched.model import Schedule
from solvers.schedules.search.decisions import CappedDecisions
from solvers.schedules.search.evaluator import Evaluator
from solvers.schedules.search.features import work_left
from solvers.schedules.search.guide import MOST, Guide, plain_guide
from solvers.schedules.search.merit import Merit, Outcome


def rules(merit: Merit) -> Iterator[tuple[str, Guide]]:
    """Guide from priority rules that know everything, with their names.

    Latest start: a_w + s H_w less the standalone time from the call to the end of its workflow. For means, what is left
    of the workflow, as that time or as work, and dearer the larger H_w is: after Smith 1956, a second of a workflow
    costs the mean ratio 1 / H_w.
    """
    e = merit.evaluator
    arrival, horizon = e.arrival[e.workflow], e.horizon[e.workflow]
    sizes = len(e.arrival), len(e.max_batch)
    for scale in merit.tuning.slo_scales:
        yield (
            f"latest-start({scale:g})",
            plain_guide(arrival + scale * horizon - e.tail, *sizes),
        )
    if not merit.aim.is_tail:
        weight = horizon / horizon.mean()
        for name, left in (("shortest-tail", e.tail), ("least-work", work_left(e) * float(e.tail.mean()))):
            for power in merit.tuning.horizon_powers:
                yield f"{name}-by-horizon^{power:g}", plain_guide(left * weight**power, *sizes)


def with_drops(merit: Merit, name: str, base: Outcome) -> Iterator[tuple[str, Guide]]:
    """The guide of ``base`` with workflows dropped, by several rules; what is dropped goes last."""
    e, aim = merit.evaluator, merit.aim
    if aim.kind == "misses":
        late = base.ratio > aim.parameter
        if late.any():
            yield f"{name}, late ones last", base.guide.but(dropped=late)
        return
    if not merit.may_drop:
        return
    prefill = np.bincount(e.workflow, e.prefill_work)
    decode = np.bincount(e.workflow, e.decode_work)
    scores = {
        "worst": base.ratio,
        "most prefill": prefill,
        "most decode": decode,
        "most prefill by horizon": prefill / e.horizon,
        "most decode by horizon": decode / e.horizon,
        "most work": prefill / prefill.sum() + decode / decode.sum(),
    }
    for rule, score in scores.items():
        dropped = np.zeros(len(e.arrival), bool)
        dropped[np.argsort(-score, kind="stable")[: merit.may_drop]] = True
        yield f"{name}, {rule} last", base.guide.but(dropped=dropped)


def crowded(merit: Merit, name: str, base: Outcome) -> Iterator[tuple[str, Guide]]:
    """The guide of ``base`` with crowding counted."""
    for crowding in merit.tuning.crowdings:
        yield f"{name}, crowding {crowding:g}", base.guide.but(crowding=crowding)


def decisions_of(e: Evaluator, schedule: Schedule) -> CappedDecisions:
    """What a schedule decides, with nothing held back and no cap."""
    none, no_cap = np.zeros(len(e.arrival), bool), np.full(len(e.max_batch), MOST)
    return CappedDecisions(*e.problem.decisions(schedule), none, no_cap)


def from_schedule(merit: Merit, schedule: Schedule) -> Iterator[Guide]:
    """Guide that come close to the decisions of a schedule: its times as priorities, with and without its places."""
    e = merit.evaluator
    made = decisions_of(e, schedule)
    free = plain_guide(made.start, len(e.arrival), len(e.max_batch)).but(later=made.admitted - made.start)
    yield free
    yield free.but(prefills=1 << e.kind_of_prefill[made.prefill], decodes=1 << e.kind_of_decode[made.decode])
