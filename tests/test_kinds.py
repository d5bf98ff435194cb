"""One contract for every kind of grid cell, and one more kind by one more file."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from extension import extended, recipe
from tiny_grid import Inline, plan_of, write_grid

from experiments.cli import BAD_INPUT, OK, main
from experiments.grid.axes import AXES
from experiments.grid.code import code_version
from experiments.grid.kinds import KINDS, kinds_of_files
from experiments.grid.run import run_plan
from experiments.grid.spec import all_settings
from experiments.store import Store, read_table
from experiments.store.schema import REAL, TEXT, TRUTH, WHOLE, arrow_schema, tables

pytestmark = pytest.mark.quick

COUNT = recipe("A kind of grid cell")


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_says_what_others_need_to_know(kind):
    assert kind.summary
    assert "\n" not in kind.summary
    assert kind.axes.keys() <= AXES.keys()
    assert kind.cells is None or kind.axes
    columns = kind.tables[kind.marker]
    assert {*kind.alike, kind.amount} <= columns.keys()
    assert kind.seconds > 0
    for table in kind.tables:
        assert {*tables()[table].columns.values()} <= {TEXT, REAL, WHOLE, TRUTH}
        assert arrow_schema(table).names == ["key", *kind.tables[table]]
    assert tables()[kind.marker].marks
    assert any(source.endswith(".py") for source in kind.sources)  # its own file is part of its cells' keys
    assert code_version(kind.name)


@pytest.mark.parametrize("kind", kinds_of_files().values(), ids=lambda kind: kind.name)
def test_the_example_of_every_kind_fills_its_tables(kind, tmp_path):
    assert kind.example, f"kind {kind.name} has no example, so nothing shows that its cells work"
    plan = plan_of(tmp_path, f"kind: {kind.name}\n{kind.example}")
    with Store.writing(tmp_path / "s") as store:
        outcome = run_plan(plan, store, Inline())
        assert plan.progress(store).done == plan.cells.keys()
    assert (outcome.errors, outcome.faults) == ([], [])
    for key, cell in plan.cells.items():
        rows = read_table(tmp_path / "s", cell.kind.marker)
        row = rows[rows["key"] == key].iloc[0]
        assert {column: row[column] for column in cell.case} == cell.case
    assert set(read_table(tmp_path / "s", "timings")["kind"]) == {cell.kind.name for cell in plan.cells.values()}
    assert main(["rerun", *plan.cells, "--store", str(tmp_path / "s")]) == OK


def test_settings_of_one_name_are_one_setting():
    assert {*all_settings()} == {
        "schedules",
        "time_limit",
        "threads",
        "max_context",
        "leave_out_oversize",
        "sample",
        "slo",
        "warm_up",
        "cpu_time",
        "earlier",
    }
    for setting in all_settings().values():
        assert isinstance(setting.default, setting.type)
        assert setting.allowed(setting.default)


def test_one_more_file_is_one_more_kind(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("experiments.grid.local.LocalBackend", lambda workers: Inline())
    work, store = tmp_path / "work", tmp_path / "work" / "s"
    work.mkdir()
    text = "kind: count\nworkloads: [react, bfcl]\nworkflows: 3\nfactor: 10\n"
    path, wrong = write_grid(work, text), write_grid(work, text.replace("10", "0"), "wrong.yaml")

    def run(*argv):
        assert main([*map(str, argv), "--json"]) == OK
        return json.loads(capsys.readouterr().out)

    with extended(KINDS, tmp_path, COUNT):
        test_every_kind_says_what_others_need_to_know(KINDS["count"])
        test_the_example_of_every_kind_fills_its_tables(KINDS["count"], tmp_path)
        capsys.readouterr()
        names = {kind["name"]: kind for kind in run("grid", "kinds")["kinds"]}
        assert names["count"]["settings"] == ["factor"]
        assert run("grid", "plan", path, "--store", store)["kinds"]["count"]["to_do"] == 2
        assert run("grid", "run", path, "--store", store)["computed"] == 2
        assert run("grid", "run", path, "--store", store)["already_done"] == 2
        assert run("grid", "status", "--store", store)["tables"]["counts"] == 2
        run("grid", "export", path, "--store", store, "-o", work / "counts.csv")
        assert (pd.read_csv(work / "counts.csv")["calls"] % 10 == 0).all()
        run("grid", "export", path, "--store", store, "-o", work / "t.csv", "--table", "timings")
        assert pd.read_csv(work / "t.csv")["counting"].tolist() == [1, 1]
        assert main(["grid", "plan", str(wrong)]) == BAD_INPUT
        assert "wrong.yaml:4: factor: expected at least 1, got 0" in capsys.readouterr().err
        assert run("grid", "prune", write_grid(work, text.replace("10", "7"), "o.yaml"), "--store", store)["cells"] == 2
    assert "count" not in KINDS
    assert main(["grid", "plan", str(path)]) == BAD_INPUT
    assert "unknown field 'factor'" in capsys.readouterr().err
