"""Window LPs of fluid instances: under every schedule there is, and not for being trivial."""

from __future__ import annotations

import itertools
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from instances import call, corner_instance, one_pair, workflow
from msgspec.structs import replace
from reference import random_instance
from reference.exhaustive import optima
from reference.fluid_containment import OBJECTIVES, best_policies, tiny
from reference.fluid_optimum import event_optima

from hexsched.engine.horizon import horizons
from hexsched.model import Instance
from hexsched.simulator import simulate
from solvers.bounds import critical_path
from solvers.bounds.parts.batches import least_beside
from solvers.bounds.preemptive_lp import path_cover
from solvers.bounds.windows import batch_modes, window_bound
from solvers.bounds.windows.window_bound import Tuning
from solvers.bounds.windows.window_lp import Level, time_grid
from solvers.problem.objective import read_objective
from solvers.problem.offline import OfflineProblem, offline_problem

POLICIES = ("hexagent", "sjf", "workflow-llf", "edf@earliest-finish", "fcfs@jsq")
TEXTS = ("max_ratio", "req(0.6)", "mean_ratio", "mean_latency", "misses(1.3)")
COARSE = (Level(8, batches=(2, 8)),)
EVERY_SIZE = (Level(24, batches=(1, 2, 3, 4, 5, 6)),)
ROUNDING = 1e-9
SECONDS = 60.0  # never reached on these sizes; results must not depend on the machine
CONTENDED = 40
TINY = 12
STEPS = 1_000  # of the exhaustive search


# Searches that end early: their results must be valid too, and these are fast.
window_lp_bound = partial(window_bound.window_lp_bound, tuning=Tuning(precision=0.02, mean_precision=0.02, halvings=3))


def contended(seed: int, decode_model: str | None = None) -> Instance:
    """Arrivals closer together than the cluster can serve; corner cases for odd seeds, ``fixed`` for some."""
    rng = np.random.default_rng(seed)
    model = decode_model or ("fixed" if seed % 5 == 4 else "fluid")
    draw = corner_instance if seed % 2 else random_instance
    drawn = draw(rng, decode_model=model, workflows=(2, 5), calls=(1, 4))
    return replace(drawn, workflows=tuple(replace(w, arrival=w.arrival / 10) for w in drawn.workflows))


def crowd(size: int = 6) -> Instance:
    """Equal calls on one pair of instances with next to no prefill: how fast the batch is decides."""
    drawn = one_pair(*(workflow(f"w{k}", 0.0, call("c", 100, 20)) for k in range(size)))
    return replace(drawn, prefill=(replace(drawn.prefill[0], prefill_coeffs=(0.01, 0, 0)),))


@pytest.mark.parametrize("group", range(8))
def test_no_bound_exceeds_a_policy(group: int) -> None:
    for seed in range(group, CONTENDED, 8):
        instance = contended(seed)
        problem, runs = offline_problem(instance), [simulate(instance, policy) for policy in POLICIES]
        for text in (TEXTS[seed % len(TEXTS)], TEXTS[(seed + 2) % len(TEXTS)]):
            aim = read_objective(text)
            reached = min(aim.value(problem.arrival, run.completed, problem.horizon) for run in runs)
            found = window_lp_bound(problem, aim, SECONDS, COARSE)
            assert found <= reached * (1 + ROUNDING), (seed, text)
            assert found >= critical_path.compute(problem, aim) * (1 - ROUNDING), (seed, text)


@pytest.mark.parametrize("seed", range(TINY))
def test_no_bound_exceeds_the_best_schedule_of_a_tiny_instance(seed: int) -> None:
    reference, problem = reached(seed), offline_problem(tiny(seed))
    for text in OBJECTIVES:
        assert window_lp_bound(problem, read_objective(text), SECONDS, COARSE) <= reference[text] * (1 + ROUNDING), text


@cache
def reached(seed: int) -> dict[str, float]:
    return event_optima(tiny(seed), OBJECTIVES, STEPS)[0]


@pytest.mark.parametrize("seed", range(TINY))
def test_the_reference_is_no_worse_than_any_policy(seed: int) -> None:
    """Policies decide at events alone, so a search over all that starts at events must find as good a schedule."""
    found, complete = event_optima(tiny(seed), OBJECTIVES, STEPS)
    if complete:
        for text, value in best_policies(tiny(seed)).items():
            assert found[text] <= value * (1 + ROUNDING) + ROUNDING, text


def test_most_searches_of_the_reference_end() -> None:
    assert sum(event_optima(tiny(seed), OBJECTIVES, STEPS)[1] for seed in range(TINY)) > TINY / 2


@pytest.mark.parametrize("seed", range(TINY))
def test_the_reference_is_the_optimum_of_a_fixed_instance(seed: int) -> None:
    instance = tiny(seed, "fixed")
    found, complete = event_optima(instance, OBJECTIVES, STEPS)
    for text, value in optima(instance, OBJECTIVES).items():
        assert found[text] >= value * (1 - ROUNDING), text
        assert not complete or found[text] == pytest.approx(value), text


def test_the_bound_sees_how_batches_slow_calls_down() -> None:
    instance = crowd()
    problem, run = offline_problem(instance), simulate(instance, "fcfs")
    for text, share in (("max_ratio", 0.85), ("mean_ratio", 0.5), ("mean_latency", 0.5)):
        value = read_objective(text).value(problem.arrival, run.completed, problem.horizon)
        found = window_lp_bound(problem, read_objective(text), SECONDS, EVERY_SIZE)
        assert share * value < found <= value * (1 + ROUNDING), text
    alone = window_lp_bound(problem, read_objective("max_ratio"), SECONDS, (Level(24, decode=False),))
    assert alone < 0.8 * read_objective("max_ratio").value(problem.arrival, run.completed, problem.horizon)


def test_a_mode_that_costs_too_much_breaks_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the tests above can fail: with costs and stays a fifth too large the bound is above a schedule."""
    true_modes = batch_modes.batch_modes

    def wrong(*given: Any) -> list[batch_modes.BatchMode]:
        return [batch_modes.BatchMode(1.2 * mode.stay, 1.2 * mode.cost) for mode in true_modes(*given)]

    instance = crowd()
    problem, run = offline_problem(instance), simulate(instance, "fcfs")
    value = read_objective("max_ratio").value(problem.arrival, run.completed, problem.horizon)
    assert window_lp_bound(problem, read_objective("max_ratio"), SECONDS, EVERY_SIZE) <= value
    monkeypatch.setattr(window_bound, "batch_modes", wrong)
    assert window_lp_bound(problem, read_objective("max_ratio"), SECONDS, EVERY_SIZE) > value


@pytest.mark.parametrize("sizes", [(), (2, 4, 16), tuple(range(1, 40))])
def test_every_batch_is_a_mixture_of_modes(sizes: tuple[int, ...]) -> None:
    """Whatever the batch and however many tokens are out, some mixture is as fast for each call and costs no more."""
    for seed in range(25):
        problem, rng = offline_problem(contended(seed, "fluid")), np.random.default_rng(seed)
        for kind, machine in enumerate(problem.decode_machines):
            fitting = np.flatnonzero(np.isfinite(problem.decode[:, kind]))
            modes = batch_modes.batch_modes(problem, kind, sizes)
            for _ in range(10):
                batch = random_batch(problem, kind, rng.permutation(fitting), rng)
                beside = least_beside(problem, kind)
                assert len(batch) <= len(beside)
                assert beside[len(batch) - 1] <= problem.prompt[batch].sum() - problem.prompt[batch].max()
                held = problem.prompt[batch] + rng.uniform(0, 1, len(batch)) * problem.output[batch]
                d2, base = float(machine.decode_coeffs[2]), machine.batch_seconds(len(batch))
                for c, tokens in zip(batch, held, strict=True):
                    took, charged = base + d2 * held.sum(), base / len(batch) + d2 * tokens
                    assert mixture_exists([(x.stay[c], x.cost[c]) for x in modes], took, charged)


def random_batch(problem: OfflineProblem, kind: int, candidates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many of the candidates as have room, or fewer; none descends from another, which would wait for it."""
    machine = problem.decode_machines[kind]
    above: list[set[int]] = [set() for _ in range(problem.calls)]
    for c in problem.topological:
        above[c] = set(problem.parents[c]).union(*(above[p] for p in problem.parents[c]))
    taken: list[int] = []
    for c in candidates.tolist():
        if not any(c in above[d] or d in above[c] for d in taken):
            taken.append(c)
    candidates = np.array(taken)
    room = np.cumsum(problem.kv[candidates]) <= machine.kv_capacity_tokens
    most = min(int(room.sum()), machine.max_batch)
    return candidates[: rng.integers(1, most, endpoint=True)]


def mixture_exists(points: list[tuple[float, float]], stay: float, cost: float) -> bool:
    """Whether a mixture of two of the points is below (stay, cost) in both."""
    split = np.linspace(0, 1, 2001)
    return any(
        bool(
            np.any(
                (split * a + (1 - split) * b <= stay * (1 + 1e-9)) & (split * x + (1 - split) * y <= cost * (1 + 1e-3))
            )
        )
        for (a, x), (b, y) in itertools.combinations_with_replacement(points, 2)
    )


def test_the_others_of_a_batch_are_those_that_can_be_in_it() -> None:
    """A chain has one call in a batch and a fan all its leaves; the largest batch is the largest that has room."""
    chain = workflow("c", 0.0, call("a", 5, 1), call("b", 3, 1, "a"))
    fan = workflow("f", 0.0, call("a", 9, 1), call("x", 10, 1, "a"), call("y", 12, 1, "a"))
    other = workflow("o", 0.0, call("a", 20, 1))
    assert least_beside(offline_problem(one_pair(chain, fan, other)), 0).tolist() == [0, 3, 12, 22]
    # 4, 10 and 11 tokens are reserved at least
    assert least_beside(offline_problem(one_pair(chain, fan, other, kv_capacity_tokens=24)), 0).tolist() == [0, 3]
    assert least_beside(offline_problem(one_pair(chain, fan, other, kv_capacity_tokens=25)), 0).tolist() == [0, 3, 12]
    assert least_beside(offline_problem(one_pair(chain, fan, other, max_batch=2)), 0).tolist() == [0, 3]


def test_with_every_size_kept_the_modes_are_exact() -> None:
    """Equal calls just admitted: stay is the iteration time, and the costs of a batch add up to it."""
    problem = offline_problem(crowd())
    machine = problem.decode_machines[0]
    modes = batch_modes.batch_modes(problem, 0, tuple(range(1, 7)))
    assert len(modes) == 6
    for size, mode in enumerate(modes, start=1):
        seconds = machine.batch_seconds(size) + machine.decode_coeffs[2] * problem.prompt[:size].sum()
        assert mode.stay[0] == pytest.approx(seconds)
        assert mode.cost[:size].sum() == pytest.approx(seconds)


def test_a_size_left_out_lowers_its_neighbours_by_what_it_must() -> None:
    """A step in g between batches of 2 and 3: 2 is fast and cheap, far below the line from 1 to 4."""
    stay = np.array([1.0, 1.0, 4.0, 4.0])
    cost = stay / np.arange(1, 5)
    assert batch_modes.mixture_factors(stay, cost, [1, 2, 4]).tolist()[0] == 1.0
    assert batch_modes.mixture_factors(stay, cost, [1, 2, 3, 4]).tolist() == [1.0] * 4
    factor = batch_modes.mixture_factors(stay, cost, [1, 4])
    assert factor.max() < 1
    assert mixture_exists([(f * stay[k], f * cost[k]) for f, k in zip(factor, (0, 3), strict=True)], 1.0, 0.5)


@pytest.mark.parametrize("seed", range(6))
def test_duals_of_one_scale_prove_something_of_others(seed: int) -> None:
    problem = offline_problem(contended(seed))
    ones = np.ones(problem.workflows)
    family = window_bound._Family(problem, path_cover(problem), COARSE[0], ones, np.inf, Tuning())
    kept, elsewhere = family.solve(1.3)
    assert elsewhere(1.3) == pytest.approx(kept)
    for other in (1.0, 1.2, 1.4, 1.6):
        grid = time_grid(problem, 1.3, Tuning().reach * 1.3, COARSE[0])
        own = -family._program(other, grid).lower_bound(SECONDS)
        assert own <= elsewhere(other) + 1e-6
    assert elsewhere(1.3 * Tuning().reach * 1.01) == np.inf


def test_the_integral_of_misses_is_taken_from_below() -> None:
    """Misses falls with s: 4 up to 1, at least 3 up to 2 (for what is proved at 2 holds below), 1 up to 3."""
    assert window_bound._integral({1.0: 4.0, 1.5: 2.0, 2.0: 3.0, 3.0: 1.0}) == pytest.approx(4 + 3 + 1)


def test_no_time_gives_the_critical_path() -> None:
    problem = offline_problem(contended(2))
    for text in (*TEXTS, "misses(0.9)"):
        floor = critical_path.compute(problem, read_objective(text))
        assert window_lp_bound(problem, read_objective(text), 0.0) == floor
    assert window_lp_bound(problem, read_objective("req(0.5)"), 0.0, start=1.7) == 1.7


@pytest.mark.parametrize("model", ["fluid", "fixed"])
def test_the_problem_has_the_horizons_of_the_model(model: str) -> None:
    for seed in range(10):
        instance = contended(seed, model)
        alone = offline_problem(instance)
        path = np.zeros(len(instance.workflows))
        np.maximum.at(path, alone.workflow, alone.head + alone.best - alone.arrival[alone.workflow])
        assert path == pytest.approx(list(horizons(instance).values()))


def test_instances_of_one_type_can_be_swapped() -> None:
    instance = crowd()
    twin = replace(instance.decode[0], id="d1", gpu="Y")
    slower = replace(instance.decode[0], id="d2", batch_curve=((1, 1.5), (8, 9)))  # the same for a batch of one
    links = tuple(replace(instance.links[0], to=name) for name in ("d0", "d1", "d2"))
    problem = offline_problem(replace(instance, decode=(instance.decode[0], twin, slower), links=links))
    assert problem.decode_types.of.tolist() == [0, 0, 1]
    assert problem.decode_types.count.tolist() == [2, 1]
    assert problem.decode[:, 0] == pytest.approx(problem.decode[:, 1])
    far = (links[0], replace(links[1], latency=9), links[2])
    assert (
        offline_problem(
            replace(instance, decode=(instance.decode[0], twin, slower), links=far)
        ).decode_types.count.max()
        == 1
    )
