"""The store: what is written is whole or not there, and what is wrong with a folder is said in a line."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from experiments.grid.code import code_version
from experiments.store import CellFiles, Store, read_schedule_of, read_table, tables
from experiments.store.schema import encode
from experiments.store.seal import is_whole
from hexsched.errors import InputError

pytestmark = pytest.mark.quick

HOLD_THE_LOCK = """
import sys, time
from experiments.store import Store
with Store.writing(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(60)
"""


def row(table: str, key: str, **values: object) -> dict[str, object]:
    return {**dict.fromkeys(tables()[table].columns), "key": key, **values}


def run_files(key: str, *, workflows: int = 2, req95: float = 1.5) -> CellFiles:
    rows = [row("workflows", key, workflow_id=f"w{k}", ratio=1.0 + k) for k in range(workflows)]
    runs = encode("runs", [row("runs", key, policy="fcfs", req95=req95)])
    return CellFiles(key, "runs", {"runs": runs, "workflows": encode("workflows", rows)})


def failed(key: str, attempts: int = 1) -> CellFiles:
    rows = [row("errors", key, kind="simulate", error="it broke", attempts=attempts)]
    return CellFiles(key, "errors", {"errors": encode("errors", rows)})


def test_what_is_written_is_read_by_key_and_row(tmp_path):
    with Store.writing(tmp_path / "s") as store:
        store.write([run_files("c-2", req95=2.0), run_files("c-1", req95=0.1 + 0.2)])
        assert store.done() == {"c-1": "runs", "c-2": "runs"}
    runs, workflows = read_table(tmp_path / "s", "runs"), read_table(tmp_path / "s", "workflows")
    assert runs["key"].tolist() == ["c-1", "c-2"]
    assert runs["req95"].tolist() == [0.1 + 0.2, 2.0]
    assert list(zip(workflows["key"], workflows["workflow_id"], strict=True)) == [
        ("c-1", "w0"), ("c-1", "w1"), ("c-2", "w0"), ("c-2", "w1"),
    ]  # fmt: skip
    assert list(runs.columns) == list(tables()["runs"].columns)


def test_pandas_reads_a_table_as_a_folder(tmp_path):
    with Store.writing(tmp_path) as store:
        store.write([run_files("c-1"), run_files("c-2")])
    frame = pd.read_parquet(tmp_path / "workflows")
    pd.testing.assert_frame_equal(frame.sort_values(["key", "workflow_id"], ignore_index=True),
                                  read_table(tmp_path, "workflows"), check_dtype=False)  # fmt: skip


def test_a_frame_is_the_caller_s_own(tmp_path):
    with Store.writing(tmp_path) as store:
        store.write([run_files("c-1")])
    first = read_table(tmp_path, "runs")
    first["req95"] = -1.0
    first.loc[0, "policy"] = "other"
    again = read_table(tmp_path, "runs")
    assert again["req95"].tolist() == [1.5]
    assert again["policy"].tolist() == ["fcfs"]


def test_a_table_that_changes_is_read_anew(tmp_path):
    with Store.writing(tmp_path) as store:
        store.write([run_files("c-1")])
        assert len(read_table(tmp_path, "runs")) == 1
        store.write([run_files("c-2")])
        assert len(read_table(tmp_path, "runs")) == 2


def test_a_table_nobody_wrote_is_empty_with_columns(tmp_path):
    with Store.writing(tmp_path):
        pass
    frame = read_table(tmp_path, "gaps")
    assert frame.empty
    assert list(frame.columns) == list(tables()["gaps"].columns)


def test_of_two_code_versions_the_newer_file_counts(tmp_path):
    with Store.writing(tmp_path) as store:
        store.write([run_files("new-1", req95=2.0), run_files("old-1", req95=1.0), run_files("old-2", req95=3.0)])
    os.utime(tmp_path / "runs" / "old-1.parquet", (1, 1))
    assert read_table(tmp_path, "runs")["key"].tolist() == ["new-1", "old-2"]


def test_the_code_as_it_is_counts_whatever_the_clock_said(tmp_path):
    """The clock was set back between two runs: what was written last has the older time."""
    now = f"{code_version('simulate')}-1"
    with Store.writing(tmp_path) as store:
        store.write([run_files(now, req95=2.0), run_files("old-1", req95=1.0)])
    os.utime(tmp_path / "runs" / f"{now}.parquet", (1, 1))
    assert read_table(tmp_path, "runs")["key"].tolist() == [now]


def test_a_file_of_the_same_time_is_read_anew(tmp_path):
    with Store.writing(tmp_path) as store:
        for value in (1.0, 2.0):
            store.write([run_files("c-1", req95=value)])
            os.utime(tmp_path / "runs" / "c-1.parquet", (1, 1))
            assert read_table(tmp_path, "runs")["req95"].tolist() == [value]


def test_success_takes_the_error_away(tmp_path):
    with Store.writing(tmp_path) as store:
        store.write([failed("c-1"), failed("c-2")])
        assert store.keys("errors") == {"c-1", "c-2"}
        assert store.done() == {}
        store.write([run_files("c-1")])
        assert store.keys("errors") == {"c-2"}


def test_leftovers_of_a_killed_run_are_cleaned_up(tmp_path):
    with Store.writing(tmp_path) as store:
        store.write([run_files("c-1"), run_files("c-2"), failed("c-3")])
    (tmp_path / "runs" / "c-2.parquet").unlink()  # killed before the marker
    (tmp_path / "errors" / "c-1.parquet").write_bytes(b"x")  # killed after the marker, before the error was removed
    (tmp_path / ".partial" / "runs-c-4").write_bytes(b"half")
    with Store.writing(tmp_path) as store:
        assert store.keys("workflows") == {"c-1"}
        assert store.keys("errors") == {"c-3"}
        assert list((tmp_path / ".partial").iterdir()) == []


@pytest.mark.parametrize("failing", range(10))
def test_whatever_step_fails_a_marker_means_a_whole_cell(tmp_path, monkeypatch, failing):
    """A full disk at any write or rename: one line, what was done stays, and no cell is half done."""
    steps = 0

    def fails_at_last(function):
        def call(*args, **options):
            nonlocal steps
            steps += 1
            if steps > failing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*args, **options)

        return call

    with Store.writing(tmp_path) as store:
        store.write([run_files("c-1")])
        monkeypatch.setattr(os, "replace", fails_at_last(os.replace))
        monkeypatch.setattr(os, "fsync", fails_at_last(os.fsync))
        cells = [run_files("c-2"), run_files("c-3")]
        with pytest.raises(InputError, match=r"No space left on device|finished cells are kept"):
            store.write(cells)
        monkeypatch.undo()
    with Store.writing(tmp_path) as store:
        done = store.done()
        assert "c-1" in done
        assert store.keys("workflows") == done.keys()
        for key in done:
            assert len(pd.read_parquet(tmp_path / "workflows" / f"{key}.parquet")) == 2
        store.write(cells)  # room again
        assert store.done().keys() == {"c-1", "c-2", "c-3"}


def test_a_disk_that_is_really_full(tmp_path):
    """/dev/full in place of the folder for files on their way."""
    with Store.writing(tmp_path) as store:
        for table in ("runs", "workflows"):
            (tmp_path / ".partial" / f"{table}-c-1").symlink_to("/dev/full")
        with pytest.raises(InputError) as caught:
            store.write([run_files("c-1")])
    assert "finished cells are kept: No space left on device" in str(caught.value)


def test_a_second_writer_is_refused_and_the_lock_dies_with_its_holder(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(InputError, match="another process is writing to this store"), Store.writing(tmp_path):
            pass
        assert read_table(tmp_path, "runs").empty  # reading is free
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
    with Store.writing(tmp_path) as store:
        store.write([run_files("c-1")])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"format": "hexsched-store/1"}', "'hexsched-store/1'"),
        ("[1]", "format None"),
        ("{", "cannot read the store's format"),
    ],
)
def test_another_format_is_refused(tmp_path, text, told):
    (tmp_path / "store.json").write_text(text)
    for attempt in (lambda: Store.open(tmp_path), lambda: Store.writing(tmp_path).__enter__()):
        with pytest.raises(InputError) as caught:
            attempt()
        assert told in str(caught.value)
        assert "store.json" in str(caught.value)


def test_what_is_no_store_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    file = tmp_path / "thesis.tex"
    for path, told in ((tmp_path, "this is no store"), (file, "this is no store"), (file / "s", "Not a directory")):
        with pytest.raises(InputError, match=told), Store.writing(path):
            pass
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    for path, told in (
        (tmp_path, "this is no store"),
        (file, "a store is a folder"),
        (tmp_path / "s", "no such store"),
    ):
        with pytest.raises(InputError, match=told):
            read_table(path, "runs")


def test_a_folder_that_cannot_be_written(tmp_path):
    """No permission bits: they do not stop root. /proc is read-only for everybody."""
    with pytest.raises(InputError, match="cannot write to the store"), Store.writing("/proc/hexsched-store"):
        pass


def test_a_damaged_file_is_named(tmp_path):
    with Store.writing(tmp_path) as store:
        store.write([run_files("c-1")])
    path = tmp_path / "runs" / "c-1.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"runs/c-1\.parquet: the file was changed.*computes it again"):
        read_table(tmp_path, "runs")


def test_unknown_tables_and_schedules(tmp_path):
    with Store.writing(tmp_path):
        pass
    with pytest.raises(InputError, match=r"no table 'run'; did you mean runs\? its tables are loads, runs"):
        read_table(tmp_path, "run")
    with pytest.raises(InputError, match=r"schedules.*cannot read the file"):
        read_schedule_of(tmp_path, "c-1")


def test_rows_must_fit_the_table():
    with pytest.raises(ValueError, match=r"columns \['surprise'\]"):
        encode("errors", [{**row("errors", "c-1"), "surprise": 1}])
    with pytest.raises(ValueError, match=r"columns \['error'\]"):
        encode("errors", [{k: v for k, v in row("errors", "c-1").items() if k != "error"}])


def test_the_same_rows_make_the_same_bytes():
    first = run_files("c-1").data
    time.sleep(0.01)
    assert run_files("c-1").data == first


def test_remove_takes_all_of_a_cell(tmp_path):
    with Store.writing(tmp_path) as store:
        store.write([run_files("c-1"), run_files("c-2")])
        store.remove(["c-1"])
        assert store.done() == {"c-2": "runs"}
        assert store.keys("workflows") == {"c-2"}


def test_no_flipped_bit_is_read_as_another_number(tmp_path):
    with Store.writing(tmp_path / "s") as store:
        store.write([run_files("c-1")])
    path = tmp_path / "s" / "runs" / "c-1.parquet"
    data = path.read_bytes()
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        assert not is_whole(bytes(damaged)), position
    assert is_whole(data)
    assert not is_whole(data[:-1])
    assert not is_whole(b"")


def test_a_file_in_the_place_of_another_is_told(tmp_path):
    with Store.writing(tmp_path / "s") as store:
        store.write([run_files("c-1"), run_files("c-10")])
        runs = tmp_path / "s" / "runs"
        assert store.damaged(["c-1", "c-10"]) == set()
        (runs / "c-1.parquet").write_bytes((runs / "c-10.parquet").read_bytes())
        assert store.damaged(["c-1", "c-10"]) == {"c-1"}
        with pytest.raises(InputError, match=r"c-1.parquet: the file is a copy of that of another cell"):
            read_table(tmp_path / "s", "runs")


def test_a_damaged_file_is_told_and_its_cell_found(tmp_path):
    with Store.writing(tmp_path / "s") as store:
        store.write([run_files("c-1"), run_files("c-2")])
        (tmp_path / "s" / "schedules").mkdir()
        (tmp_path / "s" / "schedules" / "c-2.json.gz").write_bytes(gzip.compress(b"{}")[:-1])
        path = tmp_path / "s" / "workflows" / "c-1.parquet"
        data = bytearray(path.read_bytes())
        data[40] ^= 4
        path.write_bytes(bytes(data))
        assert store.damaged(["c-1", "c-2"]) == {"c-1", "c-2"}
        with pytest.raises(InputError, match=r"c-1.parquet: the file was changed after it was written"):
            read_table(tmp_path / "s", "workflows")


@pytest.mark.parametrize("again", [False, True])
def test_a_store_that_was_removed_or_replaced_is_not_written_on(tmp_path, again):
    with Store.writing(tmp_path / "s") as store:
        store.write([run_files("c-1")])
        shutil.rmtree(tmp_path / "s")
        if again:
            with Store.writing(tmp_path / "s") as other:
                other.write([run_files("c-3")])
        with pytest.raises(InputError, match="the store was removed or replaced"):
            store.write([run_files("c-2")])
    assert (tmp_path / "s").exists() == again
