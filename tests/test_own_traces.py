"""Tables of one's own as traces: files, columns, units of time, and pauses."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

import hexsched as hx
from experiments.cli import BAD_INPUT, OK, main
from hexsched.errors import InputError, InputWarning
from hexsched.workloads.importers import ImportResult, import_trace, read_trace
from hexsched.workloads.importers.parts.graph import Draft
from hexsched.workloads.importers.parts.pauses import estimated_seconds

pytestmark = pytest.mark.quick

START = 1_750_000_000  # seconds since 1970
MAP = {"session": "who", "time": "at", "prompt": "usage.in", "output": "usage.out"}
PER_SECOND = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}


def rows(sessions: int = 6, turns: int = 4) -> list[dict]:
    """Sessions whose turns take 5 s each and follow each other after a pause of 2.5 s."""
    return [
        {"who": f"u{s}", "at": START + 3 * s + 7.5 * k, "usage": {"in": 800 + 100 * k, "out": 150}, "took": 5.0}
        for k in range(turns)
        for s in range(sessions)
    ]


def write(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def delays(result: ImportResult) -> list[float]:
    return [call.delay for workflow in result.workflows for call in workflow.calls if call.parents]


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["parquet", "arrow", "gzip", "zstd"])
def test_what_a_file_is_is_told_by_its_content(sort: str, tmp_path: Path) -> None:
    lines = write(tmp_path / "t.jsonl", rows())
    expected = import_trace(lines, map=MAP)
    path = tmp_path / "t.txt"
    table = pa.Table.from_pylist(rows())
    if sort == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=5)
    elif sort == "arrow":
        pyarrow.feather.write_feather(table, path, compression="uncompressed", chunksize=5)
    else:
        data = lines.read_bytes()
        path.write_bytes(gzip.compress(data) if sort == "gzip" else pa.compress(data, codec="zstd", asbytes=True))
    assert import_trace(path, map=MAP) == expected


def test_a_table_of_a_known_format_is_that_format(tmp_path: Path) -> None:
    row = {"timestamp": 5, "input_length": 70, "output_length": 9, "hash_ids": [1]}
    pyarrow.parquet.write_table(pa.Table.from_pylist([row, row | {"timestamp": 9}]), tmp_path / "t")
    result = read_trace(tmp_path / "t")
    assert (result.format, len(result.workflows)) == ("mooncake", 2)


def test_times_of_a_table_keep_their_nanoseconds_and_zone(tmp_path: Path) -> None:
    times = pa.array([1_750_000_000_000_000_000, 1_750_000_001_000_000_250], pa.timestamp("ns", tz="Europe/Berlin"))
    table = pa.table({"at": times, "prompt_tokens": [5, 5], "output_tokens": [2, 2]})
    pyarrow.parquet.write_table(table, tmp_path / "t")
    assert [w.arrival for w in import_trace(tmp_path / "t", time="at")] == [0.0, 1.00000025]


def test_a_bad_row_of_a_table_is_told_by_its_number(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pa.table({"prompt_tokens": [5, -3], "output_tokens": [2, 2]}), tmp_path / "t")
    with pytest.raises(InputError, match=r"t:2: prompt_tokens"):
        import_trace(tmp_path / "t")


# --- columns ----------------------------------------------------------------------------------------------------------


def test_a_map_on_the_command_line_and_in_python_is_the_same(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = write(tmp_path / "t.jsonl", rows())
    text = ",".join(f"{role}={column}" for role, column in MAP.items())
    assert main(["workload", "import", str(path), "--map", text, "-o", str(tmp_path / "w.jsonl")]) == OK
    capsys.readouterr()
    with pytest.warns(InputWarning, match="columns: prompt usage.in"):
        imported = hx.workload(path, map=MAP)
    assert tuple(hx.workload(tmp_path / "w.jsonl")) == tuple(imported)
    with pytest.warns(InputWarning, match="columns: prompt usage.in"):
        assert hx.workload(path, map=text) == imported
    with pytest.warns(InputWarning, match="columns: prompt usage.in"):
        assert hx.workload(path, **MAP) == imported


def test_fields_with_usual_names_are_found_inside_others(tmp_path: Path) -> None:
    records = [
        {"usage": {"prompt_tokens": 7, "completion_tokens": 3}, "created": START + 5 * k, "model": "m"} for k in (0, 1)
    ]
    result = read_trace(write(tmp_path / "t.jsonl", records))
    assert "columns: prompt usage.prompt_tokens, output usage.completion_tokens, time created" in result.notes[0]
    assert [w.arrival for w in result.workflows] == [0, 5]
    assert "columns that are not used: model" in result.notes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "prompt=usage.in,output=usage.ouut",
            r"no column 'usage.ouut' for output; did you mean 'usage.out'\? There are ",
        ),
        ("promt=usage.in", r"no role 'promt' for a column; did you mean 'prompt'"),
        ("prompt", r"'prompt' is not ROLE=COLUMN; roles are prompt, output, cached"),
        ("prompt=a,prompt=b", "'prompt=b' is given twice"),
        ("session=who", "no column is known to hold prompt tokens; name it with --map prompt=NAME; there are who, at,"),
    ],
)
def test_a_wrong_map_says_what_would_be_right(
    given: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = write(tmp_path / "t.jsonl", rows())
    with pytest.raises(InputError, match=message):
        read_trace(path, map=given)
    assert main(["workload", "describe", str(path), "--map", given]) == BAD_INPUT
    assert len(capsys.readouterr().err.splitlines()) == 1


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", PER_SECOND)
def test_the_digits_of_times_since_1970_tell_their_unit(unit: str, tmp_path: Path) -> None:
    records = [row | {"at": int(row["at"] * PER_SECOND[unit])} for row in rows(turns=1)]
    result = read_trace(write(tmp_path / "t.jsonl", records), map=MAP)
    assert [w.arrival for w in result.workflows] == pytest.approx([0, 3, 6, 9, 12, 15])
    assert any(f"are taken as {unit} since 1970" in note for note in result.notes) == (unit != "s")


def test_wall_clock_times_need_no_unit(tmp_path: Path) -> None:
    records = [row | {"at": datetime.fromtimestamp(row["at"], UTC).isoformat()} for row in rows()]
    result = read_trace(write(tmp_path / "t.jsonl", records), map=MAP)
    assert result.workflows == import_trace(write(tmp_path / "u.jsonl", rows()), map=MAP)


def test_wall_clock_times_may_lack_seconds(tmp_path: Path) -> None:
    table = "arrival,prompt_tokens,output_tokens\n"
    times = ("2026-06-01 05:40", "2026-06-01T05:41+00:00", "2026-06-01 05:42:30.5")
    (tmp_path / "t.csv").write_text(table + "".join(f"{time},100,20\n" for time in times))
    assert [w.arrival for w in import_trace(tmp_path / "t.csv")] == [0, 60, 150.5]


@pytest.mark.parametrize(
    "time", ["01/06/2026 05:40", "2026-06-01 05:40.5", "2026-06-01", "2026-06-01 5:40", "05:40:10"]
)
def test_other_ways_to_write_a_time_are_told_which_there_are(time: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"arrival,prompt_tokens,output_tokens\n{time},100,20\n")
    with pytest.raises(
        InputError, match=r"t\.csv:2: arrival: expected a time with the year first, such as 2023-11-16 18:15"
    ):
        import_trace(tmp_path / "t.csv")


def test_one_unit_is_said_of_times(tmp_path: Path) -> None:
    def said(records: list[dict], **options: str) -> list[str]:
        notes = read_trace(write(tmp_path / "t.jsonl", records), map=MAP, **options).notes
        return [note for note in notes if "times" in note]

    assert ["in s" in note for note in said([row | {"at": row["at"] - START} for row in rows()])] == [True]
    assert ["as ms" in note for note in said([row | {"at": int(row["at"] * 1000)} for row in rows()])] == [True]
    assert ["in s" in note for note in said([row | {"at": row["at"] - START} for row in rows()], time_unit="s")] == [
        True
    ]
    clock = [row | {"at": datetime.fromtimestamp(row["at"], UTC).isoformat()} for row in rows()]
    assert ["wall clock" in note for note in said(clock)] == [True]


def test_how_many_rows_are_invalid_is_said_when_all_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("arrival,prompt_tokens,output_tokens\n1,x,20\n2,-4,20\n")
    with pytest.raises(InputError, match=r"no usable request .*\(2 invalid rows, the first: .*t\.csv:2: prompt_tokens"):
        import_trace(tmp_path / "t.csv", skip_invalid=True)


@pytest.mark.parametrize("true", PER_SECOND)
@pytest.mark.parametrize("taken", PER_SECOND)
def test_a_wrong_unit_is_doubted_and_a_right_one_is_not(true: str, taken: str, tmp_path: Path) -> None:
    scale = PER_SECOND[true]
    records = [row | {"at": (row["at"] - START) * scale, "took": row["took"] * scale} for row in rows()]
    path = write(tmp_path / "t.jsonl", records)
    result = read_trace(path, map=MAP | {"service": "took"}, time_unit=taken)
    doubts = [note for note in result.notes if "make little sense" in note or "follow each other" in note]
    assert bool(doubts) == (true != taken)
    assert all(f"delay_unit={true} would fit" in note or f"time_unit={true} would fit" in note for note in doubts)


def test_delays_of_days_and_contexts_of_no_model_are_doubted(tmp_path: Path) -> None:
    records = [row | {"wait": 3e5} for row in rows()]
    records[0]["usage"] = {"in": 2 * 10**7, "out": 1}
    result = read_trace(write(tmp_path / "t.jsonl", records), map=MAP | {"delay": "wait"})
    assert any("18 of 18 delays between calls are longer than a day" in note for note in result.notes)
    assert any("1 calls have more than 10,000,000 tokens" in note for note in result.notes)


def test_describe_prints_units(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = write(tmp_path / "t.jsonl", rows())
    frame = hx.workload("bfcl", workflows=3).describe().set_index("quantity")
    assert frame.loc["delay", "unit"] == "s"
    assert (frame["unit"] != "").all()
    assert main(["workload", "describe", str(path), "--map", ",".join(f"{k}={v}" for k, v in MAP.items())]) == OK
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split()[:2] == ["quantity", "unit"]
    assert next(line for line in printed if line.startswith("arrival_rate")).split()[1] == "workflows/s"


# --- pauses -----------------------------------------------------------------------------------------------------------


def test_what_a_request_took_is_no_part_of_the_pause_after_it(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", rows())
    assert delays(read_trace(path, map=MAP | {"service": "took"})) == pytest.approx([2.5] * 18)
    result = read_trace(path, map=MAP)
    expected = [7.5 - estimated_seconds(Draft("", "", 800 + 100 * k, 150)) for k in range(3)] * 6
    assert delays(result) == pytest.approx(expected)
    assert 2 < expected[0] < 7
    assert any(note.startswith("18 delays are from start to start less an estimate") for note in result.notes)
    assert delays(read_trace(path, map=MAP, estimate_service=False)) == pytest.approx([7.5] * 18)


@pytest.mark.parametrize("recorded", [7.5, 2.5])
def test_whether_a_delay_is_from_start_to_start_is_told_by_the_times(recorded: float, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [row | {"wait": recorded} for row in rows()])
    columns = MAP | {"delay": "wait", "service": "took"}
    result = read_trace(path, map=columns)
    assert delays(result) == pytest.approx([2.5] * 18)
    where = "start" if recorded == 7.5 else "end"
    assert any(f"wait: delays are taken from the {where} of the turn before" in note for note in result.notes)
    assert delays(read_trace(path, map=columns, gap="end")) == pytest.approx([recorded] * 18)
    assert delays(read_trace(path, map=columns, gap="start")) == pytest.approx([max(0, recorded - 5)] * 18)
    assert not any("delays are taken" in note for note in read_trace(path, map=columns, gap="end").notes)
