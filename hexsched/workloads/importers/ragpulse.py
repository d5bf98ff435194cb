"""RAGPulse traces (github flashserve/RAGPulse), requests of a retrieval-augmented question answering service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from hexsched.errors import InputError
from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.graph import Draft, build_workflow
from hexsched.workloads.importers.parts.head import Signature, read_head
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.prefix import PieceStore
from hexsched.workloads.importers.parts.records import Tokens
from hexsched.workloads.importers.parts.sessions import Turn, chain, group, in_order
from hexsched.workloads.importers.parts.times import Clock, Unit, time_number
from hexsched.workloads.importers.parts.trace import Trace

PARTS = ("sys_prompt", "passages_ids", "history", "web_search", "user_input")  # in the order of the prompt


class RagPulseOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``ragpulse`` format.

    Attributes
    ----------
    time_unit : {"s", "ms", "us", "ns"}
        Of ``timestamp``.
    sessions : bool
        Make one workflow of the requests of a session; False keeps every request apart.
    prefix_cache : bool
        Derive ``cached_tokens`` from ``hash_ids``, where the lengths of what they stand for are there (see the
        importer); False leaves them 0.
    """

    time_unit: Unit = "s"
    sessions: bool = True
    prefix_cache: bool = True


class _Parts(msgspec.Struct, frozen=True):
    sys_prompt: tuple[int, ...] = ()
    passages_ids: tuple[int, ...] = ()
    history: tuple[int, ...] = ()
    web_search: tuple[int, ...] = ()
    user_input: tuple[int, ...] = ()


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    timestamp: str | int | float
    input_length: Tokens
    output_length: Tokens
    hash_ids: _Parts = _Parts()
    session_id: str | int | None = None


SAMPLE = """\
{"timestamp": "12", "input_length": 800, "output_length": 40, "hash_ids": {"sys_prompt": [1, 2], "passages_ids": [7], \
"history": [3], "web_search": [], "user_input": [4]}, "session_id": "s-1"}
{"timestamp": "92", "input_length": 900, "output_length": 30, "hash_ids": {"sys_prompt": [1, 2], "passages_ids": [9], \
"history": [3], "web_search": [], "user_input": [5]}, "session_id": "s-2"}
"""


class RagPulseImporter(Importer[RagPulseOptions]):
    """A request a line, tied to others by ``session_id``; ``timestamp`` is text, in seconds.

    ``hash_ids`` name the pieces of a prompt: system prompt, passages, history, web search, question, in this order. How
    long a piece is stands in other files of the release (``1_sys_prompt.jsonl`` to ``5_web_search.jsonl``). Where the
    trace is the folder that has them, the leading pieces that an earlier prompt began with too are cached tokens.
    """

    name = "ragpulse"
    summary = "RAGPulse trace, JSON Lines: timestamp (s, text), lengths, hash_ids of pieces, session_id; or its folder"
    options_type = RagPulseOptions
    rank = 9
    sample = SAMPLE
    signature = Signature(
        (("input_length",), ("output_length",), ("passages_ids", "user_input", "sys_prompt")), deep=True
    )

    def arrivals(self, trace: Trace, options: RagPulseOptions) -> Iterator[Arrival]:
        requests, lengths = _files(trace, options.prefix_cache)
        clock = Clock(options.time_unit)

        def turns() -> Iterator[tuple[str | None, Turn]]:
            for index, (where, row) in enumerate(requests.json_lines(_Row)):
                at = clock.seconds(time_number(str(row.timestamp), "timestamp", where))
                pieces = tuple((part, each) for part in PARTS for each in getattr(row.hash_ids, part))
                draft = Draft(f"r{index}", where, row.input_length, row.output_length)
                name = None if row.session_id is None or not options.sessions else str(row.session_id)
                yield name, Turn(draft, at, hash_ids=pieces if lengths else ())  # type: ignore[arg-type]

        found = group(turns(), trace)
        if lengths:
            _credit([turn for _, members in found for turn in members], lengths)
        elif options.prefix_cache:
            trace.note("no prompt has cached tokens: how long the pieces are stands in the other files of the folder")
        for name, members in found:
            ordered = in_order(members, trace)
            arrival = build_workflow(
                name or members[0].draft.call_id, ordered[0].at or 0.0, chain(ordered, trace), trace
            )
            if arrival is not None:
                yield arrival
        trace.dropped.update(requests.dropped)


def _files(trace: Trace, wanted: bool) -> tuple[Trace, dict[tuple[str, int], int]]:
    """The part of a trace that holds requests, and tokens by piece as far as other files of its folder say."""
    requests: list[Path] = []
    lengths: dict[tuple[str, int], int] = {}
    for path in trace.files:
        keys = read_head(path).keys
        part = next((part for part in PARTS if f"{part.removesuffix('s_ids')}_id" in keys), None)
        if part is None or "token_length" not in keys:
            requests.append(path)
        elif wanted:
            only = replace(trace, files=(path,))
            for where, record in only.json_lines(dict[str, Any]):
                piece, tokens = record.get(f"{part.removesuffix('s_ids')}_id"), record.get("token_length")
                if not isinstance(piece, int) or not isinstance(tokens, int) or tokens < 0:
                    raise InputError("expected the id of a piece and its token_length, whole numbers", where)
                lengths[part, piece] = tokens
    return replace(trace, files=tuple(requests)), lengths


def _credit(turns: Sequence[Turn], lengths: dict[tuple[str, int], int]) -> None:
    """Set the cached tokens of turns: those of the longest beginning that an earlier prompt shares, by time."""
    store = PieceStore()
    for turn in sorted(turns, key=lambda turn: turn.at or 0.0):
        draft = turn.draft
        if draft.prompt_tokens > 0 and draft.output_tokens > 0:
            pieces = ((piece, lengths.get(piece)) for piece in turn.hash_ids)  # type: ignore[call-overload]
            draft.cached_tokens = store.admit(draft.prompt_tokens, pieces)


IMPORTER = RagPulseImporter()
