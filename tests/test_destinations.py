"""What files are, and what an output may overwrite: said before any work is done."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from experiments.cli import BAD_INPUT, OK, main
from hexsched.model.file_kind import kind_of

pytestmark = pytest.mark.quick

CASES = Path(__file__).parent / "cases"
PROFILE = {"format": "hexsched-profile/1", "source": "x", "fits": []}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with a file of each kind."""
    monkeypatch.chdir(tmp_path)
    Path("instance.json").write_bytes((CASES / "sim-00.json").read_bytes())
    Path("schedule.json").write_bytes((CASES / "sim-00.schedule.json").read_bytes())
    assert main(["workload", "generate", "react", "--workflows", "2", "-o", "workload.jsonl"]) == OK
    Path("profile.json").write_text(json.dumps(PROFILE))
    library = Path(__file__).parents[1] / "hexsched" / "clusters" / "library"
    Path("cluster.yaml").write_bytes((library / "demo.yaml").read_bytes())
    grids = Path(__file__).parents[1] / "experiments" / "grids"
    Path("grid.yaml").write_bytes((grids / "paper.yaml").read_bytes())
    Path("python.py").write_text("import hexsched\n")
    Path("table.csv").write_text("a,b\n1,2\n")
    Path("notes.txt").write_text("what I found today\n")
    return tmp_path


def test_what_a_file_is(files):
    found = {path.stem: kind_of(path) for path in files.iterdir()}
    assert found == {name: name for name in found} | {"notes": None}
    assert len(found) == 9
    assert kind_of(files / "absent") is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["simulate", "workload.jsonl", "--policy", "fcfs"],
            "workload.jsonl: this is a workload, not an instance; 'hex",
        ),
        (["simulate", "cluster.yaml", "--policy", "fcfs"], "cluster.yaml: this is a cluster, not an instance"),
        (["verify", "schedule.json", "instance.json"], "schedule.json: this is a schedule, not an instance"),
        (["verify", "instance.json", "instance.json"], "this is an instance, not a schedule"),
        (["compile", "workload.jsonl", "cluster.yaml", "-o", "x"], "workload.jsonl: this is a workload, not a cluster"),
        (["compile", "grid.yaml", "workload.jsonl", "-o", "x"], "this is a grid of experiments, not a cluster"),
        (["workload", "describe", "instance.json"], "this is an instance, not a workload; 'hexsched simulate'"),
        (["grid", "plan", "cluster.yaml"], "this is a cluster, not a grid of experiments; 'hexsched compile"),
        (["bound", "profile.json", "--objective", "max_ratio"], "this is a profile of service times, not an instance"),
    ],
)
def test_a_file_of_another_kind_is_named_with_the_command_that_takes_it(files, arguments, said, capsys):
    capsys.readouterr()
    assert main(arguments) == BAD_INPUT
    assert said in capsys.readouterr().err


def writing(output):
    """Commands that would write to a file, with what they write."""
    return {
        "workload": ["workload", "generate", "react", "--workflows", "3", "-o", output],
        "instance": ["compile", "demo", "workload.jsonl", "-o", output],
        "schedule": ["retime", "instance.json", "schedule.json", "-o", output],
    }


@pytest.mark.parametrize("kind", ["workload", "instance", "schedule"])
@pytest.mark.parametrize("there", ["table.csv", "notes.txt", "profile.json"])
def test_nothing_of_another_kind_is_overwritten_without_force(files, kind, there, capsys):
    before = Path(there).read_bytes()
    command = writing(there)[kind]
    assert main(command) == BAD_INPUT
    assert "--force does so" in capsys.readouterr().err
    assert Path(there).read_bytes() == before
    assert main([*command, "--force"]) == OK
    assert kind_of(there) == kind
    assert main(command) == OK  # of its own kind


def test_no_folder_is_made_that_nobody_asked_for(files, capsys):
    for command in writing("absent/x.json").values():
        assert main(command) == BAD_INPUT
        assert "there is no folder" in capsys.readouterr().err
    assert main(["compare", "instance.json", "--policies", "fcfs", "-o", "absent/results"]) == BAD_INPUT
    assert not Path("absent").exists()


@pytest.mark.parametrize("output", ["notes.txt", "absent/there"])
@pytest.mark.parametrize("command", [["demo"], ["report"], ["figures"], ["compare", "instance.json"], ["notebooks"]])
def test_a_hopeless_destination_is_told_before_any_work(files, command, output, capsys, monkeypatch):
    def work(*given, **named):
        raise AssertionError("work was begun")

    monkeypatch.setattr("experiments.demo.compare_on", work)
    monkeypatch.setattr("paper_figs.report.build.write_report", work)
    monkeypatch.setattr("paper_figs.reading.store.select_policies", work)
    monkeypatch.setattr("hexsched.simulator.simulate", work)
    assert main([*command, *([] if command == ["notebooks"] else ["-o"]), output]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "this is a file" in said or "there is no folder" in said


def test_a_terminal_is_not_flooded(files, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["workload", "generate", "react", "--workflows", "2"]) == OK
    shown = capsys.readouterr()
    assert "workflow_id" not in shown.out
    assert "workflows" in shown.out
    assert "-o FILE writes it" in shown.err


def test_a_plan_sees_that_a_workload_file_is_too_short(files, capsys):
    grid = "clusters: demo\nworkloads: workload.jsonl\nworkflows: [1, 3]\nloads: at-once\npolicies: fcfs\n"
    Path("short.yaml").write_text(grid)
    assert main(["grid", "plan", "short.yaml"]) == BAD_INPUT
    assert "workload workload has 2 workflows, 3 are asked for" in capsys.readouterr().err


def test_notebooks_are_copied_and_never_overwritten(files, capsys, monkeypatch):
    shipped = files / "shipped"
    shipped.mkdir()
    (shipped / "a.ipynb").write_text(json.dumps({"cells": [{"source": ["# Compare\n", "text"]}]}))
    monkeypatch.setattr("experiments.cli.commands.notebooks.SHIPPED", shipped)
    assert main(["notebooks", "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["notebooks"] == {"a.ipynb": "Compare"}
    assert main(["notebooks", "mine"]) == OK
    Path("mine/a.ipynb").write_text("changed")
    capsys.readouterr()
    assert main(["notebooks", "mine"]) == BAD_INPUT
    assert "a.ipynb would be overwritten; --force does so" in capsys.readouterr().err
    assert Path("mine/a.ipynb").read_text() == "changed"
    assert main(["notebooks", "mine", "--force"]) == OK
    assert Path("mine/a.ipynb").read_text() != "changed"


def test_a_grid_with_several_tables_is_exported_as_a_folder(files, capsys):
    Path("two.yaml").write_text(
        "clusters: demo\nworkloads: react\nworkflows: 2\nloads: at-once\npolicies: fcfs\ngrids:\n  runs: {}\n"
        "  gaps:\n    kind: gap\n    objectives: max_ratio\n    time_limit: 1\n"
    )
    from tiny_grid import Inline

    from experiments.grid.plan import make_plan
    from experiments.grid.run import run_plan
    from experiments.grid.spec import read_grid
    from experiments.store import Store

    with Store.writing("s") as store:
        run_plan(make_plan(read_grid("two.yaml")), store, Inline())
    assert main(["grid", "export", "two.yaml", "--store", "s", "-o", "csv", "--json"]) == OK
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["tables"] == {"runs": 1, "gaps": 1}
    assert {path.name: len(pd.read_csv(path)) for path in Path("csv").iterdir()} == {"runs.csv": 1, "gaps.csv": 1}
    assert main(["grid", "export", "two.yaml", "--store", "s", "-o", "-"]) == BAD_INPUT
