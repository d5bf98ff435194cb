"""Coding-agent traces of the Weka kv-cache-tester (github callanjfox/kv-cache-tester, Apache-2.0).

A file is one JSON object, a conversation (or JSON Lines of them, as the collections on Hugging Face are): ``id``,
``block_size``, ``hash_id_scope`` and ``requests``. A request has ``type`` ``"s"`` or ``"n"`` (streaming or not), ``t``
(seconds since the conversation began), ``in``, ``out``, ``hash_ids``, and maybe ``input_types``, ``api_time`` and
``think_time`` (seconds in the API, and at the client before the request). An entry of type ``"subagent"`` holds the
requests of a sub-agent, with ``t`` counted from its own or from the conversation's start: both conventions exist, and
it is the former where the first request lies before the sub-agent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.graph import Draft, build_workflow
from hexsched.workloads.importers.parts.head import Signature
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.prefix import BlockSize, PrefixStore
from hexsched.workloads.importers.parts.records import BlockTokens, Duration, Tokens
from hexsched.workloads.importers.parts.trace import Trace

_SLACK = 1e-6  # seconds by which recorded times that should be equal may differ


class WekaOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``weka`` format.

    Attributes
    ----------
    split : {"turn", "conversation"}
        What a workflow is: everything from one user message to the next, arriving when the message was sent, or the
        whole conversation, with the user's pauses as delays.
    prefix_cache : bool
        Derive ``cached_tokens`` from ``hash_ids``; False leaves them 0.
    block_tokens : int, optional
        Tokens a hash id stands for; by default what each conversation says.

    ``max_idle`` cuts the pauses of a conversation too, in which no request was under way, so that the turns after a
    long one arrive earlier.
    """

    split: Literal["turn", "conversation"] = "turn"
    prefix_cache: bool = True
    block_tokens: BlockTokens | None = None


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    t: Duration
    prompt: Tokens = msgspec.field(name="in")
    output: Tokens = msgspec.field(name="out")
    hash_ids: tuple[int | str, ...] = ()
    input_types: tuple[str, ...] = ()
    api_time: Duration | None = None
    think_time: Duration | None = None

    @property
    def end(self) -> float:
        return self.t + (self.api_time or 0.0)


class _Streaming(_Request, frozen=True, kw_only=True, tag_field="type", tag="s"):
    pass


class _Whole(_Request, frozen=True, kw_only=True, tag_field="type", tag="n"):
    pass


class _Subagent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="subagent"):
    t: Duration
    requests: tuple[_Streaming | _Whole, ...] = ()
    duration_ms: Duration | None = None


class _Conversation(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    requests: tuple[_Streaming | _Whole | _Subagent, ...]
    block_size: BlockTokens = 64
    hash_id_scope: Literal["local", "global"] = "local"


_Entry = tuple[int, _Streaming | _Whole | _Subagent]  # place in the conversation, and what stands there


@dataclass(slots=True)
class _Turn:
    """The calls of a workflow so far, and the sub-agents the main agent has not waited for yet."""

    workflow_id: str
    start: float
    drafts: list[Draft] = field(default_factory=list)
    last: tuple[str, float] | None = None  # id and recorded end of the main agent's last request
    running: list[tuple[str, float]] = field(default_factory=list)  # the same for each sub-agent


class _Sent(NamedTuple):
    """A request with its draft: what cached tokens are found from."""

    t: float
    draft: Draft
    hash_ids: tuple[int | str, ...]


SAMPLE = """\
{"id": "trace_1", "block_size": 64, "hash_id_scope": "local", "requests": [ \
    {"t": 0.0, "type": "s", "in": 133, "out": 20, "hash_ids": [1, 2], "input_types": ["text"]}, \
    {"t": 9.0, "type": "s", "in": 197, "out": 20, "hash_ids": [1, 2, 3], "input_types": ["tool_result"]}, \
    {"t": 30.0, "type": "s", "in": 261, "out": 20, "hash_ids": [1, 2, 3, 4], "input_types": ["text"]} \
]}
"""


class WekaImporter(Importer[WekaOptions]):
    """Agent loops with tool gaps and sub-agent branches.

    The main agent's requests form a chain. A sub-agent branches off after the request before it; the first later
    request of the main agent that was sent after the sub-agent had ended waits for it too. A delay is the recorded
    ``think_time``, or else the time between the end of what a request waits for (its start, if no ``api_time`` is
    recorded) and the request. A new user turn begins at a request with input type ``text`` and not ``tool_result``.
    Sub-agents still running then stay leaves of the old workflow. A streaming request that is repeated without
    streaming was sent twice, and both are kept.
    """

    name = "weka"
    summary = "Weka kv-cache-tester agent trace, JSON: one conversation with requests (t, in, out, hash_ids)"
    options_type = WekaOptions
    rank = 7
    sample = SAMPLE

    signature = Signature((("requests",), ("t",), ("in",), ("out",)), hints=("hash_ids", "block_size"), deep=True)

    def arrivals(self, trace: Trace, options: WekaOptions) -> Iterator[Arrival]:
        shared: list[tuple[int, list[_Turn], list[_Sent]]] = []  # conversations whose hashes mean the same
        for where, conversation in trace.documents(_Conversation):
            entries = _cut_idle(_by_time(conversation, trace), options.max_idle, trace)
            turns, sent = _turns(entries, conversation.id, options, where)
            block_tokens = options.block_tokens or conversation.block_size
            if options.prefix_cache:
                blocks = BlockSize(block_tokens, partial=True)
                for request in sent:
                    blocks.see(request.draft.prompt_tokens, len(request.hash_ids), request.draft.where)
                blocks.settle(trace, given=True)
                if conversation.hash_id_scope == "global":
                    shared.append((block_tokens, turns, sent))
                    if trace.limit is not None and sum(len(held) for _, held, _ in shared) >= trace.limit:
                        break
                    continue
                _credit(sent, block_tokens)
            yield from _workflows(turns, trace)
        for block_tokens in dict.fromkeys(size for size, _, _ in shared):
            _credit([request for size, _, sent in shared if size == block_tokens for request in sent], block_tokens)
        for _, turns, _ in shared:
            yield from _workflows(turns, trace)


def _workflows(turns: Sequence[_Turn], trace: Trace) -> Iterator[Arrival]:
    for turn in turns:
        arrival = build_workflow(turn.workflow_id, turn.start, turn.drafts, trace)
        if arrival is not None:
            yield arrival


def _credit(sent: Sequence[_Sent], block_tokens: int) -> None:
    """Set the cached tokens of requests, by the time at which they were sent."""
    store = PrefixStore(block_tokens)
    for request in sorted(sent, key=lambda request: request.t):
        draft = request.draft
        if draft.prompt_tokens > 0 and draft.output_tokens > 0:
            draft.cached_tokens = store.admit(draft.prompt_tokens, request.hash_ids)


def _by_time(conversation: _Conversation, trace: Trace) -> list[_Entry]:
    """The entries with their places, by time, the requests of sub-agents on the conversation's clock."""
    agents = [entry for entry in conversation.requests if isinstance(entry, _Subagent) and entry.requests]
    relative = any(min(request.t for request in agent.requests) + _SLACK < agent.t for agent in agents)
    entries: list[_Entry] = []
    for index, entry in enumerate(conversation.requests):
        if isinstance(entry, _Subagent):
            offset = entry.t if relative else 0.0
            inner = [msgspec.structs.replace(request, t=request.t + offset) for request in entry.requests]
            entry = msgspec.structs.replace(entry, requests=tuple(sorted(inner, key=lambda request: request.t)))
        entries.append((index, entry))
    ordered = sorted(entries, key=lambda item: item[1].t)
    if ordered != entries:
        trace.counted["conversations whose requests were put in the order of their times"] += 1
    return ordered


def _cut_idle(entries: list[_Entry], most: float | None, trace: Trace) -> list[_Entry]:
    """The entries without what pauses with no request under way are longer than ``most`` seconds."""
    if most is None:
        return entries
    shortened: list[_Entry] = []
    busy_until = taken_off = 0.0
    for index, entry in entries:
        idle = entry.t - busy_until - most
        if shortened and idle > 0:
            taken_off += idle
            trace.counted[f"pauses of conversations cut to {most:g} s"] += 1
        busy_until = max(busy_until, _end(entry))
        moved = msgspec.structs.replace(entry, t=entry.t - taken_off)
        if isinstance(moved, _Subagent):
            inner = tuple(msgspec.structs.replace(each, t=each.t - taken_off) for each in moved.requests)
            moved = msgspec.structs.replace(moved, requests=inner)
        shortened.append((index, moved))
    return shortened


def _end(entry: _Streaming | _Whole | _Subagent) -> float:
    """When an entry was over, seconds."""
    if not isinstance(entry, _Subagent):
        return entry.end
    if entry.duration_ms is not None:
        return entry.t + entry.duration_ms / 1000
    return max((request.end for request in entry.requests), default=entry.t)


def _turns(entries: Sequence[_Entry], name: str, options: WekaOptions, where: str) -> tuple[list[_Turn], list[_Sent]]:
    turns: list[_Turn] = []
    sent: list[_Sent] = []

    def begin(at: float) -> None:
        turns.append(_Turn(f"{name}-{len(turns)}" if options.split == "turn" else name, at))

    for index, entry in entries:
        place = f"{where}: requests[{index}]"
        if isinstance(entry, _Subagent):
            if not turns:
                begin(entry.t)
            sent += _add_subagent(turns[-1], index, entry, place)
            continue
        new_message = "text" in entry.input_types and "tool_result" not in entry.input_types
        if not turns or (options.split == "turn" and new_message):
            begin(entry.t)
        sent.append(_add_main(turns[-1], index, entry, place))
    return turns, sent


def _add_main(turn: _Turn, index: int, request: _Request, where: str) -> _Sent:
    joined = [(call_id, end) for call_id, end in turn.running if end <= request.t + _SLACK]
    turn.running = [(call_id, end) for call_id, end in turn.running if end > request.t + _SLACK]
    waits_for = ([turn.last] if turn.last else []) + joined
    draft = _draft(f"c{index}", request, waits_for, turn.start, "main", where)
    turn.drafts.append(draft)
    turn.last = (draft.call_id, request.end)
    return _Sent(request.t, draft, request.hash_ids)


def _add_subagent(turn: _Turn, index: int, agent: _Subagent, where: str) -> list[_Sent]:
    if not agent.requests:
        return []
    sent: list[_Sent] = []
    last = turn.last
    for inner, request in enumerate(agent.requests):
        place = f"{where}.requests[{inner}]"
        draft = _draft(f"c{index}.{inner}", request, [last] if last else [], turn.start, "subagent", place)
        turn.drafts.append(draft)
        sent.append(_Sent(request.t, draft, request.hash_ids))
        last = (draft.call_id, request.end)
    assert last is not None
    turn.running.append((last[0], last[1] if agent.duration_ms is None else _end(agent)))
    return sent


def _draft(
    call_id: str, request: _Request, waits_for: list[tuple[str, float]], start: float, kind: str, where: str
) -> Draft:
    if waits_for and request.think_time is not None:
        delay = request.think_time
    else:
        delay = max(0.0, request.t - max((end for _, end in waits_for), default=start))
    parents = [parent for parent, _ in waits_for]
    return Draft(call_id, where, request.prompt, request.output, parents=parents, delay=delay, kind=kind)


IMPORTER = WekaImporter()
