"""Coding-agent traces of the Weka kv-cache-tester (github callanjfox/kv-cache-tester, Apache-2.0).

A file is one JSON object, a conversation (or JSON Lines of them, as the collections on Hugging Face are): ``id``,
``block_size``, ``hash_id_scope`` and ``requests``. A request has ``type`` ``"s"`` or ``"n"`` (streaming or not), ``t``
(seconds since the conversation began), ``in``, ``out``, ``hash_ids``, and maybe ``input_types``, ``api_time`` and
``think_time`` (seconds in the API, and at the client before the request). An entry of type ``"subagent"`` holds the
requests of a sub-agent, with ``t`` counted from its own or from the conversation's start: both conventions exist, and
it is the former where the first request lies before the sub-agent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from hexsched.errors import InputError
from hexsched.model.files import decode_json, read_bytes
from hexsched.workloads.importers.parts.graph import Draft, build_workflow
from hexsched.workloads.importers.parts.head import Head
from hexsched.workloads.importers.parts.importer import Arrival, Importer, ImportOptions
from hexsched.workloads.importers.parts.prefix import PrefixStore
from hexsched.workloads.importers.parts.records import BYTE_ORDER_MARK, BlockTokens, Duration, Tokens, json_lines

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
    """

    split: Literal["turn", "conversation"] = "turn"
    prefix_cache: bool = True


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


@dataclass(slots=True)
class _Turn:
    """The calls of a workflow so far, and the sub-agents the main agent has not waited for yet."""

    start: float
    drafts: list[Draft] = field(default_factory=list)
    last: tuple[str, float] | None = None  # id and recorded end of the main agent's last request
    running: list[tuple[str, float]] = field(default_factory=list)  # the same for each sub-agent


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

    def sniff(self, head: Head) -> bool:
        return head.text.startswith("{") and all(f'"{key}"' in head.text for key in ("requests", "t", "in", "out"))

    def arrivals(self, path: Path, options: WekaOptions, dropped: Counter[str]) -> Iterator[Arrival]:
        shared: PrefixStore | None = None
        for where, conversation in _conversations(path):
            store = (
                shared if shared and conversation.hash_id_scope == "global" else PrefixStore(conversation.block_size)
            )
            if conversation.hash_id_scope == "global":
                shared = store
            turns = _turns(conversation, options, store if options.prefix_cache else None, where)
            for index, turn in enumerate(turns):
                workflow_id = f"{conversation.id}-{index}" if options.split == "turn" else conversation.id
                timed = build_workflow(workflow_id, turn.start, turn.drafts, dropped)
                if timed is not None:
                    yield timed


def _conversations(path: Path) -> Iterator[tuple[str, _Conversation]]:
    if _is_json_lines(path):
        yield from json_lines(path, _Conversation)
    else:
        data = read_bytes(path).removeprefix(BYTE_ORDER_MARK)
        yield str(path), decode_json(data, _Conversation, str(path))


def _is_json_lines(path: Path) -> bool:
    """Whether a first line that ends an object is followed by more; one object may be too long for a line."""
    try:
        with open(path, "rb") as file:
            return file.readline().rstrip().endswith(b"}") and any(line.strip() for line in file)
    except OSError as error:
        raise InputError(f"cannot read the file: {error.strerror or error}", path) from None


def _turns(conversation: _Conversation, options: WekaOptions, store: PrefixStore | None, where: str) -> list[_Turn]:
    turns: list[_Turn] = []
    for index, entry in enumerate(conversation.requests):
        place = f"{where}: requests[{index}]"
        if isinstance(entry, _Subagent):
            if not turns:
                turns.append(_Turn(start=entry.t))
            _add_subagent(turns[-1], index, entry, store, place)
            continue
        new_message = "text" in entry.input_types and "tool_result" not in entry.input_types
        if not turns or (options.split == "turn" and new_message):
            turns.append(_Turn(start=entry.t))
        _add_main(turns[-1], index, entry, store, place)
    return turns


def _add_main(turn: _Turn, index: int, request: _Request, store: PrefixStore | None, where: str) -> None:
    joined = [(call_id, end) for call_id, end in turn.running if end <= request.t + _SLACK]
    turn.running = [(call_id, end) for call_id, end in turn.running if end > request.t + _SLACK]
    waits_for = ([turn.last] if turn.last else []) + joined
    draft = _draft(f"c{index}", request, waits_for, turn.start, store, "main", where)
    turn.drafts.append(draft)
    turn.last = (draft.call_id, request.end)


def _add_subagent(turn: _Turn, index: int, agent: _Subagent, store: PrefixStore | None, where: str) -> None:
    if not agent.requests:
        return
    offset = agent.t if min(request.t for request in agent.requests) + _SLACK < agent.t else 0.0
    last = turn.last
    for inner, recorded in enumerate(agent.requests):
        request = msgspec.structs.replace(recorded, t=recorded.t + offset)
        place = f"{where}.requests[{inner}]"
        draft = _draft(f"c{index}.{inner}", request, [last] if last else [], turn.start, store, "subagent", place)
        turn.drafts.append(draft)
        last = (draft.call_id, request.end)
    assert last is not None
    end = agent.t + agent.duration_ms / 1000 if agent.duration_ms is not None else last[1]
    turn.running.append((last[0], end))


def _draft(
    call_id: str,
    request: _Request,
    waits_for: list[tuple[str, float]],
    start: float,
    store: PrefixStore | None,
    kind: str,
    where: str,
) -> Draft:
    if waits_for and request.think_time is not None:
        delay = request.think_time
    else:
        delay = max(0.0, request.t - max((end for _, end in waits_for), default=start))
    has_tokens = request.prompt > 0 and request.output > 0
    return Draft(
        call_id=call_id,
        where=where,
        prompt_tokens=request.prompt,
        output_tokens=request.output,
        cached_tokens=store.admit(request.prompt, request.hash_ids) if store and has_tokens else 0,
        parents=[parent for parent, _ in waits_for],
        delay=delay,
        kind=kind,
    )


IMPORTER = WekaImporter()
