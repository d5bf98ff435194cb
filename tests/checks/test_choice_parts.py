"""What a portfolio says of its bounds, where the schedule of an earlier bracket is, and how the choice is learnt."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from instances import call, one_pair, workflow

from hexsched.errors import InputError
from hexsched.model import write_schedule
from hexsched.simulator import simulate
from solvers.bounds.parts.bound import FRUITLESS, NO_TIME, Bound, Cost
from solvers.brackets import choice, portfolio
from solvers.brackets.earlier import Earlier, read_earlier
from solvers.problem.objective import read_objective
from solvers.problem.offline import fixed_problem
from solvers.problem.result import Options

pytestmark = pytest.mark.quick

FLOWS = tuple(workflow(f"w{k}", 0.0, call("a", 5 + k, 20 + 3 * k), call("b", 9, 15, "a")) for k in range(4))
INSTANCE = one_pair(*FLOWS, decode_model="fixed", max_batch=2)
PROBLEM = fixed_problem(INSTANCE)
AIM = read_objective("max_ratio")
GOOD, POOR = (simulate(INSTANCE, policy).schedule for policy in ("hexagent", "fcfs"))


def says(name: str, value: float, cost: Cost = Cost.AT_ONCE, **given: Any) -> Bound:
    return Bound(name=name, summary="", citation="", compute=lambda *_: value, cost=cost, **given)


# --- portfolios ------------------------------------------------------------------------------------------------------


def test_a_row_of_the_portfolio_says_why_there_is_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portfolio.critical_path, "compute", lambda *_: 1.5)
    clock = SimpleNamespace(now=50.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)

    def takes(seconds: float, value: float) -> Callable[..., float]:
        def compute(*_: Any) -> float:
            clock.now += seconds
            return value

        return compute

    why = {"why_no_more": lambda problem: "no contention"}
    below, equal, above, after = (says(name, v, **why) for name, v in zip("beac", (1.4, 1.5, 2.0, 3.0), strict=True))
    slow = Bound("slow", "", "", takes(9.0, 1.9), Cost.ANY_TIME)
    found = portfolio.best_bound(PROBLEM, AIM, 10.0, [below, equal, above, slow, after])
    assert [row.note for row in found.table] == ["no contention"] * 2 + ["", FRUITLESS, ""]  # 1.9 is less than 2
    assert [row.value for row in found.table] == [1.4, 1.5, 2.0, None, 3.0]
    assert [row.seconds for row in found.table] == [0.0, 0.0, 0.0, 9.0, 0.0]
    assert (found.value, found.source) == (3.0, "c")
    late = [Bound("first", "", "", takes(20.0, 1.6), Cost.ANY_TIME), slow, after]
    found = portfolio.best_bound(PROBLEM, AIM, 10.0, late)
    assert [(row.note, row.seconds) for row in found.table] == [("", 20.0), (NO_TIME, 0.0), ("", 0.0)]
    other = says("other", 1.0, objectives=("misses",))
    only = portfolio.best_bound(PROBLEM, AIM, 10.0, [other, below])
    assert [(row.note, row.seconds) for row in only.table] == [("holds for misses only", 0.0), ("no contention", 0.0)]
    assert (only.value, only.source) == (1.4, "b")


# --- earlier brackets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("there", "beside"), [(True, True), (True, False), (False, True), (False, False)])
def test_the_schedule_of_a_record_is_where_it_says_or_beside(tmp_path: Path, there: bool, beside: bool) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    if there:
        write_schedule(old / "s.json", GOOD)
    if beside:
        write_schedule(new / "s.json", POOR)
    record = {
        **{"instance": "i.json", "objective": "max_ratio", "lower_bound": 1.25, "bound_source": "load"},
        **{"upper_source": "search", "schedule": str(old / "s.json"), "provenance": {"inputs": {"i.json": "a" * 64}}},
    }
    file = new / "r.json"
    file.write_bytes(msgspec.json.encode(record))
    if there or beside:
        expected = GOOD if there else POOR
        assert read_earlier(file, "a" * 64) == Earlier(str(file), "max_ratio", 1.25, "load", expected, "search")
    else:
        with pytest.raises(InputError, match="old"):
            read_earlier(file, "a" * 64)
    file.write_bytes(msgspec.json.encode({**record, "schedule": None}))
    assert read_earlier(file, "a" * 64).schedule is None
    with pytest.raises(
        InputError, match=r"another instance \(i.json, SHA-256 aaaaaaaaaaaa…; this one has bbbbbbbbbbbb…"
    ):
        read_earlier(file, "b" * 64)
    file.write_bytes(msgspec.json.encode({**record, "instance": "j.json"}))
    with pytest.raises(InputError, match=r"another instance \(j.json, no SHA-256 recorded"):
        read_earlier(file, "a" * 64)


# --- choosing --------------------------------------------------------------------------------------------------------


def times(costs: list[list[float]], answers: list[list[float]]) -> choice.Times:
    """Costs by problem and arm, each problem of an instance of its own."""
    wide = np.zeros((len(costs), len(choice.QUESTIONS)))
    wide[:, : len(answers[0])] = answers
    cost = np.array(costs)
    names = [(f"i{k:03d}", "max_ratio") for k in range(len(costs))]
    return choice.Times(names, [f"a{k}" for k in range(cost.shape[1])], wide, cost, np.ones(cost.shape, bool))


def test_a_question_is_half_way_and_the_last_may_be_asked() -> None:
    low, high, leaf = [1.0, 9.0], [9.0, 1.0], choice.LEAF
    told = choice.grow(times([low] * leaf + [high] * leaf, [[2.0]] * leaf + [[5.0]] * leaf))
    assert (told.question, told.limit, told.problems) == (choice.QUESTIONS[0], 3.5, 2 * leaf)
    assert told.yes is not None
    assert told.no is not None
    assert (told.yes.arm, told.no.arm, told.yes.problems) == ("a0", "a1", leaf)
    last = [[0.0] * (len(choice.QUESTIONS) - 1) + [float(k >= leaf)] for k in range(2 * leaf)]
    assert choice.grow(times([low] * leaf + [high] * leaf, last)).question == choice.QUESTIONS[-1]
    uneven = [[2.0]] * (leaf - 1) + [[5.0]] * (leaf + 1)
    assert choice.grow(times([low] * (leaf - 1) + [high] * (leaf + 1), uneven)).question == ""
    assert choice.grow(times([high] * (leaf + 1) + [low] * (leaf - 1), uneven[::-1])).question == ""
    assert choice.grow(times([low] * leaf + [high] * leaf, [[2.0]] * leaf + [[5.0]] * leaf), 0).question == ""
    mixed = choice.grow(times([[1.0, 9.0]] * leaf + [[9.0, 4.0]] * 3 * leaf, [[2.0]] * leaf + [[5.0]] * 3 * leaf))
    assert mixed.seconds == pytest.approx(4 ** (3 / 4))  # weighed by problems


def test_rounding_asks_no_questions() -> None:
    """Of one arm nothing can be asked, though sums of parts differ from the whole in their last digit."""
    rng = np.random.default_rng(3)
    for _ in range(4):
        count = 4 * choice.LEAF + 3
        made = times([[cost] for cost in rng.uniform(0.1, 9.0, count)], [[float(k)] for k in range(count)])
        assert choice.grow(made).question == ""


def test_no_more_questions_one_after_another_than_may_be() -> None:
    """Eight kinds of problems, each with an arm of its own: three questions would tell all of them."""
    kinds = [[k & 1, k >> 1 & 1, k >> 2] for k in range(8) for _ in range(choice.LEAF)]
    costs = [[1.0 if arm == a + 2 * b + 4 * c else 50.0 for arm in range(8)] for a, b, c in kinds]

    def deep(tree: choice.Tree) -> int:
        return 0 if tree.yes is None or tree.no is None else 1 + max(deep(tree.yes), deep(tree.no))

    made = times(costs, [[float(x) for x in kind] for kind in kinds])
    assert [deep(choice.grow(made, depth)) for depth in range(5)] == [0, 1, 2, 3, 3]
    assert deep(choice.grow(made)) == deep(choice.learn(made)) == 2


def test_questions_are_asked_as_far_as_they_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fewest of which what is left out loses no more, beyond a standard error, than of the best number."""
    made = times([[1.0, 2.0]] * 25, [[0.0]] * 25)
    lost: list[Any] = []
    folds: list[list[int]] = []

    def left_out(times: Any, of: Any, depth: int) -> Any:
        folds.append(of.tolist())
        return np.array(lost[depth])

    monkeypatch.setattr(choice, "_left_out", left_out)
    monkeypatch.setattr(choice, "grow", lambda times, depth: depth)
    spread = np.array([1.0, 0.0] * 12 + [0.5])  # a mean of 0.5: standard error of the sum 5 * 0.49

    def learnt(*more: float) -> Any:
        lost[:] = [spread - spread.mean() + each for each in more] if more else lost
        return choice.learn(made)

    lost[:] = [np.zeros(25)] * 3
    assert learnt() == 0
    lost[:] = [np.ones(25), np.zeros(25), np.zeros(25)]
    assert learnt() == 1  # all alike, so that there is no error
    lost[:] = [np.ones(25), np.ones(25), np.zeros(25)]
    assert learnt() == 2
    lost[:] = [spread * 0 + 0.09 + (spread - 0.5), np.zeros(25), np.zeros(25)]
    assert learnt() == 0  # 2.25 more in all, of 2.45
    lost[:] = [spread * 0 + 0.11 + (spread - 0.5), np.zeros(25), np.zeros(25)]
    assert learnt() == 1  # 2.75
    lost[:] = [np.zeros(25) + 5.0, np.zeros(25) + 4.0, np.zeros(25) + 4.0]
    assert learnt() == 1  # of losses that are all above 0 as well
    assert len(folds) == 18
    assert folds[0] == [k % 10 for k in range(25)]


def test_what_is_left_out_loses_by_what_the_others_choose() -> None:
    first, second = [1.0, math.e], [math.e**3, 1.0]
    made = times([first, first, second, second, second], [[0.0]] * 5)
    lost = choice._left_out(made, np.array([0, 0, 1, 1, 9]), 0)
    assert lost.tolist() == pytest.approx([1.0, 1.0, 0.0, 0.0, 0.0])
    lost = choice._left_out(made, np.array([0, 0, 1, 1, 1]), 0)
    assert lost.tolist() == pytest.approx([1.0, 1.0, 3.0, 3.0, 3.0])
    few = times([[1.0, 2.0]] * 9, [[0.0]] * 9)
    assert choice.learn(few).problems == 9
    rows = choice.times_of(choice.read_times(), "train")
    assert [index for index, _ in rows.problems] != sorted({index for index, _ in rows.problems})


def test_auto_chooses_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "choose", lambda *_: choice.Arm("cpsat", "x", (("bracket", False),)))
    given = Options(workers=7)
    assert choice.resolved("tiny", PROBLEM, AIM, given) == ("tiny", given)
    name, options = choice.resolved("auto", PROBLEM, AIM, given)
    assert (name, options.solver, options.extra, options.workers) == ("cpsat", "x", {"bracket": False}, 7)
    for more in ({"solver": "HiGHS"}, {"extra": {"a": True}}):
        with pytest.raises(InputError, match="chooses solver and switches itself"):
            choice.resolved("auto", PROBLEM, AIM, Options(**more))
