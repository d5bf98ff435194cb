"""Qwen-Bailian traces (github alibaba-edu/qwen-bailian-usagetraces-anon, Apache-2.0)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import msgspec

from hexsched.errors import InputError
from hexsched.model.cluster import check_number
from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.graph import Draft, build_workflow, causal_order
from hexsched.workloads.importers.parts.head import Signature
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.pauses import idle_seconds
from hexsched.workloads.importers.parts.prefix import BlockSize, PrefixStore
from hexsched.workloads.importers.parts.records import BlockTokens, Tokens
from hexsched.workloads.importers.parts.sessions import AT_START, NO_CREDIT, Prompts, stopped
from hexsched.workloads.importers.parts.times import Clock, Time, Unit
from hexsched.workloads.importers.parts.trace import Trace

ROOT = -1
BLOCK_TOKENS = 16  # tokens that a hash stands for in the published traces


class BailianOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``qwen-bailian`` format.

    Attributes
    ----------
    time_unit : {"s", "ms", "us", "ns"}
        Of ``timestamp``.
    conversations : bool
        Make one workflow of the turns of a conversation; False keeps every request apart, at its recorded time.
    service_seconds_per_token : float, optional
        What the recorded system took per output token, where you know: taken off the gap between two turns to get the
        think time, in place of the estimate of ``estimate_service``.
    orphans : {"error", "root"}
        A turn whose parent is not in the file is an error, or (for a trace cut from a longer one) a new conversation.
    deltas : bool
        ``input_length`` holds only what is new in its conversation; there is no ``cached_tokens`` then.
    prefix_cache : bool
        Derive ``cached_tokens`` from ``hash_ids``; False leaves them 0.
    block_tokens : int, optional
        Tokens a hash id stands for; by default 16, or the one usual size that fits the numbers of hashes.
    """

    time_unit: Unit = "s"
    conversations: bool = True
    service_seconds_per_token: float | None = None
    orphans: Literal["error", "root"] = "error"
    deltas: bool = False
    prefix_cache: bool = True
    block_tokens: BlockTokens | None = None

    def __post_init__(self) -> None:
        if self.service_seconds_per_token is not None:
            check_number("service_seconds_per_token", self.service_seconds_per_token)


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    chat_id: int
    parent_chat_id: int = ROOT
    timestamp: Time | None = None
    input_length: Tokens
    output_length: Tokens
    turn: int = 1
    type: str = ""
    hash_ids: tuple[int | str, ...] = ()


SAMPLE = """\
{"chat_id": 7, "parent_chat_id": -1, "timestamp": 1.5, "input_length": 40, "output_length": 10, "type": "text", \
"turn": 1, "hash_ids": [1, 2, 107]}
{"chat_id": 9, "parent_chat_id": 7, "timestamp": 4.0, "input_length": 40, "output_length": 10, "type": "text", \
"turn": 2, "hash_ids": [1, 2, 109]}
{"chat_id": 11, "parent_chat_id": -1, "timestamp": 5.0, "input_length": 40, "output_length": 10, \
"type": "text", "turn": 1, "hash_ids": [1, 2, 111]}
"""


class BailianImporter(Importer[BailianOptions]):
    """A request a line, linked to the turn before it by ``parent_chat_id`` (-1 for the first).

    A conversation is one workflow: a chain, or a tree where a turn was continued twice. The trace records when each
    turn was *submitted*, not when it was answered, so the delay of a turn is the time since its parent's submission
    less an estimate of the parent's service time, never below 0.
    """

    name = "qwen-bailian"
    summary = "Qwen-Bailian trace, JSON Lines: chat_id, parent_chat_id, timestamp (s), lengths, 16-token hash_ids"
    options_type = BailianOptions
    rank = 4
    sample = SAMPLE

    signature = Signature((("chat_id",), ("parent_chat_id",), ("input_length",)), hints=("output_length", "timestamp"))

    def arrivals(self, trace: Trace, options: BailianOptions) -> Iterator[Arrival]:
        with_cache = options.prefix_cache and not options.deltas
        block_tokens = _block_tokens(trace, options) if with_cache else BLOCK_TOKENS
        clock = Clock(options.time_unit)
        turns: dict[int, _Turn] = {}
        begun = 0
        timed = untimed = ""
        for where, row in trace.json_lines(_Row):
            if row.chat_id in turns:
                raise InputError(f"duplicate chat_id {row.chat_id}", where)
            begins = not options.conversations or row.parent_chat_id not in turns
            if begins and begun == trace.limit:
                stopped(where, trace, options.conversations)
                break
            begun += begins
            if options.deltas and row.hash_ids:
                trace.note(NO_CREDIT)
            timed, untimed = (timed, untimed or where) if row.timestamp is None else (timed or where, untimed)
            if timed and untimed:
                raise InputError(f"missing field 'timestamp', which {timed} has", untimed)
            draft = Draft(str(row.chat_id), where, row.input_length, row.output_length, kind=row.type)
            hashes = row.hash_ids if with_cache else ()
            turns[row.chat_id] = _Turn(draft, clock.seconds(row.timestamp or 0), row.parent_chat_id, hashes)
        if untimed:
            trace.note(AT_START)
        _credit(turns, PrefixStore(block_tokens))
        if options.conversations:
            _link_turns(turns, options, trace)
        prompts = Prompts(options.deltas)
        found = _conversations([turn.draft for turn in turns.values()])
        for members in found.values():
            prompts.follow(causal_order(members), lambda draft: [turns[int(parent)].draft for parent in draft.parents])
        prompts.note(trace)
        for root, members in found.items():
            arrival = build_workflow(root, turns[int(root)].at, members, trace)
            if arrival is not None:
                yield arrival


@dataclass(slots=True)
class _Turn:
    """A row on its way to becoming a call; ``at`` in seconds."""

    draft: Draft
    at: float
    parent: int
    hash_ids: tuple[int | str, ...]


def _block_tokens(trace: Trace, options: BailianOptions) -> int:
    blocks = BlockSize(options.block_tokens or BLOCK_TOKENS)
    for where, row in islice(trace.again().json_lines(_Row), trace.limit):
        blocks.see(row.input_length, len(row.hash_ids), where)
    return blocks.settle(trace, given=options.block_tokens is not None)


def _credit(turns: dict[int, _Turn], store: PrefixStore) -> None:
    """Set the cached tokens of every turn, by the time at which it was sent."""
    for turn in sorted(turns.values(), key=lambda turn: turn.at):
        draft = turn.draft
        if turn.hash_ids and draft.prompt_tokens > 0 and draft.output_tokens > 0:
            draft.cached_tokens = store.admit(draft.prompt_tokens, turn.hash_ids)
        turn.hash_ids = ()


def _link_turns(turns: dict[int, _Turn], options: BailianOptions, trace: Trace) -> None:
    early = 0
    for turn in turns.values():
        if turn.parent == ROOT:
            continue
        parent = turns.get(turn.parent)
        if parent is None:
            if options.orphans == "root":
                continue
            raise InputError(
                f"parent_chat_id {turn.parent} is not in the file; for a trace cut from a longer one, "
                "import with orphans=root",
                turn.draft.where,
            )
        early += turn.at < parent.at
        per_token = options.service_seconds_per_token
        took = None if per_token is None else per_token * parent.draft.output_tokens
        turn.draft.parents = [parent.draft.call_id]
        turn.draft.delay = idle_seconds(turn.at - parent.at, parent.draft, took, trace)
    if early:
        trace.note(f"{early:,} turns were recorded before the one that they follow: their delay is 0")


def _conversations(drafts: list[Draft]) -> dict[str, list[Draft]]:
    """The turns of each conversation by the chat id of its first turn, conversations in file order."""
    root_of: dict[str, str] = {}
    for draft in causal_order(drafts):
        root_of[draft.call_id] = root_of[draft.parents[0]] if draft.parents else draft.call_id
    conversations: dict[str, list[Draft]] = {}
    for draft in drafts:
        conversations.setdefault(root_of[draft.call_id], []).append(draft)
    return conversations


IMPORTER = BailianImporter()
