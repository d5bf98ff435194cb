"""Mooncake traces with sessions and dependencies, as NVIDIA Dynamo's and AIPerf's replay tools read them.

Three dialects share the fields of ``mooncake`` (``input_tokens``, ``output_tokens``, ``created_time`` and ``delay_ms``
are accepted for ``input_length``, ``output_length``, ``timestamp`` and ``delay``). Semantics as documented by
dynamo-data-gen (github ai-dynamo/dynamo, ``lib/data-gen/src/mooncake.rs``):

- *Sessions*: rows share a ``session_id`` and have no ``request_id``. Each waits for the row before it in its session,
  then ``delay`` ms, or the difference of the two timestamps where no delay is given.
- *Agentic, version 1*: rows have a ``request_id``; ``wait_for`` lists the requests that must complete, after which
  ``delay + tool_wait_ms`` ms pass. A row that waits for nothing starts at its ``timestamp``; if it has none, it follows
  its session as above.
- *Agentic, version 2*: the first line is a header with ``"schema": "dynamo.agentic_mooncake"``; rows have a ``play_id``
  (the workflow), ``not_before_ms`` and ``dependencies`` of ``request_id``, ``trigger``, ``delay_ms``.

What the model of a workflow cannot say is approximated:

- Only one delay follows the last parent, so of several delays the longest is taken.
- A call cannot wait for another's *dispatch*. It waits for what the other waits for, plus both delays: exact when the
  other is dispatched on release.
- ``not_before_ms`` holds calls back only where they wait for nothing; elsewhere the dependencies say when.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from hexsched.errors import InputError
from hexsched.workloads.importers.mooncake import BLOCK_TOKENS
from hexsched.workloads.importers.parts.graph import Draft, build_workflow, causal_order, components
from hexsched.workloads.importers.parts.head import Head
from hexsched.workloads.importers.parts.importer import Arrival, Importer, ImportOptions
from hexsched.workloads.importers.parts.prefix import PrefixStore
from hexsched.workloads.importers.parts.records import BlockTokens, Duration, Tokens, json_lines

SCHEMA = "dynamo.agentic_mooncake"


class AgenticOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``agentic-mooncake`` format.

    Attributes
    ----------
    prefix_cache : bool
        Derive ``cached_tokens`` from ``hash_ids``; False leaves them 0.
    block_tokens : int, optional
        Tokens a hash id stands for; by default what the header says, or 512 without a header.
    """

    prefix_cache: bool = True
    block_tokens: BlockTokens | None = None


class _Dependency(msgspec.Struct, frozen=True, kw_only=True):
    request_id: str
    trigger: Literal["completion", "dispatch"] = "completion"
    delay_ms: Duration = 0.0


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    schema: str | None = None
    block_size: BlockTokens | None = None
    hash_id_scope: Literal["local", "global"] = "global"
    request_id: str | None = None
    session_id: str | int | None = None
    play_id: str | None = None
    input_length: Tokens | None = None
    input_tokens: Tokens | None = None
    output_length: Tokens | None = None
    output_tokens: Tokens | None = None
    hash_ids: tuple[int | str, ...] | None = None
    timestamp: Duration | None = None
    created_time: Duration | None = None
    not_before_ms: Duration | None = None
    delay: Duration | None = None
    delay_ms: Duration | None = None
    tool_wait_ms: Duration | None = None
    wait_for: tuple[str, ...] = ()
    dependencies: tuple[_Dependency, ...] = ()
    request_kind: str | None = None


class _Edge(NamedTuple):
    request_id: str
    on_dispatch: bool
    delay: float


@dataclass(slots=True)
class _Request:
    """A row with its aliases resolved; times in seconds."""

    draft: Draft
    session: str | None
    play: str | None
    hash_ids: tuple[int | str, ...]
    at: float | None
    pause: float | None
    edges: list[_Edge] = field(default_factory=list)


SAMPLE = """\
{"request_id": "a", "input_length": 1100, "output_length": 10, "hash_ids": [1, 2, 3], "session_id": "s", \
"timestamp": 100.0}
{"request_id": "b", "input_length": 1100, "output_length": 10, "hash_ids": [1, 2, 3], "session_id": "s", \
"wait_for": ["a"], "delay": 500.0, "tool_wait_ms": 250.0}
{"request_id": "z", "input_length": 1100, "output_length": 10, "hash_ids": [1, 2, 3], "session_id": "t", \
"timestamp": 400.0}
"""


class AgenticMooncakeImporter(Importer[AgenticOptions]):
    """Sessions and dependency graphs of Mooncake rows.

    A workflow is a play (version 2), or else whatever dependencies tie together; it is named after its play, session or
    first request. Cached tokens are found workflow by workflow in order of arrival, each in causal order.
    """

    name = "agentic-mooncake"
    summary = "Mooncake rows with session_id, request_id, wait_for or dependencies (NVIDIA Dynamo), JSON Lines"
    options_type = AgenticOptions
    rank = 5
    sample = SAMPLE

    def sniff(self, head: Head) -> bool:
        keys = head.json_keys
        if SCHEMA in head.first_line:
            return True
        lengths = {"input_length", "input_tokens"} & keys and {"output_length", "output_tokens"} & keys
        return bool(lengths and {"session_id", "request_id", "wait_for"} & keys)

    def arrivals(self, path: Path, options: AgenticOptions, dropped: Counter[str]) -> Iterator[Arrival]:
        header, requests = _read(path)
        for request in requests.values():
            request.draft.parents = [edge.request_id for edge in request.edges]
        ordered = causal_order([request.draft for request in requests.values()])
        _resolve_triggers(requests, ordered)
        _check_roots(requests)
        groups = _groups(requests)
        starts = [_start(requests[call_id] for call_id in group) for group in groups]
        if options.prefix_cache:
            rank = {draft.call_id: place for place, draft in enumerate(ordered)}
            by_start = [group for _, group in sorted(zip(starts, groups, strict=True), key=lambda pair: pair[0])]
            block_tokens = options.block_tokens or header.block_size or BLOCK_TOKENS
            _find_cached(requests, by_start, rank, block_tokens, header.hash_id_scope == "local")
        used: set[str] = set()
        for start, group in zip(starts, groups, strict=True):
            members = [requests[call_id] for call_id in group]
            for request in members:
                if not request.draft.parents:
                    request.draft.delay += (request.at or 0.0) - start
            timed = build_workflow(_name(members, used), start, [request.draft for request in members], dropped)
            if timed is not None:
                yield timed


def _read(path: Path) -> tuple[_Row, dict[str, _Request]]:
    header = _Row()
    requests: dict[str, _Request] = {}
    last_of_session: dict[str, _Request] = {}
    for number, (where, row) in enumerate(json_lines(path, _Row)):
        if row.schema is not None:
            if number > 0 or row.schema != SCHEMA:
                raise InputError(f"schema: expected {SCHEMA!r}, and only in the first line", where)
            header = row
            continue
        request = _request(row, f"row{number}", where)
        first = requests.setdefault(request.draft.call_id, request)
        if first is not request:
            raise InputError(
                f"duplicate request_id {request.draft.call_id!r}, first used at {first.draft.where}", where
            )
        _add_edges(request, row, last_of_session.get(request.session) if request.session else None)
        if request.session:
            last_of_session[request.session] = request
    return header, requests


def _request(row: _Row, default_id: str, where: str) -> _Request:
    prompt = row.input_length if row.input_length is not None else row.input_tokens
    output = row.output_length if row.output_length is not None else row.output_tokens
    if prompt is None or output is None:
        raise InputError(f"missing field '{'input_length' if prompt is None else 'output_length'}'", where)
    times = (row.timestamp, row.created_time, row.not_before_ms)
    pauses = [pause for pause in (row.delay, row.delay_ms, row.tool_wait_ms) if pause is not None]
    return _Request(
        draft=Draft(
            call_id=row.request_id or default_id,
            where=where,
            prompt_tokens=prompt,
            output_tokens=output,
            kind=row.request_kind or "",
        ),
        session=None if row.session_id is None else str(row.session_id),
        play=row.play_id,
        hash_ids=row.hash_ids or (),
        at=next((time / 1000 for time in times if time is not None), None),
        pause=sum(pauses) / 1000 if pauses else None,
    )


def _add_edges(request: _Request, row: _Row, before: _Request | None) -> None:
    for dependency in row.dependencies:
        request.edges.append(_Edge(dependency.request_id, dependency.trigger == "dispatch", dependency.delay_ms / 1000))
    for request_id in row.wait_for:
        request.edges.append(_Edge(request_id, False, request.pause or 0.0))
    is_root = row.request_id is not None and request.at is not None
    if before is not None and not request.edges and not is_root:
        pause = request.pause
        if pause is None:
            pause = max(0.0, request.at - before.at) if request.at is not None and before.at is not None else 0.0
        request.edges.append(_Edge(before.draft.call_id, False, pause))


def _resolve_triggers(requests: dict[str, _Request], ordered: list[Draft]) -> None:
    """Set parents and delays from the edges, a dispatch edge becoming the edges of the request it names."""
    for draft in ordered:
        parents: list[str] = []
        delay = 0.0
        for edge in requests[draft.call_id].edges:
            if not edge.on_dispatch:
                parents.append(edge.request_id)
                delay = max(delay, edge.delay)
                continue
            other = requests[edge.request_id]
            parents += other.draft.parents
            delay = max(delay, other.draft.delay + edge.delay)
            if not other.draft.parents:
                requests[draft.call_id].at = other.at
        draft.parents = parents
        draft.delay = delay


def _check_roots(requests: dict[str, _Request]) -> None:
    for request in requests.values():
        if not request.draft.parents and request.at is None:
            raise InputError("missing field 'timestamp': the request waits for nothing", request.draft.where)


def _groups(requests: dict[str, _Request]) -> list[list[str]]:
    links = [(request.draft.call_id, edge.request_id) for request in requests.values() for edge in request.edges]
    first_of_play: dict[str, str] = {}
    for request in requests.values():
        if request.play is not None:
            links.append((request.draft.call_id, first_of_play.setdefault(request.play, request.draft.call_id)))
    return components(requests, links)


def _start(members: Iterator[_Request]) -> float:
    return min(request.at for request in members if not request.draft.parents and request.at is not None)


def _find_cached(
    requests: dict[str, _Request], groups: list[list[str]], rank: dict[str, int], block_tokens: int, local: bool
) -> None:
    store = PrefixStore(block_tokens)
    for group in groups:
        store = PrefixStore(block_tokens) if local else store
        for call_id in sorted(group, key=rank.__getitem__):
            draft = requests[call_id].draft
            if draft.prompt_tokens > 0 and draft.output_tokens > 0:
                draft.cached_tokens = store.admit(draft.prompt_tokens, requests[call_id].hash_ids)


def _name(members: list[_Request], used: set[str]) -> str:
    first = members[0]
    for name in (first.play, first.session):
        if name and name not in used:
            used.add(name)
            return name
    used.add(first.draft.call_id)
    return first.draft.call_id


IMPORTER = AgenticMooncakeImporter()
