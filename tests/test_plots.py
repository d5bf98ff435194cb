"""Plots of results in hand: what they draw, on which axes, and how results offer them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from extension import extended, recipe
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

import paper_figs
from hexsched import plotting
from hexsched.clusters import compile_instance, read_cluster
from hexsched.errors import InputError
from hexsched.plotting import Accessor
from hexsched.simulator import Run, simulate
from hexsched.workloads.arrivals import apply_arrivals, read_arrivals
from hexsched.workloads.families import generate
from paper_figs.drawing.style import lines
from paper_figs.plots import PLOTS

mpl.use("Agg")

Runs = dict[str, Run]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def run_all(*policies: str, seed: int = 0, arrivals: str = "fixed:2") -> Runs:
    """Some policies on twelve workflows and the demo cluster."""
    workflows = apply_arrivals(generate("bfcl", workflows=12, seed=seed), read_arrivals(arrivals), seed=0)
    instance = compile_instance(read_cluster("demo"), workflows)
    return {policy: simulate(instance, policy) for policy in policies}


@pytest.fixture(scope="module")
def runs() -> Runs:
    return run_all("hexagent", "fcfs", "atlas")


# ---- the face


def test_the_plots_are_these():
    assert paper_figs.__all__ == ["attainment", "requirements"]
    assert list(PLOTS) == paper_figs.__all__
    assert set(paper_figs.__all__) <= set(dir(paper_figs))
    assert paper_figs.attainment is PLOTS["attainment"].draw
    with pytest.raises(AttributeError, match="did you mean 'attainment'"):
        paper_figs.attainmint  # noqa: B018


def test_importing_paper_figs_loads_no_plot():
    code = "import sys, paper_figs; print('matplotlib' in sys.modules, 'paper_figs.plots' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "False"]


def test_a_plot_is_one_file(runs, tmp_path):
    with extended(PLOTS, tmp_path, recipe("A plot")):
        axes = runs["hexagent"].plot.latencies()
        assert len(axes.patches)
        assert "latencies" in dir(runs["hexagent"].plot)
        assert paper_figs.latencies is PLOTS["latencies"].draw
    assert "latencies" not in dir(runs["hexagent"].plot)


# ---- result.plot


def test_the_accessor_lists_what_suits_and_draws_it(runs):
    run = runs["hexagent"]
    assert dir(run.plot) == sorted(name for name, plot in PLOTS.items() if "Run" in plot.takes)
    assert "SLO attainment" in repr(run.plot)
    _, axes = plt.subplots()
    assert run.plot.attainment(ax=axes) is axes
    assert run.plot.attainment.__doc__ == paper_figs.attainment.__doc__
    assert isinstance(run.plot(), mpl.axes.Axes)
    with pytest.raises(AttributeError, match=r"a Run has no plot 'attaiment'; did you mean 'attainment'\?"):
        run.plot.attaiment()


def test_without_a_package_that_draws_the_accessor_says_so(runs, monkeypatch):
    plotting.offered.cache_clear()
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [])
    try:
        with pytest.raises(AttributeError, match="they come with the package paper_figs"):
            runs["fcfs"].plot.attainment()
        assert "no plots are installed" in repr(runs["fcfs"].plot)
        assert dir(runs["fcfs"].plot) == []
    finally:
        plotting.offered.cache_clear()


def test_what_has_no_plot_says_so():
    with pytest.raises(AttributeError, match="no plot of a int"):
        Accessor(3)()


# ---- results in hand


def test_one_plot_from_a_run_a_mapping_a_list_and_a_frame(runs):
    frame = pd.concat([run.to_frame().assign(policy=name) for name, run in runs.items()])
    expected = None
    for data in (runs, list(runs.values()), frame):
        axes = paper_figs.attainment(data)
        drawn = {line.get_label(): line.get_xydata() for line in axes.get_lines()[:3]}
        assert set(drawn) == {"HexAGenT", "FCFS", "ATLAS"}
        expected = expected or drawn
        assert all(np.array_equal(drawn[name], expected[name]) for name in drawn)
    (one,) = [
        line for line in paper_figs.attainment(runs["fcfs"]).get_lines() if not str(line.get_label()).startswith("_")
    ]
    assert np.array_equal(one.get_xdata()[1:-1], np.sort(runs["fcfs"].ratio))


def test_names_of_a_mapping_are_what_is_shown(runs):
    axes = paper_figs.attainment({"mine": runs["fcfs"], "theirs": runs["atlas"]})
    assert {line.get_label() for line in axes.get_lines()[:2]} == {"mine", "theirs"}


def test_runs_of_a_policy_at_several_seeds_become_a_mean(runs):
    others = run_all("hexagent", "fcfs", "atlas", seed=1)
    axes = paper_figs.attainment([runs, others])
    (fcfs,) = [line for line in axes.get_lines() if line.get_label() == "FCFS"]
    scale, share = fcfs.get_xdata()[100], fcfs.get_ydata()[100]
    ratios = [runs["fcfs"].ratio, others["fcfs"].ratio]
    assert share == pytest.approx(100 * np.mean([(ratio <= scale).mean() for ratio in ratios]))
    bars = paper_figs.requirements([runs, others])
    heights = [bar.get_height() for bar in bars.patches]
    assert np.mean([r["fcfs"].metrics.req95 for r in (runs, others)]) in [pytest.approx(h) for h in heights]


def test_of_several_instances_one_is_chosen(runs):
    data = {"light": runs, "heavy": run_all("hexagent", "fcfs", arrivals="fixed:9")}
    with pytest.raises(InputError, match=r"there are 2 instances: choose with instance=\.\.\.; light; heavy"):
        paper_figs.attainment(data)
    axes = paper_figs.attainment(data, instance="Heavy")
    assert axes.get_title() == "heavy"
    assert len({line.get_label() for line in axes.get_lines()} & {"HexAGenT", "FCFS", "ATLAS"}) == 2
    with pytest.raises(InputError, match="no instance has 'medium' in its name"):
        paper_figs.requirements(data, instance="medium")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "cannot plot a int; expected a run"),
        ([], "there is no run"),
        (pd.DataFrame({"policy": ["a"]}), "no column 'ratio'; its columns are policy"),
        (pd.DataFrame({"policy": [], "ratio": []}), "has no rows"),
        ("/nowhere/at/all", "/nowhere/at/all"),
    ],
)
def test_what_cannot_be_plotted_is_told_in_a_line(data, message):
    with pytest.raises(InputError, match=message) as told:
        paper_figs.attainment(data)
    assert "\n" not in str(told.value)


# ---- attainment


def test_the_legend_has_the_best_first_with_its_req95(runs):
    legend = paper_figs.attainment(runs).get_legend()
    told = [text.get_text() for text in legend.get_texts()]
    values = [float(text.split()[0]) for text in told]
    assert values == sorted(values)
    assert f"{runs['hexagent'].metrics.req95:.2f}  HexAGenT" in [text.partition(" (=")[0] for text in told]


def test_levels_of_attainment_are_labelled(runs):
    axes = paper_figs.attainment(runs)
    assert {"95 %", "99 %"} <= {text.get_text() for text in axes.texts}
    assert 100 in axes.get_yticks()


def test_a_curve_that_is_another_s_says_so(runs):
    axes = paper_figs.attainment({"a": runs["fcfs"], "b": runs["fcfs"], "hexagent": runs["hexagent"]})
    told = {text.get_text().split("  ")[1] for text in axes.get_legend().get_texts()}
    assert told == {"a (= b)", "b (= a)", "HexAGenT"}
    widths = [line.get_linewidth() for line in axes.get_lines()[:3]]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 3


@pytest.mark.parametrize(("arrivals", "told"), [("fixed:2", False), ("fixed:1000", True)])
def test_all_at_once_is_said(arrivals, told):
    axes = paper_figs.attainment(run_all("fcfs", arrivals=arrivals))
    assert any(text.get_text().startswith("all at once") for text in axes.texts) == told


def test_no_two_policies_look_alike_and_a_dozen_have_colours_of_their_own():
    dozen = ["fcfs", "workflow-fcfs", "workflow-llf", "atlas", "plas", "edf", "sjf", "critical-path", "a", "b", "c"]
    looks = lines([*dozen, "hexagent", "hexagent(kv=off)"])
    assert len({to_hex(look["color"]) for look in looks.values()}) == len(looks)
    many = lines([f"p{k}" for k in range(40)])
    assert len({str(look) for look in many.values()}) == 40
