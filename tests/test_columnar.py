"""Parquet files of instances and schedules: the same content as JSON, and the same refusals."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import corner_instances
from msgspec.structs import replace
from test_columns import WRONG, changed

import hexsched as hx
from experiments.cli import main
from hexsched.errors import InputError
from hexsched.model import Instance, columnar, read_instance, read_schedule, read_workload
from hexsched.model.file_kind import kind_of
from hexsched.model.files import decode_json
from hexsched.model.parquet_footer import column_sizes
from hexsched.model.rows import Rows
from hexsched.simulator import simulate

pytestmark = pytest.mark.quick


@settings(max_examples=40, deadline=None)
@given(drawn=corner_instances(workflows=(1, 4), calls=(1, 4)))
def test_the_same_instance_and_schedule(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    path = folder / "instance.parquet"
    drawn.save(path)
    assert kind_of(path) == "instance"
    read = read_instance(path)
    assert isinstance(read.workflows, Rows)
    assert read == drawn
    assert read.to_bytes() == drawn.to_bytes()
    assert read_workload(path) == drawn.workflows  # its rows are those of a workload
    made = simulate(read, "fcfs").schedule
    made.save(folder / "schedule.parquet")
    assert kind_of(folder / "schedule.parquet") == "schedule"
    back = read_schedule(folder / "schedule.parquet")
    assert isinstance(back.calls, Rows)
    assert back == made
    assert back.to_bytes() == made.to_bytes()


@pytest.fixture
def small() -> Instance:
    return hx.instance("demo", "text2sql", workflows=5, seed=3)


def rewritten(path, change, **options):
    """The file with its table changed."""
    table = pq.read_table(path)
    pq.write_table(change(table), path, **options)


def test_several_groups_of_rows_and_plain_texts_are_the_same(tmp_path, small):
    path = tmp_path / "i.parquet"
    small.save(path)
    head = pq.read_schema(path).metadata[b"hexsched"]
    rows = msgspec.json.decode(small.to_bytes())["workflows"]
    table = pa.Table.from_pylist(rows).replace_schema_metadata({"hexsched": head})  # as another program writes it
    for options in ({"row_group_size": 2}, {"use_dictionary": False, "compression": "none"}):
        pq.write_table(table, path, **options)
        assert read_instance(path) == small
        assert isinstance(read_instance(path).workflows, Rows)


def test_columns_with_a_default_may_be_absent(tmp_path):
    data = decode_json(changed(("decode_model",), "fixed"), Instance, "")
    path = tmp_path / "i.parquet"
    data.save(path)
    head = pq.read_schema(path).metadata[b"hexsched"]
    calls = [{"call_id": "c", "prompt_tokens": 5.0, "output_tokens": 7}]
    table = pa.Table.from_pylist([{"workflow_id": "w", "arrival": 1, "calls": calls}])
    pq.write_table(table.replace_schema_metadata({"hexsched": head}), path)
    (workflow,) = read_instance(path).workflows
    assert (workflow.arrival, workflow.calls[0].prompt_tokens, workflow.calls[0].kind) == (1.0, 5, "")


@pytest.mark.parametrize(("where", "value"), [row for row in WRONG if row[0][0] == "workflows" and row[1] != 2**70])
def test_what_is_wrong_is_told_as_in_json(where, value, tmp_path, small):
    path = tmp_path / "i.parquet"
    good = decode_json(changed(("decode_model",), "fixed"), Instance, "")
    good.save(path)
    head = pq.read_schema(path).metadata[b"hexsched"]
    rows = json.loads(changed(where, value))["workflows"]
    if not isinstance(value, str) or where[-1] not in ("delay", "depth"):  # of one type a column
        table = pa.Table.from_pylist(rows, schema=None)
        pq.write_table(table.replace_schema_metadata({"hexsched": head}), path)
        with pytest.raises(InputError) as told:
            read_instance(path)
        with pytest.raises(InputError) as again:
            decode_json(changed(where, value), Instance, "")
        words = str(again.value).split(": ")[-1]
        assert words in str(told.value) or "null" in str(told.value)
        assert str(path) in str(told.value)


def null_in(column: str):
    def change(table: pa.Table) -> pa.Table:
        k = table.column_names.index(column)
        values = table.column(k).to_pylist()
        return table.set_column(k, column, pa.array([None, *values[1:]], table.schema.field(k).type))

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (null_in("workflow_id"), "row 1: workflow_id: Expected 'str', got 'null'"),
        (null_in("arrival"), "row 1: arrival: Expected 'float', got 'null'"),
        (null_in("calls"), "row 1: calls: Expected 'array', got 'null'"),
        (lambda t: t.append_column("color", [["red"] * len(t)]), "unknown field 'color'"),
        (lambda t: t.drop_columns(["arrival"]), "missing required field 'arrival'"),
        (lambda t: t.set_column(1, "arrival", [["x"] * len(t)]), "arrival: Expected 'float', got 'str'"),
        (lambda t: t.slice(0, 0), "there are no workflows"),
        (lambda t: pa.concat_tables([t, t]), "duplicate workflow_id"),
        (lambda t: t.replace_schema_metadata({"hexsched": b"{}"}), "metadata: Object missing required field"),
        (lambda t: t.replace_schema_metadata({"hexsched": b"{" * 9999}), "not valid JSON"),
        (lambda t: t.replace_schema_metadata({}), "have no 'hexsched'"),
    ],
)
def test_a_bent_table_is_refused_with_its_place(change, told, tmp_path, small):
    path = tmp_path / "i.parquet"
    small.save(path)
    rewritten(path, change)
    with pytest.raises(InputError, match=r"i\.parquet") as error:
        read_instance(path)
    assert told in str(error.value)


def test_a_schedule_may_have_times_that_are_no_numbers(tmp_path, small):
    path = tmp_path / "s.parquet"
    made = simulate(small, "fcfs").schedule
    wrong = replace(made, calls=(replace(made.calls[0], admitted=math.nan, decode_instance="x"), *made.calls[1:]))
    wrong.save(path)
    assert hx.verify(small, path).counts() == hx.verify(small, wrong).counts()
    assert not hx.verify(small, path).ok
    with pytest.raises(InputError, match="this is a schedule, not an instance"):
        read_instance(path)


def test_damage_is_found_wherever_it_is(tmp_path, small):
    path = tmp_path / "i.parquet"
    small.save(path)
    data = path.read_bytes()
    for place in [*range(4, len(data) - 8, max(len(data) // 60, 1)), len(data) - 6]:
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x5A]) + data[place + 1 :])
        with contextlib.suppress(InputError):
            assert read_instance(path) == small  # padding, statistics, names of writers
    for size in (4, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(InputError):
            read_instance(path)


def test_no_end_of_a_file_ends_the_process(tmp_path, small):
    """pyarrow does so for some of these when it is asked for a column."""
    path = tmp_path / "s.parquet"
    made = simulate(small, "fcfs").schedule
    made.save(path)
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    text = data.index(b"ARROW:schema", footer)  # all that follows is a text
    for place in range(footer, text):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with contextlib.suppress(InputError):
            assert read_schedule(path) == made


def test_sizes_of_columns_are_those_that_pyarrow_says(tmp_path, small):
    small.save(tmp_path / "i.parquet")
    metadata = pq.read_metadata(tmp_path / "i.parquet")
    groups = [metadata.row_group(k) for k in range(metadata.num_row_groups)]
    columns = [group.column(k) for group in groups for k in range(group.num_columns)]
    told = sum(one.num_values for one in columns), sum(one.total_uncompressed_size for one in columns)
    assert column_sizes(tmp_path / "i.parquet") == told


def test_a_size_of_another_type_does_not_hide_the_true_one(tmp_path):
    """Readers of Parquet pass over a field whose type is not its own."""
    sizes = b"\x56\x10" + b"\x16\x20"  # fields 5 and 6, of 64 bits: 8 and 16
    again = b"\x05\x0a\x02" + b"\x15\x02"  # the same of 32 bits: 1 and 1
    column = b"\x3c" + sizes + again + b"\0\0"
    footer = b"\x49\x1c" + b"\x19\x1c" + column + b"\0\0"
    path = tmp_path / "footer.parquet"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    assert column_sizes(path) == (8, 16)


@settings(max_examples=200)
@given(footer=st.binary(max_size=80))
def test_any_bytes_are_sizes_or_an_error(footer, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "footer.parquet"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    with contextlib.suppress(InputError):
        values, size = column_sizes(path)
        assert min(values, size) >= 0


def test_what_would_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, small, monkeypatch):
    path = tmp_path / "i.parquet"
    small.save(path)
    for name in ("MOST_VALUES", "MOST_BYTES"):
        with monkeypatch.context() as patched:
            patched.setattr(columnar, name, 50)
            with pytest.raises(InputError, match=r"at most .* are read"):
                read_instance(path)


def test_a_short_file_that_names_a_long_text_often_is_refused(tmp_path, small, monkeypatch):
    path = tmp_path / "s.parquet"
    made = simulate(small, "fcfs").schedule
    calls = tuple(replace(call, workflow_id="w" * 100_000) for call in made.calls)
    replace(made, calls=calls).save(path)
    assert path.stat().st_size < 20_000
    assert read_schedule(path).calls[0].workflow_id == "w" * 100_000
    monkeypatch.setattr(columnar, "MOST_BYTES", 1_000_000)
    with pytest.raises(InputError, match="texts of the file are longer"):
        read_schedule(path)


def test_the_command_line_takes_and_makes_them(tmp_path, small, capsys):
    table, text = tmp_path / "i.parquet", tmp_path / "i.json"
    small.save(table)
    small.save(text)
    told: dict[str, Any] = {}
    for name, path in (("parquet", table), ("json", text)):
        plan = tmp_path / f"s.{name}"
        assert main(["simulate", str(path), "--policy", "fcfs", "-o", str(plan), "--timings"]) == 0
        shown = capsys.readouterr()
        parts = [line.split()[0] for line in shown.err.splitlines()]
        assert parts[-8:] == ["start", "import", "read", "prepare", "engine", "metrics", "write", "all"]
        assert main(["verify", str(path), str(plan), "--timings"]) == 0
        assert "verify" in capsys.readouterr().err
        told[name] = read_schedule(plan)
    assert told["parquet"] == told["json"]
    assert main(["compare", str(table), "--policies", "fcfs", "--timings"]) == 0
    assert "engine" in capsys.readouterr().err
    assert main(["simulate", str(table), "--policy", "fcfs", "-o", str(table)]) == 2
    assert "overwrite" in capsys.readouterr().err
