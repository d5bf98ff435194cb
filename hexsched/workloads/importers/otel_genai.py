"""Spans of LLM calls in the terms of OpenTelemetry's GenAI conventions, and the records of platforms that collect them.

Read are OTLP/JSON as collectors write it (``resourceSpans``), spans as objects (``trace_id``, ``span_id``,
``start_time``, ``attributes``; OpenTelemetry's console exporter puts the ids in ``context``), rows with ``spans`` (a
trace or a session a row, as the Exgentic data sets have them), observations of Langfuse (``traceId``,
``usageDetails``) and runs of LangSmith (``run_type``, ``prompt_tokens``): a record a line, in an array, or in the
``data``, ``runs`` or ``observations`` of an answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple

from hexsched.errors import InputError
from hexsched.model.workload import MAX_TOKENS
from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.graph import Draft, build_workflow
from hexsched.workloads.importers.parts.head import Head, Signature
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.records import plain, shown
from hexsched.workloads.importers.parts.sessions import stopped
from hexsched.workloads.importers.parts.times import Clock, nanoseconds
from hexsched.workloads.importers.parts.trace import Trace

# Attributes that hold tokens, those of the GenAI conventions first, then older ones, OpenLLMetry's and OpenInference's.
PROMPT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
)
OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
)
CACHED = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "llm.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)
SESSION = ("gen_ai.conversation.id", "session.id", "langfuse.session.id")
OPERATION = "gen_ai.operation.name"
NO_CALLS = frozenset({"invoke_agent", "create_agent", "execute_tool", "invoke_workflow", "embeddings"})
SLACK_NS = 1_000_000  # recorded times that should be equal may differ by so much: many are kept in whole milliseconds
OTLP_LEVELS = ("resourceSpans", "scopeSpans", "instrumentationLibrarySpans")
HOLDERS = ("data", "runs", "observations")


class OtelOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``otel-genai`` format.

    Attributes
    ----------
    workflows : {"trace", "session"}
        What a workflow is: a trace, or all traces of a session (``gen_ai.conversation.id``, ``session.id``), where they
        have one.
    prefix_cache : bool
        Take the recorded cache reads as ``cached_tokens``; False leaves them 0.
    """

    workflows: Literal["trace", "session"] = "trace"
    prefix_cache: bool = True


@dataclass(slots=True)
class _Span:
    """A span; times in nanoseconds since 1970, tokens None where it has none."""

    span_id: str
    parent_id: str
    name: str
    start: int
    end: int
    prompt: int | None
    output: int | None
    cached: int
    where: str
    children: list[_Span] = field(default_factory=list)

    @property
    def is_call(self) -> bool:
        return self.prompt is not None or self.output is not None


class _Below(NamedTuple):
    """The calls at and below a span: their start and end, nanoseconds, and those that nothing there waits for."""

    start: int
    end: int
    calls: list[str]


SAMPLE = """\
{"trace_id": "a", "span_id": "1", "name": "chat", "start_time": "2026-06-01T05:40:20.100Z", "end_time": \
"2026-06-01T05:40:22.100Z", "attributes": {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 900, \
"gen_ai.usage.output_tokens": 30}}
{"trace_id": "b", "span_id": "2", "name": "chat", "start_time": "2026-06-01T05:40:25.100Z", "end_time": \
"2026-06-01T05:40:27.100Z", "attributes": {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 800, \
"gen_ai.usage.output_tokens": 20}}
"""


class OtelGenAiImporter(Importer[OtelOptions]):
    """A trace is a workflow, and its spans with tokens are the calls.

    What waits for what is told from times and from the tree of spans: of the spans under one parent, one that begins
    when others have ended waits for the last of them, and so do the calls under it; those that overlap run side by
    side. A delay is the time from the end of what a call waits for to its start: tools, and people. A span whose calls
    are there as spans of their own only sums them up and is none.
    """

    name = "otel-genai"
    summary = "OpenTelemetry GenAI spans: OTLP/JSON, span objects, Exgentic rows, Langfuse observations, LangSmith runs"
    options_type = OtelOptions
    rank = 12
    sample = SAMPLE
    signature = Signature((("attributes", "usageDetails", "run_type"), ("traceId", "trace_id", "spans")), deep=True)

    def sniff(self, head: Head) -> bool:
        keys = head.all_keys
        text = head.text
        is_otel = {"attributes"} <= keys and bool({"traceId", "trace_id", "spans"} & keys)
        if is_otel and any(f'"{name}"' in text for name in (*PROMPT, *OUTPUT)):
            return True
        is_langfuse = "traceId" in keys and bool({"usageDetails", "promptTokens", "usage"} & keys)
        return (is_langfuse and "startTime" in keys) or {"run_type", "trace_id", "start_time"} <= keys

    def arrivals(self, trace: Trace, options: OtelOptions) -> Iterator[Arrival]:
        groups: dict[str, list[_Span]] = {}
        for name, span in _spans(trace, options):
            if name not in groups and len(groups) == trace.limit:
                stopped(span.where, trace, sessions=True)
                break
            groups.setdefault(name, []).append(span)
        clock = Clock("ns")
        for name, spans in groups.items():
            drafts, start = _calls(spans, trace)
            arrival = build_workflow(name, clock.seconds(start), drafts, trace) if drafts else None
            if arrival is not None:
                yield arrival


def _spans(trace: Trace, options: OtelOptions) -> Iterator[tuple[str, _Span]]:
    """Every span, with the name of the workflow that it belongs to."""
    for where, value in trace.documents(object):
        for row, (record, given) in enumerate(_records(value), 1):
            place = where if row == 1 else f"{where}: span {row}"
            found = trace.check(partial(_span, record, given, options, trace, place))
            if found is not None:
                yield found


def _records(value: Any, given: str = "") -> Iterator[tuple[Mapping[str, Any], str]]:
    """Span objects inside a value, with the name that the row around them gives their workflow."""
    if isinstance(value, list):
        for each in value:
            yield from _records(each, given)
    elif isinstance(value, dict):
        inner = [
            value[name] for name in ("resourceSpans", "scopeSpans", "instrumentationLibrarySpans") if name in value
        ]
        if isinstance(value.get("spans"), list):
            row = value.get("session_id") or value.get("trace_id") or given
            yield from _records(value["spans"], str(row))
        elif inner:
            for each in inner:
                yield from _records(each, given)
        elif any(isinstance(value.get(name), list) for name in HOLDERS) and "id" not in value:
            for name in HOLDERS:
                yield from _records(value.get(name), given)
        else:
            yield value, given


def _span(
    record: Mapping[str, Any], given: str, options: OtelOptions, trace: Trace, place: str
) -> tuple[str, _Span] | None:
    attributes = _attributes(record.get("attributes"))
    if "run_type" in record:
        tokens = _langsmith(record)
    elif "usageDetails" in record or "promptTokens" in record or ("usage" in record and "traceId" in record):
        tokens = _langfuse(record)
    else:
        tokens = _first(attributes, PROMPT), _first(attributes, OUTPUT), _first(attributes, CACHED)
    prompt, output, cached = (None if each is None else _tokens(each, place) for each in tokens)
    if str(attributes.get(OPERATION)) in NO_CALLS:
        prompt = output = None
    if (prompt is not None or output is not None) and _is_failed(record):
        trace.dropped["failed calls"] += 1
        prompt = output = None
    context = record.get("context") if isinstance(record.get("context"), dict) else {}
    trace_id = _first(record, ("traceId", "trace_id")) or _first(context or {}, ("trace_id", "traceId"))
    span_id = _first(record, ("spanId", "span_id", "id")) or _first(context or {}, ("span_id", "spanId"))
    parent = _first(record, ("parentSpanId", "parent_span_id", "parentObservationId", "parent_run_id", "parent_id"))
    start = _time(record, ("startTimeUnixNano", "start_time_unix_nano", "start_time", "startTime", "start"), place)
    end = _time(record, ("endTimeUnixNano", "end_time_unix_nano", "end_time", "endTime", "end"), place)
    if start is None:
        if prompt is None and output is None:
            return None
        raise InputError("missing field 'start_time' of a call", place)
    if trace_id is None and not given:
        raise InputError("missing field 'trace_id'", place)
    workflow = given or str(trace_id)
    if options.workflows == "session":
        workflow = str(_first(attributes, SESSION) or record.get("sessionId") or workflow)
    hit = min(cached or 0, max((prompt or 0) - 1, 0)) if options.prefix_cache else 0
    kind = str(record.get("name") or attributes.get(OPERATION) or "")
    finish = max(start, start if end is None else end)
    return workflow, _Span(str(span_id or place), str(parent or ""), kind, start, finish, prompt, output, hit, place)


def _attributes(value: Any) -> Mapping[str, Any]:
    """Attributes as an object, also where they are the list of keys and values of OTLP/JSON."""
    if isinstance(value, list):
        pairs = [each for each in value if isinstance(each, dict) and "key" in each]
        return {str(each["key"]): _otlp_value(each.get("value")) for each in pairs}
    return value if isinstance(value, dict) else {}


def _otlp_value(value: Any) -> Any:
    if isinstance(value, dict):
        return next(
            (value[kind] for kind in ("intValue", "doubleValue", "stringValue", "boolValue") if kind in value), None
        )
    return value


def _langfuse(record: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Tokens of a Langfuse observation: ``usageDetails`` counts every token under one name only."""
    details = record.get("usageDetails")
    if isinstance(details, dict) and details:
        counts = {name: count for name, count in details.items() if isinstance(count, (int, float))}
        prompt = sum(count for name, count in counts.items() if "input" in name or name.startswith("prompt"))
        output = sum(count for name, count in counts.items() if "output" in name or name.startswith("completion"))
        cached = sum(count for name, count in counts.items() if "cached" in name or "cache_read" in name)
        return (prompt, output, cached) if prompt or output else (None, None, None)
    usage = record.get("usage")
    found: dict[str, Any] = {**(usage if isinstance(usage, dict) else {}), **record}
    in_all = _first(found, ("promptTokens", "input_tokens")), _first(found, ("completionTokens", "output_tokens"))
    if in_all[0] is None and isinstance(usage, dict):
        in_all = usage.get("input"), usage.get("output")
    return (*in_all, None) if in_all[0] or in_all[1] else (None, None, None)


def _langsmith(record: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Tokens of a LangSmith run; other runs than those of models sum up the ones below them."""
    if record.get("run_type") != "llm":
        return None, None, None
    usage: Any = record.get("outputs")
    usage = usage.get("usage_metadata") if isinstance(usage, dict) else None
    usage = usage if isinstance(usage, dict) else record.get("usage_metadata") or {}
    details = record.get("prompt_token_details") or usage.get("input_token_details") or {}
    prompt = _first(record, ("prompt_tokens",)) or usage.get("input_tokens")
    output = _first(record, ("completion_tokens",)) or usage.get("output_tokens")
    return prompt, output, details.get("cache_read") if isinstance(details, dict) else None


def _first(record: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _is_failed(record: Mapping[str, Any]) -> bool:
    status = record.get("status")
    code = status.get("code", status.get("status_code")) if isinstance(status, dict) else status
    return code in (2, "ERROR", "STATUS_CODE_ERROR", "error") or record.get("level") == "ERROR"


def _tokens(value: Any, where: str) -> int:
    is_text = isinstance(value, str) and value.isascii() and value.strip().replace(".", "", 1).isdigit()
    number = plain(float(value) if is_text else value)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_TOKENS:
        raise InputError(f"tokens: expected a whole number up to {MAX_TOKENS}, got {shown(value)}", where)
    return number


def _time(record: Mapping[str, Any], names: tuple[str, ...], where: str) -> int | None:
    """A time in nanoseconds since 1970: wall-clock text, or a number in s, ms, us or ns, told by its size."""
    value = _first(record, names)
    if value is None or value == "":
        return None
    if isinstance(value, str) and not value.isdecimal():
        return nanoseconds(value, names[2], where)
    is_number = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    number = (float(value) if isinstance(value, str) else value) if is_number else math.nan
    if not 0 <= number < 10**20:
        raise InputError(f"{names[2]}: expected a time, got {shown(value)}", where)
    per_second = next((scale for scale in (1, 10**3, 10**6) if number < 10**11 * scale), 10**9)
    return int(value) * (10**9 // per_second) if float(value).is_integer() else round(number * (10**9 // per_second))


def _newest(found: list[_Below]) -> list[_Below]:
    """Those that none of the others began after: whoever waits for them waits for all."""
    latest = max((each.start for each in found), default=0)
    return [each for each in found if each.end > latest or each.start == latest]


def _calls(spans: list[_Span], trace: Trace) -> tuple[list[Draft], int]:
    """Drafts of the calls of a workflow with what they wait for, and when it begins, nanoseconds since 1970."""
    by_id = {span.span_id: span for span in spans}
    if len(by_id) < len(spans):
        raise InputError("a span_id stands twice in its trace", spans[0].where)
    roots: list[_Span] = []
    for span in spans:
        parent = by_id.get(span.parent_id)
        (roots if parent is None or parent is span else parent.children).append(span)
    starts: dict[str, int] = {}
    ends: dict[str, int] = {}
    drafts: list[Draft] = []

    def order(siblings: list[_Span], before: list[str]) -> _Below | None:
        """Make the calls below these, each waiting for what has ended, or for ``before``."""
        done: list[_Below] = []  # what is below siblings, as far as it may be waited for
        first, last = math.inf, 0
        for span in sorted(siblings, key=lambda each: (each.start, each.end, each.span_id)):
            over = [each for each in done if each.end <= span.start + SLACK_NS]
            newest = _newest(over)
            done = [each for each in done if each not in over] + newest
            ended = [name for each in newest for name in each.calls] or before
            below = order(span.children, ended)
            if below is not None:
                if span.is_call:
                    trace.dropped["spans that only sum up others"] += 1
                below = _Below(min(below.start, span.start), max(below.end, span.end), below.calls)
            elif span.is_call:
                draft = Draft(span.span_id, span.where, span.prompt or 0, span.output or 0, span.cached, kind=span.name)
                draft.parents = list(ended)
                drafts.append(draft)
                starts[draft.call_id], ends[draft.call_id] = span.start, span.end
                below = _Below(span.start, span.end, [draft.call_id])
            if below is not None:
                done.append(below)
                first, last = min(first, below.start), max(last, below.end)
        if not done:
            return None
        return _Below(int(first), last, [name for each in _newest(done) for name in each.calls])

    try:
        order(roots, [])
    except RecursionError:
        raise InputError("spans are nested too deeply", spans[0].where) from None
    begin = min(starts.values(), default=0)
    for draft in drafts:
        waited = max((ends[parent] for parent in draft.parents), default=begin)
        draft.delay = max(0, starts[draft.call_id] - waited) / 1e9
    return drafts, begin


IMPORTER = OtelGenAiImporter()
