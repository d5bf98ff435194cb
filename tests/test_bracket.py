"""The bracket: what is known of the optimum, from both sides and from whatever thread."""

from __future__ import annotations

import threading

import pytest

from hexsched.model import Schedule
from solvers.problem.bracket import Bracket, ContradictionError
from solvers.problem.objective import read_objective

pytestmark = pytest.mark.quick

SCHEDULE = Schedule(format="hexsched-schedule/1", policy="", calls=())
OTHER = Schedule(format="hexsched-schedule/1", policy="other", calls=())


def bracket(objective: str = "max_ratio", time_limit: float = 1e6) -> Bracket:
    return Bracket(read_objective(objective), time_limit)


def test_the_best_of_both_ends_is_kept_with_its_source() -> None:
    known = bracket()
    assert known.improve(2.0, SCHEDULE, "fcfs")
    assert not known.improve(2.0, OTHER, "late")
    known.prove(1.0, "load")
    known.prove(0.5, "critical-path")
    assert (known.value, known.schedule, known.source) == (2.0, SCHEDULE, "fcfs")
    assert (known.bound, known.bound_source) == (1.0, "load")
    assert known.bounds == {"load": 1.0, "critical-path": 0.5}
    assert [row[1:] for row in known.series] == [(2.0, None), (2.0, 1.0)]


def test_the_first_bound_is_that_no_value_is_below_zero() -> None:
    known = bracket("misses(1.5)")
    assert (known.bound, known.bound_source, known.series) == (0.0, "", ())
    known.prove(0.0, "load")
    known.prove(0.0, "prices")
    assert (known.bound, known.bound_source, len(known.series)) == (0.0, "load", 1)


def test_a_bound_above_a_verified_schedule_is_a_contradiction_whoever_comes_first() -> None:
    below, above = bracket(), bracket()
    below.prove(2.1, "load")
    with pytest.raises(ContradictionError, match=r"load claims max_ratio >= 2.1, but .* fcfs has 2.0"):
        below.improve(2.0, SCHEDULE, "fcfs")
    above.improve(2.0, SCHEDULE, "fcfs")
    with pytest.raises(ContradictionError, match=r"load claims max_ratio >= 2.1, but .* fcfs has 2.0"):
        above.prove(2.1, "load")


def test_a_bound_above_a_schedule_by_rounding_is_its_value() -> None:
    known = bracket()
    known.improve(2.0, SCHEDULE, "fcfs")
    known.prove(2.0 * (1 + 1e-9), "load")
    assert known.bound == 2.0
    assert known.is_closed


@pytest.mark.parametrize(("objective", "open_at", "closed_at"), [("max_ratio", 1.9, 1.9999), ("misses(1.5)", 1.0, 1.1)])
def test_it_is_closed_where_value_and_bound_agree(objective: str, open_at: float, closed_at: float) -> None:
    """A count above 1 is at least 2."""
    known = bracket(objective)
    assert not known.is_closed
    known.improve(2.0, SCHEDULE, "fcfs")
    known.prove(open_at, "load")
    assert not known.is_closed
    assert not known.is_over
    known.prove(closed_at, "load")
    assert known.is_closed
    assert known.is_over


def test_views_share_all_but_the_deadline() -> None:
    known = bracket(time_limit=100.0)
    short = known.within(1.0)
    assert short.left <= 1.0 < known.left
    assert known.within(1000.0).deadline == known.deadline
    assert known.within(0.0).is_over
    short.improve(2.0, SCHEDULE, "search")
    assert known.schedule is SCHEDULE
    short.interrupt()
    assert known.is_interrupted
    assert (known.left, known.is_over) == (0.0, True)


def test_an_announced_value_is_shown_and_counts_for_nothing_else() -> None:
    rows: list[tuple[float | None, float | None]] = []
    known = Bracket(read_objective("max_ratio"), 100.0, lambda seconds, value, bound: rows.append((value, bound)))
    known.improve(3.0, SCHEDULE, "fcfs")
    known.announce(2.0)
    known.prove(2.5, "load")  # no contradiction: nobody has verified a schedule of 2
    assert (known.value, known.bound) == (3.0, 2.5)
    assert rows == [(3.0, None), (2.0, None), (2.0, 2.5)]


def test_many_threads_report_and_the_rows_only_get_better() -> None:
    known = bracket()

    def report(first: int) -> None:
        for k in range(first, 400, 4):
            known.improve(1000.0 - k, SCHEDULE, str(k))
            known.prove(float(k), str(k))

    threads = [threading.Thread(target=report, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (known.value, known.source, known.bound) == (601.0, "399", 399.0)
    values = [row.value for row in known.series if row.value is not None]
    bounds = [row.bound for row in known.series if row.bound is not None]
    assert values == sorted(values, reverse=True)
    assert bounds == sorted(bounds)
