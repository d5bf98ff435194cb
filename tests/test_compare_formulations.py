"""Comparing formulations: nothing that a solver does loses a row, and results that contradict each other are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from experiments.cli import BAD_INPUT, CHECK_FAILED, INTERRUPTED, OK, main
from experiments.formulations import child, comparison
from experiments.formulations.agreement import disagreements
from experiments.formulations.arms import expand_arms
from experiments.formulations.child import solve_apart
from experiments.formulations.comparison import crossed, missing, plan
from experiments.formulations.profiles import (
    largest_proven,
    performance_profile,
    profile_at,
    proven_by_size,
    shifted_geometric_mean,
    summary,
    tried_by_all,
    tried_by_all_able,
)
from experiments.formulations.rows import FORMULATIONS_CSV, Row, Task, as_frame, read_rows, share_above, write_rows
from experiments.grid.kinds.solve import KIND, SolveCell
from experiments.library.names import digest, instance
from hexsched.errors import InputError
from hexsched.model import write_instance
from paper_figs.drawing.figure import write_figure
from paper_figs.figures import FIGURES
from paper_figs.figures.formulations import read_profiles, read_sizes
from paper_figs.reading.store import NoDataError
from solvers.exact import FORMULATIONS
from solvers.exact.milp.backends import BACKENDS

mpl.use("Agg")

SMALL = "unary-chain-4-0"


def row(formulation: str, status: str = "optimal", **changes: object) -> Row:
    """A row as a solve could have left it."""
    value = changes.get("value", 2.0)
    bound = changes.get("lower_bound", value)
    return Row(
        instance=SMALL,
        sha256=digest(instance(SMALL)),
        calls=4,
        formulation=formulation,
        objective="max_ratio",
        time_limit=60.0,
        workers=1,
        seed=0,
        status=status,
        seconds=1.0,
        cpu_seconds=1.5,
        seconds_to_optimal=1.0 if status == "optimal" else None,
        value=value,  # type: ignore[arg-type]
        lower_bound=bound,  # type: ignore[arg-type]
        bound_source="critical-path",
        gap=share_above(value, bound),  # type: ignore[arg-type]
        root_bound=1.0,
        root_gap=0.5,
        variables=10,
        constraints=20,
        nonzeros=None,
        message="",
    )._replace(**changes)


def task(**changes: object) -> Task:
    return row("cpsat", time_limit=5.0, **changes).task


def answer(what: Task, value: float) -> Row:
    """What came of a task."""
    return row("any", value=value)._replace(**what._asdict())


def dies(pipe: object, task: Task, data: bytes) -> None:
    """In place of the solving process: what a segmentation fault looks like."""
    os.setpgrp()
    os.kill(os.getpid(), signal.SIGSEGV)


def hangs(pipe: object, task: Task, data: bytes) -> None:
    """In place of the solving process: a solver of its own that neither of them ends."""
    os.setpgrp()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(task.instance).write_text(str(other.pid))
    time.sleep(600)


def test_a_solve_apart_is_measured():
    row = solve_apart(task(), instance(SMALL))
    assert row.task == task()
    assert row.optimal
    assert row.seconds_to_optimal == row.seconds > 0
    assert row.cpu_seconds is not None
    assert 0 < row.cpu_seconds < 60
    assert row.value is not None
    assert row.lower_bound is not None
    assert row.lower_bound <= row.value
    assert row.gap is not None
    assert row.gap <= 1e-4
    assert row.variables is not None
    assert row.variables > 0


def test_a_solver_that_crashes_is_a_row(monkeypatch):
    monkeypatch.setattr(child, "_work", dies)
    row = solve_apart(task(), instance(SMALL))
    assert row.status == "unknown"
    assert "SIGSEGV" in row.message
    assert row.value is None


def test_an_error_is_a_row():
    row = solve_apart(task()._replace(formulation="no-such"), instance(SMALL))
    assert row.status == "refused"
    assert "unknown formulation" in row.message


def test_a_text_may_stand_for_several_arms():
    def names(*texts: str) -> list[str]:
        return [str(arm) for arm in expand_arms(texts)]

    assert names("cpsat:bracket=on+hint=off", "cpsat/CP-SAT", "auto") == ["cpsat:hint=off", "cpsat", "auto"]
    assert names("milp_event/highs") == ["milp_event"]  # the default
    assert set(names("exact")) < set(names("all"))
    assert names("milp_event/all") == ["milp_event", *(f"milp_event/{name}" for name in list(BACKENDS)[1:])]
    assert names("milp_linear_ordering:each") == [
        "milp_linear_ordering:transitivity=off",
        "milp_linear_ordering:work=off",
    ]
    assert names("milp_step/CBC:each") == ["milp_step/CBC:disaggregated=on"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cpsta", "did you mean 'cpsat'"),
        ("milp_event/Gurubi", "did you mean Gurobi"),
        ("cpsat/HiGHS", "it can use CP-SAT"),
        ("cpsat:hnt=off", "did you mean hint"),
        ("milp_event:hint=off", "it has none"),
        ("auto/CBC", "chooses solver"),
        ("auto:each", "chooses solver"),
        ("cpsat:hint", "expected FORMULATION"),
    ],
)
def test_an_arm_that_there_is_not_is_told(text, why):
    with pytest.raises(InputError, match=why):
        expand_arms([text])


def test_defaults_are_of_switches_and_their_texts_say_so():
    for one in FORMULATIONS.values():
        assert set(one.defaults) <= set(one.switches)
        assert all(one.defaults[name] == one.switches[name].endswith("(on)") for name in one.defaults)


def test_what_a_group_leaves_out_is_said(monkeypatch, capsys):
    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.formulations.comparison.run", interrupted)
    known = dict(FORMULATIONS)
    monkeypatch.setattr(FORMULATIONS, "_all", known | {"choco": replace(known["choco"], available=lambda: False)})
    monkeypatch.setattr(FORMULATIONS, "_entries", FORMULATIONS._all)
    for group, told in (("exact", True), ("cpsat", False)):
        assert main(["compare-formulations", SMALL, "--formulations", group]) == INTERRUPTED
        assert ("hexsched: choco: not compared, as the solver is not installed" in capsys.readouterr().err) == told


def test_what_cannot_be_solved_is_a_row_of_the_grid(monkeypatch):
    monkeypatch.setitem(BACKENDS, "SCIP", replace(BACKENDS["SCIP"], available=lambda: False))
    cell = SolveCell(SMALL, "milp_event/SCIP", "mean_ratio", 0, 5.0, 1)
    (found,) = cell.compute(None).tables["solves"]
    assert (found["status"], found["asked_solver"], found["value"]) == ("refused", "SCIP", None)
    assert "SCIP is not installed" in found["message"]
    assert found.keys() == KIND.tables["solves"].keys()


def test_names_come_before_the_folder_of_results(tmp_path, capsys):
    (tmp_path / FORMULATIONS_CSV).write_text("")
    assert main(["compare-formulations", SMALL, "--formulations", "cpsta", "-o", str(tmp_path)]) == BAD_INPUT
    assert "did you mean 'cpsat'" in capsys.readouterr().err


def test_seeds_are_crossed_and_solvers_of_no_effect_are_said(solved, capsys):
    argv = ["compare-formulations", SMALL, "--formulations", "cpsat,auto", "--seed", "3", "--seeds", "2"]
    assert main([*argv, "--solvers", "HiGHS"]) == OK
    assert [(what.formulation, what.seed) for what in solved] == [(f, s) for s in (3, 4) for f in ("cpsat", "auto")]
    assert "--solvers has no effect on cpsat, auto" in capsys.readouterr().err


def test_a_solve_that_does_not_end_is_ended_with_all_it_started(monkeypatch, tmp_path):
    monkeypatch.setattr(child, "_work", hangs)
    monkeypatch.setattr(child, "GRACE_FACTOR", 0.0)
    pid = tmp_path / "pid"
    monkeypatch.setattr(child, "_answer", _when(pid.exists, child._answer))
    monkeypatch.setattr(child, "GRACE", 0.2)
    row = solve_apart(task(instance=str(pid)), instance(SMALL))
    assert row.status == "unknown"
    assert "beyond its time limit" in row.message
    deadline = time.monotonic() + 10
    while _lives(int(pid.read_text())) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _lives(int(pid.read_text()))


def _when(ready, then):
    def wait(*args):
        while not ready() or not args:
            time.sleep(0.01)
        return then(*args)

    return wait


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_formulations_take_turns_on_small_instances_first():
    problems = {name: instance(name) for name in ("unary-dag-8-0", SMALL)}
    tasks = plan(problems, ["max_ratio", "req(0.50)"], crossed(["cpsat", "milp_event"]), time_limit=5.0)
    assert [(t.calls, t.objective, t.formulation) for t in tasks[:5]] == [
        (4, "max_ratio", "cpsat"),
        (4, "max_ratio", "milp_event"),
        (4, "req(0.5)", "cpsat"),
        (4, "req(0.5)", "milp_event"),
        (8, "max_ratio", "cpsat"),
    ]
    assert len(tasks) == 8
    done = row("cpsat", time_limit=5.0)
    assert missing(tasks, [done]) == tasks[1:]
    assert missing(tasks, [done._replace(time_limit=6.0)]) == tasks
    with pytest.raises(InputError, match="did you mean 'cpsat'"):
        crossed(["cpsta"])


def test_rows_are_read_as_they_were_written(tmp_path):
    rows = [row("cpsat", message='two, "three"'), row("milp_event", "unknown", value=None, lower_bound=None)]
    write_rows(tmp_path, rows)
    assert read_rows(tmp_path) == rows
    path = tmp_path / FORMULATIONS_CSV
    path.write_text(path.read_text().replace(",60.0,", ",soon,", 1))
    with pytest.raises(InputError, match=r"formulations.csv:2: time_limit must be a number, got 'soon'"):
        read_rows(tmp_path)


def test_results_that_agree_are_not_told():
    rows = [
        row("a"),
        row("b", value=2.0005, lower_bound=2.0),
        row("c", "feasible", value=3.0, lower_bound=1.0),
        row("d", value=9.0, objective="mean_latency"),
    ]
    assert disagreements(rows) == []


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (row("b", value=2.01), ["a proves the optimum 2.0", "b 2.01"]),
        (
            row("b", "feasible", value=3.0, lower_bound=2.1),
            ["b claims at least 2.1", "a has a verified schedule of 2.0"],
        ),
        (
            row("b", "feasible", value=1.9, lower_bound=1.0),
            ["a claims at least 2.0", "b has a verified schedule of 1.9"],
        ),
        (row("b", "unknown", value=None, lower_bound=2.1), ["b claims at least 2.1"]),
    ],
)
def test_results_that_contradict_each_other_are(other, words):
    told = " ".join(disagreements([row("a"), other]))
    assert all(word in told for word in words)
    assert disagreements([row("a"), other._replace(sha256="another")]) == []


def test_results_are_held_against_what_is_known():
    key = (digest(instance(SMALL)), "max_ratio")
    assert disagreements([row("a")], {key: (("x", 2.0), ("y", 2.0))}) == []
    assert "y has a verified schedule of 1.5" in disagreements([row("a")], {key: (("x", 1.0), ("y", 1.5))})[0]
    assert "x claims at least 2.5" in disagreements([row("a")], {key: (("x", 2.5), ("y", 2.5))})[0]


def test_gaps_are_shares_of_the_schedule():
    assert share_above(2.0, 1.5) == 0.25
    assert share_above(2.0, -7.0) == 1.0
    assert share_above(0.0, 0.0) == 0.0
    assert share_above(None, 1.0) is None
    assert share_above(1.0, None) is None


@pytest.fixture
def example() -> pd.DataFrame:
    """Three instances: formulation a is twice as slow on the first, alone on the second; both fail the third."""
    return as_frame(
        [
            row("a", sha256="1", seconds=2.0),
            row("b", sha256="1", seconds=1.0, root_bound=None),
            row("a", sha256="2", seconds=3.0, calls=6),
            row("b", "feasible", sha256="2", seconds=61.0, calls=6, value=4.0, lower_bound=1.0),
            row("a", "feasible", sha256="3", seconds=60.0, calls=6, value=4.0, lower_bound=3.0),
            row("b", "unknown", sha256="3", seconds=9.0, calls=6, value=None, lower_bound=None, root_bound=None),
        ]
    )


def test_the_summary(example):
    table = summary(example).set_index("formulation")
    assert table.loc["a", ["rows", "solved", "failed"]].tolist() == [3, 2, 0]
    assert table.loc["b", ["rows", "solved", "failed"]].tolist() == [3, 1, 1]
    assert table.loc["a", "seconds"] == pytest.approx((3.0 * 4.0 * 61.0) ** (1 / 3) - 1)
    assert table.loc["b", "seconds"] == pytest.approx((2.0 * 61.0 * 61.0) ** (1 / 3) - 1)
    assert table.loc["a", "gap"] == pytest.approx((0 + 0 + 0.25) / 3)
    assert table.loc["b", "gap"] == pytest.approx((0 + 0.75 + 1) / 3)  # nothing known is as far off as can be
    # root bounds are held against the best schedule of all, 2, 2 and 4
    assert table.loc["a", "root_gap"] == pytest.approx((0.5 + 0.5 + 0.75) / 3)
    assert table.loc["b", ["root_gap", "root_bounds"]].tolist() == [0.5, 1]
    assert shifted_geometric_mean(np.array([5.0, 5.0])) == pytest.approx(5.0)


def test_profiles_look_at_problems_that_all_formulations_tried(example):
    first = example["formulation"].iloc[0]
    alone = example.iloc[[0]].assign(sha256="another", formulation=first)
    assert len(tried_by_all(pd.concat([example, alone]))) == len(tried_by_all(example))
    assert performance_profile(tried_by_all(example.iloc[:0])).empty
    means = example[example["formulation"] == first].assign(
        objective="mean_latency"
    )  # which the others cannot minimise
    assert len(tried_by_all_able(pd.concat([example, means]))) == len(tried_by_all_able(example)) + len(means)
    assert len(tried_by_all(pd.concat([example, means]))) == len(tried_by_all(example))


def test_the_performance_profile(example):
    profile = performance_profile(example)
    points = {name: list(zip(rows["tau"], rows["rho"], strict=True)) for name, rows in profile.groupby("formulation")}
    assert points["a"] == [(1.0, pytest.approx(1 / 3)), (2.0, pytest.approx(2 / 3))]
    assert points["b"] == [(1.0, pytest.approx(1 / 3)), (2.0, pytest.approx(1 / 3))]
    at = profile_at(profile, (1.0, 1.9, 50.0)).set_index("formulation")
    assert at.loc["a"].tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    nothing = example.assign(status="feasible")
    assert set(performance_profile(nothing)["rho"]) == {0.0}


def test_sizes_that_are_proven(example):
    sizes = proven_by_size(example).set_index(["formulation", "calls"])
    assert sizes.loc[("a", 6), ["rows", "solved", "share"]].tolist() == [2, 1, 0.5]
    largest = largest_proven(example).set_index("formulation")
    assert largest.loc["a", ["all", "half", "any"]].tolist() == [4, 6, 6]
    assert largest.loc["b", ["all", "half", "any"]].tolist() == [4, 4, 4]


def test_figures_are_drawn_from_the_rows_alone(example, tmp_path):
    rows = [Row(*values) for values in example.astype(object).where(example.notna(), None).itertuples(index=False)]
    write_rows(tmp_path, [*rows, *(r._replace(objective="mean_latency") for r in rows)])
    assert set(read_profiles(tmp_path)["objective"]) == {"max_ratio", "mean_latency"}
    assert set(read_profiles(tmp_path)["problems"]) == {3}
    assert len(read_sizes(tmp_path)) == 8
    for name in ("formulation-profiles", "proven-sizes"):
        written = write_figure(FIGURES.find(name), tmp_path, tmp_path / "figures")
        assert [path.suffix for path in written.files] == [".csv", ".pdf", ".png"]
    with pytest.raises(NoDataError, match="compare-formulations"):
        read_profiles(tmp_path / "figures")


@pytest.fixture
def solved(monkeypatch) -> list[Task]:
    """What was solved, by something that is not a solver."""
    asked: list[Task] = []

    def quick(what: Task, problem: object) -> Row:
        asked.append(what)
        return answer(what, 1.5 + len(asked) / 1e8)

    monkeypatch.setattr(comparison, "solve_apart", quick)
    monkeypatch.setattr("experiments.cli.commands.compare_formulations._archived", lambda rows: {})
    return asked


def arguments(folder: Path, *more: str) -> list[str]:
    return [
        "compare-formulations",
        SMALL,
        "unary-chain-6-0",
        "--formulations",
        "cpsat,milp_event",
        *more,
        "-o",
        str(folder),
    ]


def test_a_comparison_goes_on_where_it_stopped(solved, tmp_path, capsys, monkeypatch):
    quick = comparison.solve_apart

    def interrupted(what: Task, problem: object) -> Row:
        if len(solved) == 3:
            raise KeyboardInterrupt
        return quick(what, problem)

    monkeypatch.setattr(comparison, "solve_apart", interrupted)
    assert main(arguments(tmp_path)) == INTERRUPTED
    assert len(read_rows(tmp_path)) == 3
    assert main(arguments(tmp_path)) == BAD_INPUT
    assert "--resume" in capsys.readouterr().err
    monkeypatch.setattr(comparison, "solve_apart", quick)
    assert main(arguments(tmp_path, "--resume", "--json")) == OK
    record = json.loads(capsys.readouterr().out)
    assert len(solved) == 4
    assert [r["formulation"] for r in record["rows"]] == ["cpsat", "milp_event"] * 2
    assert {r["formulation"]: r["solved"] for r in record["summary"]} == {"cpsat": 2, "milp_event": 2}
    assert record["performance_profile"][0]["rho"]["100"] == 1.0
    assert record["largest_proven"][0]["all"] == 6
    assert main(arguments(tmp_path, "--resume", "--time-limit", "7")) == OK  # another measurement
    assert "proven within" in capsys.readouterr().out
    assert len(read_rows(tmp_path)) == 8


def test_contradictions_are_told_loudly(solved, tmp_path, capsys):
    assert main(arguments(tmp_path)) == OK
    rows = read_rows(tmp_path)
    write_rows(tmp_path, [rows[0]._replace(value=1.6), *rows[1:]])
    capsys.readouterr()
    assert main(arguments(tmp_path, "--resume")) == CHECK_FAILED
    assert "check failed: unary-chain-4-0, max_ratio: cpsat proves the optimum 1.6" in capsys.readouterr().err
    assert main(arguments(tmp_path, "--resume", "--json")) == CHECK_FAILED
    assert json.loads(capsys.readouterr().out)["disagreements"]


def test_the_archive_of_the_library_is_asked(solved, tmp_path, capsys, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(comparison, "solve_apart", lambda what, problem: answer(what, 0.5))
    assert main(arguments(tmp_path)) == CHECK_FAILED
    assert "the archive" in capsys.readouterr().err


def test_instance_files_can_be_compared(solved, tmp_path, capsys):
    write_instance(tmp_path / "mine.json", instance(SMALL))
    assert main(["compare-formulations", str(tmp_path / "mine.json"), "--formulations", "cpsat", "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["rows"][0]["calls"] == 4
    assert solved[0].instance == str(tmp_path / "mine.json")


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["none-4-0"], "no instance of the library"),
        (["none.json"], "cannot read the file"),
        ([SMALL, "--formulations", "cpsta"], "did you mean 'cpsat'"),
        ([SMALL, "--objective", "speed"], "unknown objective"),
        ([SMALL, "--objective", "max_ratio,"], "a name is missing"),
        ([SMALL, "--time-limit", "0"], "above 0"),
        ([SMALL, "--resume"], "-o DIR"),
    ],
)
def test_bad_input_is_one_line(argv, why, capsys):
    assert main(["compare-formulations", *argv]) == BAD_INPUT
    message = capsys.readouterr().err
    assert why in message
    assert message.count("\n") == 1
