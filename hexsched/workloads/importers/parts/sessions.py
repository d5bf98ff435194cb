"""Sessions: requests that follow each other, a workflow each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hexsched.errors import InputError
from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.graph import Draft, build_workflow
from hexsched.workloads.importers.parts.pauses import idle_seconds
from hexsched.workloads.importers.parts.trace import Trace

NO_CREDIT = "deltas leave cached tokens at 0: hash_ids of what is new do not say what was cached"
AT_START = "no start is recorded, all workflows begin at 0; --arrivals gives them other times"


@dataclass(slots=True)
class Turn:
    """A request of a session.

    Attributes
    ----------
    draft : Draft
        Its parents and delay are still to be found.
    at : float or None
        When it was sent, seconds on the trace's clock, where that is recorded.
    pause : float or None
        Seconds from the end of the turn before, where that is recorded.
    service : float or None
        Seconds that it took on the recorded system, where that is recorded.
    hash_ids : sequence of int or str
        Of the blocks of its prompt.
    """

    draft: Draft
    at: float | None = None
    pause: float | None = None
    service: float | None = None
    hash_ids: Sequence[int | str] = field(default=())


def group(rows: Iterable[tuple[str | None, Turn]], trace: Trace) -> list[tuple[str | None, list[Turn]]]:
    """Turns by session, in the order in which sessions begin; a turn without a session is one by itself.

    Reading stops when as many as ``trace.limit`` have begun and another would.
    """
    found: list[tuple[str | None, list[Turn]]] = []
    by_name: dict[str, list[Turn]] = {}
    for name, turn in rows:
        if name is not None and name in by_name:
            by_name[name].append(turn)
            continue
        if trace.limit is not None and len(found) >= trace.limit:
            stopped(turn.draft.where, trace, bool(by_name))
            break
        found.append((name, [turn]))
        if name is not None:
            by_name[name] = found[-1][1]
    return found


def stopped(where: str, trace: Trace, sessions: bool) -> None:
    """Note that reading stopped before the end, where a session might have gone on."""
    if sessions:
        trace.note(f"reading stopped at {where}, where workflow {trace.limit} + 1 begins: turns after it are not read")


def in_order(turns: Sequence[Turn], trace: Trace) -> list[Turn]:
    """The turns of a session by time.

    Where some have no time of their own the order of the file counts.

    Raises
    ------
    InputError
        When the order of the file counts and contradicts the times that there are, naming the line.
    """
    times = [turn.at for turn in turns if turn.at is not None]
    if all(earlier <= later for earlier, later in itertools.pairwise(times)):
        return list(turns)
    if len(times) == len(turns):
        trace.counted["sessions whose turns were put in the order of their times"] += 1
        return sorted(turns, key=lambda turn: turn.at or 0.0)
    latest = -math.inf
    for turn in turns:
        if turn.at is not None and turn.at < latest:
            raise InputError(
                "the turn is earlier than one before it in its session, and turns without a time are between them; "
                "put the lines in order",
                turn.draft.where,
            )
        latest = latest if turn.at is None else turn.at
    raise AssertionError("times are out of order")


def chain(turns: Sequence[Turn], trace: Trace) -> list[Draft]:
    """The drafts of turns in order, each waiting for the one before it.

    Its delay is the recorded pause, or else the time between the two submissions less what the first took
    (``idle_seconds``).
    """
    for before, turn in itertools.pairwise(turns):
        turn.draft.parents = [before.draft.call_id]
        if turn.pause is not None:
            turn.draft.delay = turn.pause
        elif turn.at is not None and before.at is not None:
            turn.draft.delay = idle_seconds(turn.at - before.at, before.draft, before.service, trace)
    return [turn.draft for turn in turns]


class Prompts:
    """Makes whole prompts of turns that hold only what is new, or says where turns look like that.

    Parameters
    ----------
    deltas : bool
        Whether the recorded prompts are what is new.
    """

    def __init__(self, deltas: bool) -> None:
        self._deltas = deltas
        self._sessions = 0
        self._shrinking = 0

    def follow(self, drafts: Sequence[Draft], parents: Callable[[Draft], Iterable[Draft]]) -> None:
        """Take the drafts of a workflow, parents before children; with deltas, a prompt becomes the longest context of
        its parents (prompt and output) and what is new."""
        links = [(draft, list(parents(draft))) for draft in drafts]
        if not any(before for _, before in links):
            return
        self._sessions += 1
        if self._deltas:
            for draft, before in links:
                draft.prompt_tokens += max((each.prompt_tokens + each.output_tokens for each in before), default=0)
        else:
            self._shrinking += any(
                draft.prompt_tokens < min(each.prompt_tokens for each in before) for draft, before in links if before
            )

    def follow_chain(self, drafts: Sequence[Draft]) -> None:
        """As ``follow``, for drafts that wait for each other in this order."""
        before = {draft.call_id: earlier for earlier, draft in itertools.pairwise(drafts)}
        self.follow(drafts, lambda draft: [before[draft.call_id]] if draft.call_id in before else [])

    def note(self, trace: Trace) -> None:
        """Say how many sessions have prompts that shrink."""
        if self._shrinking:
            trace.note(
                f"prompts shrink within {self._shrinking:,} of {self._sessions:,} sessions: if turns hold only what is "
                "new, import with --option deltas=true"
            )


def chains(sessions: Iterable[tuple[str, Sequence[Turn]]], deltas: bool, trace: Trace) -> Iterator[Arrival]:
    """A workflow a session: its turns by time, called c0, c1, …, each waiting for the one before it.

    Parameters
    ----------
    sessions : iterable of (workflow id, turns)
    deltas : bool
        Whether the recorded prompts are what is new.
    trace : Trace
        Is told of turns that are put in order, and of prompts that shrink.
    """
    prompts = Prompts(deltas)
    found: list[tuple[str, float, list[Draft]]] = []
    for name, given in sessions:
        turns = in_order(given, trace)
        drafts = chain(turns, trace)
        prompts.follow_chain(drafts)
        found.append((name, next((turn.at for turn in turns if turn.at is not None), 0.0), drafts))
    prompts.note(trace)
    for name, at, drafts in found:
        for place, draft in enumerate(drafts):
            draft.call_id = f"c{place}"
            draft.parents = [f"c{place - 1}"] if place else []
        arrival = build_workflow(name, at, drafts, trace)
        if arrival is not None:
            yield arrival
