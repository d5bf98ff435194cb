"""Figures of solves: what they say of proofs, of times that were cut off, of seeds and of what was refused."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from stored import write_cell
from test_figures import SOLVES

from experiments.cli import BAD_INPUT, OK, main
from experiments.formulations.paired import compare, holm
from experiments.formulations.profiles import proven_by_size, virtual_best, wilson
from paper_figs.drawing.figure import write_figure
from paper_figs.drawing.solves import solve_label, styles
from paper_figs.figures import FIGURES
from paper_figs.figures.paired_times import read_paired
from paper_figs.figures.root_gaps import read_root_gaps
from paper_figs.figures.solve_times import read_bounds, read_reached
from paper_figs.figures.virtual_best import read_virtual_best
from paper_figs.reading.notes import notes_of
from paper_figs.reading.solves import MOST, read_solves, shown
from solvers.exact import FORMULATIONS

mpl.use("Agg")

INF = np.inf
LIMIT = 10.0
# seconds to a proof of four instances, infinite where there is none
TIMES = {
    "cpsat": (1.0, 1.0, 2.0, INF),
    "milp_event": (2.0, 4.0, INF, INF),
    "milp_event/SCIP": (1.0, 8.0, 5.0, INF),
    "cpsat:hint=off": (2.0, 2.0, 4.0, 8.0),
    "auto": (1.5, 1.0, 2.0, INF),
}
DRAWN = (*sorted(SOLVES), "model-sizes", "paired-times")


def frame_of(times: dict[str, tuple[float, ...]], seeds: int = 1) -> pd.DataFrame:
    """A row a solve; instance k has 4 + 4 k calls."""
    return pd.DataFrame(
        [
            {
                "sha256": f"i{k}",
                "calls": 4 + 4 * k,
                "objective": "max_ratio",
                "seed": seed,
                "formulation": name,
                "status": "optimal" if np.isfinite(seconds) else "feasible",
                "seconds": min(seconds, LIMIT),
                "time_limit": LIMIT,
            }
            for name, own in times.items()
            for k, seconds in enumerate(own)
            for seed in range(seeds)
        ]
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a grid of these solves leaves, and one that was refused."""
    folder = tmp_path_factory.mktemp("solves") / "store"
    rows = frame_of(TIMES).assign(value=2.0, root_bound=1.5, variables=10, constraints=20)
    for number, row in enumerate(rows.to_dict("records")):
        proven = row["status"] == "optimal"
        bound = 2.0 if proven else 1.8
        steps = [(0.5, 3.0, None), (row["seconds"] / 2, 2.0, 1.0), (row["seconds"] / 2, 2.0, bound)]
        write_cell(
            folder,
            f"{number:02}",
            "solves",
            {
                "solves": [{**row, "key": f"{0:08}-{number:02}", "instance": row["sha256"], "lower_bound": bound}],
                "solve_series": [
                    {"key": f"{0:08}-{number:02}", "seconds": at, "value": value, "lower_bound": proved}
                    for at, value, proved in steps
                ],
                "timings": [{"key": f"{0:08}-{number:02}", "kind": "solve", "solve_seconds": row["seconds"]}],
            },
        )
    refused = {"instance": "i0", "calls": 4, "objective": "max_ratio", "seed": 0, "time_limit": LIMIT}
    refused |= {"key": f"{0:08}-99", "formulation": "milp_event/CPLEX", "status": "refused"}
    timing = {"key": f"{0:08}-99", "kind": "solve", "solve_seconds": 0.0}
    write_cell(folder, "99", "solves", {"solves": [refused], "solve_series": [], "timings": [timing]})
    return folder


def test_the_virtual_best_by_hand():
    table = virtual_best(frame_of({"a": (1.0, 4.0, INF, INF), "b": (1.0, 2.0, 8.0, INF)})).set_index("formulation")
    assert table["solvable"].tolist() == [3, 3]
    assert table["proven"].tolist() == [2, 3]
    assert table["fastest"].tolist() == pytest.approx([0.5 / 3, 2.5 / 3])  # the first is divided
    assert table["alone"].tolist() == pytest.approx([0.0, 1 / 3])
    assert table["ratio"].tolist() == pytest.approx([(1 * 2 * 2 * LIMIT / 8) ** (1 / 3), 1.0])


def test_pairs_know_who_is_faster_where_one_did_not_finish():
    frame = frame_of({"a": (1.0, 2.0, 2.0, 3.0, INF, INF, 1.0), "b": (2.0, 8.0, INF, 1.0, INF, 9.0, 4.0)})
    (row,) = compare(frame, [("a", "b")]).to_dict("records")
    assert (row["problems"], row["faster"], row["slower"]) == (6, 4, 2)
    assert row["p"] == row["p_holm"] == pytest.approx(binomtest(4, 6).pvalue)
    assert row["ratio"] == pytest.approx(np.sqrt(0.25 * 0.5))  # of 0, 1/4, 1/4, 1/2, 3 and what b alone proves
    assert (row["low"], row["high"]) == (0.0, INF)
    (back,) = compare(frame, [("b", "a")]).to_dict("records")
    assert back["ratio"] == pytest.approx(1 / row["ratio"])
    assert back["p"] == row["p"]


def test_the_interval_of_a_median_ratio_holds_it_as_often_as_it_says():
    rng, held = np.random.default_rng(0), 0
    for _ in range(15):
        a, b = np.exp(rng.normal(0.5, 1.0, 25)), np.exp(rng.normal(0.0, 1.0, 25))
        times = {name: tuple(np.where(own > 6.0, INF, own)) for name, own in (("a", a), ("b", b))}
        (row,) = compare(frame_of(times), [("a", "b")]).to_dict("records")
        held += row["low"] <= np.exp(0.5) <= row["high"]
    assert held >= 13


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, np.nan, 0.03])) == pytest.approx([0.03, 0.06, np.nan, 0.06], nan_ok=True)


def test_seeds_of_an_instance_are_no_more_instances():
    once, thrice = (proven_by_size(frame_of({"a": (1.0, INF)}, seeds)) for seeds in (1, 3))
    assert thrice["rows"].tolist() == [3, 3]
    assert thrice[["share", "low", "high"]].equals(once[["share", "low", "high"]])
    low, high = wilson(np.array([0.5]), np.array([10]))
    assert (low[0], high[0]) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))


def test_what_was_refused_is_said(store):
    solves = read_solves(store)
    assert "refused" not in set(solves["status"])
    assert "refused (not installed, or no licence), so left out: milp_event/CPLEX" in notes_of(solves)


def test_who_is_set_against_whom(store):
    table = read_paired(store).set_index(["one", "other"])
    assert table["against"].to_dict() == {
        ("milp_event", "cpsat"): "fastest",
        ("auto", "cpsat"): "fastest",
        ("cpsat:hint=off", "cpsat"): "switch",
        ("milp_event/SCIP", "milp_event"): "solver",
    }
    assert table.loc[("cpsat:hint=off", "cpsat"), ["problems", "faster", "slower"]].tolist() == [4, 1, 3]
    assert set(read_virtual_best(store)["formulation"]) == {"cpsat", "milp_event", "milp_event/SCIP", "auto"}


def test_what_is_reached_by_when(store):
    table = read_reached(store)
    of = dict(iter(table[table["formulation"] == "cpsat"].groupby("target")))
    assert of["proven"][["seconds", "share"]].to_numpy().tolist() == [[0, 0], [1, 0.25], [1, 0.5], [2, 0.75]]
    assert of["schedule"]["seconds"].tolist() == [0.0, 0.5, 0.5, 1.0, LIMIT / 2]
    assert of["bound"]["share"].max() == 0.75
    bounds = read_bounds(store).groupby("formulation")["bound"]
    assert bounds.min().tolist() == [0.0] * len(TIMES)
    assert bounds.max()["cpsat"] == 1.0
    assert read_root_gaps(store)["root_gap"].tolist() == [0.25] * (len(TIMES) - 1)


@pytest.mark.parametrize("name", DRAWN)
def test_each_is_drawn_and_those_with_a_table_have_one(store, tmp_path, name):
    figure = FIGURES.find(name)
    made = write_figure(figure, store, tmp_path, ("png", "md"))
    assert [path.suffix for path in made.files] == [".csv", ".png", *([".md"] if figure.table else [])]


def test_where_there_are_too_many_each_formulation_has_its_best_solver():
    names = [f"{name}{solver}" for name in FORMULATIONS for solver in ("", "/CBC", ":x=on")]
    frame = frame_of({name: (1.0 if "/" in name else 2.0, INF) for name in names})
    assert len(names) > MOST
    assert set(shown(frame)["formulation"]) == {f"{name}/CBC" for name in FORMULATIONS}
    assert "each formulation has that of its best solver" in notes_of(shown(frame))[0]


def test_no_two_that_are_drawn_look_alike():
    names = ["auto", *FORMULATIONS][:MOST]
    for drawn in (names, ["cpsat", "milp_event/CBC", "milp_event"], ["a", "b", "cpsat"]):
        looks = dict(styles(pd.DataFrame({"formulation": drawn})))
        assert len({look["color"] for look in looks.values()}) == len(drawn)
    assert solve_label("milp_event/CBC:x=on") == "event-based, CBC, x on"


def test_a_formulation_looks_the_same_whoever_is_beside_it_and_whatever_solves_it():
    of_one, of_other = (
        dict(styles(pd.DataFrame({"formulation": drawn})))
        for drawn in (["benders", "choco", "cpsat", "milp_event/SCIP"], ["cpsat", "milp_event"])
    )
    for name, other in (("cpsat", "cpsat"), ("milp_event/SCIP", "milp_event")):
        assert of_one[name] == of_other[other]


def test_tables_go_into_a_page(store, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- virtual-best -->\nold\n<!-- /virtual-best -->\nafter\n")
    argv = ["figures", "virtual-best", "--store", str(store), "--into", str(page)]
    assert main(argv) == main(argv) == OK
    text = page.read_text()
    assert text.startswith("before\n<!-- virtual-best -->\n\n| formulation |")
    assert text.endswith("<!-- /virtual-best -->\nafter\n")
    assert "old" not in text
    for names, why in (
        (["paired-times"], "expected the lines <!-- paired-times -->"),
        (["model-sizes"], "has no table"),
    ):
        assert main(["figures", *names, *argv[2:]]) == BAD_INPUT
        assert why in capsys.readouterr().err
