"""Kinds of real trace files that once were read wrongly, each over every importer that it can touch."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tracemalloc
from pathlib import Path

import pytest

from experiments.cli import BAD_INPUT, OK, main
from hexsched.errors import InputError
from hexsched.model import Workflow, read_workload
from hexsched.workloads.importers import IMPORTERS, import_trace, open_trace, read_trace, sniff_format
from hexsched.workloads.importers.parts.spool import CHUNK_BYTES, spool

pytestmark = pytest.mark.quick

FORMATS = sorted(IMPORTERS)


def write(folder: Path, *records: object, name: str = "t.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def request(**fields: object) -> dict[str, object]:
    return {"timestamp": 0, "input_length": 1000, "output_length": 10} | fields


def bailian(chat: int, timestamp: float, parent: int = -1, **fields: object) -> dict[str, object]:
    return request(chat_id=chat, parent_chat_id=parent, timestamp=timestamp) | fields


def cached(workflows: tuple[Workflow, ...]) -> dict[str, int]:
    return {w.workflow_id: w.calls[0].cached_tokens for w in workflows}


def prompts(workflow: Workflow) -> list[int]:
    return [call.prompt_tokens for call in workflow.calls]


# --- block sizes ------------------------------------------------------------------------------------------------------

SIZES = {
    "mooncake": (request(), 512),
    "agentic-mooncake": (request(session_id="s"), 512),
    "qwen-bailian": (bailian(1, 0), 16),
}


@pytest.mark.parametrize("name", SIZES)
def test_block_size_is_inferred_where_the_numbers_of_hashes_leave_one(name: str, tmp_path: Path) -> None:
    row, usual = SIZES[name]
    other = 16 if usual == 512 else 64
    hashes = list(range(-(-1000 // other)))
    second = {"session_id": "t"} if "session_id" in row else {"chat_id": 2} if "chat_id" in row else {}
    rows = [row | {"hash_ids": hashes}, row | second | {"timestamp": 9, "hash_ids": [*hashes[:10], *range(900, 953)]}]
    rows[1]["hash_ids"] = rows[1]["hash_ids"][: len(hashes)]  # type: ignore[index]
    result = read_trace(write(tmp_path, *rows))
    assert [w.calls[0].cached_tokens for w in result.workflows] == [0, 10 * other]
    assert any(f"stand for {other} tokens each, not {usual}" in text for text in result.notes)
    with pytest.raises(InputError, match=r"t\.jsonl:1: hash_ids: .* block_tokens; sizes from .* would fit"):
        import_trace(tmp_path / "t.jsonl", block_tokens=512 if usual == 16 else 100)


@pytest.mark.parametrize("name", SIZES)
def test_numbers_of_hashes_that_fit_no_size_are_an_error(name: str, tmp_path: Path) -> None:
    row, _ = SIZES[name]
    second = {"session_id": "t"} if "session_id" in row else {"chat_id": 2} if "chat_id" in row else {}
    path = write(tmp_path, row | {"hash_ids": [1] * 7}, row | second | {"hash_ids": [1] * 40})
    with pytest.raises(InputError, match=r"t\.jsonl:\d: hash_ids: .* the option block_tokens, or prefix_cache=false"):
        import_trace(path)
    assert len(import_trace(path, prefix_cache=False)) == 2


def test_a_last_block_that_is_not_full_may_have_no_hash(tmp_path: Path) -> None:
    path = write(tmp_path, request(hash_ids=[1]), request(hash_ids=[1, 2]))
    assert list(cached(import_trace(path)).values()) == [0, 512]


# --- credit follows time ----------------------------------------------------------------------------------------------


def test_no_credit_from_requests_that_arrive_later(tmp_path: Path) -> None:
    rows = [request(timestamp=5000, hash_ids=[1, 2]), request(hash_ids=[1, 2])]
    assert cached(import_trace(write(tmp_path, *rows))) == {"r1": 0, "r0": 512}
    rows = [bailian(1, 5, hash_ids=list(range(63))), bailian(2, 0, hash_ids=list(range(63)))]
    assert cached(import_trace(write(tmp_path, *rows))) == {"2": 0, "1": 992}


def test_no_credit_from_later_calls_of_workflows_that_arrive_earlier(tmp_path: Path) -> None:
    rows = [
        request(session_id="early", hash_ids=[1, 2]),
        request(session_id="early", timestamp=60_000, hash_ids=[7, 8]),
        request(session_id="late", timestamp=5000, hash_ids=[7, 8]),
    ]
    early, late = import_trace(write(tmp_path, *rows))
    assert [call.cached_tokens for call in (*early.calls, *late.calls)] == [0, 512, 0]


def test_no_credit_between_branches_before_it_is_due(tmp_path: Path) -> None:
    def ask(t: float, *hashes: int) -> dict[str, object]:
        return {"t": t, "type": "n", "in": 64 * len(hashes) + 1, "out": 5, "hash_ids": hashes, "input_types": ["text"]}

    agent = {"t": 1.0, "type": "subagent", "requests": [ask(2.0, 5), ask(50.0, 6)]}
    record = {"id": "c", "requests": [ask(0.0, 1), agent, ask(9.0, 6)]}
    path = tmp_path / "c.json"
    path.write_text(json.dumps(record))
    (workflow,) = import_trace(path, split="conversation")
    assert {call.call_id: call.cached_tokens for call in workflow.calls} == {"c0": 0, "c1.0": 0, "c1.1": 64, "c2": 0}


# --- structure is not lost --------------------------------------------------------------------------------------------


def test_sessions_that_begin_later_in_the_file(tmp_path: Path) -> None:
    rows = [request(), *(request(session_id="q", timestamp=time, input_length=100 + time) for time in (5, 900))]
    single, session = import_trace(write(tmp_path, *rows), estimate_service=False)
    assert (len(single.calls), len(session.calls)) == (1, 2)
    assert session.calls[1].delay == pytest.approx(0.895)
    far = [request(timestamp=k) for k in range(9000)] + rows[1:]
    with pytest.raises(InputError, match=r"t\.jsonl:9001: the row has a session_id.*--format agentic-mooncake"):
        import_trace(write(tmp_path, *far))
    assert sum(len(w.calls) for w in import_trace(tmp_path / "t.jsonl", "agentic-mooncake")) == 9002


def test_turns_are_put_in_the_order_of_their_times(tmp_path: Path) -> None:
    rows = [request(session_id="a", timestamp=9000, input_length=300), request(session_id="a", timestamp=1000)]
    result = read_trace(write(tmp_path, *rows), estimate_service=False)
    assert [(call.prompt_tokens, call.delay) for call in result.workflows[0].calls] == [(1000, 0.0), (300, 8.0)]
    assert "1 sessions whose turns were put in the order of their times" in result.notes
    rows.insert(1, request(session_id="a", timestamp=None, delay=5))
    with pytest.raises(InputError, match=r"t\.jsonl:3: the turn is earlier than one before it"):
        import_trace(write(tmp_path, *rows))


def test_bailian_turns_before_their_parents_are_told(tmp_path: Path) -> None:
    result = read_trace(write(tmp_path, bailian(1, 5), bailian(2, 3, parent=1)))
    assert "1 turns were recorded before the one that they follow" in result.notes[0]


def test_conversations_out_of_order(tmp_path: Path) -> None:
    ask = {"type": "n", "in": 64, "out": 5, "hash_ids": [1], "input_types": ["tool_result"]}
    path = write(tmp_path, {"id": "c", "requests": [ask | {"t": 9.0, "in": 70}, ask | {"t": 1.0}]}, name="c.json")
    result = read_trace(path)
    assert prompts(result.workflows[0]) == [64, 70]
    assert "order" in result.notes[0]


def test_prompts_that_hold_only_what_is_new(tmp_path: Path) -> None:
    rows = [request(session_id="u", input_length=2000, output_length=300)]
    rows += [{"session_id": "u", "delay": 4000, "input_length": n, "output_length": 250} for n in (40, 55)]
    path = write(tmp_path, *rows)
    result = read_trace(path)
    assert prompts(result.workflows[0]) == [2000, 40, 55]
    assert "prompts shrink within 1 of 1 sessions" in result.notes[0]
    whole = read_trace(path, deltas="true")
    assert (prompts(whole.workflows[0]), whole.notes) == ([2000, 2340, 2645], ())
    agents = [request(request_id="a"), request(request_id="b", wait_for=["a"], input_length=40)]
    assert read_trace(write(tmp_path, *agents)).notes == ()  # a sub-agent's prompt may be short
    tree = [bailian(1, 0, input_length=50), bailian(2, 5, 1, input_length=9), bailian(3, 6, 1, input_length=7)]
    assert prompts(import_trace(write(tmp_path, *tree), deltas=True)[0]) == [50, 69, 67]
    sheet = tmp_path / "t.csv"
    sheet.write_text("Timestamp,Session ID,Request tokens,Response tokens\n0,1,50,10\n9,1,9,5\n")
    assert prompts(import_trace(sheet, deltas=True)[0]) == [50, 69]
    assert "shrink" in read_trace(sheet).notes[0]


# --- arrivals ---------------------------------------------------------------------------------------------------------


def test_arrivals_move_only_where_they_lie_on_a_grid_and_that_is_told(tmp_path: Path) -> None:
    for times in ([0, 0, 0, 0], [0, 0, 10_000, 10_000], [0, 0, 700, 1500], [0, 3000, 6000]):
        result = read_trace(write(tmp_path, *(request(timestamp=time) for time in times)))
        assert [w.arrival for w in result.workflows] == [time / 1000 for time in times]
        assert result.notes == ()
    result = read_trace(write(tmp_path, *(request(timestamp=time) for time in (0, 0, 3001, 3001, 3001))))
    assert [w.arrival for w in result.workflows] == pytest.approx([0, 1.5, 3.001, 4.001, 5.001])
    assert "3 of 5 arrivals moved by up to 2 s" in result.notes[0]


@pytest.mark.parametrize("fields", [{"session_id": "a"}, {"request_id": "a"}, {}])
def test_without_any_timestamp_all_begin_at_zero(fields: dict[str, object], tmp_path: Path) -> None:
    rows = [request(**fields), request(**dict.fromkeys(fields, "b"))]
    for row in rows:
        del row["timestamp"]
    path = write(tmp_path, *rows)
    result = read_trace(path)
    assert [w.arrival for w in result.workflows] == [0, 0]
    assert "no start is recorded" in result.notes[0]
    output = tmp_path / "w.jsonl"
    assert main(["workload", "import", str(path), "--arrivals", "fixed:2", "-o", str(output)]) == OK
    assert [w.arrival for w in read_workload(output)] == [0, 0.5]
    with pytest.raises(InputError, match="missing field 'timestamp'"):
        import_trace(write(tmp_path, rows[0], rows[1] | {"timestamp": 5}))


UNITS = [("mooncake", request(), "ms"), ("agentic-mooncake", request(session_id="s"), "ms"),
         ("qwen-bailian", bailian(1, 0), "s")]  # fmt: skip


@pytest.mark.parametrize(("name", "row", "usual"), UNITS)
def test_units_of_time(name: str, row: dict[str, object], usual: str, tmp_path: Path) -> None:
    second = {"session_id": "t"} if "session_id" in row else {"chat_id": 2} if "chat_id" in row else {}
    start = 1_790_000_000_000_000_000
    path = write(tmp_path, row | {"timestamp": start}, row | second | {"timestamp": start + 300})
    spans = {unit: import_trace(path, name, time_unit=unit)[1].arrival for unit in ("s", "ms", "us", "ns")}
    assert spans == pytest.approx({"s": 300, "ms": 0.3, "us": 3e-4, "ns": 3e-7}, rel=1e-6)
    assert import_trace(path)[1].arrival == spans[usual]


def test_import_says_what_it_saw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, *(request(timestamp=time) for time in (0.0, 0.3, 0.7)))
    assert main(["workload", "import", str(path), "-o", str(tmp_path / "w.jsonl")]) == OK
    told = capsys.readouterr().err
    assert "mooncake, 3 workflows, 3 calls over 0.0007 s: 2,857 workflows a second" in told
    assert "if that is too many, time_unit is another" in told


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", FORMATS)
def test_packed_files(name: str, pack: object, tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_text(IMPORTERS[name].sample)
    packed.write_bytes(pack(plain.read_bytes()))  # type: ignore[operator]
    assert sniff_format(packed) == name
    assert import_trace(packed) == import_trace(plain)
    packed.write_bytes(packed.read_bytes()[:-6])
    with pytest.raises(InputError, match="cannot unpack the file, it may be damaged or cut short"):
        import_trace(packed, name)


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hexsched.model.files.MOST_UNPACKED", 10_000)
    plain, packed = write(tmp_path, request(note="x" * 20_000)), tmp_path / "t.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert len(import_trace(plain)) == 1
    with pytest.raises(InputError, match="once unpacked; unpack the file first"):
        import_trace(packed, "mooncake")
    packed.write_bytes(gzip.compress(json.dumps({"id": "c", "note": "x" * 20_000}, indent=1).encode()))
    with pytest.raises(InputError, match=r"t\.gz: more than .* once unpacked"):
        import_trace(packed, "weka")


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (b"PK\x03\x04", "this is a zip file.*first"),
        (b"SQLite format 3", "this is a SQLite database.*first"),
        (b"PAR1", "may be damaged or cut short"),
        (b"ARROW1", "may be damaged or cut short"),
        (b"\x28\xb5\x2f\xfd", "may be damaged or cut short"),
    ],
)
def test_files_of_other_sorts_say_what_to_do(data: bytes, advice: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(data + bytes(99))
    with pytest.raises(InputError, match=advice):
        import_trace(tmp_path / "t")


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_is_its_files_in_order(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    (folder / "more").mkdir(parents=True)
    sample = IMPORTERS[name].sample
    (folder / "more" / "a.json.gz").write_bytes(gzip.compress(sample.encode()))
    (folder / "README.md").write_text("not a trace")
    (folder / ".hidden.json").write_text("not a trace either")
    alone = tmp_path / "alone"
    alone.write_text(sample)
    result = read_trace(folder)
    assert result.workflows == import_trace(alone)
    assert "1 files of the folder are no traces by their names" in result.notes[0]
    (folder / "more" / "a.json.gz").unlink()
    (folder / "README.md").unlink()
    with pytest.raises(InputError, match="there is no file in this folder"):
        import_trace(folder, name)


def test_invalid_files_and_lines_are_left_out_only_when_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    folder.mkdir()
    ask = {"t": 0.0, "type": "n", "in": 64, "out": 5, "hash_ids": [1], "input_types": ["text"]}
    for name in ("a", "b"):
        write(folder, {"id": name, "requests": [ask]}, name=f"{name}.json")
    (folder / "c.json").write_text('{"id": "c", "requests": [')
    with pytest.raises(InputError, match=r"c\.json: not valid JSON.*skip_invalid=true leaves such files out"):
        import_trace(folder)
    result = read_trace(folder, skip_invalid=True)
    assert [w.workflow_id for w in result.workflows] == ["a-0", "b-0"]
    assert "1 invalid files left out, the first: " in result.notes[0]
    lines = write(tmp_path, request(), {"timestamp": "x"}, request(timestamp=5))
    assert len(import_trace(lines, skip_invalid=True)) == 2
    sheet = tmp_path / "t.csv"
    sheet.write_text(IMPORTERS["azure-2023"].sample + "cut short\n")
    assert "1 invalid rows left out" in read_trace(sheet, skip_invalid=True).notes[0]


@pytest.mark.parametrize("name", FORMATS)
def test_limit_stops_reading(name: str, tmp_path: Path) -> None:
    """What stands far behind the last workflow that is taken is not looked at."""
    sample = IMPORTERS[name].sample
    if sample.startswith("[") or len(sample.splitlines()) == 1:
        pytest.skip("the file is one JSON value")
    path = tmp_path / "t"
    path.write_text(sample + "not a record\n" * 3)
    assert len(import_trace(path, name, limit=1)) == 1
    with pytest.raises(InputError):
        import_trace(path, name)


def test_limit_with_sessions_says_what_may_be_missing(tmp_path: Path) -> None:
    rows = "".join(f"{k},{'s' if k % 50 == 0 else ''},9,9\n" for k in range(200))
    path = tmp_path / "t.csv"
    path.write_text("Timestamp,Session ID,Request tokens,Response tokens\n" + rows)
    result = read_trace(path, limit=10)
    assert len(result.workflows) == 10
    assert "reading stopped at" in result.notes[0]


def test_null_is_absent_and_whole_floats_are_whole(tmp_path: Path) -> None:
    row = request(input_length=1000.0, output_length=10.0, timestamp=0.5, hash_ids=None, session_id=None)
    (workflow,) = import_trace(write(tmp_path, row))
    assert (workflow.calls[0].prompt_tokens, workflow.calls[0].output_tokens) == (1000, 10)
    call = {"call_id": "a", "prompt_tokens": 9.0, "output_tokens": 1, "kind": None, "parents": None}
    assert import_trace(write(tmp_path, {"workflow_id": "w", "calls": [call], "arrival": None}))[0].calls[0].kind == ""
    ask = {"t": 0, "type": "n", "in": 64.0, "out": 5.0, "hash_ids": [1], "api_time": None, "think_time": None}
    assert import_trace(write(tmp_path, {"id": "c", "requests": [ask], "block_size": None}))[0].calls[0].output_tokens
    assert import_trace(write(tmp_path, bailian(1, 0, type=None, hash_ids=None, turn=None)))[0].calls[0].kind == ""
    with pytest.raises(InputError, match=r"t\.jsonl:1: input_length: Expected 'int', got 'float'"):
        import_trace(write(tmp_path, request(input_length=0.5)))


def test_a_json_array_is_its_records(tmp_path: Path) -> None:
    rows = [request(), request(timestamp=9)]
    (tmp_path / "t.json").write_text(json.dumps(rows, indent=1))
    assert import_trace(tmp_path / "t.json") == import_trace(write(tmp_path, *rows))


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"timestamp": 0, "input_length": 9}, "this looks like mooncake but has no output_length (line 1)"),
        ({"chat_id": 1, "input_length": 9}, "this looks like qwen-bailian but has no parent_chat_id (line 1)"),
        ({"workflow_id": 1}, "this looks like hexsched but has no calls (line 1)"),
        ({"schema": "somebody.else.v1", "a": 1}, "schema 'somebody.else.v1' is that of no known trace format"),
        ({"foo": 1}, "fits no known trace format"),
        (request(conversation_id="a"), "this looks like mooncake but has conversation_id"),
        (request(request_id="a", parent_id="b"), "this looks like agentic-mooncake but has parent_id"),
    ],
)
def test_near_misses_say_what_is_lacking(row: object, told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        sniff_format(write(tmp_path, row))
    assert told in str(caught.value)


def test_near_miss_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("TIMESTAMP,ContextTokens\n1,2\n")
    with pytest.raises(InputError, match="looks like azure-2023 but has no column GeneratedTokens"):
        sniff_format(tmp_path / "t.csv")


def test_unknown_versions_name_the_known(tmp_path: Path) -> None:
    header = {"schema": "dynamo.agentic_mooncake", "version": 3}
    with pytest.raises(InputError, match=r":1: version 3 of dynamo.agentic_mooncake is not known; known are 1 and 2"):
        import_trace(write(tmp_path, header))
    with pytest.raises(InputError, match=r"schema 'dynamo.agentic_mooncake.v9' is not known; known is"):
        import_trace(write(tmp_path, header | {"schema": "dynamo.agentic_mooncake.v9"}))


# --- filters ----------------------------------------------------------------------------------------------------------


def test_context_filter_and_idle_cap_count(tmp_path: Path) -> None:
    rows = [request(session_id=name, timestamp=time) for name, time in [("a", 0), ("a", 90_000), ("b", 5)]]
    rows.append(request(session_id="c", input_length=9000))
    result = read_trace(write(tmp_path, *rows), max_context=2000, max_idle=10)
    assert [(w.workflow_id, w.calls[-1].delay) for w in result.workflows] == [("a", 10.0), ("b", 0.0)]
    assert result.dropped == {"workflows with a call of more than 2,000 tokens": 1}
    assert "1 delays cut to 10 s" in result.notes
    assert "1 workflows left out for a call of more than 2,000 tokens, prompt and output together" in result.notes
    first = read_trace(write(tmp_path, rows[3], *rows[:3]), limit=1, max_context=2000)
    assert [w.workflow_id for w in first.workflows] == ["a"]
    assert "1 workflows left out for a call of more than 2,000 tokens, prompt and output together" in first.notes


def test_idle_cap_of_conversations_moves_their_turns(tmp_path: Path) -> None:
    ask = {"type": "n", "in": 64, "out": 5, "hash_ids": [1], "input_types": ["text"], "api_time": 1.0}
    path = write(tmp_path, {"id": "c", "requests": [ask | {"t": 0.0}, ask | {"t": 500.0}, ask | {"t": 503.0}]})
    assert [w.arrival for w in import_trace(path, max_idle=60)] == [0, 61, 64]


# --- written as it is read --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_streamed_is_what_is_read(name: str, tmp_path: Path) -> None:
    path, output = tmp_path / "t", tmp_path / "w.jsonl"
    path.write_text(IMPORTERS[name].sample)
    assert main(["workload", "import", str(path), "-o", str(output)]) == OK
    assert read_workload(output) == import_trace(path)
    assert tuple(arrival.workflow.calls for arrival in open_trace(path, limit=1).arrivals)


def test_unordered_rows_are_streamed_in_order(tmp_path: Path) -> None:
    path, output = tmp_path / "t.csv", tmp_path / "w.jsonl"
    times = [(37 * k) % 500 for k in range(500)]
    rows = "".join(f"2023-11-16 18:{time // 60:02}:{time % 60:02}.5,{k + 1},5\n" for k, time in enumerate(times))
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + rows)
    assert main(["workload", "import", str(path), "-o", str(output)]) == OK
    assert read_workload(output) == import_trace(path)
    assert [w.arrival for w in read_workload(output)] == sorted(times)
    assert main(["workload", "import", str(path), "--arrivals", "fixed:2", "-o", str(output)]) == OK
    assert [w.arrival for w in read_workload(output)] == [k / 2 for k in range(500)]
    assert read_workload(output)[0].calls == import_trace(path)[0].calls


def peak_bytes(path: Path, rows: int) -> int:
    """Most memory that Python objects take while a flat trace of so many rows is read and written."""
    path.write_text("arrived_at,num_prefill_tokens,num_decode_tokens\n" + "".join(f"{k},9,9\n" for k in range(rows)))
    tracemalloc.start()
    for _ in spool(open_trace(path).arrivals).chunks():
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_a_flat_trace(tmp_path: Path) -> None:
    few, many = (peak_bytes(tmp_path / "t.csv", rows) for rows in (5_000, 40_000))
    assert many < few + 2 * CHUNK_BYTES  # what is written at a time; 35,000 workflows would take some 20 MB


def test_options_reach_a_trace_wherever_one_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, *(request(timestamp=time) for time in (0, 7, 30)))
    instance, output = str(tmp_path / "i.json"), tmp_path / "w.jsonl"
    assert main(["compile", "demo", str(path), "--option", "time_unit=s", "-o", instance, "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["last_arrival"] == 30
    assert main(["workload", "describe", str(path), "--option", "time_unit=s", "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["quantities"]["arrival_span"]["value"] == 30
    times = f"file:{path},time_unit=s"
    assert main(["workload", "generate", "react", "--workflows", "3", "--arrivals", times, "-o", str(output)]) == OK
    assert [w.arrival for w in read_workload(output)] == [0, 7, 30]
    assert main(["compile", "demo", str(path), "--option", "unit=s"]) == BAD_INPUT
    assert "has no option 'unit'" in capsys.readouterr().err
