"""Searches for a scale: what they prove, how many scales they try, and that they end with the time."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from instances import call, one_pair, workflow

from hexsched.engine.kernel import interpreted
from hexsched.errors import InputWarning
from solvers.bounds import critical_path, load, preemptive_lp, single_machine, time_indexed_lp
from solvers.bounds.parts import bound as bounds
from solvers.bounds.parts import destructive, linear, pools
from solvers.bounds.prices import decode, grid, relaxation
from solvers.bounds.prices.grid import price_of
from solvers.bounds.prices.planner import Planner
from solvers.bounds.prices.relaxation import relax
from solvers.bounds.windows import batch_modes, window_bound, window_lp
from solvers.problem.objective import read_objective
from solvers.problem.offline import offline_problem

pytestmark = pytest.mark.campaign  # of mutants, which run it whatever its mark

FOUR: Any = SimpleNamespace(workflows=4)
LARGEST, HALF = read_objective("max_ratio"), read_objective("req(0.5)")


class Tried:
    """What limits workflows that meet a scale, and which scales were asked for; too many fail."""

    def __init__(self, kept: Callable[[float], float], most: int) -> None:
        self._kept, self._most = kept, most
        self.scales: list[float] = []
        self.seconds: list[float] = []

    def __call__(self, scale: float, seconds: float = math.nan) -> float:
        self.scales.append(scale)
        self.seconds.append(seconds)
        assert len(self.scales) <= self._most, "more scales than the search may try"
        return self._kept(scale)


def below(threshold: float, few: float, many: float) -> Callable[[float], float]:
    """``few`` workflows meet scales under the threshold, ``many`` those from it on."""
    return lambda scale: few if scale < threshold else many


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still but for what is added to it."""
    now = [100.0]
    for module in (destructive, window_bound, bounds, linear):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


# --- a scale that too few can meet -----------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [1.0, 1.0003, 1.019, 1.5, 7.0, 4000.0])
@pytest.mark.parametrize("start", [1.0, 1.4])
def test_the_least_scale_that_enough_can_meet_is_found(threshold: float, start: float) -> None:
    tried = Tried(below(threshold, 3, 4), 24 + int(math.log2(threshold)))
    found = destructive.destructive_bound(FOUR, LARGEST, tried, 1e9, start)
    best = max(threshold, start)
    assert best * (1 - 3e-4) <= found <= best
    assert min(tried.scales) > start
    assert tried.scales[0] == pytest.approx(start * 1.02)  # 2 % up, then twice the step


def test_steps_double_and_a_search_ends_at_its_precision() -> None:
    tried = Tried(below(9.0, 3, 4), 12)
    found = destructive.destructive_bound(FOUR, LARGEST, tried, 1e9, precision=0.5)
    assert tried.scales[:3] == pytest.approx([1.02, 1.02 * 1.04, 1.02 * 1.04 * 1.08])
    proved, refused = max(s for s in tried.scales if s < 9), min(s for s in tried.scales if s >= 9)
    assert refused <= 1.5 * proved
    assert found == pytest.approx(proved * (1 - 1e-6), rel=1e-9)  # rounded down by a millionth


def test_workflows_that_do_not_count_need_not_meet_it() -> None:
    for kept, found in ((1.0, True), (2.0, False), (1.9999993, False), (1.9999985, True), (1.99, True)):
        value = destructive.destructive_bound(FOUR, HALF, Tried(below(3.0, kept, 4), 30), 1e9)
        assert (value > 2.9) == found


def test_misses_are_all_that_cannot_meet_the_scale() -> None:
    for kept, missed in ((0.0, 4), (2.4, 2), (2.9999993, 1), (2.9999985, 2), (2.99, 2), (9.0, 0), (math.inf, 0)):
        tried = Tried(lambda _, kept=kept: kept, 1)
        assert destructive.destructive_bound(FOUR, read_objective("misses(1.5)"), tried, 7.0) == missed
        assert tried.scales == pytest.approx([1.5 * (1 + 1e-6)], rel=1e-9)
        assert tried.seconds == [7.0]
    assert destructive.destructive_bound(FOUR, read_objective("misses(0.9)"), Tried(below(1, 0, 0), 0), 1.0) == 4
    assert destructive.destructive_bound(FOUR, read_objective("misses(1)"), Tried(below(1, 0, 4), 1), 1.0) == 0


def test_the_search_ends_with_the_time_and_keeps_what_is_proved(seconds: list[float]) -> None:
    def slow(scale: float) -> float:
        seconds[0] += 1.0
        return 3.0

    tried = Tried(slow, 4)
    found = destructive.destructive_bound(FOUR, LARGEST, tried, 3.5)
    assert tried.seconds == [3.5, 2.5, 1.5, 0.5]
    assert found == pytest.approx(1.02 * 1.04 * 1.08 * 1.16, rel=2e-6)  # the fourth is proved, if late
    assert destructive.destructive_bound(FOUR, LARGEST, Tried(slow, 0), 0.0) == 1.0
    seconds[0] = 0.0

    def late(scale: float) -> float:
        seconds[0] += 1.0
        return 3.0 if scale < 1.05 else 4.0

    tried = Tried(late, 4)
    assert destructive.destructive_bound(FOUR, LARGEST, tried, 3.5) >= 1.02 * (1 - 1e-5)


# --- window LPs ------------------------------------------------------------------------------------------------------


class Family:
    """Stands where the LPs of a level would: so much weight can meet a scale, and duals say so within their reach."""

    def __init__(self, kept: Callable[[float], float], most: int, *, duals: bool = True, **tuning: float) -> None:
        self.tuning = window_bound.Tuning(**tuning)  # type: ignore[arg-type]
        self.solved, self.tried = Tried(kept, most), Tried(kept, 20 * most)
        self._duals = duals

    def solve(self, scale: float) -> tuple[float, Callable[[float], float]]:
        def elsewhere(other: float) -> float:
            assert other <= scale * self.tuning.reach * (1 + 1e-9)
            return self.tried(other) if self._duals else math.inf

        return self.solved(scale), elsewhere


@pytest.mark.parametrize("duals", [True, False])
@pytest.mark.parametrize("threshold", [1.0, 1.03, 1.9, 30.0])
def test_the_largest_scale_that_too_few_can_meet_is_found(threshold: float, duals: bool) -> None:
    family: Any = Family(below(threshold, 2.5, 4), 24 if not duals else 12 if threshold < 2 else 20, duals=duals)
    found = window_bound._largest_refuted(family, 3, 1.0, 0.05, math.inf)
    assert threshold * (1 - 2.1e-3) <= found <= threshold
    assert family.solved.scales[0] == pytest.approx(1.05)


def test_what_is_known_already_stays_known() -> None:
    family: Any = Family(below(1.0, 2.5, 4), 12)
    assert window_bound._largest_refuted(family, 3, 1.7, 0.05, math.inf) == 1.7
    nothing: Any = Family(lambda _: math.inf, 1)
    assert window_bound._largest_refuted(nothing, 3, 1.7, 0.05, math.inf) == 1.7
    almost: Any = Family(below(9.0, 3 - 1e-7, 4), 12)  # three, but for rounding
    assert window_bound._largest_refuted(almost, 3, 1.0, 0.05, math.inf) == 1.0


def test_no_scale_is_tried_when_the_time_is_up(seconds: list[float]) -> None:
    family: Any = Family(below(9.0, 2, 4), 0)
    assert window_bound._largest_refuted(family, 3, 1.2, 0.05, 100.0) == 1.2
    known = {1.0: 4.0}
    window_bound._trace_misses(family, known, True, 100.0)
    assert known == {1.0: 4.0}

    def slow(scale: float) -> float:
        seconds[0] += 1.0
        return 2.0

    family = Family(slow, 2)
    assert 1.05 * (1 - 1e-5) <= window_bound._largest_refuted(family, 3, 1.0, 0.05, 101.5) <= 1.32
    assert len(family.solved.scales) + len(family.tried.scales) <= 2


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("last", [1.3, 2.0, 5.0])
def test_the_mean_is_the_integral_of_what_misses(last: float, whole: bool) -> None:
    """Of ten workflows, the k-th meets every scale from its own ratio on."""
    ratios = np.linspace(1.0, last, 10)

    def kept(scale: float) -> float:
        exact = float(np.searchsorted(ratios, scale, side="right"))
        return exact if whole else min(exact + 1e-9, 10.0)

    family: Any = Family(kept, 150, mean_precision=1e-3)
    known = {1.0: 10.0}
    window_bound._trace_misses(family, known, whole, math.inf)
    assert all(missed <= 10 - kept(scale) + 1e-6 for scale, missed in known.items() if scale > 1)
    found = window_bound._integral(known)
    assert ratios.sum() - 0.03 * last <= found <= ratios.sum() + 1e-6
    assert max(known) >= last  # upwards until nothing need miss
    assert max(known) <= last * 1.25 * 1.6


def test_weight_that_misses_by_rounding_alone_ends_the_search() -> None:
    """A ten-millionth of all weight is what a solver leaves."""
    family: Any = Family(below(1.2, 0.0, 1000 * (1 - 1e-7)), 60)
    known = {1.0: 1000.0}
    window_bound._trace_misses(family, known, False, math.inf)
    assert max(known) <= 1.2 * 1.25 * 1.6


def test_a_scale_that_nothing_can_meet_takes_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_bound, "_Family", None)
    assert window_bound.window_lp_bound(busy(3), read_objective("misses(0.9)"), 60.0) == 3.0


def test_an_integral_takes_what_is_known_of_larger_scales() -> None:
    """What misses a scale misses all below it."""
    assert window_bound._integral({1.0: 4.0}) == 4.0
    assert window_bound._integral({1.0: 4.0, 2.0: 1.0}) == pytest.approx(4.0 + 1.0)
    assert window_bound._integral({1.0: 4.0, 2.0: 1.0, 3.0: 2.0}) == pytest.approx(4.0 + 2.0 + 2.0)


@pytest.mark.parametrize("seed", range(6))
def test_sizes_between_two_kept_ones_are_replaced_by_mixtures_as_good(seed: int) -> None:
    """By going through all mixtures of all sizes, one after another."""
    rng = np.random.default_rng(seed)
    stay = np.cumsum(rng.exponential(size=12) ** 3)
    cost = stay / np.arange(1, 13)
    kept = [1, *sorted(rng.choice(np.arange(2, 12), 3, replace=False).tolist()), 12]
    if seed < 3:
        kept = [1, 3, 4, 6, 12]  # with nothing, one and several sizes between
    expected = [1.0] * len(kept)
    for k, (low, high) in enumerate(itertools.pairwise(kept)):
        for size in range(low + 1, high):
            best = 0.0
            for split in np.linspace(0, 1, batch_modes.SPLITS):
                shares = [
                    part[size - 1] / (split * part[low - 1] + (1 - split) * part[high - 1]) for part in (stay, cost)
                ]
                best = max(best, min(shares))
            for place in (k, k + 1):
                expected[place] = min(expected[place], best)
    assert batch_modes.mixture_factors(stay, cost, kept) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(24))
def test_speeds_are_corners_of_the_hull_of_batch_sizes(seed: int) -> None:
    """By looking at every size between every two others; sizes as slow as each other are one."""
    rng = np.random.default_rng(seed)
    most, first = int(rng.integers(1, 9)), 1e-3
    hair = relaxation.ALIKE * first
    seconds = first + np.cumsum([0.0, *rng.choice([0.0, hair / 3, 3 * hair, 1e-4, 5e-4], most - 1)])
    held, cache = float(rng.choice([0.0, 1e-5])), int(rng.choice([0, 400]))
    beside = np.concatenate([[0.0], np.cumsum(np.sort(rng.integers(1, 9, most - 1)))])
    beside = beside[: rng.integers(1, most, endpoint=True)]
    server: Any = SimpleNamespace(max_batch=most, decode_coeffs=(0.0, 0.0, held), kv_capacity_tokens=cache)
    points: list[tuple[float, float]] = []
    for size in range(1, len(beside) + 1):
        x, y = seconds[size - 1] - first + held * beside[size - 1], seconds[size - 1] / size
        if not points or y < points[-1][1]:
            alike = bool(points) and x - points[-1][0] <= hair
            points[-1:] = [(points[-1][0], y)] if alike else [*points[-1:], (x, y)]
    corners = [
        (x, y)
        for k, (x, y) in enumerate(points)
        if all((y - b) * (c - a) < (d - b) * (x - a) for a, b in points[:k] for c, d in points[k + 1 :])
    ]
    if (slowest := seconds[len(beside) - 1] - first + held * cache) > corners[-1][0] + hair:
        corners.append((slowest, corners[-1][1]))
    extra, use = relaxation._speeds(server, seconds, beside)
    assert list(zip(extra, use, strict=True)) == pytest.approx(np.array(corners), rel=1e-12)


@pytest.mark.parametrize("count", [1, 3, 4, 40])
@pytest.mark.parametrize("spread", [1.0, 30.0, 1e9])
def test_prices_of_a_token_lie_between_those_of_the_machine(count: int, spread: float) -> None:
    """Most are near the dearest, a few go down to the cheapest; intervals that cost nothing are left out."""
    rate = np.zeros((3, 6))
    rate[2] = (9e9, 0.0, 2.0, 2.0 * spread, 0.0, 9e9)
    tables = SimpleNamespace(prefill=np.zeros((1, 1)), first_speed=np.array([0, 1, 4]))
    prices = SimpleNamespace(rate=rate)
    scratch = SimpleNamespace(change=np.array([7.0, 5.0, 4.0, 3.0]), token_price=np.full(count, -1.0))
    fill = interpreted(decode.set_token_prices)
    assert fill(tables, prices, scratch, 0, 1, 1, 5) == count
    high, low, few = 2.0 * spread * 5.0, 2.0 * 3.0, min(decode.FEW, count // 4)
    middle = max(low, high / decode.COMMON) if count - few > 1 else high
    upper = np.geomspace(middle, high, count - few) if count - few > 1 else np.array([high])
    lower = np.geomspace(low, middle, few + 1)[:-1]
    assert scratch.token_price == pytest.approx(np.concatenate([lower, upper]))
    assert fill(tables, prices, scratch, 0, 1, 4, 5) == 1
    assert scratch.token_price[0] == 0.0


def test_nothing_is_paid_before_time_0_and_behind_the_last_price() -> None:
    planner = Planner(relax(busy(2)), 4, 3, 1)
    prices = planner.prices(np.full((planner.resources, 3), 2.0), np.array([0.0, 1.0, 2.0, 4.0]))
    paid = interpreted(price_of)
    assert [paid(prices, 0, begin, 3.0) for begin in (-5.0, -3.0, -1.0, 0.0, 3.0, 4.0)] == [0, 0, 4, 6, 2, 0]


# --- linear programs -------------------------------------------------------------------------------------------------


def small_program(**how: Any) -> linear.Program:
    """Least -x - 2 y, where x + y <= 4, x <= 3, y <= 2.5: -6.5, at (1.5, 2.5)."""
    program = linear.Program("small", **how)
    x = program.variables(1, 3.0, cost=-1.0)
    y = program.variables(1, 2.5, cost=-2.0)
    row = program.rows(4.0)
    program.entries(row, np.concatenate([x, y]), 0.5)
    program.entries(row, np.concatenate([x, y]), 0.5)  # entries of one place add up
    return program


def test_a_program_proves_what_is_least_and_any_prices_prove_less() -> None:
    program = small_program()
    assert program.columns == 2
    assert program.lower_bound(60.0) == pytest.approx(-6.5)
    assert program.duals(60.0, "highs-ipm") == pytest.approx([1.0])
    # cost + A' y on the box, and - b y: y = 0: -3 - 5; y = 1: -4 - 2.5; y = 2: -8
    assert [program.proved_by(np.array([y])) for y in (0.0, 0.5, 1.0, 2.0)] == [-8.0, -7.25, -6.5, -8.0]
    assert program.duals(1e-6) is None  # less than to load it
    assert program.lower_bound(-1.0) is None


def test_a_program_that_is_too_large_or_too_late_is_given_up(seconds: list[float]) -> None:
    size = 1 + 1 + 1 + 2 + 2
    small_program(most=size, stop=100.0)
    with (
        pytest.warns(InputWarning, match="small: linear programs of more than 6 numbers"),
        pytest.raises(linear.GaveUpError),
    ):
        small_program(most=size - 1)
    with pytest.raises(linear.GaveUpError, match="small: the time was up"):
        small_program(stop=99.0)


def test_memory_that_is_short_makes_programs_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "memory_left", lambda: linear.RESERVE + 6.5 * linear.BYTES_A_NUMBER)
    with (
        pytest.warns(InputWarning, match="more than 6 numbers are left out, for want of memory"),
        pytest.raises(linear.GaveUpError),
    ):
        small_program()
    monkeypatch.setattr(linear, "memory_left", lambda: 0.0)
    assert linear.Program("none").most == 0
    monkeypatch.setattr(linear, "memory_left", lambda: math.inf)
    assert linear.Program("all").most == linear.MOST_NUMBERS


# --- what all bounds have in common ----------------------------------------------------------------------------------


def busy(count: int, *, apart: float = 0.0, **decode: object) -> Any:
    """A problem of so many calls, one a workflow."""
    flows = [workflow(f"w{k:04}", apart * k, call("c", 10 + k % 7, 4)) for k in range(count)]
    return offline_problem(one_pair(*flows, decode_model="fixed", **decode))


def paths_of(problem: Any) -> list[list[int]]:
    """A cover by paths; what would look for one for ever ends, with another."""
    return preemptive_lp.path_cover(problem, time.monotonic() + 2.0)


def test_many_calls_are_looked_at_in_few_windows_and_with_few_prices() -> None:
    """Any windows and any prices are valid: those of some calls say almost as much as those of all."""
    times = np.arange(1000.0)
    anchors = load._anchors(times)
    assert (len(anchors), anchors[0], anchors[-1]) == (load.ANCHORS, 0.0, 999.0)
    assert np.diff(anchors).max() <= 1.05 * 999 / (load.ANCHORS - 1) + 1
    assert load._anchors(times[: load.ANCHORS]).tolist() == times[: load.ANCHORS].tolist()
    assert load._anchors(np.array([2.0, 1.0, 2.0])).tolist() == [1.0, 2.0]
    amount = np.random.default_rng(0).uniform(1, 2, (3000, 2))
    count = np.array([2, 3])
    few, all_of = pools._longest_prices(amount, count), pools._longest_prices(amount[:1000], count)
    for price in (few, all_of):
        assert price @ count == pytest.approx(1.0)
        assert (price >= 0).all()
    worth = [float((amount * price).min(axis=1).sum()) for price in (few, np.full(2, 1 / 5))]
    assert worth[0] >= worth[1]


def test_a_load_that_is_looked_at_in_no_time_leaves_nothing_out() -> None:
    problem = busy(12)
    relaxations = pools.resources(pools.pools(problem))
    assert max(load.least_dropped(problem, x, 1.2, math.inf) for x in relaxations) > 0
    assert max(load.least_dropped(problem, x, 1.2, -1.0) for x in relaxations) == 0


@pytest.mark.parametrize("clock", [0.0, 2.0**30])
@pytest.mark.parametrize("rate", [0.5, 3.0])
def test_a_window_is_too_short_when_it_is_by_more_than_rounding(clock: float, rate: float) -> None:
    """Two workflows of rate seconds of work each, in a window of nearly two seconds."""
    w = np.array([0, 1])
    problem: Any = SimpleNamespace(
        workflow=w, workflows=2, arrival=np.full(2, clock), horizon=np.ones(2), tail=np.full(2, 0.25)
    )
    resource: Any = pools.Resource(work=np.full(2, rate), head=np.full(2, clock), tail=np.full(2, 0.5), rate=rate)
    rounding = 2e-9 + load.ROUNDED_STEPS * math.ulp(clock + 2.0)
    for short, dropped in ((-1.0, 0), (0.0, 0), (0.8 * rounding, 0), (1.5 * rounding, 1), (0.9, 1), (1.1, 2)):
        assert load.least_dropped(problem, resource, 2.75 - short, math.inf) == dropped


def test_what_is_left_of_the_time_goes_to_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10 s, what comes before it takes 3."""
    now = [0.0]
    asked: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: now[0])

    def cheap(problem: Any, objective: Any, limit: float) -> float:
        now[0] += 3.0
        return 1.1

    def search(problem: Any, objective: Any, kept: Any, limit: float, start: float, *_: float) -> float:
        asked.append(limit)
        return start

    for module in (preemptive_lp, time_indexed_lp):
        now[0] = 0.0
        monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(module, "destructive_bound", search)
        monkeypatch.setattr(load, "compute", cheap)
        assert module.compute(busy(2), LARGEST, 10.0) == 1.1
    assert asked[0] == 7.0
    assert asked[1:] == [7.0] * len(time_indexed_lp.TUNING.resolutions)
    asked.clear()
    for limit, found in ((0.0, []), (2.5, []), (3.0, []), (3.5, [0.5] * len(time_indexed_lp.TUNING.resolutions))):
        now[0] = 0.0
        assert time_indexed_lp.compute(busy(2), LARGEST, limit) == 1.1
        assert asked == found


def test_a_scale_of_one_is_missed_by_nobody_alone() -> None:
    problem = busy(3)
    for text, value in (("misses(1)", 0.0), ("misses(0.9999995)", 0.0), ("misses(0.99)", 3.0), ("max_ratio", 1.0)):
        assert critical_path.compute(problem, read_objective(text)) == value


def test_paths_cover_every_call_once_along_precedence() -> None:
    """The longest way first; when the time is up, each call that is left is a path."""
    flow = workflow(
        "w",
        0,
        call("a", 9, 4),
        call("b", 9, 4, "a"),
        call("c", 9, 4, "a"),
        call("d", 9, 4, "b"),
        call("e", 9, 4, "c", "d"),
    )
    problem = offline_problem(one_pair(flow, workflow("x", 0, call("a", 9, 4)), decode_model="fixed"))
    paths = paths_of(problem)
    assert paths == [[0, 1, 3, 4], [5], [0, 2]]
    for path in paths:
        assert all(after in problem.children[before] for before, after in itertools.pairwise(path))
    assert preemptive_lp.path_cover(problem, -1.0) == [[c] for c in range(6)]


def test_limits_of_intervals_are_thinned_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = busy(40, apart=1.3)
    grids = []
    for most in (1000, 9):
        monkeypatch.setattr(preemptive_lp, "INTERVALS", most)
        model = preemptive_lp._Model(pools.pools(problem), paths_of(problem), 1.5, math.inf)
        grids.append(model._grid().tolist())
    every, few = grids
    assert few == sorted(set(few) & set(every))
    assert (few[0], few[-1]) == (every[0], every[-1])
    skipped = np.diff([every.index(limit) for limit in few])
    assert len(few) <= 9 + 2
    assert skipped.max() <= math.ceil(len(every) / 8)


def test_rounding_closes_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone each workflow meets the scale of 1, however coarse times are so late, and misses one a little less."""
    flows = [workflow(f"w{k}", 2.0**30 + k, call("a", 10 + k, 4), call("b", 9, 7, "a")) for k in range(2)]
    problem = offline_problem(one_pair(*flows, decode_model="fixed"))
    assert problem.rounding > 1e-6
    monkeypatch.setattr(time_indexed_lp._Kept, "_capacity", lambda model: None)  # of too many ticks
    cluster, paths = pools.pools(problem), paths_of(problem)
    for scale, meets in ((1.0, True), (1 - 1e-5, False)):
        indexed = time_indexed_lp._Kept(cluster, 5, scale, time_indexed_lp.TUNING, math.inf)
        preemptive = preemptive_lp._Model(cluster, paths, scale, math.inf)
        for model in (indexed, preemptive):
            assert (model.possible.any(axis=(1, 2)) == meets).all()
            assert problem.head - model.head == pytest.approx(np.full(problem.calls, problem.rounding), rel=0.1)
        windows = window_lp._Windows.of(problem, scale)
        assert (windows.possible == meets).all()
        assert problem.head - windows.head == pytest.approx(np.full(problem.calls, problem.rounding), rel=0.1)


def test_a_program_without_memory_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*program: Any, **options: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("scipy.optimize.linprog", none_left)
    with pytest.warns(InputWarning, match="no memory to solve a linear program of 7 numbers"):
        assert small_program().duals(60.0) is None


@pytest.mark.parametrize("seed", range(8))
def test_what_is_shifted_is_nowhere_above_and_nearly_as_high(seed: int) -> None:
    """Between cells too; by whole cells, but for rounding, it is the same."""
    rng = np.random.default_rng(seed)
    values, last = rng.uniform(0, 1, 9), 6
    bend = float(np.diff(values[: last + 1], 2).max(initial=0.0))
    for shift in (0.0, 2.0, 2 + 4e-10, 2 - 4e-10, 2 + 4e-9, 5.0, 5.2, 6.0, 7.0, *rng.uniform(0, 5, 4)):
        out, over = np.full(9, np.nan), np.zeros(9)
        top = interpreted(grid.shifted)(values, last, shift, out, over)
        assert (over == 0).all()
        if abs(shift - round(shift)) < 1e-9:
            assert top == max(last - round(shift), -1)
            assert out[: top + 1].tolist() == values[round(shift) : last + 1].tolist()
            continue
        assert top == (last - math.floor(shift) if last - shift > 0 and last - math.floor(shift) >= 1 else -1)
        at = np.linspace(0, max(last - shift, 0.0), 200) if top >= 0 else np.zeros(0)
        made, exact = np.interp(at, np.arange(top + 1), out[: top + 1]), np.interp(at + shift, np.arange(9), values)
        assert (made <= exact + 1e-12).all()
        assert (np.isnan(out[top + 1 :])).all()
        cells = np.arange(top)
        assert (out[cells] >= np.interp(cells + shift, np.arange(9), values) - bend / 4 - 1e-12).all()


def test_slack_is_measured_in_whole_cells_and_windows_are_a_hair_wider() -> None:
    x = relax(busy(5, apart=0.7))
    planner = Planner(x, 8, 3, 1)
    for scale in (1.0, 1.1, 3.0):
        latest = x.arrival + scale * x.horizon
        limit, cell = planner.windows(latest)
        exact = latest[x.workflow] - x.tail - x.head - x.best
        assert limit - exact == pytest.approx(np.full(len(exact), 1e-9 * latest.max()), rel=1e-3, abs=1e-14)
        path = np.minimum.reduceat(limit, x.first_call[:-1])
        assert (cell >= 1e-9).all()
        if scale > 1:
            assert path / cell == pytest.approx(np.full(len(cell), 8.0))


def test_one_machine_is_late_by_more_than_rounding() -> None:
    """Two calls of 5 10^5 s, one after the other: rounding may take off 10^-3 s of their sum and what times are off."""
    problem: Any = SimpleNamespace(
        workflow=np.array([0, 1]),
        arrival=np.full(2, 7.0),
        horizon=np.full(2, 1e6),
        tail=np.full(2, 20.0),
        rounding=1e-4,
    )
    resource: Any = pools.Resource(work=np.full(2, 1.5e6), head=np.full(2, 10.0), tail=np.full(2, 30.0), rate=3.0)
    for short, late in ((-1.0, False), (0.0, False), (1.05e-3, False), (1.15e-3, True), (1.0, True)):
        scale = 1 + (10.0 - 7.0 + 20.0 + 30.0 - short) / 1e6
        assert single_machine._is_late(problem, resource, scale) == late


def test_where_no_prices_are_found_all_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    columns: list[int] = []

    def finds_none(cost: Any, *program: Any, **options: Any) -> Any:
        columns.append(len(cost))
        return SimpleNamespace(x=None)

    monkeypatch.setattr("scipy.optimize.linprog", finds_none)
    assert pools._longest_prices(np.ones((4, 3)), np.array([1, 2, 1])).tolist() == [1, 1, 1]
    pools._longest_prices(np.ones((3 * pools.PRICED_CALLS, 3)), np.array([1, 2, 1]))
    assert columns == [4 + 3, pools.PRICED_CALLS + 3]  # of very many calls some will do


def test_one_preemptive_machine_does_as_jackson_and_schrage_would() -> None:
    """Against a machine that works in steps of an eighth of a second."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        head = np.sort(rng.integers(0, 40, 6)) / 8 + 1000.0 * rng.integers(0, 2, 6)
        work, due = rng.integers(1, 16, 6) / 8, rng.permutation(6).astype(float)
        flow, mean = single_machine.preemptive(head, work, lambda c, _, due=due: due[c])
        left, done, moment = work.copy(), np.zeros(6), np.zeros(6)
        for tick in np.arange(0.0, 1100.0, 0.125) if head.max() >= 1000 else np.arange(0.0, 40.0, 0.125):
            ready = [c for c in range(6) if head[c] <= tick and left[c] > 0]
            if ready:
                c = min(ready, key=lambda c: due[c])
                left[c] -= 0.125
                moment[c] += 0.125 * (tick + 0.0625 - head[c])
                done[c] = tick + 0.125 - head[c]
        assert flow == pytest.approx(done)
        assert mean == pytest.approx(moment / work)
    flow, mean = single_machine.preemptive(np.zeros(2), np.array([0.0, 2.0]), lambda c, _: c)
    assert (flow.tolist(), mean.tolist()) == ([0, 2], [0, 1])  # what takes no time is done at once


def test_parts_share_the_time_by_their_calls_and_the_whole_is_made_of_them(seconds: list[float]) -> None:
    flows = [workflow(f"a{k}", 0, call("c", 10, 4)) for k in range(3)] + [
        workflow("b", 1e6, call("c", 10, 4)),
        *(workflow(f"c{k}", 2e6, call("c", 10, 4), call("d", 10, 4, "c")) for k in range(2)),
    ]
    problem = offline_problem(one_pair(*flows, decode_model="fixed"))
    asked: list[tuple[int, float]] = []

    def compute(part: Any, objective: Any, limit: float) -> float:
        asked.append((part.calls, limit))
        seconds[0] += 1.0
        return 7.0 * part.workflows

    made = bounds.Bound("x", "x", "x", compute, bounds.Cost.LINEAR_PROGRAM)
    values = {
        text: made.value(problem, read_objective(text), 14.0) for text in ("max_ratio", "misses(1.5)", "mean_ratio")
    }
    assert asked[:2] == [(4, 14.0 * 4 / 7), (3, 13.0)]
    assert values["max_ratio"] == 21.0
    assert values["misses(1.5)"] == 14 + 21
    assert values["mean_ratio"] == pytest.approx((3 * 21 + 1 * 1.0 + 2 * 14) / 6)
    asked.clear()
    assert made.value(problem, read_objective("req(0.5)"), 3.0) == 42.0  # of all at once
    assert asked == [(8, 3.0)]
    asked.clear()
    assert made.value(problem, LARGEST, 0.0) == 1.0  # what each takes alone
    assert made.value(problem, LARGEST, 0.5) == 14.0  # the part with most calls comes first
    assert made.value(problem, read_objective("mean_latency"), 0.0) == pytest.approx(problem.horizon.mean())


def test_what_is_said_of_a_bound_that_came_too_late() -> None:
    slow = bounds.Bound("x", "x", "x", lambda *_: 1.0, bounds.Cost.LINEAR_PROGRAM, ("max_ratio",), ("fixed",))
    quick = bounds.Bound("x", "x", "x", lambda *_: 1.0, bounds.Cost.AT_ONCE)
    assert slow.said_nothing(1.0, 1.0, 5.0, 5.0)
    assert not slow.said_nothing(1.1, 1.0, 5.0, 5.0)
    assert not slow.said_nothing(1.0, 1.0, 4.9, 5.0)
    assert not quick.said_nothing(1.0, 1.0, 5.0, 5.0)
    assert (slow.is_too_late(0.0009), slow.is_too_late(0.001), quick.is_too_late(0.0)) == (True, False, False)
    problem = busy(2)
    assert slow.holds_for(problem, LARGEST)
    assert slow.why_not(problem, HALF) == "holds for max_ratio only"
    fluid = offline_problem(one_pair(workflow("w", 0, call("c", 9, 4))))
    assert slow.why_not(fluid, LARGEST) == "holds in the decode model fixed only"
    assert not slow.holds_for(fluid, LARGEST)
    assert quick.why_not(fluid, HALF) == ""


def test_a_bound_proves_to_its_bracket_in_the_time_that_is_left() -> None:
    problem = busy(2)
    limits: list[float] = []
    proved: list[tuple[Any, ...]] = []
    for cost, share in ((bounds.Cost.AT_ONCE, 0.1), (bounds.Cost.LINEAR_PROGRAM, 1.0)):
        made = bounds.Bound("mine", "x", "x", lambda p, o, limit: limits.append(limit) or 1.25, cost)
        bracket = SimpleNamespace(left=40.0, objective=LARGEST, prove=lambda *said: proved.append(said))
        made.prove(problem, bracket)  # type: ignore[arg-type]
        assert proved[-1:] == [(1.25, "mine")]
        assert limits[-1] == pytest.approx(40.0 * share)
        bracket.left = -5.0
        made.prove(problem, bracket)  # type: ignore[arg-type]
        assert limits[-1] == bounds.LEAST_SECONDS
    told: list[Any] = []
    made = bounds.Bound(
        "mine", "x", "x", lambda *_: 1.0, bounds.Cost.ANY_TIME, close_in=lambda *all_of: told.append(all_of)
    )
    made.prove(problem, bracket, 5)  # type: ignore[arg-type]
    assert told == [(problem, bracket, 5)]
