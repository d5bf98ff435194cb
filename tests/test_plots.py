"""Plots of results in hand: what they draw, on which axes, and how results offer them."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from extension import extended, recipe
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_hex

import paper_figs
from hexsched import plotting
from hexsched.clusters import compile_instance, read_cluster
from hexsched.errors import InputError
from hexsched.model import Call, Schedule, Workflow
from hexsched.plotting import Accessor
from hexsched.simulator import Run, simulate
from hexsched.workloads.arrivals import apply_arrivals, read_arrivals
from hexsched.workloads.families import generate
from paper_figs.drawing.intervals import mark_cut, with_cut
from paper_figs.drawing.layout import MOST_TICKS, lines_within, plain_log_ticks, shortened
from paper_figs.drawing.setting import objective_label, setting_text
from paper_figs.drawing.style import label, lines, look, seeds_text
from paper_figs.figures.attainment import at_once_text
from paper_figs.figures.gantt import choose, lanes_of
from paper_figs.figures.utilisation import SHARES
from paper_figs.plots import PLOTS
from paper_figs.plots.kv import kv_table
from paper_figs.reading.timeline import calls_of, calls_of_run, longest_path, standalone_seconds
from solvers.brackets.gap import GapReport, PolicyGap

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
    assert paper_figs.__all__ == [
        "attainment",
        "convergence",
        "dag",
        "gantt",
        "gaps",
        "kv",
        "requirements",
        "utilisation",
    ]
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
    assert f"{runs['hexagent'].metrics.req95:.2f}  HexAGenT" in [text.partition(" =")[0] for text in told]


def test_levels_of_attainment_are_labelled(runs):
    axes = paper_figs.attainment(runs)
    assert {"95 %", "99 %"} <= {text.get_text() for text in axes.texts}
    assert 100 in axes.get_yticks()


def test_a_curve_that_is_another_s_says_so(runs):
    axes = paper_figs.attainment({"a": runs["fcfs"], "b": runs["fcfs"], "hexagent": runs["hexagent"]})
    told = {text.get_text().split("  ")[1] for text in axes.get_legend().get_texts()}
    assert told == {"a = b", "HexAGenT"}
    widths = [line.get_linewidth() for line in axes.get_lines()[:3]]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 3


def test_of_many_equal_curves_all_are_named(runs):
    axes = paper_figs.attainment(dict.fromkeys("abcdefghi", runs["fcfs"]))
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [" ".join(text.split()[1:]) for text in told] == [" = ".join("abcdefghi")]


LONG = "least-left(weight=2,most=4,order=by-the-work-that-is-left-of-all-calls-of-a-workflow)@earliest-finish"


def test_names_that_are_too_long_for_a_legend_are_broken():
    lines = lines_within(LONG, 30)
    assert "".join(lines) == LONG
    assert max(map(len, lines)) <= 30
    assert lines[0] == "least-left(weight=2,most=4,"
    assert shortened(LONG, 20) == "least-left…st-finish"
    assert shortened("fcfs", 20) == "fcfs"


def test_a_legend_with_long_names_stays_within_its_figure_and_leaves_the_axes_wide(runs):
    names = ["hexagent", LONG, "greedy", "greedy(most=4)"]
    axes = paper_figs.attainment(dict.fromkeys(names, runs["fcfs"]) | {"hexagent": runs["hexagent"]})
    figure = axes.figure
    figure.canvas.draw()
    legend = axes.get_legend().get_window_extent()
    assert legend.x1 <= figure.bbox.x1
    assert axes.bbox.width > 0.6 * figure.bbox.width


@pytest.mark.parametrize(("least", "most"), [(0.72, 1.8), (0.95, 1.06), (0.5, 1.4), (1, 3), (0.9, 40)])
def test_ticks_of_a_logarithmic_axis_are_on_both_sides_of_one(least, most):
    _, axes = plt.subplots()
    plain_log_ticks(axes.xaxis, least, most)
    ticks = axes.get_xticks()
    assert 2 < len(ticks) <= MOST_TICKS
    assert 1.0 in np.round(ticks, 9)
    assert max(ticks) > 1.0
    assert min(ticks) < 1.0 or least == 1 or most > 10
    plt.close("all")


def test_marks_of_cut_intervals_are_explained_where_there_are_any():
    _, axes = plt.subplots()
    axes.set_ylim(0, 1)
    mark_cut(axes, np.array([0.5]), np.array([0.2]), np.array([0.8]), "black")
    assert with_cut("title", [axes]) == "title"
    mark_cut(axes, np.array([0.5]), np.array([0.2]), np.array([1.8]), "black")
    assert with_cut("title", [axes]) == "title; ▸: beyond the axis"
    plt.close("all")


def test_the_seeds_of_intervals_are_as_many_as_the_rows_have():
    assert seeds_text([5, 4, 5]) == "95 % intervals over 4 to 5 seeds"
    assert seeds_text([3, 1]) == "95 % intervals over 3 seeds"
    assert seeds_text([1]) == "one seed, no intervals"


def test_a_workload_of_a_file_is_written_without_the_options_that_all_have():
    odd, other = "odd,output=Tok raus,session=Konv", "odd,output=Tok raus,session=Konv,time_unit=ms"
    assert label(odd) == label(odd, [odd, "bfcl"]) == "odd"
    assert [label(name, [odd, other]) for name in (odd, other)] == ["odd", "odd, time_unit=ms"]
    assert label("hexagent(kv=off,risk=off)@jsq") == "HexAGenT(kv=off,risk=off)@jsq"


@pytest.mark.parametrize(("arrivals", "told"), [("fixed:2", False), ("fixed:1000", True)])
def test_all_at_once_is_said(arrivals, told):
    axes = paper_figs.attainment(run_all("fcfs", arrivals=arrivals))
    assert axes.get_title() == ("all at once" if told else "")


def test_at_once_says_what_was_not_reached_and_at_how_many_seeds():
    def told(share: float, load: str) -> str:
        return at_once_text(pd.DataFrame({"at_once": [share], "load": [load]}))

    assert told(1.0, "stress:5.6") == "all at once (5.6 not reached)"
    assert told(0.5, "stress:5.6") == "all at once at 50% of seeds (5.6 not reached)"
    assert told(1.0, "at-once") == "all at once"
    assert told(0.0, "stress:5.6") == ""


def test_no_two_policies_look_alike_and_a_dozen_have_colours_of_their_own():
    dozen = ["fcfs", "workflow-fcfs", "workflow-llf", "atlas", "plas", "edf", "sjf", "critical-path", "a", "b", "c"]
    looks = lines([*dozen, "hexagent", "hexagent(kv=off)"])
    assert len({to_hex(look["color"]) for look in looks.values()}) == len(looks)
    many = lines([f"p{k}" for k in range(40)])
    assert len({str(look) for look in many.values()}) == 40


# ---- brackets


def report_of(lower: float = 2.0, upper: float = 2.5, objective: str = "req(0.95)") -> GapReport:
    """A bracket with two policies, made up."""
    policies = {
        name: PolicyGap(value=value, gap=value / lower - 1, gap_to_upper=value / upper - 1)
        for name, value in (("fcfs", 4.0), ("hexagent", 3.0))
    }
    series = ((0.01, 0.0, 4.0), (0.1, 1.0, 3.0), (2.0, lower, upper))
    ends = {"lower_bound": lower, "bound_source": "a", "upper_bound": upper, "upper_source": "b"}
    rest = {"bounds": {}, "binding": {}, "series": series, "solver_status": "", "message": "", "seconds": 2.0}
    found = Schedule(format="hexsched-schedule/1", policy="b", calls=())
    return GapReport(objective=objective, policies=policies, short_of_time={}, schedule=found, **ends, **rest)


def test_gaps_have_bars_between_both_bounds_and_say_what_they_are():
    axes = report_of().plot()
    bars = {bar.get_y() + bar.get_height() / 2: (bar.get_x(), bar.get_width()) for bar in axes.patches}
    assert bars[0] == pytest.approx((100 * (4 / 2.5 - 1), 100 * (4 / 2 - 4 / 2.5)))  # fcfs
    assert bars[2] == pytest.approx((0, 25))  # the best schedule
    assert axes.get_title() == "Req95: optimum from 2.000 to 2.500"
    assert axes.get_xlim()[0] == 0
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert told == ["certain: above the best schedule found", "bar: the distance to the optimum is in here"]


def test_gaps_of_several_instances_have_rings_and_name_them():
    axes = paper_figs.gaps({"bfcl": report_of(), "lats": report_of(lower=1.0)})
    assert axes.get_title() == "bfcl, lats\nReq95"
    rings = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert sorted(rings[0].get_xdata()) == pytest.approx([100.0, 300.0])
    assert axes.get_xlim()[1] == pytest.approx(330)  # intervals of two instances go on beyond it, and are marked
    assert any(line.get_marker() == ">" for line in axes.get_lines())
    assert len(axes.get_legend().get_texts()) == 4


def test_convergence_of_one_report_is_in_its_own_unit_and_does_not_start_at_0():
    axes = paper_figs.convergence(report_of())
    upper, lower = axes.get_lines()
    assert (upper.get_label(), lower.get_label()) == ("best schedule found", "proven lower bound")
    assert (upper.get_ydata()[-1], lower.get_ydata()[-1]) == (2.5, 2.0)
    assert axes.get_ylabel() == "Req95"
    assert axes.get_ylim()[0] > 0.5
    assert np.isnan(lower.get_ydata()[0])
    assert len(axes.collections) == 1


def test_convergence_of_several_is_relative_to_what_they_end_with():
    axes = paper_figs.convergence([report_of(), report_of(upper=5.0)])
    assert axes.get_ylabel() == "relative to the best\nschedule at the end"
    thick = next(line for line in axes.get_lines() if line.get_label() == "best schedule found")
    assert thick.get_ydata()[-1] == 1.0
    assert axes.get_title() == "Req95, 2 instances"


@pytest.mark.parametrize("plot", [paper_figs.gaps, paper_figs.convergence])
def test_objectives_are_chosen_and_what_is_no_report_is_told(plot, runs):
    both = [report_of(), report_of(objective="mean_ratio")]
    with pytest.raises(InputError, match=r"2 objectives: choose with objective=\.\.\.; mean_ratio, req\(0\.95\)"):
        plot(both)
    plot(both, objective="mean_ratio")
    with pytest.raises(InputError, match="no results on 'misses'"):
        plot(both, objective="misses")
    with pytest.raises(InputError, match="cannot plot a Run here; expected what gap"):
        plot(runs["fcfs"])
    with pytest.raises(InputError, match="there is no report"):
        plot([])


def test_words_of_titles():
    assert [objective_label(name) for name in ("req(0.95)", "req(0.999)", "misses(4)", "max_ratio")] == [
        "Req95",
        "Req99.9",
        "workflows beyond SLO scale 4",
        "largest ratio",
    ]
    rows = pd.DataFrame({"cluster": "c", "workload": ["bfcl", "lats"], "workflows": [100, 400], "load": "rate:2"})
    assert setting_text(rows.assign(seed=[0, 1])) == "c; BFCL-v3, LATS; 100 to 400 workflows; rate:2; 2 seeds"
    many = pd.DataFrame({"cluster": list("abcd"), "workflows": 12})
    assert setting_text(many) == "4 clusters; 12 workflows"


# ---- gantt


def boxes_of(axes: mpl.axes.Axes) -> list[np.ndarray]:
    """Left, right, lower and upper end of every box."""
    return [
        np.array([*path.vertices.min(axis=0), *path.vertices.max(axis=0)])
        for collection in axes.collections
        if isinstance(collection, PolyCollection)
        for path in collection.get_paths()
    ]


def test_a_chosen_workflow_shows_arrival_waits_stages_and_completion(runs):
    run = runs["fcfs"]
    chosen = run.instance.workflows[3].workflow_id
    axes = run.plot.gantt(chosen)
    calls = run.schedule.to_frame()
    mine = calls[calls["workflow_id"] == chosen]
    marks = {
        line.get_marker(): float(line.get_xdata()[0]) for line in axes.get_lines() if line.get_marker() in (">", "s")
    }
    assert marks == {">": pytest.approx(run.arrival[3]), "s": pytest.approx(run.completed[3])}
    spans = {(round(box[0], 9), round(box[2], 9)) for box in boxes_of(axes)}
    for start, end in (("prefill_start", "prefill_end"), ("admitted", "decode_start"), ("decode_start", "decode_end")):
        assert {(round(a, 9), round(b, 9)) for a, b in zip(mine[start], mine[end], strict=True)} <= spans
    waits = [segment for c in axes.collections if isinstance(c, LineCollection) for segment in c.get_segments()]
    times = run.calls_to_frame()
    queued = times[(times["workflow_id"] == chosen) & (times["queueing"] > 0)]
    drawn = sorted((segment[0][0], segment[1][0]) for segment in waits)
    assert all(
        any(start == pytest.approx(a) and end == pytest.approx(b) for a, b in drawn)
        for start, end in zip(queued["released"], queued["released"] + queued["queueing"], strict=True)
    )
    low, high = axes.get_xlim()
    assert low <= run.arrival[3]
    assert run.completed[3] <= high
    assert chosen in axes.get_yticklabels()[0].get_text()
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert {"prefill", "decode", "transfer", "waits", "arrives", "is complete"} <= set(told)


def test_the_gantt_chooses_slow_workflows_that_its_window_holds(runs):
    for run in (*runs.values(), run_all("fcfs", arrivals="fixed:1000")["fcfs"]):
        (first, last), chosen = choose(calls_of_run(run))
        frame = run.to_frame().set_index("workflow_id")
        assert 1 <= len(chosen) <= 4
        assert (frame.loc[chosen, "completed"] <= last + 1e-9).all()
        assert frame.loc[chosen, "ratio"].is_monotonic_decreasing
        inside = frame[(frame["arrival"] >= first) & (frame["completed"] <= last)]
        assert frame.loc[chosen[0], "ratio"] == inside["ratio"].max()


def test_a_large_batch_is_an_area_and_no_box_is_a_hairline():
    workflows = generate("lats", workflows=8, seed=0)
    run = simulate(compile_instance(read_cluster("demo"), workflows), "fcfs")
    axes = run.plot.gantt()
    areas = [c for c in axes.collections if type(c).__name__ == "FillBetweenPolyCollection"]
    assert len(areas) == len({call.decode_instance for call in run.schedule.calls})
    full = [text.get_text() for text in axes.get_legend().get_texts()][-1]
    assert full.startswith("others; decode: batch, full height ")
    tall = [box[3] - box[1] for box in boxes_of(axes) if box[1] > len(run.instance.prefill)]
    assert min(tall) > 0.05  # of the height of a prefill row


def test_lanes_hold_one_interval_at_a_time():
    start, end = np.array([0.0, 1.0, 2.0, 3.0, 3.5]), np.array([2.5, 2.0, 3.0, 4.0, 4.0])
    lanes, count = lanes_of(start, end)
    assert lanes.tolist() == [0, 1, 1, 0, 1]
    assert count == 2


def test_a_schedule_alone_has_no_arrivals_and_with_its_instance_it_has(runs):
    run = runs["atlas"]
    alone = run.schedule.plot.gantt()
    assert "arrives" not in [text.get_text() for text in alone.get_legend().get_texts()]
    named = run.schedule.plot.gantt(instance=run.instance)
    assert "arrives" in [text.get_text() for text in named.get_legend().get_texts()]
    released = calls_of(run.schedule, run.instance)["released"]
    assert np.allclose(released, run.calls_to_frame()["released"])


def test_the_gantt_refuses_what_it_cannot_draw(runs):
    with pytest.raises(InputError, match="no workflow is called 'bfcl-99'"):
        runs["fcfs"].plot.gantt("bfcl-99")
    with pytest.raises(InputError, match="no call is under way between 900 and 901 s; the last ends at"):
        runs["fcfs"].plot.gantt(window=(900, 901))
    with pytest.raises(InputError, match="cannot plot a int here"):
        paper_figs.gantt(3)


# ---- use of the cluster


def test_kv_is_the_room_that_calls_hold(runs):
    run = runs["fcfs"]
    table = kv_table(run.instance, run.schedule)
    room = {
        (w.workflow_id, c.call_id): c.prompt_tokens + c.output_tokens for w in run.instance.workflows for c in w.calls
    }
    machine = run.schedule.calls[0].decode_instance
    rows = table[table["machine"] == machine].reset_index(drop=True)
    mine = [call for call in run.schedule.calls if call.decode_instance == machine]
    edges = [*rows["seconds"], max(call.decode_end for call in run.schedule.calls)]
    for k in range(0, len(rows), 37):
        moments = [edges[k], *(c.admitted for c in mine if edges[k] <= c.admitted < edges[k + 1])]
        most = max(sum(room[c.workflow_id, c.call_id] for c in mine if c.admitted <= t < c.decode_end) for t in moments)
        assert rows["reserved"][k] == pytest.approx(most)
    axes = run.plot.kv()
    assert len(axes.get_yticks()) == len(run.instance.decode)
    assert machine in axes.get_yticklabels()[0].get_text()
    with pytest.raises(InputError, match=r"a schedule without instance=\.\.\."):
        paper_figs.kv(run.schedule)


def test_utilisation_of_one_run_and_of_several(runs):
    one = runs["fcfs"].plot.utilisation()
    assert [line.get_label() for line in one.get_lines()] == list(SHARES.values())
    assert one.get_ylim() == (0, 101)
    several = paper_figs.utilisation(runs, measure="batch")
    assert {line.get_label() for line in several.get_lines()} == {"HexAGenT", "FCFS", "ATLAS"}
    with pytest.raises(InputError, match="did you mean 'prefill'"):
        paper_figs.utilisation(runs, measure="prefil")
    with pytest.raises(InputError, match="several runs"):
        paper_figs.utilisation([runs, runs])


# ---- DAGs


def test_the_critical_path_of_a_run_is_as_long_as_the_horizon(runs):
    run = runs["fcfs"]
    for k, workflow in enumerate(run.instance.workflows):
        weight = [
            call.delay + seconds
            for call, seconds in zip(workflow.calls, standalone_seconds(run.instance, workflow.calls), strict=True)
        ]
        assert sum(weight[i] for i in longest_path(workflow, weight)) == pytest.approx(run.horizon[k])


def test_a_dag_has_every_call_and_its_critical_path():
    call = lambda name, tokens, *parents: Call(  # noqa: E731
        call_id=name, prompt_tokens=10, output_tokens=tokens, parents=parents, kind=name[0]
    )
    workflow = Workflow(
        workflow_id="w", arrival=0.0, calls=(call("a", 5), call("b", 9, "a"), call("c", 1, "a"), call("d", 2, "b", "c"))
    )
    axes = workflow.plot()
    assert axes.get_title() == "w: 4 calls; critical path 16 output tokens"
    path = next(c for c in axes.collections if c.get_label() == "critical path")
    assert [tuple(x for x, _ in segment) for segment in path.get_segments()] == [(0.0, 1.0), (1.0, 2.0)]
    dots = [c for c in axes.collections if isinstance(c, PathCollection)]
    assert sum(len(c.get_offsets()) for c in dots) == 4
    assert {text.get_text() for text in axes.texts} == set("abcd")


def test_a_dag_at_a_time_shows_what_was_revealed(runs):
    run = runs["fcfs"]
    k = max(range(12), key=lambda i: len(run.instance.workflows[i].calls))
    workflow = run.instance.workflows[k]
    times = run.calls_to_frame()
    released = times.loc[times["workflow_id"] == workflow.workflow_id, "released"]
    at = float(np.median(released))
    axes = run.plot.dag(workflow.workflow_id, at=at)
    assert f"{(released <= at).sum()} revealed at" in axes.get_title()
    hidden = [c for c in axes.collections if c.get_label() == "not revealed yet"]
    assert sum(len(c.get_offsets()) for c in hidden) == (released > at).sum()
    whole = float(axes.get_title().split()[-2])
    assert whole == pytest.approx(run.horizon[k], abs=0.01)
    assert float(axes.get_title().split()[-4]) <= whole


def test_the_dag_at_a_time_is_of_a_workflow_under_way(runs):
    run = runs["fcfs"]
    frame = run.to_frame().set_index("workflow_id")
    for at in (0.5, 3.0):
        name = run.plot.dag(at=at).get_title().partition(":")[0]
        assert frame.loc[name, "arrival"] <= at <= frame.loc[name, "completed"]


def test_the_dag_refuses_what_it_cannot_draw(runs):
    workflow = runs["fcfs"].instance.workflows[0]
    with pytest.raises(InputError, match="known of a run, not of a Workflow"):
        workflow.plot.dag(at=1.0)
    with pytest.raises(InputError, match="no workflow is called 'x'"):
        runs["fcfs"].plot.dag("x")
    with pytest.raises(InputError, match="expected a workflow, a workload"):
        paper_figs.dag([])


# ---- all of them


def test_without_a_layout_that_makes_room_the_legend_stays_inside(runs):
    def loc_of(**options: str) -> tuple[float, float, float, float]:
        figure, (left, _) = plt.subplots(1, 2, figsize=(10, 3), **options)
        paper_figs.attainment(runs, left)
        figure.canvas.draw()
        legend = left.get_legend().get_window_extent().transformed(left.transAxes.inverted())
        return legend.extents

    assert max(loc_of()) <= 1.0
    assert max(loc_of(layout="constrained")) > 1.0


def test_every_plot_draws_on_the_axes_it_is_given_and_repeats_to_the_byte(runs):
    run, report = runs["hexagent"], report_of()
    for name, plot in PLOTS.items():
        data = run if "Run" in plot.takes else report
        pages = []
        for _ in range(2):
            figure, axes = plt.subplots(figsize=(3.4, 2.6), layout="constrained")
            assert plot.draw(data, ax=axes) is axes, name
            page = io.BytesIO()
            figure.savefig(page, format="png")
            pages.append(page.getvalue())
        assert pages[0] == pages[1], name


def test_what_a_first_figure_makes_of_matplotlib_is_kept():
    """The backend of a notebook comes with the first figure and makes matplotlib interactive, which later ones need."""
    was, size = mpl.is_interactive(), mpl.rcParams["font.size"]
    try:
        mpl.interactive(False)
        with look():
            mpl.interactive(True)
        assert mpl.is_interactive()
        assert mpl.rcParams["font.size"] == size
    finally:
        mpl.interactive(was)
