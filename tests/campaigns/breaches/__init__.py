"""Each rule that the verifier checks, broken in many ways, each of which it is to name.

``python -m campaigns.breaches`` in ``tests`` prints a table: rule, ways to break it, schedules made and named.

Read ``way`` (what one is), ``valid`` (schedules to break), then ``rows``, ``times``, ``order`` and ``room``: the ways.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from campaigns.breaches import order, room, rows, times
from campaigns.breaches.way import Breach, Kind, Valid
from hexsched.verifier import RULES, verify

KINDS: tuple[Kind, ...] = (*rows.KINDS, *times.KINDS, *order.KINDS, *room.KINDS)
Way = tuple[str, str, str]  # kind, size, place

__all__ = ["KINDS", "Breach", "Kind", "Tally", "Valid", "break_all"]


@dataclass
class Tally:
    """What came of breaking schedules.

    Attributes
    ----------
    ways : dict of str to set
        Those in which each rule of the verifier was broken; ``of_model`` by the rule of docs/model.md.
    made, alone : Counter
        Schedules for each rule, and those in which nothing else was broken.
    harmless : int
        Schedules that are off by less than the tolerance.
    wrong : list of str
        A sentence for each that the verifier did not say of what it has to.
    """

    ways: dict[str, set[Way]] = field(default_factory=lambda: {rule: set() for rule in RULES})
    of_model: dict[str, set[tuple[str, Way]]] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    harmless: int = 0
    wrong: list[str] = field(default_factory=list)


def break_all(valid: Valid, tally: Tally) -> None:
    """Break a schedule in every way, and let the verifier name the rule at a call that breaks it."""
    for kind in KINDS:
        for breach in kind.make(valid):
            report = verify(breach.instance, breach.schedule)
            broken, way = set(report.counts()), (kind.what, breach.size, breach.place)
            tally.ways[kind.rule].add(way)
            tally.of_model.setdefault(kind.model, set()).add((kind.rule, way))
            tally.made[kind.rule] += 1
            tally.alone[kind.rule] += broken == {kind.rule}
            found = {(x.workflow_id, x.call_id) for x in report.violations if x.rule == kind.rule}
            if not found & breach.named or report.metrics is not None:
                tally.wrong.append(f"{valid.name}: {kind.rule} not named, {way}; found {broken}")
            if kind.alone and valid.roomy and broken != {kind.rule}:
                tally.wrong.append(f"{valid.name}: {kind.rule} not alone, {way}; found {broken}")
    for what, schedule in times.almost(valid):
        tally.harmless += 1
        report = verify(valid.instance, schedule)
        if not report.ok:
            tally.wrong.append(f"{valid.name}: within the tolerance, {what}; found {report.counts()}")
