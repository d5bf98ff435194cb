"""Request files of LLMServingSim (github casys-kaist/LLMServingSim): single requests, and agents with tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from hexsched.errors import InputError
from hexsched.workloads.importers.parts.arrival import Arrival, single_call
from hexsched.workloads.importers.parts.graph import Draft, build_workflow
from hexsched.workloads.importers.parts.head import Signature
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.prefix import PieceStore
from hexsched.workloads.importers.parts.records import BlockTokens, Duration, Tokens
from hexsched.workloads.importers.parts.sessions import Turn, chain
from hexsched.workloads.importers.parts.times import Clock, Time
from hexsched.workloads.importers.parts.trace import Trace


class LlmServingSimOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``llmservingsim`` format.

    Attributes
    ----------
    prefix_cache : bool
        Derive ``cached_tokens`` from ``input_tok_ids``; False leaves them 0.
    block_tokens : int
        Tokens of a block of the prefix cache, of which only whole ones count.
    """

    prefix_cache: bool = True
    block_tokens: BlockTokens = 16


class _Ask(msgspec.Struct, frozen=True, kw_only=True):
    input_toks: Tokens
    output_toks: Tokens
    tool_duration_ns: Duration = 0.0
    input_tok_ids: tuple[int, ...] = ()


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    arrival_time_ns: Time = 0
    session_id: str | int | None = None
    sub_requests: tuple[_Ask, ...] | None = None
    input_toks: Tokens | None = None
    output_toks: Tokens | None = None
    input_tok_ids: tuple[int, ...] = ()


SAMPLE = """\
{"input_toks": 18, "output_toks": 61, "arrival_time_ns": 50000000}
{"session_id": "s", "arrival_time_ns": 350000000, "sub_requests": [{"input_toks": 35, "output_toks": 92, \
"tool_duration_ns": 127348767}, {"input_toks": 140, "output_toks": 9, "tool_duration_ns": 0}]}
"""


class LlmServingSimImporter(Importer[LlmServingSimOptions]):
    """A request a line, or a session of ``sub_requests`` that follow each other, ``tool_duration_ns`` after each."""

    name = "llmservingsim"
    summary = (
        "LLMServingSim requests, JSON Lines: input_toks, output_toks, arrival_time_ns, or sub_requests of a session"
    )
    options_type = LlmServingSimOptions
    rank = 13
    numbered = True  # or named after sessions, whose names are checked here
    sample = SAMPLE
    signature = Signature((("input_toks",), ("output_toks",), ("arrival_time_ns",)), deep=True)

    def arrivals(self, trace: Trace, options: LlmServingSimOptions) -> Iterator[Arrival]:
        clock = Clock("ns")
        held: list[tuple[str, list[Turn]]] = []  # from the first request with token ids on
        names: set[str] = set()
        for index, (where, line) in enumerate(trace.json_lines(_Line)):
            at = clock.seconds(line.arrival_time_ns)
            name = f"r{index}" if line.session_id is None else f"s{line.session_id}"
            if line.session_id is not None:
                if name in names:
                    raise InputError(f"duplicate session_id {line.session_id!r}", where)
                names.add(name)
            elif line.sub_requests is None and not line.input_tok_ids and not held:
                prompt, output = _lengths(line, where)
                if not trace.drop_empty(prompt, output):
                    yield Arrival(at, single_call(name, prompt, output, 0, "", where))
                continue
            turns = _turns(line, at, where)
            if held or (options.prefix_cache and any(turn.hash_ids for turn in turns)):
                held.append((name, turns))
                if len(held) == trace.limit:
                    break
            else:
                yield from _workflow(name, turns, trace)
        _credit([turn for _, turns in held for turn in turns], options.block_tokens)
        for name, turns in held:
            yield from _workflow(name, turns, trace)


def _lengths(line: _Line, where: str) -> tuple[int, int]:
    if line.input_toks is None or line.output_toks is None:
        raise InputError(f"missing field '{'input' if line.input_toks is None else 'output'}_toks'", where)
    return line.input_toks, line.output_toks


def _turns(line: _Line, at: float, where: str) -> list[Turn]:
    asks = line.sub_requests
    if asks is None:
        prompt, output = _lengths(line, where)
        asks = (_Ask(input_toks=prompt, output_toks=output, input_tok_ids=line.input_tok_ids),)
    turns: list[Turn] = []
    for place, ask in enumerate(asks):
        draft = Draft(f"c{place}", where, ask.input_toks, ask.output_toks)
        pause = asks[place - 1].tool_duration_ns / 1e9 if place else None
        at += pause or 0.0
        turns.append(Turn(draft, at, pause, hash_ids=ask.input_tok_ids))
    return turns


def _workflow(name: str, turns: Sequence[Turn], trace: Trace) -> Iterator[Arrival]:
    arrival = build_workflow(name, turns[0].at or 0.0, chain(turns, trace), trace) if turns else None
    if arrival is not None:
        yield arrival


def _credit(turns: Sequence[Turn], block_tokens: int) -> None:
    """Set the cached tokens of turns from the tokens of their prompts, by the earliest time of each."""
    store = PieceStore()
    for turn in sorted(turns, key=lambda turn: turn.at or 0.0):
        draft, ids = turn.draft, turn.hash_ids
        if draft.prompt_tokens > 0 and draft.output_tokens > 0:
            whole = len(ids) // block_tokens * block_tokens
            blocks = (tuple(ids[start : start + block_tokens]) for start in range(0, whole, block_tokens))
            most = (draft.prompt_tokens - 1) // block_tokens * block_tokens
            shared = store.admit(draft.prompt_tokens, ((block, block_tokens) for block in blocks))
            draft.cached_tokens = min(shared, most)


IMPORTER = LlmServingSimImporter()
