"""The ladder from HexAGenT to the best possible, from stored brackets."""

from __future__ import annotations

import math

import pytest
from stored import VERSION, write_cell, write_runs

from paper_figs.drawing.figure import write_figure
from paper_figs.figures import FIGURES
from paper_figs.reading.ladder import BEST, BOUND, STEPS, read_ladder
from paper_figs.reading.store import NoDataError
from paper_figs.report.steps import ladder

VALUES = {"hexagent": 4.0, "triage": 3.5, "hexagent(horizon=oracle)": 3.0, "fcfs": 9.0}
LOWER, UPPER = 1.5, 2.0


def write_bracket(store, seed: int, workload: str, values: dict[str, float], lower: float, upper: float) -> None:
    """A bracket as ``hexsched grid run`` stores it."""
    key = f"gap-{workload}-{seed}"
    case = {"key": f"{VERSION}-{key}", "cluster": "demo", "workload": workload, "workflows": 12, "load": "rate:2"}
    case |= {"decode_model": "fluid", "seed": seed, "objective": "req(0.95)", "time_limit": 5.0}
    case |= {"lower_bound": lower, "upper_bound": upper, "bound_source": "load", "upper_source": "search"}
    rows = [{**case, "policy": policy, "value": value} for policy, value in values.items()]
    write_cell(store, key, "gaps", {"gaps": rows})


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    write_runs(folder, policies=("fcfs",), seeds=(0,))
    write_bracket(folder, 0, "bfcl", VALUES, LOWER, UPPER)
    write_bracket(folder, 1, "bfcl", {name: 2 * value for name, value in VALUES.items()}, LOWER, 4.0)
    write_bracket(folder, 0, "mixed", {"hexagent": 2.0, "triage": 2.0}, 1.0, 2.0)  # nothing to be gained
    write_bracket(folder, 0, "lats", {"hexagent": 2.0, "fcfs": 3.0}, 1.0, 2.0)  # no step beyond HexAGenT
    return folder


def test_each_step_is_set_against_hexagent_on_the_same_instance(store):
    found = read_ladder(store).set_index(["workload", "step"])
    assert set(found.index.get_level_values("workload")) == {"bfcl", "mixed"}
    bfcl = found.loc["bfcl"]
    assert list(bfcl.index) == ["hexagent", "triage", "hexagent(horizon=oracle)", BEST, BOUND]
    assert list(bfcl["mean"]) == [1.0, 3.5 / 4, 3 / 4, UPPER / 4, (LOWER / 4 + LOWER / 8) / 2]
    assert list(bfcl["closed"])[:4] == [0.0, 0.25, 0.5, 1.0]
    assert math.isnan(bfcl.loc[BOUND, "closed"])  # how much of it can be had is not known
    assert set(bfcl["n"]) == {2}
    mixed = found.loc["mixed"]
    assert list(mixed["mean"]) == [1.0, 1.0, 1.0, 0.5]
    assert mixed["closed"].isna().all()


def test_steps_are_in_the_order_in_which_they_are_climbed(store):
    steps = list(STEPS)
    shown = list(read_ladder(store).query("workload == 'bfcl'")["step"])
    assert shown == sorted(shown, key=steps.index)


def test_figure_and_report(store, tmp_path):
    first = write_figure(FIGURES.find("ladder"), store, tmp_path / "a").files
    again = write_figure(FIGURES.find("ladder"), store, tmp_path / "b").files
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    text = ladder(store)
    assert "0.88 [0.88, 0.88]; 25 %" in text
    assert text.count("\n| Req95 |") == 2


def test_a_store_without_steps_is_told(tmp_path):
    write_bracket(tmp_path / "s", 0, "lats", {"hexagent": 2.0, "fcfs": 3.0}, 1.0, 2.0)
    with pytest.raises(NoDataError, match="hexsched grid run ladder"):
        read_ladder(tmp_path / "s")
