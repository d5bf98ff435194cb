"""Schedules from outside: verified, compared with the best known, and filed where they are better."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from experiments.cli import BAD_INPUT, CHECK_FAILED, OK, main
from experiments.exports.parts.flat import FlatSolution
from experiments.library.archive import OBJECTIVES, PACKAGED, Entry, read_archive, write_archive
from experiments.library.check import check
from experiments.library.decisions import from_text, to_text
from experiments.library.names import instance
from hexsched.model import write_schedule
from hexsched.simulator import retime, simulate

SMALL = "unary-chain-4-0"
POOR = "fcfs@round-robin"


@pytest.fixture
def archive(tmp_path) -> Path:
    """An archive of one instance with poor schedules."""
    problem, path = instance(SMALL), tmp_path / "archive.csv"
    decisions = to_text(problem, simulate(problem, POOR).schedule)
    entries = {}
    for objective in OBJECTIVES:
        entry = read_archive()[SMALL, objective]._replace(decisions=decisions, upper_source=POOR, upper_bound=1e6)
        said = check({entry.key: entry}, [entry.key])[0]
        value = float(said.split("has value ")[1].split(",")[0])
        entries[entry.key] = entry._replace(upper_bound=value)
    write_archive(entries, path)
    assert check(read_archive(path), list(entries)) == []
    return path


def best(objective: str = "mean_ratio") -> Entry:
    return read_archive()[SMALL, objective]


@pytest.fixture
def schedule(tmp_path) -> Path:
    """The best schedule known, in a file that is called by its instance."""
    path = tmp_path / f"{SMALL}.json"
    problem = instance(SMALL)
    write_schedule(path, retime(problem, from_text(problem, best().decisions, "mine")))
    return path


def submit(*argv: object) -> int:
    return main(["library", "submit", *map(str, argv)])


def test_a_better_schedule_is_filed_with_who_and_when_and_then_is_no_better(archive, schedule, capsys):
    before = read_archive(archive)
    asked = (schedule, "--archive", archive, "--by", "A. Nother", "--on", "2026-03-04", "--json")
    assert submit(*asked) == OK
    record = json.loads(capsys.readouterr().out)
    assert record["instance"] == SMALL
    after = read_archive(archive)
    better = {row["objective"] for row in record["objectives"] if row["better"]}
    assert "mean_ratio" in better
    assert record["filed"] == len(better)
    for (name, objective), entry in after.items():
        if objective in better:
            assert (entry.upper_by, entry.upper_on, entry.upper_source) == ("A. Nother", "2026-03-04", "mine")
            assert entry.upper_bound < before[name, objective].upper_bound
            assert entry.lower_by == before[name, objective].lower_by
        else:
            assert entry == before[name, objective]
    assert after[SMALL, "mean_ratio"].upper_bound == pytest.approx(best().upper_bound, rel=1e-12)
    assert check(after, list(after)) == []
    content = archive.read_bytes()
    assert submit(*asked) == CHECK_FAILED
    assert "nowhere better than the best known; nothing is filed" in capsys.readouterr().err
    assert archive.read_bytes() == content


def test_what_is_not_valid_is_refused_by_the_verifier(archive, schedule, capsys):
    content = archive.read_bytes()
    data = json.loads(schedule.read_text())
    data["calls"][0]["decode_end"] -= 0.5
    schedule.write_text(json.dumps(data))
    assert submit(schedule, "--archive", archive) == CHECK_FAILED
    said = capsys.readouterr().err
    assert f"not a schedule of {SMALL}: short-decode: call" in said
    assert said.count("\n") == 1
    assert archive.read_bytes() == content


def test_a_schedule_that_idles_is_filed_without_idling(archive, schedule):
    data = json.loads(schedule.read_text())
    for row in data["calls"]:
        for key, value in row.items():
            if isinstance(value, float):
                row[key] = value + 0.01
    schedule.write_text(json.dumps(data))
    assert submit(schedule, "--archive", archive) == OK
    assert read_archive(archive)[SMALL, "mean_ratio"].upper_bound == pytest.approx(best().upper_bound, rel=1e-12)


def test_a_solution_of_the_flat_instance_is_taken(archive, tmp_path, capsys):
    """Who starts before whom is what counts, whatever the ticks."""
    problem = instance(SMALL)
    known = retime(problem, from_text(problem, best().decisions, ""))
    rows = {(row.workflow_id, row.call_id): row for row in known.calls}
    tasks = [rows[flow.workflow_id, call.call_id] for flow in problem.workflows for call in flow.calls]
    first, second = ([machine.id for machine in pool] for pool in (problem.prefill, problem.decode))
    solution = FlatSolution(
        format="hexsched-flat-solution/1",
        name=SMALL,
        by="a solver",
        stage1_machine=[first.index(row.prefill_instance) for row in tasks],
        stage1_start=[int(row.prefill_start * 1000) for row in tasks],
        stage2_machine=[second.index(row.decode_instance) for row in tasks],
        stage2_start=[int(row.admitted * 1000) for row in tasks],
    )
    path = tmp_path / "solution.json"
    path.write_bytes(msgspec.json.encode(solution))
    assert submit(path, "--archive", archive) == OK
    entry = read_archive(archive)[SMALL, "mean_ratio"]
    assert (entry.upper_source, entry.upper_by) == ("a solver", "a solver")
    assert entry.upper_bound == pytest.approx(best().upper_bound, rel=1e-12)
    for change, why in (
        ({"stage1_machine": [0, 0, 0, 9]}, f"{path}: stage1_machine names machine 9, {SMALL} has 2 from 0 on"),
        ({"stage2_start": [0]}, f"{path}: stage2_start has 1 entries, {SMALL} has 4 tasks"),
        ({"stage1_start": [0, 0, 0, -1]}, "stage1_start"),
        ({"name": "unary-chain-4-1"}, "no archived instance is called 'unary-chain-4-1'"),
    ):
        path.write_bytes(msgspec.json.encode(msgspec.to_builtins(solution) | change))
        capsys.readouterr()
        assert submit(path, "--archive", archive) == BAD_INPUT
        assert why in capsys.readouterr().err
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(solution, name="elsewhere")))
    assert submit(path, "--archive", archive, "--instance", SMALL) == CHECK_FAILED  # it is known by now
    assert f"taken for a solution of {SMALL}, as --instance says; the file says elsewhere" in capsys.readouterr().err


def test_control_characters_are_not_filed(archive, schedule):
    assert submit(schedule, "--archive", archive, "--by", "A\x1b[31m\nNother") == OK
    assert read_archive(archive)[SMALL, "mean_ratio"].upper_by == "A\\x1b[31m\\nNother"
    assert b"\x1b" not in archive.read_bytes()


def test_an_archive_that_is_not_there_is_told(tmp_path, capsys):
    for command in ("list", "check", "gaps"):
        assert main(["library", command, SMALL, "--archive", str(tmp_path / "none.csv")]) == BAD_INPUT
        assert "none.csv" in capsys.readouterr().err


def test_orders_that_wait_for_each_other_are_no_schedule(archive, tmp_path, capsys):
    """The second call of a chain before the first on the only machine that both use."""
    problem = instance(SMALL)
    chain = [call.call_id for call in problem.workflows[0].calls]
    assert problem.workflows[0].calls[1].parents == (chain[0],)
    solution = FlatSolution(
        format="hexsched-flat-solution/1",
        name=SMALL,
        stage1_machine=[0] * 4,
        stage1_start=[9, 1, 0, 3],
        stage2_machine=[0] * 4,
        stage2_start=[9, 1, 0, 3],
    )
    path = tmp_path / "solution.json"
    path.write_bytes(msgspec.json.encode(solution))
    assert submit(path, "--archive", archive) == CHECK_FAILED
    assert "wait for each other" in capsys.readouterr().err


def test_a_schedule_below_a_bound_is_a_contradiction(archive, schedule, capsys):
    entries = read_archive(archive)
    entry = entries[SMALL, "mean_ratio"]
    write_archive(entries | {entry.key: entry._replace(lower_bound=entry.upper_bound)}, archive)
    content = archive.read_bytes()
    assert submit(schedule, "--archive", archive) == CHECK_FAILED
    assert "claims at least" in capsys.readouterr().err
    assert archive.read_bytes() == content


def test_the_instance_is_named_by_the_file_or_by_the_option(archive, schedule, tmp_path, capsys):
    other = tmp_path / "mine.json"
    other.write_bytes(schedule.read_bytes())
    for argv, why in (
        ((other,), "no archived instance is called 'mine'"),
        ((other, "--instance", "unary-chain-5-0"), "no archived instance is called 'unary-chain-5-0'; did you mean"),
        ((tmp_path / "absent.json",), "cannot read the file"),
        ((archive,), "not a schedule"),
        ((schedule, "--on", "yesterday"), "expected a day as YYYY-MM-DD"),
    ):
        capsys.readouterr()
        assert submit(*argv, "--archive", tmp_path / "new.csv") == BAD_INPUT
        said = capsys.readouterr().err
        assert why in said
        assert said.count("\n") == 1
    assert (
        submit(other, "--instance", SMALL, "--archive", tmp_path / "new.csv") == OK
    )  # an archive that is yet to be made
    new = read_archive(tmp_path / "new.csv")
    assert set(new) == {(SMALL, objective) for objective in OBJECTIVES}
    assert {entry.lower_source for entry in new.values()} == {"critical-path"}
    assert check(new, list(new)) == []


def test_the_packaged_archive_has_nothing_to_gain_from_its_own_schedules(schedule, capsys):
    content = PACKAGED.read_bytes()
    assert submit(schedule) == CHECK_FAILED
    assert PACKAGED.read_bytes() == content
