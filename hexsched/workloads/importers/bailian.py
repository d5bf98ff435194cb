"""Qwen-Bailian traces (github alibaba-edu/qwen-bailian-usagetraces-anon, Apache-2.0)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from hexsched.errors import InputError
from hexsched.model.cluster import check_number
from hexsched.workloads.importers.parts.graph import Draft, build_workflow, causal_order
from hexsched.workloads.importers.parts.head import Head
from hexsched.workloads.importers.parts.importer import Arrival, Importer, ImportOptions, is_empty, single_call
from hexsched.workloads.importers.parts.prefix import PrefixStore
from hexsched.workloads.importers.parts.records import BlockTokens, Duration, Tokens, json_lines

ROOT = -1


class BailianOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``qwen-bailian`` format.

    Attributes
    ----------
    conversations : bool
        Make one workflow of the turns of a conversation; False keeps every request apart, at its recorded time.
    service_seconds_per_token : float
        Estimate of what the recorded system took per output token. Taken off the gap between two turns to get the
        think time; 0 (the default) leaves the whole gap, the only upper bound that the trace itself gives.
    orphans : {"error", "root"}
        A turn whose parent is not in the file is an error, or (for a trace cut from a longer one) a new conversation.
    prefix_cache : bool
        Derive ``cached_tokens`` from ``hash_ids``; False leaves them 0.
    block_tokens : int
        Tokens a hash id stands for.
    """

    conversations: bool = True
    service_seconds_per_token: float = 0.0
    orphans: Literal["error", "root"] = "error"
    prefix_cache: bool = True
    block_tokens: BlockTokens = 16

    def __post_init__(self) -> None:
        check_number("service_seconds_per_token", self.service_seconds_per_token)


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    chat_id: int
    parent_chat_id: int
    timestamp: Duration
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
    less an estimate of the parent's service time (``service_seconds_per_token``), never below 0.
    """

    name = "qwen-bailian"
    summary = "Qwen-Bailian trace, JSON Lines: chat_id, parent_chat_id, timestamp (s), lengths, 16-token hash_ids"
    options_type = BailianOptions
    rank = 4
    sample = SAMPLE

    def sniff(self, head: Head) -> bool:
        return {"chat_id", "parent_chat_id", "input_length"} <= head.json_keys

    def arrivals(self, path: Path, options: BailianOptions, dropped: Counter[str]) -> Iterator[Arrival]:
        store = PrefixStore(options.block_tokens)
        rows: dict[int, _Row] = {}
        drafts: dict[int, Draft] = {}
        for where, row in json_lines(path, _Row):
            if row.chat_id in rows:
                raise InputError(f"duplicate chat_id {row.chat_id}", where)
            has_tokens = row.input_length > 0 and row.output_length > 0
            cached = store.admit(row.input_length, row.hash_ids) if options.prefix_cache and has_tokens else 0
            if not options.conversations:
                if not is_empty(row.input_length, row.output_length, dropped):
                    workflow = single_call(
                        str(row.chat_id), row.input_length, row.output_length, cached, row.type, where
                    )
                    yield Arrival(row.timestamp, workflow)
                continue
            rows[row.chat_id] = msgspec.structs.replace(row, hash_ids=())
            drafts[row.chat_id] = Draft(
                call_id=str(row.chat_id),
                where=where,
                prompt_tokens=row.input_length,
                output_tokens=row.output_length,
                cached_tokens=cached,
                kind=row.type,
            )
        _link_turns(rows, drafts, options)
        for root, members in _conversations(drafts).items():
            timed = build_workflow(root, rows[int(root)].timestamp, members, dropped)
            if timed is not None:
                yield timed


def _link_turns(rows: dict[int, _Row], drafts: dict[int, Draft], options: BailianOptions) -> None:
    for chat_id, row in rows.items():
        if row.parent_chat_id == ROOT:
            continue
        parent = rows.get(row.parent_chat_id)
        if parent is None:
            if options.orphans == "root":
                continue
            raise InputError(
                f"parent_chat_id {row.parent_chat_id} is not in the file; for a trace cut from a longer one, "
                "import with orphans=root",
                drafts[chat_id].where,
            )
        service = options.service_seconds_per_token * parent.output_length
        drafts[chat_id].parents = [str(parent.chat_id)]
        drafts[chat_id].delay = max(0.0, row.timestamp - parent.timestamp - service)


def _conversations(drafts: dict[int, Draft]) -> dict[str, list[Draft]]:
    """The turns of each conversation by the chat id of its first turn, conversations in file order."""
    root_of: dict[str, str] = {}
    for draft in causal_order(list(drafts.values())):
        root_of[draft.call_id] = root_of[draft.parents[0]] if draft.parents else draft.call_id
    conversations: dict[str, list[Draft]] = {}
    for draft in drafts.values():
        conversations.setdefault(root_of[draft.call_id], []).append(draft)
    return conversations


IMPORTER = BailianImporter()
