"""Gaps that set out from the brackets of earlier stores, and depend on nothing else that was computed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from tiny_grid import Inline, write_grid

from experiments.cli import BAD_INPUT, CHECK_FAILED, OK, main
from experiments.grid.earlier import _brackets
from experiments.grid.kinds.gap import GapCell
from experiments.grid.plan import make_plan
from experiments.grid.spec import read_grid
from experiments.store import CellFiles, Store, read_table
from experiments.store.reading import read_cells
from experiments.store.schema import encode
from hexsched.errors import InputError

GRID = """\
kind: gap
clusters: demo
workloads: react
workflows: [2, 3]
loads: at-once
objectives: max_ratio
policies: [fcfs, hexagent]
time_limit: 0.1
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setattr("experiments.grid.local.LocalBackend", lambda workers: Inline())
    monkeypatch.chdir(tmp_path)
    write_grid(tmp_path, GRID)
    write_grid(tmp_path, GRID.replace("[2, 3]", "3"), "one.yaml")

    def command(*words: str, code: int = OK) -> Any:
        capsys.readouterr()
        assert main([*words, "--json"]) == code
        out, err = capsys.readouterr()
        return json.loads(out) if out else err

    return command


def forge(store: str, **values: object) -> None:
    """Other numbers in the brackets of a store, in files that are whole."""
    with Store.writing(store) as opened:
        for key in sorted(opened.keys("gaps")):
            rows = read_cells(opened, "gaps", [key]).to_pylist()
            opened.write([CellFiles(key, "gaps", {"gaps": encode("gaps", [{**row, **values} for row in rows])})])


def starts(earlier: list[str], grid: str = "tiny.yaml") -> dict[int, GapCell]:
    """The gaps of the grid by their number of workflows."""
    cells = make_plan(read_grid(grid, earlier=earlier)).cells.values()
    return {cell.scene.workflows: cell for cell in cells if isinstance(cell, GapCell)}


def test_cells_set_out_from_the_best_of_earlier_stores(run: Any) -> None:
    run("grid", "run", "one.yaml", "--store", "first", "--schedules")
    run("grid", "run", "tiny.yaml", "--store", "second")
    forge("first", lower_bound=0.5, bound_source="critical-path")
    # the bound of the second with its prices, the schedule of the first, which alone was stored
    of, upper = starts(["first", "second"]), read_table("first", "gaps").iloc[0]
    lower = read_table("second", "gaps").set_index("workflows").loc[3].iloc[0]
    assert of[3].start is not None
    earlier = of[3].start.earlier("here", "max_ratio")
    assert (earlier.lower_bound, earlier.bound_source) == (lower["lower_bound"], lower["bound_source"])
    assert earlier.upper_source == upper["upper_source"]
    assert earlier.schedule is not None
    kept = read_table("second", "gap_prices").set_index("key")["prices"]
    assert of[3].start.prices == kept.get(lower["key"], "")
    assert of[2].start is not None
    assert of[2].start.schedule == b""
    assert starts(["first"])[2].start is None

    plan = run("grid", "plan", "tiny.yaml", "--store", "third", "--earlier", "first", "--earlier", "second")
    assert plan["started"] == 2
    made = run("grid", "run", "tiny.yaml", "--store", "third", "--earlier", "first", "--earlier", "second")
    assert (made["started"], made["computed"]) == (2, 2)
    rows = read_table("third", "gaps").drop_duplicates("key").set_index("workflows")
    assert rows["start_sha256"].to_dict() == {w: cell.started_from for w, cell in of.items()}
    assert rows.loc[3, "lower_bound"] >= lower["lower_bound"]
    assert rows.loc[3, "upper_bound"] <= upper["upper_bound"]
    assert run("grid", "status", "--store", "third")["started"] == 2
    status = run("grid", "status", "tiny.yaml", "--store", "third", "--earlier", "first", "--earlier", "second")
    assert (status["done"], status["started"]) == (2, 2)
    assert run("grid", "status", "tiny.yaml", "--store", "third")["done"] == 0  # without, they are other cells

    # made again from the same start; from another one it is not the same cell
    key = rows.loc[3, "key"]
    assert run("rerun", key, "--store", "third")["cells"][0]["verdict"] == "equal"
    forge("second", lower_bound=0.5)
    (again,) = run("rerun", key, "--store", "third", code=CHECK_FAILED)["cells"]
    assert again["verdict"] == "inputs changed"
    assert "earlier store: not the same content" in again["changed"][0]


def test_a_start_is_content_that_travels_with_its_cell(run: Any, tmp_path: Path) -> None:
    run("grid", "run", "one.yaml", "--store", "first", "--schedules")
    cell = starts(["first"], "one.yaml")[3]
    sent = pickle.dumps(cell)
    (tmp_path / "first").rename(tmp_path / "elsewhere")
    _brackets.cache_clear()
    there = pickle.loads(sent)
    assert there.key == cell.key
    assert there.start == cell.start
    assert there.start.schedule


def test_what_nothing_can_set_out_from_is_a_line(run: Any) -> None:
    run("grid", "run", "one.yaml", "--store", "first")
    for words, told in (
        (("one.yaml", "--earlier", "first", "--store", "first"), "cannot set out from the store that they go to"),
        (("one.yaml", "--earlier", "none", "--store", "s"), "--earlier: none: there is no such store"),
        (("paper", "--earlier", "first", "--store", "s"), "nothing here sets out from anything; gaps do"),
    ):
        assert told in run("grid", "run", *words, code=BAD_INPUT)
    with Store.writing("empty"):
        pass
    with pytest.raises(InputError, match=r"tiny.yaml.*earlier: .*no brackets to set out from"):
        read_grid(str(write_grid(Path(), GRID + "earlier: empty\n")))
    with Store.writing("first"), pytest.raises(InputError, match="another process is writing to this store"):
        starts(["first"], "one.yaml")
