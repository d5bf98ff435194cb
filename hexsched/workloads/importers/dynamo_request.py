"""Request traces of NVIDIA Dynamo (``dynamo.request.trace.v1``), as its frontend writes them.

JSON Lines, usually in packed shards (a folder): ``request_end`` records with ``request`` (``request_id``,
``request_received_ms``, ``total_time_ms``, ``output_tokens``, ``replay``) and maybe ``agent_context``; ``tool_end`` and
other records of a harness; ``request_payload`` records, which are passed over. A record may be wrapped in another's
``event``. What waits for what follows Dynamo's own lowering (github ai-dynamo/dynamo,
``lib/data-gen/src/request_trace``).
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from hexsched.errors import InputError
from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.graph import Draft, build_workflow, components
from hexsched.workloads.importers.parts.head import Head, Signature
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.prefix import BlockSize, PrefixStore
from hexsched.workloads.importers.parts.records import BlockTokens, Duration, Tokens
from hexsched.workloads.importers.parts.sessions import stopped
from hexsched.workloads.importers.parts.times import Clock
from hexsched.workloads.importers.parts.trace import Trace

SCHEMA = "dynamo.request.trace.v1"
FAMILY = "dynamo.request.trace"
PASSED_OVER = frozenset({"request_payload", "tool_start"})
TOOLS = frozenset({"tool_end", "tool_error"})


class DynamoRequestOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``dynamo-request`` format.

    Attributes
    ----------
    prefix_cache : bool
        Derive ``cached_tokens`` from ``input_sequence_hashes``; False leaves them 0.
    """

    prefix_cache: bool = True


class _Replay(msgspec.Struct, frozen=True):
    trace_block_size: BlockTokens
    input_length: Tokens
    input_sequence_hashes: tuple[int | str, ...] = ()


class _Measured(msgspec.Struct, frozen=True):
    request_id: str
    output_tokens: Tokens | None = None
    input_tokens: Tokens | None = None
    request_received_ms: Duration | None = None
    total_time_ms: Duration | None = None
    replay: _Replay | None = None


class _Context(msgspec.Struct, frozen=True):
    session_id: str
    parent_session_id: str | None = None


class _Claude(msgspec.Struct, frozen=True):
    source_request_id: str
    consumer_request_id: str | None = None
    child_session_id: str | None = None
    execution_mode: str = "blocking"


class _Tool(msgspec.Struct, frozen=True):
    claude: _Claude | None = None


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    schema: str = ""
    event_type: str = ""
    event_time_unix_ms: Duration | None = None
    agent_context: _Context | None = None
    request: _Measured | None = None
    tool: _Tool | None = None


class _Line(_Record, frozen=True, kw_only=True):
    event: _Record | None = None


@dataclass(slots=True)
class _Request:
    """A request that ended; times in seconds."""

    draft: Draft
    sent: float
    end: float
    session: str
    parent_session: str | None
    block_tokens: int
    hashes: tuple[int | str, ...]


SAMPLE = """\
{"schema": "dynamo.request.trace.v1", "event_type": "request_end", "event_time_unix_ms": 1790000001000, "request": \
{"request_id": "d1", "request_received_ms": 1790000000000, "total_time_ms": 1000, "output_tokens": 16, "replay": \
{"trace_block_size": 64, "input_length": 192, "input_sequence_hashes": [7001, 7002, 7003]}}}
{"schema": "dynamo.request.trace.v1", "event_type": "request_end", "event_time_unix_ms": 1790000001400, "request": \
{"request_id": "d2", "request_received_ms": 1790000000400, "total_time_ms": 1000, "output_tokens": 9, "replay": \
{"trace_block_size": 64, "input_length": 256, "input_sequence_hashes": [7001, 7002, 7009, 7010]}}}
"""


class DynamoRequestImporter(Importer[DynamoRequestOptions]):
    """A request a record; with ``agent_context`` those of a session and of its sub-agents are one workflow.

    Requests of a session follow each other by when they were sent. The first of a child session waits for the request
    of its parent that was sent last before it, and the parent's first request after the child's end waits for the
    child's last; where a ``tool_end`` record names them (``claude``), for those instead. A delay is the time from the
    end of the last request that is waited for to when the request was sent: the wait for tools, as recorded. A request
    without context is a workflow by itself.
    """

    name = "dynamo-request"
    summary = "NVIDIA Dynamo request trace (dynamo.request.trace.v1), JSON Lines, one file or shards in a folder"
    options_type = DynamoRequestOptions
    rank = 6
    sample = SAMPLE
    signature = Signature((("schema",), ("event_type",), ("request_id",)), hints=("agent_context",), deep=True)

    def sniff(self, head: Head) -> bool:
        return any(schema.startswith(FAMILY) for schema in head.schemas)

    def arrivals(self, trace: Trace, options: DynamoRequestOptions) -> Iterator[Arrival]:
        requests, links = _read(trace)
        _wait(requests, links)
        if options.prefix_cache:
            _credit(requests.values(), trace)
        tied = [(request.draft.call_id, parent) for request in requests.values() for parent in request.draft.parents]
        used: set[str] = set()
        for members in components(requests, tied):
            first = requests[members[0]]
            name = first.session if first.session not in used else first.draft.call_id
            used.add(name)
            arrival = build_workflow(name, first.sent, [requests[each].draft for each in members], trace)
            if arrival is not None:
                yield arrival


def _read(trace: Trace) -> tuple[dict[str, _Request], list[tuple[_Claude, str]]]:
    """The requests by id, in the order in which they were sent, and what tools say of sessions, with its place."""
    clock = Clock("ms")
    requests: dict[str, _Request] = {}
    links: list[tuple[_Claude, str]] = []
    begun: set[str] = set()
    for where, line in trace.json_lines(_Line):
        record: _Record = line if line.event is None else line.event
        if record.schema != SCHEMA:
            raise InputError(f"schema {record.schema!r} is not known; known is {SCHEMA!r}", where)
        if record.event_type in PASSED_OVER:
            continue
        if record.event_type in TOOLS:
            if record.tool is not None and record.tool.claude is not None:
                links.append((record.tool.claude, where))
            continue
        if record.event_type != "request_end" or record.request is None:
            raise InputError(
                f"event_type {record.event_type!r} is not known, or has no request; known are request_end, "
                f"{', '.join(sorted(PASSED_OVER | TOOLS))}",
                where,
            )
        request = _request(record, record.request, clock, where)
        if request.draft.call_id in requests:
            first = requests[request.draft.call_id].draft.where
            raise InputError(f"duplicate request_id {request.draft.call_id!r}, first used at {first}", where)
        if request.parent_session is None and request.session not in begun:
            if len(begun) == trace.limit:
                stopped(where, trace, sessions=True)
                break
            begun.add(request.session)
        requests[request.draft.call_id] = request
    ordered = sorted(requests.values(), key=lambda each: (each.sent, each.end, each.draft.call_id))
    return {request.draft.call_id: request for request in ordered}, links


def _request(record: _Record, measured: _Measured, clock: Clock, where: str) -> _Request:
    replay = measured.replay
    prompt = measured.input_tokens if replay is None else replay.input_length
    for name, value in (("replay.input_length", prompt), ("output_tokens", measured.output_tokens)):
        if value is None:
            raise InputError(f"missing field 'request.{name}'", where)
    received, ended, taken = measured.request_received_ms, record.event_time_unix_ms, measured.total_time_ms
    if received is None and ended is not None:
        received = ended - (taken or 0.0)
    if received is None:
        raise InputError("missing field 'request.request_received_ms'", where)
    end = received + taken if taken is not None else received if ended is None else max(ended, received)
    context = record.agent_context
    parent = None if context is None else context.parent_session_id
    return _Request(
        draft=Draft(
            measured.request_id, where, prompt or 0, measured.output_tokens or 0, kind="agent" if parent else ""
        ),
        sent=clock.seconds(received),
        end=clock.seconds(end),
        session=measured.request_id if context is None else context.session_id,
        parent_session=parent,
        block_tokens=1 if replay is None else replay.trace_block_size,
        hashes=() if replay is None else replay.input_sequence_hashes,
    )


def _wait(requests: dict[str, _Request], links: Sequence[tuple[_Claude, str]]) -> None:
    """Set parents and delays."""
    sessions: dict[str, list[_Request]] = {}
    for request in requests.values():
        sessions.setdefault(request.session, []).append(request)
    for members in sessions.values():
        for before, request in itertools.pairwise(members):
            request.draft.parents = [before.draft.call_id]
    explicit: dict[str, _Claude] = {}
    for link, where in links:
        for request_id in (link.source_request_id, link.consumer_request_id):
            if request_id is not None and request_id not in requests:
                raise InputError(f"the tool names an unknown request {request_id!r}", where)
        if link.child_session_id is not None:
            explicit[link.child_session_id] = link
    for name, child in sessions.items():
        parents = sessions.get(child[0].parent_session or "", [])  # in the order in which they were sent
        if not parents or child[0].parent_session == name:
            continue
        last = max(child, key=lambda request: (request.end, request.sent, request.draft.call_id))
        link_of = explicit.get(name)
        if link_of is not None:
            source: _Request | None = requests[link_of.source_request_id]
            join = None if link_of.consumer_request_id is None else requests[link_of.consumer_request_id]
        else:
            sent_before = bisect_right(parents, child[0].sent, key=lambda parent: parent.sent)
            sent_after = bisect_left(parents, last.end, key=lambda parent: parent.sent)
            source = parents[sent_before - 1] if sent_before else None
            join = parents[sent_after] if sent_after < len(parents) else None
        if source is not None:
            child[0].draft.parents.append(source.draft.call_id)
        if join is not None and join.sent >= last.sent:
            join.draft.parents.append(last.draft.call_id)
    for request in requests.values():
        draft = request.draft
        draft.parents = list(dict.fromkeys(draft.parents))
        if draft.parents:
            draft.delay = max(0.0, request.sent - max(requests[parent].end for parent in draft.parents))
    starts = {request.draft.call_id: request.sent for request in requests.values()}
    tied = [(request.draft.call_id, parent) for request in requests.values() for parent in request.draft.parents]
    for members_of in components(requests, tied):
        start = min(starts[each] for each in members_of)
        for each in members_of:
            if not requests[each].draft.parents:
                requests[each].draft.delay = starts[each] - start


def _credit(requests: Iterable[_Request], trace: Trace) -> None:
    """Set the cached tokens of requests, which are in the order in which they were sent."""
    stores: dict[int, PrefixStore] = {}
    for request in requests:
        blocks = BlockSize(request.block_tokens)
        blocks.see(request.draft.prompt_tokens, len(request.hashes), request.draft.where)
        blocks.settle(trace, given=True)
        if request.draft.prompt_tokens > 0 and request.draft.output_tokens > 0:
            store = stores.setdefault(request.block_tokens, PrefixStore(request.block_tokens))
            request.draft.cached_tokens = store.admit(request.draft.prompt_tokens, request.hashes)


IMPORTER = DynamoRequestImporter()
