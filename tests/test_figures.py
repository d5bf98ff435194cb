"""Figures: drawn from the store alone, readable, and the same for the same data."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from experiments.cli import main
from hexsched.errors import InputError
from paper_figs.attainment import attainment_table, draw_attainment
from paper_figs.figure import write_figure
from paper_figs.registry import FIGURES, figure

mpl.use("Agg")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [
        {
            "instance": instance,
            "policy": policy,
            "workflow_id": f"w{k}",
            "arrival": float(k),
            "latency": ratio * 2.0,
            "horizon": 2.0,
            "ratio": ratio,
        }
        for instance in ("lats", "mixed")
        for policy in ("fcfs", "hexagent")
        for k, ratio in enumerate(1.0 + rng.exponential(1.0, 40))
    ]
    folder = tmp_path / "store"
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "workflows.csv", index=False)
    return folder


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_written_with_its_data_and_repeats(name, store, tmp_path):
    first = write_figure(figure(name), store, tmp_path / "a")
    again = write_figure(figure(name), store, tmp_path / "b")
    assert [path.name for path in first] == [f"{name}.csv", f"{name}.pdf", f"{name}.png"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert first[1].read_bytes().startswith(b"%PDF")
    assert len(plt.get_fignums()) == 0


def test_attainment_is_the_share_of_workflows_that_meet_a_scale(store):
    stored = pd.read_csv(store / "workflows.csv")
    table = attainment_table(store)
    rows = table[(table["instance"] == "lats") & (table["policy"] == "fcfs")]
    ratio = stored[(stored["instance"] == "lats") & (stored["policy"] == "fcfs")]["ratio"]
    for scale, share in zip(rows["scale"], rows["attainment"], strict=True):
        assert share == pytest.approx((ratio <= scale).mean())
    assert rows["attainment"].iloc[-1] == 1.0


def test_attainment_draws_on_the_axes_it_is_given(store):
    table = attainment_table(store)
    fig, axes = plt.subplots()
    assert draw_attainment(table[table["instance"] == "lats"], axes) is axes
    assert [line.get_label() for line in axes.get_lines()[:2]] == ["FCFS", "HexAGenT"]
    plt.close(fig)


def test_command(store, tmp_path, capsys):
    assert main(["figures", "attainment", "--store", str(store), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "attainment.png").is_file()
    assert main(["figures", "attainmint", "--store", str(store)]) == 2
    assert "did you mean 'attainment'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no workflows.csv here"),
        ("", "cannot read the table"),
        ("instance,policy\nx,y\n", "column 'workflow_id' is missing"),
        ("instance,policy,workflow_id,arrival,latency,horizon,ratio\n", "empty or has gaps"),
        ("instance,policy,workflow_id,arrival,latency,horizon,ratio\na,b,c,0,1,1,\n", "empty or has gaps"),
    ],
)
def test_a_bad_store_is_told_in_a_line(text, message, tmp_path):
    if text is not None:
        (tmp_path / "workflows.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        attainment_table(tmp_path)
