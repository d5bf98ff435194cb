"""Grids on files of the user: patterns, files named where a grid is run, short tables, and what is said of them."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from msgspec.structs import replace
from scipy.stats import gmean
from tiny_grid import Inline, write_grid

from experiments.cli import BAD_INPUT, OK, main
from experiments.grid import shipped
from experiments.grid.plan import make_plan
from experiments.grid.run import run_plan
from experiments.grid.sources import drawn_again, read_workload_content
from experiments.grid.spec import NoWorkloadsError, read_grid
from experiments.store import Store, read_table
from hexsched.errors import InputError
from hexsched.model.workload import workload_bytes
from hexsched.workloads.families import generate
from paper_figs.figures.real import draw, read_files
from paper_figs.figures.relative import draw as draw_policies
from paper_figs.figures.relative import read_policies
from paper_figs.reading.relative import EACH
from paper_figs.reading.store import NoDataError
from paper_figs.report.relative import beside_hexagent, kept_of_gains, workloads_of_files

mpl.use("Agg")

GRID = """\
clusters: demo
workflows: 7
sample: true
loads: "rate:4"
policies: [hexagent, triage, fcfs]
seeds: 2
"""


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with a table of five workflows and one of nine."""
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "chains.jsonl").write_bytes(workload_bytes(generate("bfcl", 5, 3)))
    (folder / "lats.jsonl").write_bytes(workload_bytes(generate("lats", 9, 3)))  # a file named like a family
    return folder


def names(grid: object) -> list[str]:
    return [str(each) for each in grid.sections[0].axes["workloads"]]  # type: ignore[attr-defined]


def test_a_pattern_is_all_files_that_match(tables, tmp_path):
    text = f"workloads: ['tables/*.jsonl', bfcl]\n{GRID}"
    assert names(read_grid(write_grid(tmp_path, text))) == ["chains", "lats", "bfcl"]
    with_options = read_grid(write_grid(tmp_path, text.replace("*.jsonl", "l*.jsonl,format=hexsched")))
    assert names(with_options) == ["lats", "bfcl"]
    (tables / "odd[1].jsonl").write_bytes((tables / "chains.jsonl").read_bytes())
    assert names(read_grid(write_grid(tmp_path, text.replace("*.jsonl", "odd[1].jsonl")))) == ["odd[1]", "bfcl"]
    with pytest.raises(InputError, match=r"tiny.yaml:1: workloads: no file matches 'tables/\*.csv' in .*") as caught:
        read_grid(write_grid(tmp_path, text.replace("*.jsonl", "*.csv")))
    assert "\n" not in str(caught.value)


def test_workloads_named_where_it_is_run_take_the_place_of_the_grid_s(tables, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert names(read_grid("real", workloads=["tables/l*.jsonl", "bfcl"])) == ["lats", "bfcl"]
    (tmp_path / "grids").mkdir()
    own = write_grid(tmp_path / "grids", f"workloads: mixed\n{GRID}")  # paths in it are relative to another folder
    assert names(read_grid(own, workloads=["tables/chains.jsonl"])) == ["chains"]
    assert names(read_grid(own, workloads=[str(tables / "chains.jsonl")])) == ["chains"]
    assert names(read_grid(own)) == ["mixed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], r"real\.yaml:\d+: workloads is missing; a grid of kind simulate needs it, here or as --workloads"),
        (["--workloads", "no/*.jsonl"], r"--workloads: no file matches 'no/\*\.jsonl' in "),
        (["--workloads", "none.jsonl"], r"--workloads: .*none\.jsonl"),
    ],
)
def test_what_is_missing_is_told_in_a_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["grid", "run", "real", "--store", "s", *arguments]) == BAD_INPUT
    said = capsys.readouterr().err.strip()
    assert re.search(message, said)
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "s").exists()


def test_grids_that_leave_workloads_to_the_user_are_listed(capsys, monkeypatch):
    monkeypatch.setattr(shipped, "list_grids", lambda: ("ladder", "real"))  # planning all of them takes long
    assert main(["grid", "list", "--cells"]) == OK
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("real")]
    cells = len(make_plan(read_grid("real", workloads=["bfcl"])).cells)
    assert f" {cells} a workload " in line
    with pytest.raises(NoWorkloadsError):
        read_grid("real")


def test_short_tables_are_drawn_from_again_and_again(tables):
    assert [sorted(k for k, time in drawn_again(5, 12, 0) if time == t) for t in (1, 2)] == [[0, 1, 2, 3, 4]] * 2
    assert drawn_again(5, 12, 0)[:7] == drawn_again(5, 7, 0) != drawn_again(5, 7, 1)
    table = read_workload_content("chains.jsonl", tables)
    by_id = {flow.workflow_id: flow for flow in generate("bfcl", 5, 3)}
    drawn = table.take(12, 0, sample=True)
    assert len({flow.workflow_id for flow in drawn}) == 12
    for flow, (_, time) in zip(drawn, drawn_again(5, 12, 0), strict=True):
        name, _, again = flow.workflow_id.partition("#")
        assert again == ("" if time == 1 else str(time))
        assert flow.calls == by_id[name].calls
    (first, second, *others) = generate("bfcl", 5, 3)
    alike = replace(second, workflow_id=f"{first.workflow_id}#2")  # what the first would be named, drawn again
    (tables / "alike.jsonl").write_bytes(workload_bytes((first, alike, *others)))
    names = {flow.workflow_id for flow in read_workload_content("alike.jsonl", tables).take(12, 0, sample=True)}
    assert len(names) == 12
    assert f"{first.workflow_id}##2" in names
    with pytest.raises(InputError, match="workload chains has 5 workflows, 12 are asked for"):
        table.take(12, 0)
    assert table.take(5, 1) == tuple(by_id.values())


def test_a_store_says_what_policies_need_on_files(tables, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grids").mkdir()
    grid = write_grid(tmp_path / "grids", GRID)
    plan = make_plan(read_grid(grid, workloads=["tables/*.jsonl", "bfcl"]))
    store = tmp_path / "store"
    with Store.writing(store) as opened:
        assert run_plan(plan, opened, Inline()).failed == 0
    runs = read_table(store, "runs")
    assert set(runs["workload"]) == {"chains", "lats", "bfcl"}
    found = read_files(store)
    assert set(found["workload"]) == {"chains", "lats", EACH}  # bfcl is no file
    value = runs.set_index(["workload", "policy", "seed"])["req99"].sort_index()
    expected = gmean(value["lats", "fcfs"] / value["lats", "hexagent"])
    row = found.query("workload == 'lats' and policy == 'fcfs' and measure == 'req99'").iloc[0]
    assert row["mean"] == pytest.approx(expected)
    assert (row["n"], row["settings"], row["over"]) == (2, 1, int(expected > 1.02))
    every = found.query("workload == @EACH and policy == 'fcfs' and measure == 'req99'").iloc[0]
    other = gmean(value["chains", "fcfs"] / value["chains", "hexagent"])
    assert every["mean"] == pytest.approx(gmean([expected, other]))
    assert every["worst"] == pytest.approx(max(expected, other))
    assert every["worst_at"] == f"demo, {'lats' if expected > other else 'chains'}"
    generated = read_policies(store)  # the others' counterpart, in the same columns
    assert set(generated["workload"]) == {"bfcl", EACH}
    assert list(generated.columns) == list(found.columns)
    cost = read_table(store, "timings").set_index("key")["decision_mean_us"]
    took = runs[runs["workload"] == "bfcl"].assign(cost=lambda rows: rows["key"].map(cost))
    took = took.set_index(["policy", "seed"])["cost"]
    row = generated.query("workload == 'bfcl' and policy == 'triage' and measure == 'decision_cost'").iloc[0]
    assert row["mean"] == pytest.approx((took["triage"] / took["hexagent"]).mean())
    section = beside_hexagent(store)
    assert "| triage | BFCL-v3 | 1 × 2 | 1.000 [1.000, 1.000] |" in section  # too few workflows for a lower tier
    assert "noise(" not in section
    drawn = draw(found)
    assert len(drawn.axes) == 2
    pages = draw_policies(generated)
    assert [len(page.axes) for page in pages] == [4]
    plt.close("all")
    text = workloads_of_files(store)
    assert f"{expected:.2f}" in next(line for line in text.splitlines() if line.startswith("| LATS"))
    assert "| LATS | rate:4 | 2 |" in text
    lacking = runs.query("workload == 'lats' and policy == 'fcfs' and seed == 1")["key"]
    with Store.writing(store) as opened:
        opened.remove(lacking)
    (line,) = [line for line in workloads_of_files(store).splitlines() if line.startswith("| LATS")]
    assert "| LATS | rate:4 | 1 to 2 |" in line
    assert line.count("(1 seed)") == 1
    assert main(["rerun", sorted(runs["key"].drop(lacking.index))[0], "--store", str(store)]) == OK
    assert "equal" in capsys.readouterr().out


def test_what_is_kept_of_a_gain_is_a_share_of_it():
    of = {"load": "rate:4", "workload": "bfcl", "policy": "triage"}
    ratios = {
        ("exact", "req95"): 0.8,
        ("noise(0.3)", "req95"): 0.9,
        ("exact", "req99"): 1.0,
        ("noise(0.3)", "req99"): 1.1,
    }
    rows = [{**of, "estimator": how, "measure": what, "mean": mean} for (how, what), mean in ratios.items()]
    (row,) = kept_of_gains(pd.DataFrame(rows)).splitlines()[4:]  # nothing was gained in Req99
    assert row == "| triage | BFCL-v3 | noise(0.3) | Req95 | 20.0 % | 10.0 % | 50 % |"


def test_a_store_without_files_has_no_section(tmp_path):
    text = f"workloads: bfcl\n{GRID}".replace("seeds: 2", "seeds: 1")
    with Store.writing(tmp_path / "store") as opened:
        run_plan(make_plan(read_grid(write_grid(tmp_path, text))), opened, Inline())
    with pytest.raises(NoDataError, match="hexsched grid run real --workloads FILES"):
        read_files(tmp_path / "store")
