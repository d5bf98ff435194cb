"""One contract for every trace format, then what is particular to each."""

from __future__ import annotations

import contextlib
import inspect
import json
import random
from pathlib import Path

import pytest
from extension import extended, recipe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.cli import OK, main
from hexsched.errors import InputError
from hexsched.model import Call, Workflow, write_workload
from hexsched.workloads.importers import IMPORTERS, azure, fitting_formats, import_trace, read_trace, sniff_format
from hexsched.workloads.importers.parts.head import Head
from hexsched.workloads.importers.parts.prefix import PrefixStore

pytestmark = pytest.mark.quick


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def mooncake(timestamp: float, hash_ids: list[int], tokens: int = 1000, output: int = 10) -> dict[str, object]:
    return {"timestamp": timestamp, "input_length": tokens, "output_length": output, "hash_ids": hash_ids}


def bailian(chat: int, parent: int, timestamp: float, turn: int = 1, output: int = 10) -> dict[str, object]:
    return {
        "chat_id": chat,
        "parent_chat_id": parent,
        "timestamp": timestamp,
        "input_length": 40,
        "output_length": output,
        "type": "text",
        "turn": turn,
        "hash_ids": [1, 2, 100 + chat],
    }


def agentic(request_id: str, **fields: object) -> dict[str, object]:
    return {"request_id": request_id, "input_length": 1100, "output_length": 10, "hash_ids": [1, 2, 3]} | fields


def step(name: str, prompt: int = 300, output: int = 5) -> dict[str, object]:
    return {"step": name, "input_length": prompt, "output_length": output}


def weka(
    t: float, hash_ids: list[int], kinds: tuple[str, ...] = ("tool_result",), **fields: object
) -> dict[str, object]:
    return {
        "t": t,
        "type": "s",
        "in": 64 * len(hash_ids) + 5,
        "out": 20,
        "hash_ids": hash_ids,
        "input_types": list(kinds),
    } | fields


def conversation(name: str, *requests: object, scope: str = "local") -> dict[str, object]:
    return {"id": name, "block_size": 64, "hash_id_scope": scope, "requests": list(requests)}


SAMPLES = {name: importer.sample for name, importer in IMPORTERS.items()}
FORMATS = sorted(SAMPLES)


def write(folder: Path, text: str | bytes, name: str = "trace") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def shape(workflow: Workflow) -> dict[str, tuple[tuple[str, ...], float]]:
    return {call.call_id: (call.parents, call.delay) for call in workflow.calls}


# --- the contract -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_every_importer_says_what_it_reads_and_is_alone_in_it(name: str) -> None:
    importer = IMPORTERS[name]
    assert importer.summary
    assert "\n" not in importer.summary
    assert fitting_formats(Head(importer.sample)) == [name]


def test_an_importer_without_a_sample_is_refused(tmp_path: Path) -> None:
    source = inspect.getsource(azure).replace("    sample = SAMPLE\n", "").replace('"azure-2023"', '"of-my-own"')
    with extended(IMPORTERS, tmp_path, source), pytest.raises(AttributeError, match="no attribute 'sample'"):
        test_every_importer_says_what_it_reads_and_is_alone_in_it("of-my-own")


@pytest.mark.parametrize("name", FORMATS)
def test_sample_is_sniffed_and_read(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, SAMPLES[name])
    assert sniff_format(path) == name
    result = read_trace(path)
    assert result.format == name
    assert result.dropped == {}
    assert len(result.workflows) >= 2
    arrivals = [workflow.arrival for workflow in result.workflows]
    assert arrivals[0] == 0
    assert arrivals == sorted(arrivals)
    assert all(isinstance(workflow, Workflow) for workflow in result.workflows)
    assert import_trace(path, format=name) == result.workflows


@pytest.mark.parametrize("name", FORMATS)
def test_limit_takes_the_first(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, SAMPLES[name])
    (only,) = import_trace(path, limit=1)
    assert only.calls == import_trace(path)[0].calls
    with pytest.raises(InputError, match="limit must be at least 1"):
        import_trace(path, limit=0)


@pytest.mark.parametrize("name", FORMATS)
def test_byte_order_mark_and_blank_lines_are_nothing(name: str, tmp_path: Path) -> None:
    text = SAMPLES[name].replace("\n", "\n\n").encode()
    assert import_trace(write(tmp_path, b"\xef\xbb\xbf" + text)) == import_trace(
        write(tmp_path, SAMPLES[name], "plain")
    )


@pytest.mark.parametrize("name", FORMATS)
def test_truncated_file_is_one_clear_line(name: str, tmp_path: Path) -> None:
    text = SAMPLES[name].rstrip()
    path = write(tmp_path, text[: -(len(text.splitlines()[-1]) // 2 + 1)])
    with pytest.raises(InputError) as caught:
        import_trace(path, format=name)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("damage", ["empty", "blank", "not utf-8", "directory", "absent"])
def test_unreadable_file_is_an_input_error(name: str, damage: str, tmp_path: Path) -> None:
    data = {
        "empty": b"",
        "blank": b"\n \n",
        "not utf-8": SAMPLES[name].encode().replace(b"e", b"\xff", 1),
    }
    path = tmp_path if damage == "directory" else tmp_path / "trace"
    if damage in data:
        path.write_bytes(data[damage])
    with pytest.raises(InputError) as caught:
        import_trace(path, format=name)
    assert str(caught.value).startswith(str(path))
    if damage in ("empty", "directory", "absent"):
        with pytest.raises(InputError):
            import_trace(path)


@pytest.mark.parametrize("name", FORMATS)
def test_unknown_option_lists_the_options(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, SAMPLES[name])
    with pytest.raises(InputError, match=f"the options of format {name} are: "):
        import_trace(path, no_such_option=1)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_mutated_bytes_raise_only_input_errors(name: str, seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    data = bytearray(SAMPLES[name].encode())
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data))
        kind = chance.randrange(4)
        if kind == 0:
            data[at] = chance.randrange(256)
        elif kind == 1:
            del data[at : at + chance.randint(1, 8)]
        elif kind == 2:
            data[at:at] = chance.choice([b"-", b"e9", b"NaN", b'"', b"\n", b"\r", b"\0", b"null", b"[", b"99999999999"])
        else:
            data[at:at] = data[chance.randrange(len(data)) :][: chance.randint(1, 40)]
    path = write(tmp_path, bytes(data))
    for trace_format in (name, None):
        with contextlib.suppress(InputError):  # damage may leave a readable file, such as another digit
            assert import_trace(path, format=trace_format)[0].arrival == 0


ODD_VALUES = (None, -1, 0.5, 1e308, "x", "", [], {}, [1], {"a": 1}, True, 2**70, "1", "2026-06-01T00:00:00Z")


def with_odd_values(value: object, chance: random.Random) -> object:
    """The value with a twelfth of what is in it replaced, and some fields left out."""
    if chance.random() < 1 / 12:
        return chance.choice(ODD_VALUES)
    if isinstance(value, dict):
        return {key: with_odd_values(item, chance) for key, item in value.items() if chance.random() > 1 / 30}
    return [with_odd_values(item, chance) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_odd_values_raise_only_input_errors(name: str, seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    sample = SAMPLES[name]
    if sample.startswith("{"):
        text = lines(*(with_odd_values(json.loads(line), chance) for line in sample.splitlines()))
    elif sample.startswith("["):
        text = json.dumps(with_odd_values(json.loads(sample), chance))
    else:
        cells = [line.split(",") for line in sample.splitlines()]
        odd = [[str(chance.choice(ODD_VALUES)) if chance.random() < 0.1 else cell for cell in row] for row in cells]
        text = "".join(",".join(row) + "\n" for row in odd)
    path = write(tmp_path, text)
    for options in ({}, {"skip_invalid": True}, {"max_idle": 1, "max_context": 400}):
        with contextlib.suppress(InputError):
            assert import_trace(path, name, **options)[0].arrival == 0


BAD_FIELDS = [
    ("hexsched", '"prompt_tokens": 10', '"prompt_tokens": -1', ":1: ", "prompt_tokens"),
    ("hexsched", '"arrival": 2.5', '"arrival": NaN', ":2: ", "NaN"),
    ("hexsched", '"call_id": "c0"', '"call_id": "c0", "parents": ["x"]', ":1: ", "unknown parent 'x'"),
    ("hexsched", '"call_id": "c0"', '"call_id": "c0", "parents": ["c0"]', ":1: ", "cycle"),
    ("azure-2023", "GeneratedTokens", "Generated", ":1: ", "missing column 'GeneratedTokens'"),
    ("azure-2023", "396", "many", ":3: ", "ContextTokens"),
    ("azure-2023", "396", "nan", ":3: ", "ContextTokens"),
    ("azure-2023", "109", "-109", ":3: ", "GeneratedTokens"),
    ("azure-2023", "396", "3_96", ":3: ", "ContextTokens"),
    ("azure-2023", "109", "1.5", ":3: ", "GeneratedTokens"),
    ("azure-2023", "2023-11-16 18:15:50", "2023-13-16 18:15:50", ":3: ", "TIMESTAMP"),
    ("azure-2023", "396,109", "396", ":3: ", "expected 3 columns"),
    ("mooncake", '"input_length"', '"input"', ":1: ", "input_length"),
    ("mooncake", "3000", "-3000", ":2: ", "timestamp"),
    ("mooncake", "3000", "NaN", ":2: ", "NaN"),
    ("mooncake", "3000", '"3000"', ":2: ", "timestamp"),
    ("burstgpt", "Response tokens", "Answer tokens", ":1: ", "missing column 'Response tokens'"),
    ("burstgpt", "1087", "x", ":3: ", "Request tokens"),
    ("burstgpt", "45,", "-45,", ":3: ", "Timestamp"),
    ("burstgpt", "GPT-4,", '"GPT-4,', ":3: ", "CSV"),
    ("qwen-bailian", '"parent_chat_id": 7', '"parent_chat_id": 8', ":2: ", "parent_chat_id 8 is not in the file"),
    ("qwen-bailian", '"parent_chat_id": 7', '"parent_chat_id": 9', ":2: ", "cycle"),
    ("qwen-bailian", '"chat_id": 9', '"chat_id": 7', ":2: ", "duplicate chat_id 7"),
    ("agentic-mooncake", '["a"]', '["q"]', ":2: ", "unknown request 'q'"),
    ("agentic-mooncake", '["a"]', '["b"]', ":2: ", "cycle"),
    ("agentic-mooncake", '"request_id": "z"', '"request_id": "a"', ":3: ", "duplicate request_id 'a'"),
    ("agentic-mooncake", ', "timestamp": 400.0', "", ":3: ", "missing field 'timestamp'"),
    ("agentic-mooncake", '"delay": 500.0', '"delay": -1', ":2: ", "delay"),
    ("hexgen-flow", '"step": "revise"', '"stage": "revise"', ": ", "step"),
    ("hexgen-flow", '"output_length": 5', '"output_length": -5', ": ", "output_length"),
    ("weka", '"t": 9.0', '"t": -9.0', ": ", "t: "),
    ("weka", '"type": "s"', '"type": "q"', ": ", "type"),
    ("weka", '"block_size": 64', '"block_size": 0', ": ", "block_size"),
]


@pytest.mark.parametrize(("name", "old", "new", "line", "field"), BAD_FIELDS)
def test_bad_field_is_named_with_its_line(name: str, old: str, new: str, line: str, field: str, tmp_path: Path) -> None:
    assert old in SAMPLES[name]
    path = write(tmp_path, SAMPLES[name].replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        import_trace(path, format=name)
    assert str(caught.value).startswith(f"{path}{line}")
    assert field in str(caught.value)


# --- choosing a format ------------------------------------------------------------------------------------------------


def test_unknown_format_lists_the_formats(tmp_path: Path) -> None:
    path = write(tmp_path, "some,other,table\n1,2,3\n")
    with pytest.raises(
        InputError,
        match=r"a table with columns some, other, table; say .*: --map prompt=NAME.*or name one of the formats: ",
    ):
        import_trace(path)
    with pytest.raises(InputError, match=r"unknown trace format 'csv'; .*nown are hexsched, azure-2023, "):
        import_trace(path, "csv")


def test_ambiguous_file_must_be_named(tmp_path: Path) -> None:
    path = write(
        tmp_path, lines({"workflow_id": "w", "calls": [], "chat_id": 1, "parent_chat_id": 1, "input_length": 1})
    )
    with pytest.raises(InputError, match="fits hexsched, qwen-bailian; name one of the formats"):
        import_trace(path)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("mooncake", "grid_seconds", "nan"),
        ("mooncake", "grid_seconds", "inf"),
        ("mooncake", "block_tokens", 0),
        ("mooncake", "spread", "perhaps"),
        ("qwen-bailian", "service_seconds_per_token", "inf"),
        ("qwen-bailian", "orphans", "drop"),
        ("weka", "split", "day"),
    ],
)
def test_bad_option_is_named(name: str, option: str, value: object, tmp_path: Path) -> None:
    path = write(tmp_path, SAMPLES[name])
    with pytest.raises(InputError, match=f"{option}.*; the options of format {name} are: "):
        import_trace(path, **{option: value})


def test_options_may_be_text(tmp_path: Path) -> None:
    path = write(tmp_path, lines(mooncake(0, [1]), mooncake(0, [2])))
    assert import_trace(path, spread="false") == import_trace(path, spread=False)
    assert import_trace(path, spread="false") != import_trace(path, spread="true")


# --- one more format --------------------------------------------------------------------------------------------------

TOKEN_PAIRS = recipe("A trace format")


def test_one_more_file_is_one_more_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace, output = write(tmp_path, "in,out\n30,9\n40,8\n", "pairs.csv"), tmp_path / "w.jsonl"
    with extended(IMPORTERS, tmp_path, TOKEN_PAIRS):
        SAMPLES["pairs"] = IMPORTERS["pairs"].sample
        test_every_importer_says_what_it_reads_and_is_alone_in_it("pairs")
        test_sample_is_sniffed_and_read("pairs", tmp_path)
        assert main(["formats"]) == OK
        assert "pairs of token counts" in capsys.readouterr().out
        assert main(["workload", "import", str(trace), "-o", str(output), "--json"]) == OK
        assert json.loads(capsys.readouterr().out)["format"] == "pairs"
    del SAMPLES["pairs"]
    assert [(w.arrival, w.calls[0].prompt_tokens) for w in import_trace(output)] == [(0.0, 30), (1.0, 40)]
    assert "pairs" not in IMPORTERS


# --- prefixes ---------------------------------------------------------------------------------------------------------


def test_prefix_store_counts_the_leading_run_of_full_blocks() -> None:
    store = PrefixStore(512)
    assert store.admit(1100, [1, 2, 3]) == 0
    assert store.admit(1600, [1, 2, 9, 3]) == 1024  # 3 was seen, but not in the leading run
    assert store.admit(1100, [1, 2, 3]) == 1024  # the partial third block does not count
    assert store.admit(1024, [1, 2]) == 512  # one token at least is left to prefill
    assert store.admit(0, []) == 0


# --- single requests --------------------------------------------------------------------------------------------------


def test_requests_are_sorted_and_start_at_zero(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:47.0000001,7,1\n2023-11-16T18:15:46Z,8,1\n2023-11-16 19:15:48.5+01:00,9,1\n",
    )
    workflows = import_trace(path)
    assert [workflow.calls[0].prompt_tokens for workflow in workflows] == [8, 7, 9]
    assert [workflow.arrival for workflow in workflows] == pytest.approx([0, 1.0000001, 2.5], abs=1e-12)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("azure-2023", SAMPLES["azure-2023"].replace("396", "0")),
        ("azure-2023", SAMPLES["azure-2023"].replace("109", "0")),
        ("mooncake", lines(mooncake(0, [1]), mooncake(0, [2], output=0))),
        ("burstgpt", SAMPLES["burstgpt"].replace("1087", "0")),
        ("qwen-bailian", lines(bailian(1, -1, 0.0), bailian(2, -1, 0.0, output=0))),
        ("agentic-mooncake", lines(agentic("a", timestamp=0), agentic("b", timestamp=0, output_length=0))),
        ("hexgen-flow", json.dumps([{"a": [step("x")]}, {"b": [step("x", output=0)]}])),
        ("weka", json.dumps(conversation("c", weka(0, [1]), weka(1, [1], out=0)))),
    ],
)
def test_requests_without_tokens_are_dropped_and_counted(name: str, text: str, tmp_path: Path) -> None:
    result = read_trace(write(tmp_path, text), format=name)
    assert sum(len(workflow.calls) for workflow in result.workflows) == 1
    assert list(result.dropped.values()) == [1]


def test_nothing_left_is_an_error_that_counts(tmp_path: Path) -> None:
    path = write(tmp_path, lines(mooncake(0, [1], output=0)))
    with pytest.raises(InputError, match=r"no usable request in this mooncake trace \(1 with zero output tokens\)"):
        import_trace(path)


def test_mooncake_spreads_a_bin_evenly(tmp_path: Path) -> None:
    times = [0, 0, 0, 3000, 12000, 12000]
    path = write(tmp_path, lines(*(mooncake(time, [index]) for index, time in enumerate(times))))
    assert [w.arrival for w in import_trace(path)] == [0, 1, 2, 3, 12, 13.5]
    assert [w.arrival for w in import_trace(path, spread=False)] == [0, 0, 0, 3, 12, 12]
    assert [w.arrival for w in import_trace(path, grid_seconds=1.5)] == [0, 0.5, 1, 3, 12, 12.75]


def test_mooncake_cached_prefix(tmp_path: Path) -> None:
    path = write(tmp_path, lines(mooncake(0, [1, 2]), mooncake(1, [1, 3], tokens=1000), mooncake(2, [3, 1])))
    assert [w.calls[0].cached_tokens for w in import_trace(path)] == [0, 512, 512]
    assert [w.calls[0].cached_tokens for w in import_trace(path, block_tokens=600)] == [0, 600, 600]
    assert [w.calls[0].cached_tokens for w in import_trace(path, prefix_cache=False)] == [0, 0, 0]


def test_hexsched_round_trip(tmp_path: Path) -> None:
    calls = (
        Call(call_id="p", prompt_tokens=9, output_tokens=3, kind="plan"),
        Call(call_id="q", prompt_tokens=12, output_tokens=4, cached_tokens=9, parents=("p",), delay=0.5),
    )
    workflows = tuple(Workflow(workflow_id=f"w{i}", arrival=i / 3, calls=calls) for i in range(4))
    write_workload(tmp_path / "w.jsonl", workflows)
    assert import_trace(tmp_path / "w.jsonl") == workflows


@pytest.mark.parametrize("name", ["hexsched", "weka"])
def test_duplicate_workflow_is_an_error(name: str, tmp_path: Path) -> None:
    record = SAMPLES[name].splitlines()[0]
    path = write(tmp_path, f"{record}\n{record}\n")
    with pytest.raises(InputError, match="duplicate workflow_id"):
        import_trace(path)


# --- sessions and dependencies ----------------------------------------------------------------------------------------


def test_burstgpt_sessions_become_chains(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "3,,1,GPT-4,5,5,10,API log\n"
        "10,7,4,GPT-4,10,20,30,Conversation log\n"
        "12,,1,GPT-4,11,20,31,API log\n"
        "20,7,5,GPT-4,0,0,0,Conversation log\n"
        "30,7,2,GPT-4,40,20,60,Conversation log\n",
    )
    result = read_trace(path)
    assert [workflow.workflow_id for workflow in result.workflows] == ["r0", "s7", "r2"]
    assert shape(result.workflows[1]) == {"c0": ((), 0.0), "c1": (("c0",), 16.0)}
    assert result.dropped == {"zero prompt tokens": 1}
    assert [w.workflow_id for w in import_trace(path, limit=2)] == ["r0", "s7"]
    assert len(import_trace(path, sessions=False)) == 4


def test_bailian_conversation_is_a_tree(tmp_path: Path) -> None:
    rows = [bailian(1, -1, 2.0), bailian(5, -1, 3.0), bailian(2, 1, 10.0), bailian(3, 2, 15.0), bailian(4, 1, 11.0)]
    path = write(tmp_path, lines(*rows))
    first, second = import_trace(path, estimate_service=False)
    assert (first.workflow_id, second.workflow_id, second.arrival) == ("1", "5", 1.0)
    assert shape(first) == {"1": ((), 0.0), "2": (("1",), 8.0), "3": (("2",), 5.0), "4": (("1",), 9.0)}
    assert [call.cached_tokens for call in first.calls] == [0, 32, 32, 32]
    estimated, _ = import_trace(path, service_seconds_per_token=0.6)
    assert shape(estimated)["2"] == (("1",), 2.0)
    assert shape(estimated)["3"] == (("2",), 0.0)
    assert [w.arrival for w in import_trace(path, conversations=False)] == [0, 1, 8, 9, 13]


def test_bailian_dropped_first_turn_moves_the_arrival(tmp_path: Path) -> None:
    rows = [bailian(1, -1, 0.0), bailian(2, -1, 5.0, output=0), bailian(3, 2, 9.0), bailian(4, 3, 12.0)]
    for estimated in (False, True):  # of what is left out nothing is taken off
        result = read_trace(write(tmp_path, lines(*rows)), estimate_service=estimated)
        assert [workflow.arrival for workflow in result.workflows] == [0, 9]
    assert 2.8 < result.workflows[1].calls[1].delay < 3


def test_bailian_orphans_can_be_roots(tmp_path: Path) -> None:
    path = write(tmp_path, lines(bailian(1, -1, 0.0), bailian(3, 2, 9.0, turn=2)))
    assert [w.arrival for w in import_trace(path, orphans="root")] == [0, 9]


def test_agentic_wait_for(tmp_path: Path) -> None:
    rows = [
        agentic("root", session_id="main", timestamp=1000),
        agentic("left", session_id="sub", wait_for=["root"]),
        agentic("right", session_id="main", wait_for=["root"], delay=250),
        agentic("join", session_id="main", wait_for=["left", "right"], delay=100, tool_wait_ms=900),
        agentic("late", session_id="main", timestamp=61000),
    ]
    first, second = import_trace(write(tmp_path, lines(*rows)))
    assert shape(first) == {
        "root": ((), 0.0),
        "left": (("root",), 0.0),
        "right": (("root",), 0.25),
        "join": (("left", "right"), 1.0),
    }
    assert [call.cached_tokens for call in first.calls] == [0, 1024, 1024, 1024]
    assert (first.workflow_id, second.workflow_id, second.arrival) == ("main", "late", 60.0)


def test_agentic_sessions_without_request_ids(tmp_path: Path) -> None:
    rows = [mooncake(time, [1]) | {"session_id": name} for time, name in [(0, "s"), (500, "t"), (2000, "s")]]
    del rows[2]["timestamp"]
    rows.append(mooncake(4000, [1]) | {"session_id": "t"})
    rows[2]["delay"] = 700
    first, second = import_trace(write(tmp_path, lines(*rows)), estimate_service=False)
    assert shape(first) == {"row0": ((), 0.0), "row2": (("row0",), 0.7)}
    assert shape(second) == {"row1": ((), 0.0), "row3": (("row1",), 3.5)}


def test_agentic_version_2(tmp_path: Path) -> None:
    def row(name: str, play: str, not_before: float, *dependencies: tuple[str, str, float]) -> dict[str, object]:
        named = [
            {"request_id": who, "trigger": trigger, "delay_ms": delay, "relation": "sequence"}
            for who, trigger, delay in dependencies
        ]
        fields = {"play_id": play, "session_id": play, "model": "m", "not_before_ms": not_before}
        return agentic(name, **fields, hash_ids=[1, 2], input_length=130, dependencies=named)

    header = {
        "schema": "dynamo.agentic_mooncake",
        "version": 2,
        "block_size": 64,
        "hash_id_scope": "local",
        "source": {"format": "weka", "digest": "d"},
    }
    rows = [
        row("d", "p", 0, ("b", "completion", 0), ("c", "completion", 30)),
        row("a", "p", 0),
        row("b", "p", 50, ("a", "completion", 40)),
        row("c", "p", 60, ("b", "dispatch", 10)),
        row("e", "p", 70, ("a", "dispatch", 20)),
        row("x", "q", 0),
    ]
    first, second = import_trace(write(tmp_path, lines(header, *rows)))
    assert (first.workflow_id, second.workflow_id) == ("p", "q")
    assert shape(first) == {
        "d": (("b", "c"), 0.03),
        "a": ((), 0.0),
        "b": (("a",), 0.04),
        "c": (("a",), 0.05),
        "e": ((), 0.02),
    }
    assert [call.cached_tokens for call in first.calls] == [128, 0, 128, 128, 128]
    assert second.calls[0].cached_tokens == 0


def test_agentic_dropped_request_hands_on_its_parents(tmp_path: Path) -> None:
    rows = [
        agentic("a", timestamp=0),
        agentic("b", wait_for=["a"], delay=1000, output_length=0),
        agentic("c", wait_for=["b"], delay=2000),
    ]
    result = read_trace(write(tmp_path, lines(*rows)))
    assert shape(result.workflows[0]) == {"a": ((), 0.0), "c": (("a",), 3.0)}
    assert result.dropped == {"zero output tokens": 1}


def test_hexgen_flow_stages(tmp_path: Path) -> None:
    names = ["keywords", "generate_candidate_x", "generate_candidate_x", "revise", "evaluate", "evaluate", "tester"]
    path = write(tmp_path, json.dumps([{"q": [step(name) for name in names]}]))
    (workflow,) = import_trace(path)
    assert [call.parents for call in workflow.calls] == [
        (),
        ("c0",),
        ("c0",),
        ("c1", "c2"),
        ("c3",),
        ("c3",),
        ("c4", "c5"),
    ]
    (chain,) = import_trace(path, parallel=False)
    assert [call.parents for call in chain.calls] == [(), *((f"c{index}",) for index in range(6))]


def test_hexgen_flow_repeated_steps_run_in_sequence(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps([{"q": [step("revise"), step("revise", output=0), step("revise")]}]))
    (workflow,) = import_trace(path)
    assert shape(workflow) == {"c0": ((), 0.0), "c2": (("c0",), 0.0)}


def test_weka_turns_tools_and_subagents(tmp_path: Path) -> None:
    subagent = {
        "t": 12.0,
        "type": "subagent",
        "agent_id": "a",
        "subagent_type": "Explore",
        "status": "completed",
        "requests": [weka(0.0, [8], ("text",), api_time=2.0), weka(5.0, [8, 9], api_time=1.0)],
    }
    text = json.dumps(
        conversation(
            "t",
            weka(0.0, [1, 2], ("text",), api_time=4.0),
            weka(9.0, [1, 2, 3], api_time=2.0),
            subagent,
            weka(14.0, [1, 2, 3, 4], api_time=1.0),
            weka(20.0, [1, 2, 3, 4, 5], think_time=0.5),
            weka(100.0, [1, 2, 3, 4, 5, 6], ("text",)),
        )
    )
    path = write(tmp_path, text)
    first, second = import_trace(path)
    assert (first.workflow_id, second.workflow_id, second.arrival) == ("t-0", "t-1", 100.0)
    assert shape(first) == {
        "c0": ((), 0.0),
        "c1": (("c0",), 5.0),
        "c2.0": (("c1",), 1.0),
        "c2.1": (("c2.0",), 3.0),
        "c3": (("c1",), 3.0),  # sent while the sub-agent ran: did not wait for it
        "c4": (("c3", "c2.1"), 0.5),
    }
    assert [call.cached_tokens for call in first.calls] == [0, 128, 0, 64, 192, 256]
    assert second.calls[0].cached_tokens == 320
    (whole,) = import_trace(path, split="conversation")
    assert shape(whole)["c5"] == (("c4",), 80.0)


@pytest.mark.parametrize(("scope", "cached"), [("local", 0), ("global", 64)])
def test_weka_json_lines_and_hash_scope(scope: str, cached: int, tmp_path: Path) -> None:
    text = lines(*(conversation(name, weka(0.0, [1], ("text",)), scope=scope) for name in ("a", "b")))
    workflows = import_trace(write(tmp_path, text))
    assert [workflow.workflow_id for workflow in workflows] == ["a-0", "b-0"]
    assert [workflow.calls[0].cached_tokens for workflow in workflows] == [0, cached]
