"""``--formulation auto``: what it chooses follows from the measured times that are shipped, and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.cli import BAD_INPUT, OK, main
from experiments.library.names import instance, split_of
from experiments.library.timing import Measurement, compare, measure, plan, run, write_times
from hexsched.errors import InputError
from hexsched.model import write_instance
from solvers.brackets import choice
from solvers.brackets.choice import (
    DATA,
    LEAF,
    PENALTY,
    QUESTIONS,
    Arm,
    Timed,
    choose,
    grow,
    learn,
    read_arm,
    read_times,
    shipped_tree,
    times_of,
)
from solvers.exact import FORMULATIONS
from solvers.problem.features import features
from solvers.problem.objective import read_objective
from solvers.problem.offline import fixed_problem

SMALL = "unary-chain-4-0"


def row(calls: float, arm: str, seconds: float, objective: str = "max_ratio", **more: object) -> Timed:
    """A solve that could have been measured."""
    told = {"split": "train", "status": "optimal", "time_limit": 10.0} | more
    return Timed(
        instance=f"i-{calls:g}",
        objective=objective,
        calls=calls,
        workflows=2.0,
        machines=4.0,
        contention=1.0,
        precedence=0.5,
        tightness=1.0,
        heterogeneity=0.0,
        arm=arm,
        cpu_seconds=seconds,
        workers=1,
        seed=0,
        versions="",
        **told,  # type: ignore[arg-type]
    )


def two_regimes(count: int = 2 * LEAF) -> list[Timed]:
    """In the smaller half ``a`` is fast, in the other ``b``."""
    rows = []
    for calls in range(1, count + 1):
        fast, slow = ("a", "b") if calls <= count // 2 else ("b", "a")
        rows += [row(calls, fast, 1.0), row(calls, slow, 4.0)]
    return sorted(rows, key=lambda one: (one.calls, one.arm))


def test_the_choice_follows_from_the_shipped_times():
    tree = learn(times_of(read_times(), "train"))
    assert tree == shipped_tree()
    arms = {one.arm for one in read_times()}
    for name in ("burst-fan-full-wide-9-0", "contended-dag-25-0", "sparse-chain-snug-alike-42-0", SMALL):
        problem = fixed_problem(instance(name))
        for objective in ("max_ratio", "mean_ratio", "misses(1.5)"):
            aim = read_objective(objective)
            answers = [*features(problem), float(aim.is_tail), float(aim.kind == "misses")]
            arm = choose(problem, aim)
            assert str(arm) == tree.leaf(answers).arm
            assert str(arm) in arms
            assert arm == choose(fixed_problem(instance(name)), aim)


def test_the_documentation_shows_the_tree():
    page = (Path(__file__).parents[1] / "docs" / "benchmarks.md").read_text()
    assert "\n".join(shipped_tree().lines()) in page


def test_the_shipped_times_are_of_the_library_and_of_what_there_is():
    rows = read_times()
    assert {one.split for one in rows} == {"train", "test"}
    assert len({(one.instance, one.objective, one.arm) for one in rows}) == len(rows)
    for name in {one.instance for one in rows}:
        measured = next(one for one in rows if one.instance == name)
        assert measured.split == split_of(name)
        found = features(fixed_problem(instance(name)))
        assert [getattr(measured, field) for field in found._fields] == pytest.approx(list(found), abs=1e-6)
    for text in {one.arm for one in rows}:
        arm = read_arm(text)
        formulation = FORMULATIONS.find(arm.formulation)
        assert {name for name, _ in arm.switches} <= set(formulation.switches)
        assert arm.solver is None or arm.solver in formulation.solvers


def test_only_the_train_split_is_learnt_from():
    rows = read_times()
    other = [
        one._replace(cpu_seconds=one.cpu_seconds * 9 + 1, status="feasible") if one.split == "test" else one
        for one in rows
    ]
    assert learn(times_of(other, "train")) == shipped_tree()


def test_a_tree_by_hand():
    tree = grow(times_of(two_regimes(), "train"))
    assert (tree.question, tree.limit) == ("calls", LEAF + 0.5)
    assert tree.yes is not None
    assert tree.no is not None
    assert (tree.yes.arm, tree.no.arm) == ("a", "b")
    assert tree.seconds == pytest.approx(1.0)
    assert tree.lines() == [
        f"calls <= {LEAF + 0.5}:",
        f"    a  ({LEAF} problems, 1 s)",
        "else:",
        f"    b  ({LEAF} problems, 1 s)",
    ]
    answers = np.zeros(len(QUESTIONS))
    answers[QUESTIONS.index("calls")] = LEAF + 1
    assert tree.leaf(answers).arm == "b"


def test_leaves_are_not_too_small_and_nothing_is_asked_in_vain():
    assert grow(times_of(two_regimes(2 * LEAF - 2), "train")).question == ""
    same = [one._replace(cpu_seconds=2.0) for one in two_regimes()]
    tree = grow(times_of(same, "train"))
    assert (tree.question, tree.arm, tree.problems) == ("", "a", 2 * LEAF)
    with pytest.raises(InputError, match="nothing to choose by"):
        grow(times_of([], "train"))


def test_questions_that_do_not_help_on_what_was_left_out_are_not_asked():
    assert learn(times_of(two_regimes(4 * LEAF), "train")).question == "calls"
    asked = {grow: 0, learn: 0}
    for seed in range(8):
        rng = np.random.default_rng(seed)
        noise = [one._replace(cpu_seconds=float(rng.uniform(1, 2))) for one in two_regimes(60)]
        for method in asked:
            asked[method] += method(times_of(noise, "train")).question != ""
    assert asked[learn] <= asked[grow] / 2
    assert asked[grow] == 8
    few = [one for one in two_regimes() if one.calls <= 5]
    assert learn(times_of(few, "train")).problems == 5


def test_what_is_not_proven_costs_more_than_the_limit_and_half_tried_problems_do_not_count():
    rows = [row(1, "a", 1.0), row(1, "b", 10.0, status="feasible"), row(2, "a", 1.0)]
    rows += [row(3, arm, 10.0, status="feasible") for arm in "ab"]  # nor do those that nothing proves
    times = times_of(rows, "train")
    assert times.problems == [("i-1", "max_ratio")]
    assert times.cost.tolist() == [[1.0, PENALTY * 10.0]]
    assert times.proven.tolist() == [[True, False]]
    assert times_of(rows, "test").problems == []


def test_auto_is_compared_with_the_virtual_best():
    rows = two_regimes()
    tree = grow(times_of(rows, "train"))
    found = {one.chooses: one for one in compare(tree, times_of(rows, "train"))}
    assert found["auto"].ratio == pytest.approx(1.0)
    assert found["a"].ratio == pytest.approx(2.0)  # half of the problems at 1, half at 4
    assert found["a"].worst == pytest.approx(4.0)
    assert found["a"].proven == found["a"].problems == 2 * LEAF
    assert compare(tree, times_of(rows, "test")) == []


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("cpsat", Arm("cpsat")),
        ("milp_event/CBC", Arm("milp_event", "CBC")),
        ("cpsat:bracket=off+proof=on", Arm("cpsat", None, (("bracket", False), ("proof", True)))),
        ("milp_time_indexed/HiGHS:disaggregated=off", Arm("milp_time_indexed", "HiGHS", (("disaggregated", False),))),
    ],
)
def test_arms_are_written_as_they_are_read(text, arm):
    assert read_arm(text) == arm
    assert str(arm) == text


@pytest.mark.parametrize("text", ["", "cpsat:", "cpsat:bracket", "cpsat:bracket=maybe", "cpsat/", "/HiGHS"])
def test_what_is_no_arm_is_told(text):
    with pytest.raises(InputError, match="expected FORMULATION"):
        read_arm(text)


def test_times_are_measured_once_and_kept_after_each(tmp_path):
    tasks = plan([SMALL], ["max_ratio", "mean_ratio"], ["cpsat", "cpsat:bracket=off"])
    assert [(one.objective, str(one.arm)) for one in tasks[:2]] == [
        ("max_ratio", "cpsat"),
        ("max_ratio", "cpsat:bracket=off"),
    ]
    first = measure(tasks[0], 5.0)
    assert first.status == "optimal"
    assert 0 < first.cpu_seconds < 60
    kept: list[int] = []
    rows = run(tasks[:2], [first], 5.0, lambda rows: kept.append(len(rows)))
    assert kept == [2]
    assert rows[0] == first
    write_times(tmp_path / "times.csv", rows)
    assert read_times(tmp_path / "times.csv") == rows
    with pytest.raises(InputError, match="no switch 'brackets'"):
        measure(Measurement(SMALL, "max_ratio", read_arm("cpsat:brackets=off")), 5.0)


def test_times_that_are_wrong_are_told_with_their_line(tmp_path):
    lines = DATA.read_text().splitlines()
    for text, why in (
        ("a,b\n", "expected the columns"),
        ("\n".join([lines[0], "x"]), ":2: expected 17 columns"),
        ("\n".join([lines[0], lines[1].replace(",1,0,", ",one,0,")]), ":2: workers must be a number"),
    ):
        (tmp_path / "times.csv").write_text(text)
        with pytest.raises(InputError, match=why):
            read_times(tmp_path / "times.csv")


def test_solve_takes_auto(tmp_path, capsys, monkeypatch):
    path = tmp_path / "i.json"
    write_instance(path, instance(SMALL))
    monkeypatch.setattr(choice, "choose", lambda problem, objective: read_arm("milp_event/HiGHS"))
    asked = [
        "solve",
        str(path),
        "--formulation",
        "auto",
        "--objective",
        "mean_ratio",
        "--time-limit",
        "5",
        "--workers",
        "1",
    ]
    assert main([*asked, "--json"]) == OK
    record = json.loads(capsys.readouterr().out)
    assert (record["formulation"], record["status"]) == ("milp_event", "optimal")
    for more in (["--solver", "HiGHS"], ["--switch", "bracket=off"]):
        assert main([*asked, *more]) == BAD_INPUT
        assert "'auto' chooses solver and switches itself" in capsys.readouterr().err


def test_the_commands(tmp_path, capsys):
    assert main(["library", "choice", "--json"]) == OK
    record = json.loads(capsys.readouterr().out)
    assert record["tree"] == shipped_tree().lines()
    assert {one["chooses"] for one in record["test"]} >= {"auto", "cpsat"}
    assert all(one["ratio"] >= 1 for one in record["test"])
    path = tmp_path / "times.csv"
    asked = ["library", "time", SMALL, "--formulations", "cpsat", "--time-limit", "5", "-o", str(path), "--json"]
    for measured in (1, 0):
        assert main(asked) == OK
        assert json.loads(capsys.readouterr().out)["measured"] == measured
    for change in (
        ["--formulations", "cpsta"],
        ["--formulations", "cpsat,"],
        ["--time-limit", "0"],
        ["--objective", "x"],
    ):
        assert main([*asked, *change]) == BAD_INPUT
        assert capsys.readouterr().err.count("\n") == 1
