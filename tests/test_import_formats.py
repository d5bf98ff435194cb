"""What is particular to single trace formats, after their originals or documentation; and the whole way for each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.cli import OK, main
from hexsched.errors import InputError
from hexsched.model import Workflow
from hexsched.workloads.importers import IMPORTERS, import_trace, read_trace, sniff_format

pytestmark = pytest.mark.quick

FORMATS = sorted(IMPORTERS)
T0 = 1_790_000_000_000  # ms since 1970


def write(folder: Path, *records: object, name: str = "t.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def shape(workflow: Workflow) -> dict[str, tuple[tuple[str, ...], float]]:
    return {call.call_id: (call.parents, round(call.delay, 6)) for call in workflow.calls}


def cached(workflow: Workflow) -> dict[str, int]:
    return {call.call_id: call.cached_tokens for call in workflow.calls}


@pytest.mark.parametrize("name", FORMATS)
def test_the_whole_way(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Import, describe, compile, simulate, verify."""
    trace, workload = tmp_path / "trace", tmp_path / "w.jsonl"
    instance, schedule = tmp_path / "i.json", tmp_path / "s.json"
    trace.write_text(IMPORTERS[name].sample)
    assert main(["workload", "import", str(trace), "-o", str(workload)]) == OK
    assert f" {name}, " in capsys.readouterr().err
    assert main(["workload", "describe", str(workload), "--json"]) == OK
    described = json.loads(capsys.readouterr().out)["quantities"]
    assert described["workflows"]["value"] == len(import_trace(trace))
    assert main(["compile", "demo", str(trace), "-o", str(instance)]) == OK
    assert main(["simulate", str(instance), "--policy", "hexagent", "-o", str(schedule)]) == OK
    assert main(["verify", str(instance), str(schedule)]) == OK


# --- Dynamo request traces --------------------------------------------------------------------------------------------


def ended(name: str, sent: int, end: int, session: str | None = None, parent: str | None = None) -> dict[str, object]:
    context = {} if session is None else {"agent_context": {"session_id": session, "parent_session_id": parent}}
    replay = {"trace_block_size": 64, "input_length": 130, "input_sequence_hashes": [1, 2, sent]}
    measured = {"request_id": name, "request_received_ms": T0 + sent, "output_tokens": 7, "replay": replay}
    return {"schema": "dynamo.request.trace.v1", "event_type": "request_end", "event_time_unix_ms": T0 + end,
            "request": measured, **context}  # fmt: skip


def tool(session: str, **claude: object) -> dict[str, object]:
    record = {"schema": "dynamo.request.trace.v1", "event_type": "tool_end", "event_time_unix_ms": T0}
    return record | {"agent_context": {"session_id": session}, "tool": {"tool_call_id": "t", "claude": claude}}


SESSION = [
    ended("a", 0, 1000, "root"),
    ended("x", 1500, 2000, "child", "root"),
    ended("y", 2600, 3000, "child", "root"),
    ended("b", 1200, 2200, "root"),
    ended("c", 5000, 6000, "root"),
    ended("other", 100, 300, "alone"),
]


def test_dynamo_sessions_and_their_children(tmp_path: Path) -> None:
    root, alone = import_trace(write(tmp_path, *SESSION))
    assert (root.workflow_id, alone.workflow_id, alone.arrival) == ("root", "alone", 0.1)
    assert shape(root) == {
        "a": ((), 0.0),
        "b": (("a",), 0.2),
        "x": (("b",), 0.0),  # the latest request of the parent that was sent before it, which had not ended
        "y": (("x",), 0.6),
        "c": (("b", "y"), 2.0),
    }
    assert cached(root) == {"a": 0, "b": 128, "x": 128, "y": 128, "c": 128}


def test_dynamo_tools_name_who_waits(tmp_path: Path) -> None:
    link = tool("root", source_request_id="a", consumer_request_id="b", child_session_id="child")
    link["tool"]["claude"]["execution_mode"] = "blocking"  # type: ignore[index]
    rows = [*SESSION[:3], ended("b", 3500, 4000, "root"), ended("c", 5000, 6000, "root"), link]
    (root,) = import_trace(write(tmp_path, *rows))
    assert shape(root) == {
        "a": ((), 0.0),
        "x": (("a",), 0.5),
        "y": (("x",), 0.6),
        "b": (("a", "y"), 0.5),
        "c": (("b",), 1.0),
    }


def test_dynamo_records_that_are_wrapped_passed_over_or_unknown(tmp_path: Path) -> None:
    payload = {"schema": "dynamo.request.trace.v1", "event_type": "request_payload", "payload": {"request": {}}}
    (workflow,) = import_trace(write(tmp_path, payload, {"timestamp": 1, "event": ended("a", 0, 9)}))
    assert workflow.workflow_id == "a"
    with pytest.raises(InputError, match=r":1: schema 'dynamo.request.trace.v2' is not known; known is"):
        import_trace(write(tmp_path, ended("a", 0, 9) | {"schema": "dynamo.request.trace.v2"}))
    with pytest.raises(InputError, match=r":1: event_type 'request_begin' is not known"):
        import_trace(write(tmp_path, ended("a", 0, 9) | {"event_type": "request_begin"}))
    record = ended("a", 0, 9)
    record["request"]["replay"]["input_sequence_hashes"] = [1] * 9  # type: ignore[index]
    with pytest.raises(InputError, match=r":1: hash_ids: 130 prompt tokens in blocks of 64 have 3 hashes, not 9"):
        import_trace(write(tmp_path, record))


# --- TraceLab ---------------------------------------------------------------------------------------------------------


def a_round(index: int, begins: str, *events: tuple[str, str], **fields: object) -> dict[str, object]:
    timing = [{"event_type": kind, "timestamp": f"2026-06-01T05:40:{second}Z"} for kind, second in events]
    tokens = {"input_tokens_total": 300, "prefix_tokens": 200, "newly_append_tokens": 100, "output_tokens": 20}
    return {"session_id": "s", "round_index": index, "first_input_event_type": begins, **tokens,
            "timing_events": timing, "reasoning_output_tokens": None, **fields}  # fmt: skip


def test_tracelab_rounds(tmp_path: Path) -> None:
    rows = [
        a_round(1, "tool_result", ("tool_result", "31.5"), ("tool_result", "50.0"), ("text", "52.0")),
        a_round(0, "user_message", ("user_message", "20.0"), ("reasoning", "29.0"), ("tool_call", "31.0")),
        a_round(2, "user_message", ("user_message", "58.0"), ("text", "59.0"), prefix_tokens=300),
    ]
    first, second = import_trace(write(tmp_path, *rows))
    assert [(w.workflow_id, w.arrival) for w in (first, second)] == [("s-0", 0.0), ("s-1", 38.0)]
    assert shape(first) == {"t1": ((), 0.0), "t0": (("t1",), 19.0)}
    assert cached(first) == {"t1": 200, "t0": 200}
    assert cached(second) == {"t2": 299}  # one token is left to prefill
    (whole,) = import_trace(tmp_path / "t.jsonl", split="session")
    assert shape(whole)["t2"] == (("t0",), 6.0)


def test_tracelab_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    header = "session_id,round_idx,prefix_len,input_len,output_len,tool_wait_after_ms\n"
    path.write_text(header + "0,1,600,70,9,5\n0,0,0,500,9,182\n1,0,0,40,9,0\n")
    result = read_trace(path)
    assert result.format == "tracelab-csv"
    assert [call.prompt_tokens for call in result.workflows[0].calls] == [500, 670]
    assert [(call.delay, call.cached_tokens) for call in result.workflows[0].calls] == [(0.0, 0), (0.182, 600)]
    assert "no start is recorded" in result.notes[0]


# --- RAGPulse ---------------------------------------------------------------------------------------------------------


def question(time: int, session: str, passages: list[int], tokens: int = 800) -> dict[str, object]:
    pieces = {"sys_prompt": [1, 2], "passages_ids": passages, "history": [3], "web_search": [], "user_input": [time]}
    return {
        "timestamp": str(time),
        "input_length": tokens,
        "output_length": 40,
        "hash_ids": pieces,
        "session_id": session,
    }


def test_ragpulse_sessions_and_the_lengths_of_pieces(tmp_path: Path) -> None:
    rows = [question(92, "s", [7, 8]), question(12, "s", [7, 9]), question(95, "t", [7, 8], tokens=90)]
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, *rows, name="0_trace.jsonl")
    first, second = import_trace(folder / "0_trace.jsonl", estimate_service=False)
    assert [call.delay for call in first.calls] == [0.0, 80.0]
    assert second.arrival == 83
    assert {call.cached_tokens for call in first.calls} == {0}
    write(folder, *({"sys_prompt_id": k, "token_length": 30} for k in (1, 2)), name="1_sys_prompt.jsonl")
    write(folder, *({"passage_id": k, "token_length": 50} for k in (7, 8, 9)), name="2_passages.jsonl")
    result = read_trace(folder, estimate_service=False)
    # the beginnings that are shared: both system pieces and passage 7; then passage 8 too, but one token is left
    assert [call.cached_tokens for w in result.workflows for call in w.calls] == [0, 110, 89]
    assert not any("cached" in text for text in result.notes)


# --- spans ------------------------------------------------------------------------------------------------------------


def span(
    name: str, start: float, end: float, parent: str = "", tokens: int = 0, **attributes: object
) -> dict[str, object]:
    usage = {"gen_ai.usage.input_tokens": 10 * tokens, "gen_ai.usage.output_tokens": tokens} if tokens else {}
    return {"trace_id": "t", "span_id": name, "parent_span_id": parent, "name": name, "status": {"code": 1},
            "start_time": f"2026-06-01T05:40:{start:06.3f}Z", "end_time": f"2026-06-01T05:40:{end:06.3f}Z",
            "attributes": usage | attributes}  # fmt: skip


AGENT = [
    span("agent", 0, 30, tokens=99, **{"gen_ai.operation.name": "invoke_agent"}),
    span("plan", 1, 3, "agent", 5),
    span("left", 4, 20, "agent"),
    span("right", 4, 18, "agent"),
    span("left 1", 5, 9, "left", 6),
    span("search", 9, 12, "left", **{"gen_ai.operation.name": "execute_tool"}),
    span("left 2", 12, 20, "left", 7),
    span("right 1", 4, 18, "right", 8),
    span("sum", 22, 29, "agent", 9),
]
ORDER = {
    "plan": ((), 0.0),
    "left 1": (("plan",), 2.0),
    "left 2": (("left 1",), 3.0),
    "right 1": (("plan",), 1.0),
    "sum": (("left 2", "right 1"), 2.0),
}


def test_spans_wait_for_what_has_ended_beside_them(tmp_path: Path) -> None:
    (workflow,) = import_trace(write(tmp_path, *reversed(AGENT)))
    assert {name: (tuple(sorted(parents)), delay) for name, (parents, delay) in shape(workflow).items()} == ORDER
    assert workflow.calls[0].kind == "plan"


def otlp(record: dict[str, object], nano: dict[str, int]) -> dict[str, object]:
    attributes = [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in record["attributes"].items()  # type: ignore[attr-defined]
    ]
    return {"traceId": "t", "spanId": record["span_id"], "parentSpanId": record["parent_span_id"],
            "name": record["name"], "attributes": attributes, "status": {},
            "startTimeUnixNano": str(nano["start_time"]), "endTimeUnixNano": str(nano["end_time"])}  # fmt: skip


def nanos(record: dict[str, object]) -> dict[str, int]:
    return {
        key: T0 * 10**6 + round(float(str(record[key])[17:-1]) * 1000) * 10**6 for key in ("start_time", "end_time")
    }


def test_spans_in_every_shape_are_the_same(tmp_path: Path) -> None:
    (plain,) = import_trace(write(tmp_path, *AGENT))
    scopes = [{"spans": [otlp(record, nanos(record)) for record in AGENT]}]
    document = tmp_path / "otlp.json"
    document.write_text(json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": scopes}]}, indent=1))
    assert sniff_format(document) == "otel-genai"
    assert import_trace(document)[0].calls == plain.calls
    rows = [{"resourceSpans": [{"scopeSpans": [{"spans": [each]}]}]} for each in scopes[0]["spans"]]
    assert import_trace(write(tmp_path, *rows, name="collector.jsonl"))[0].calls == plain.calls
    exgentic = {"session_id": "case-1", "harness": "claude_code", "models": ["m"], "spans": AGENT}
    (row,) = import_trace(write(tmp_path, exgentic, name="rows.jsonl"))
    assert (row.workflow_id, row.calls) == ("case-1", plain.calls)
    console = [
        {**{key: value for key, value in each.items() if not key.endswith("_id")}, "parent_id": each["parent_span_id"],
         "context": {"trace_id": "0x1", "span_id": each["span_id"]}}
        for each in AGENT
    ]  # fmt: skip
    assert import_trace(write(tmp_path, *console, name="console.jsonl"))[0].calls == plain.calls


def test_langfuse_observations(tmp_path: Path) -> None:
    def observation(name: str, start: int, usage: dict[str, int], kind: str = "GENERATION") -> dict[str, object]:
        return {"id": name, "traceId": "t", "type": kind, "name": name, "parentObservationId": None, "level": "DEFAULT",
                "startTime": f"2026-06-01T05:40:{start:02}.000Z", "endTime": f"2026-06-01T05:40:{start + 2:02}.000Z",
                "usageDetails": usage, "sessionId": "chat"}  # fmt: skip

    usage = {"input": 10, "input_cached_tokens": 90, "output": 7, "total": 107}
    rows = [
        observation("a", 0, usage),
        observation("tool", 2, {}, "SPAN"),
        observation("b", 5, {"input": 5, "output": 3}),
    ]
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"data": rows, "meta": {"page": 1}}))
    (workflow,) = import_trace(path)
    assert shape(workflow) == {"a": ((), 0.0), "b": (("a",), 3.0)}
    assert [(call.prompt_tokens, call.output_tokens, call.cached_tokens) for call in workflow.calls] == [
        (100, 7, 90),
        (5, 3, 0),
    ]
    second = rows[0] | {"id": "c", "traceId": "u", "startTime": "2026-06-01T05:40:30Z"}
    assert len(import_trace(write(tmp_path, *rows, second))) == 2
    (chat,) = import_trace(tmp_path / "t.jsonl", workflows="session")
    assert (chat.workflow_id, len(chat.calls)) == ("chat", 3)


def test_langsmith_runs(tmp_path: Path) -> None:
    def run(name: str, kind: str, start: int, end: int, parent: str | None, tokens: int) -> dict[str, object]:
        return {"id": name, "trace_id": "root", "run_type": kind, "name": name, "parent_run_id": parent, "error": None,
                "start_time": f"2026-06-01T05:40:{start:02}", "end_time": f"2026-06-01T05:40:{end:02}.5",
                "status": "success", "prompt_tokens": 10 * tokens, "completion_tokens": tokens}  # fmt: skip

    rows = [run("root", "chain", 0, 20, None, 9), run("a", "llm", 1, 3, "root", 4), run("b", "llm", 6, 9, "root", 5)]
    failed = run("c", "llm", 12, 13, "root", 5) | {"status": "error"}
    result = read_trace(write(tmp_path, *rows, failed))
    assert shape(result.workflows[0]) == {"a": ((), 0.0), "b": (("a",), 2.5)}
    assert result.dropped == {"failed calls": 1}


# --- tables -----------------------------------------------------------------------------------------------------------


def test_vidur_lengths_alone_and_sessions(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio\n374,44,418,8.5\n396,109,505,3.6\n")
    result = read_trace(path)
    assert (result.format, [w.arrival for w in result.workflows]) == ("vidur", [0, 0])
    assert any("no start is recorded" in text for text in result.notes)
    path.write_text(
        "arrived_at,num_prefill_tokens,num_decode_tokens,session_id\n9.5,80,5,a\n0.5,50,5,a\n3,10,5,\n4,9,5,b\n"
    )
    chained, single, _ = import_trace(path, estimate_service=False)
    assert shape(chained) == {"c0": ((), 0.0), "c1": (("c0",), 9.0)}
    assert (single.workflow_id, single.arrival) == ("r2", 2.5)
    assert len(import_trace(path, sessions=False)) == 4


def test_columns_by_their_usual_names(tmp_path: Path) -> None:
    rows = [
        {
            "conversation_id": "k",
            "prompt_tokens": 90,
            "completion_tokens": 8,
            "arrival_time_ms": 5000,
            "cached_tokens": 64,
        },
        {
            "conversation_id": "k",
            "prompt_tokens": 190,
            "completion_tokens": 8,
            "arrival_time_ms": 9000,
            "latency_ms": 5,
        },
        {"prompt_tokens": 20, "completion_tokens": 4, "arrival_time_ms": 6000, "conversation_id": None},
    ]
    result = read_trace(write(tmp_path, *rows), estimate_service=False)
    assert result.format == "columns"
    assert [(w.workflow_id, w.arrival) for w in result.workflows] == [("sk", 0.0), ("r2", 1.0)]
    assert shape(result.workflows[0]) == {"c0": ((), 0.0), "c1": (("c0",), 4.0)}
    assert result.workflows[0].calls[0].cached_tokens == 64
    assert "prompt prompt_tokens, output completion_tokens" in result.notes[0]
    assert len(import_trace(tmp_path / "t.jsonl", session="none")) == 3


def test_columns_that_the_user_names(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("when;x,how much,said\n2026-06-01 05:40:20.5,70,7\n2026-06-01T05:40:22Z,80,8\n")
    options = {"prompt": "how much", "output": "said", "time": "when;x"}
    assert [w.arrival for w in import_trace(path, "columns", **options)] == [0, 1.5]
    with pytest.raises(InputError, match=r"no column is known to hold output tokens.*there are when;x, how much, said"):
        import_trace(path, "columns", prompt="how much")
    with pytest.raises(InputError, match="no column 'nothing' for session; there are when;x, how much, said"):
        import_trace(path, "columns", **options, session="nothing")
    nested = [{"at": 3 + k, "usage": {"in": 50, "out": 5, "hit": 40}, "who": "a"} for k in (0, 4)]
    named = {"prompt": "usage.in", "output": "usage.out", "cached": "usage.hit", "time": "at", "session": "who"}
    (workflow,) = import_trace(
        write(tmp_path, *nested), "columns", **named, prompt_and_cached=True, estimate_service=False
    )
    assert [(call.prompt_tokens, call.cached_tokens, call.delay) for call in workflow.calls] == [
        (90, 40, 0),
        (90, 40, 4),
    ]
    with pytest.raises(InputError, match=r"no column 'whom' for session; did you mean 'who'\? There are at, usage.in"):
        import_trace(tmp_path / "t.jsonl", "columns", **(named | {"session": "whom"}))


@pytest.mark.parametrize("comma", [";", "\t"])
def test_other_commas(comma: str, tmp_path: Path) -> None:
    for name in ("azure-2023", "vidur", "burstgpt", "tracelab-csv"):
        path = tmp_path / "t.csv"
        path.write_text(IMPORTERS[name].sample)
        workflows = import_trace(path)
        path.write_text(IMPORTERS[name].sample.replace(",", comma))
        assert sniff_format(path) == name
        assert import_trace(path) == workflows


def test_columns_that_say_nothing_are_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("num_prefill_tokens,num_decode_tokens,block_hash_ids,Model Name\n9,9,1 2,m\n")
    assert "columns that are not used: block_hash_ids, Model Name" in read_trace(path).notes
    path.write_text("n_in,prompt_tokens,output_tokens\n9,9,9\n")
    assert "columns that are not used: n_in" in read_trace(path).notes


def test_rows_with_structure_are_no_plain_table(tmp_path: Path) -> None:
    path = write(tmp_path, {"timestamp": 0, "input_length": 9, "output_len": 3, "hash_ids": [1]})
    with pytest.raises(InputError, match="looks like mooncake but has no output_length"):
        sniff_format(path)


def test_a_column_without_times_in_some_rows_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("arrived_at,num_prefill_tokens,num_decode_tokens\n1,5,5\n,5,5\n")
    with pytest.raises(InputError, match=r"t\.csv:3: missing time in 'arrived_at', which .*t\.csv:2 has"):
        import_trace(path)


def test_llmservingsim_agents_and_token_ids(tmp_path: Path) -> None:
    ids = list(range(40))
    asks = [
        {"input_toks": 40, "output_toks": 4, "tool_duration_ns": 2_000_000_000, "input_tok_ids": ids},
        {"input_toks": 48, "output_toks": 4, "tool_duration_ns": 0, "input_tok_ids": [*ids, *range(8)]},
    ]
    rows = [
        {"session_id": "agent", "arrival_time_ns": 9_000_000_000, "sub_requests": asks},
        {"input_toks": 32, "output_toks": 4, "arrival_time_ns": 10_000_000_000, "input_tok_ids": ids[:32]},
        {"input_toks": 40, "output_toks": 4, "arrival_time_ns": 1_000_000_000, "input_tok_ids": [7, *ids[1:]]},
    ]
    other, agent, single = import_trace(write(tmp_path, *rows))
    assert (other.arrival, agent.arrival, single.arrival) == (0, 8, 9)
    assert shape(agent) == {"c0": ((), 0.0), "c1": (("c0",), 2.0)}
    # 32 of 40 tokens are in whole blocks; of a prompt of 32 a token is left, and so a whole block
    assert [call.cached_tokens for w in (other, agent, single) for call in w.calls] == [0, 0, 32, 16]
    assert {call.cached_tokens for w in import_trace(tmp_path / "t.jsonl", prefix_cache=False) for call in w.calls} == {
        0
    }
