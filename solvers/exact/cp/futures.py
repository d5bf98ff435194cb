"""A lower bound for every online policy over several futures that it cannot tell apart before they differ.

Futures are instances of one cluster in the ``fixed`` model, each as likely as the others. A policy *knows* of a future
at time t what the model reveals (M4): the workflows that have arrived, the calls that have been released with their
prompts and the KV caches that can hold them, which calls are complete, and whether a decode instance has room for a
call that is prefilled. It may know anything that is the same in all futures, and how likely each of them is.

Let two futures *differ* from the first instant D at which one of these happens in either:

- a workflow arrives that the other has not, or has at another time, with another hint, or with other first calls;
- a call ends its prefill, or completes, whose output is of another length there. What is shown at completion is its
  length. Admission goes by the true length, so that a refusal can tell it once the call is prefilled; where all calls
  of both futures fit on every instance at once nothing is ever refused, and completion is what counts. If policies are
  told lengths, they know them at the release: then such a call is another call;
- a parent of a call completes that is another call there, or none. The release that tells is later, so D is not.

*Rule.* A decision before D is the same in both: where such a call is prefilled and from when on, and where and when it
is admitted. For until D the policy has seen the same, and it is deterministic. One that draws lots is a mixture of such
policies: neither its mean over futures nor its expected worst is below that of the best of them.

*Model.* One constraint model has the rules of every future (``solvers.exact.cp``) in the same ticks, and for each pair
the rule: where a call starts before D in one of them, it starts then and there in the other. Floored to ticks, what any
policy does is a solution. Rules of one future: ``solvers.problem.ticks``. The rule between two: let floor(start) <
floor(D) in one; then start < D, so both starts are equal, and so are their floors. In the model the end of a prefill is
a floored start and a floored duration, no more than the floored end, and a completion likewise, so that D in the model
is no later than floor(D): it asks for less.

*Horizon.* Nor is that a restriction. Take a policy whose mean (worst) is at most ``value``, which some policy has. Let
T be later than all arrivals and than the completion of every workflow that counts. From T on let it run calls one at a
time in a fixed order instead; that tells no futures apart, makes no workflow that counts later, and ends by T and the
sum of all durations. A future counts at most ``S value`` less what the others have at least (for the worst: ``value``),
and that gives T.

So the least mean of the model, rounded as ``solvers.exact.cp.objective`` does, is no more than that of any online
policy, and what is proved of it at any time is a lower bound. Without the rule the best schedules of the futures are a
solution, so it is not below the clairvoyant bound where both are solved. No policy need reach it: one would have to
know these futures and their odds.

References
----------
Rockafellar and Wets, Scenarios and policy aggregation in optimization under uncertainty, 1991: decisions that agree
until scenarios do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, Literal, NamedTuple

import numpy as np
from ortools.sat.python import cp_model

from hexsched.model import Call, Schedule, Workflow
from solvers.exact.cp.constraints import add_rules
from solvers.exact.cp.objective import Minimised, deadlines, minimise
from solvers.exact.cp.ticked import MOST_TICKS, TickedProblem, in_ticks
from solvers.exact.cp.variables import Variables, declare, hint
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.ticks import Ticks

Over = Literal["mean", "worst"]

PRECISION = 1e-4  # of a tick, over the shortest horizon
ROUNDING = 1e-9  # relative, and absolute: a cutoff comes from schedules that must stay within it


@dataclass(frozen=True)
class Future:
    """One future in the model."""

    problem: OfflineProblem
    data: TickedProblem
    variables: Variables
    minimised: Minimised


class Known(NamedTuple):
    """What is known before the model is built.

    Attributes
    ----------
    value : float
        The mean (worst) that some online policy has.
    schedules : sequence of Schedule
        That policy's, one a future: where the solver begins.
    least : sequence of float
        What no schedule of each future can beat.
    """

    value: float
    schedules: Sequence[Schedule]
    least: Sequence[float]


class OnlineBound(NamedTuple):
    """What was proved.

    Attributes
    ----------
    value : float
        No online policy has a lower mean (worst); -inf where nothing was proved.
    is_best : bool
        Whether the model proves no more, however long it runs.
    interrupted : bool
        Whether Ctrl-C ended it.
    """

    value: float
    is_best: bool
    interrupted: bool = False


def online_bound(
    problems: Sequence[OfflineProblem],
    aim: Objective,
    known: Known,
    *,
    over: Over = "mean",
    told_lengths: bool = False,
    seconds: float = 60.0,
    workers: int = 1,
    seed: int = 0,
    on_bound: Callable[[float], None] = lambda bound: None,
) -> OnlineBound:
    """The least mean (worst) of an objective over futures, for policies that cannot tell them apart (module docstring).

    Parameters
    ----------
    problems : sequence of OfflineProblem
        In the ``fixed`` decode model, on one cluster. A call of the same workflow and name is the same call, as far as
        it is alike.
    aim : Objective
    known : Known
    over : "mean" or "worst"
    told_lengths : bool
        Whether policies are told output lengths at the release of a call.
    seconds : float
        Of the solver.
    workers, seed : int
        Of the solver.
    on_bound : callable
        Called with each better bound.

    Returns
    -------
    OnlineBound
    """
    cp = cp_model.CpModel()
    futures = _declare(cp, problems, aim, known, over)
    for one, other in combinations(futures, 2):
        act_alike(cp, one, other, told_lengths)
    total, in_real_time = _over(cp, futures, over)
    cp.minimize(total)
    for future, schedule in zip(futures, known.schedules, strict=True):
        hint(cp, future.data, future.variables, schedule)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = max(seconds, 0.0)
    solver.parameters.num_workers = workers
    solver.parameters.random_seed = seed
    solver.parameters.presolve_inclusion_work_limit = 0  # as in ``solvers.exact.cp.run``
    solver.parameters.catch_sigint_signal = False
    solver.best_bound_callback = lambda bound: on_bound(in_real_time(bound))
    code, interrupted = _solve(solver, cp)
    if code == cp_model.MODEL_INVALID:
        raise RuntimeError(f"CP-SAT refuses the model: {cp.validate()}")
    if code == cp_model.INFEASIBLE:
        raise AssertionError("what a policy did is no solution of the model of its futures")
    bound = solver.best_objective_bound
    return OnlineBound(
        in_real_time(bound) if math.isfinite(bound) else -math.inf, code == cp_model.OPTIMAL, interrupted
    )


def _solve(solver: cp_model.CpSolver, cp: cp_model.CpModel) -> tuple[cp_model.CpSolverStatus, bool]:
    """The status, and whether Ctrl-C came: in a thread of its own, so that Python hears of it."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(solver.solve, cp)
        try:
            return running.result(), False
        except KeyboardInterrupt:
            solver.stop_search()
            return running.result(), True


def _declare(
    cp: cp_model.CpModel, problems: Sequence[OfflineProblem], aim: Objective, known: Known, over: Over
) -> list[Future]:
    """The rules and the objective of every future, in the same ticks."""
    total = sum(known.least)
    cutoffs = [
        known.value if over == "worst" else len(problems) * known.value - (total - least) for least in known.least
    ]
    cutoffs = [cutoff * (1 + ROUNDING) + ROUNDING for cutoff in cutoffs]
    latest = max(
        float(max((p.arrival + _latencies(p, aim, cutoff)).max(), p.arrival.max()))
        for p, cutoff in zip(problems, cutoffs, strict=True)
    )
    end = latest + max(p.last_end - float(p.arrival.max()) for p in problems)  # the sum of all durations
    ticks = Ticks(max(PRECISION * min(float(p.horizon.min()) for p in problems), end / MOST_TICKS))
    made = []
    for problem, cutoff, least in zip(problems, cutoffs, known.least, strict=True):
        data = replace(in_ticks(problem, PRECISION, ticks), horizon=int(ticks.down(end)) + 1)
        variables = declare(cp, data, deadlines(data, aim, cutoff))
        add_rules(cp, data, variables)
        made.append(Future(problem, data, variables, minimise(cp, data, variables, aim, least, cutoff)))
    return made


def _latencies(problem: OfflineProblem, aim: Objective, cutoff: float) -> Any:
    """(W,) by when workflows that count are complete after they arrive, where the objective is not above ``cutoff``."""
    if aim.kind == "misses":
        return aim.parameter * (1 + 1e-6) * problem.horizon
    if aim.kind == "mean_ratio":
        return (problem.workflows * cutoff - (problem.workflows - 1)) * problem.horizon
    if aim.kind == "mean_latency":
        return problem.workflows * cutoff - (problem.horizon.sum() - problem.horizon)
    return cutoff * problem.horizon


def _over(cp: cp_model.CpModel, futures: Sequence[Future], over: Over) -> tuple[Any, Callable[[float], float]]:
    """The mean or the worst of the futures as the model has it, and what a bound on it is in real time."""
    count = len(futures)
    minimised = [future.minimised for future in futures]
    each: list[Any]
    if all(one.largest is not None for one in minimised):
        each = [one.largest.ratio for one in minimised if one.largest is not None]
        to_real = minimised[0].in_real_time  # of one ratio, which the model rounds up

        def in_real_time(bound: float) -> float:
            return to_real(bound) if over == "worst" else to_real((bound - count) / count + 1)

    elif all(one.latencies is not None for one in minimised):
        parts = [one.latencies for one in minimised if one.latencies is not None]
        scale = min(part.shares.scale for part in parts)
        each = []
        for part in parts:
            share = np.floor(part.shares.share * (scale / part.shares.scale) * (1 - 1e-12)).astype(int).tolist()
            each.append(cp_model.LinearExpr.weighted_sum(part.latency, share) - math.ceil(part.shares.lost * scale))

        def in_real_time(bound: float) -> float:
            return bound / scale / (1 if over == "worst" else count)

    else:
        each = [sum(one.missed) for one in minimised]

        def in_real_time(bound: float) -> float:
            return bound / (1 if over == "worst" else count)

    if over == "mean":
        return sum(each), in_real_time
    worst = cp.new_int_var(-(2**60), 2**60, "worst")
    for one in each:
        cp.add(worst >= one)
    return worst, in_real_time


def act_alike(cp: cp_model.CpModel, one: Future, other: Future, told_lengths: bool = False) -> None:
    """Before the futures differ, calls start at the same times and places in both."""
    met = meeting(one.problem, other.problem, told_lengths)
    until: Any = int(one.data.ticks.down(met.known_by)) if math.isfinite(met.known_by) else one.data.horizon
    events = [
        future.variables.completed[c] for future, own in zip((one, other), met.at_completion, strict=True) for c in own
    ]
    events += [
        future.variables.prefilled[c] for future, own in zip((one, other), met.at_prefill, strict=True) for c in own
    ]
    if events:
        constant, until = until, cp.new_int_var(0, max(one.data.horizon, other.data.horizon), "differ")
        cp.add_min_equality(until, [constant, *events])
    for a, b in met.alike:
        for times, places in (
            ((one.variables.start[a], other.variables.start[b]), (_prefills(one, a), _prefills(other, b))),
            ((one.variables.admitted[a], other.variables.admitted[b]), (_decodes(one, a), _decodes(other, b))),
        ):
            for time in times:
                before = cp.new_bool_var("before")
                cp.add(time >= until).only_enforce_if(before.negated())
                cp.add(times[0] == times[1]).only_enforce_if(before)
                for place in places[0]:  # alike: both are held by the same instances
                    cp.add(places[0][place] == places[1][place]).only_enforce_if(before)


def _prefills(future: Future, c: int) -> Mapping[int, Any]:
    return dict(enumerate(future.variables.on_prefill[c]))


def _decodes(future: Future, c: int) -> Mapping[int, Any]:
    return future.variables.on_decode[c]


class Meeting(NamedTuple):
    """What two futures have in common, and what tells them apart.

    Attributes
    ----------
    alike : list of (int, int)
        Calls, by their numbers in both, that are the same as far as their release tells.
    known_by : float
        Seconds by which arrivals tell them apart; inf where they do not.
    at_completion, at_prefill : (list of int, list of int)
        Calls of each whose completion, or end of prefill, may do so.
    """

    alike: list[tuple[int, int]]
    known_by: float
    at_completion: tuple[list[int], list[int]]
    at_prefill: tuple[list[int], list[int]]


def meeting(one: OfflineProblem, other: OfflineProblem, told_lengths: bool = False) -> Meeting:
    """What two futures have in common, and what tells them apart."""
    calls = [_calls(problem, told_lengths) for problem in (one, other)]
    flows = [_flows(problem) for problem in (one, other)]
    known_by = math.inf
    for flow in flows[0].keys() | flows[1].keys():
        found = [own[flow] for own in flows if flow in own]
        if len(found) == 1 or (found[0].arrival, found[0].hint) != (found[1].arrival, found[1].hint):
            known_by = min(known_by, *(each.arrival for each in found))
    at_completion: tuple[set[int], set[int]] = set(), set()
    at_prefill: tuple[set[int], set[int]] = set(), set()
    by_length = at_prefill if _may_refuse(one) or _may_refuse(other) else at_completion
    alike = []
    for name in calls[0].keys() | calls[1].keys():
        pair = [own.get(name) for own in calls]
        if pair[0] is not None and pair[1] is not None and pair[0].shown == pair[1].shown:
            alike.append((pair[0].number, pair[1].number))
            if pair[0].call.output_tokens != pair[1].call.output_tokens:
                by_length[0].add(pair[0].number)
                by_length[1].add(pair[1].number)
            continue
        for own, each in zip(flows, pair, strict=True):
            if each is None:
                continue
            if not each.call.parents:
                known_by = min(known_by, own[name[0]].arrival)
            for parent, here in product(each.call.parents, (0, 1)):
                if (name[0], parent) in calls[here]:
                    at_completion[here].add(calls[here][name[0], parent].number)
    return Meeting(
        sorted(alike),
        known_by,
        (sorted(at_completion[0]), sorted(at_completion[1])),
        (sorted(at_prefill[0]), sorted(at_prefill[1])),
    )


def _may_refuse(problem: OfflineProblem) -> bool:
    """Whether some decode instance may have no room for a call that it can hold: all that fit there do not at once."""
    return any(int(problem.kv[problem.kv <= room].sum()) > room for room in problem.capacity.tolist())


class _Numbered(NamedTuple):
    """A call, its number in the problem, and what is known of it when it is released."""

    number: int
    call: Call
    shown: tuple[Any, ...]


def _calls(problem: OfflineProblem, told_lengths: bool) -> dict[tuple[str, str], _Numbered]:
    """By workflow and name."""
    files = {(flow.workflow_id, call.call_id): call for flow in problem.instance.workflows for call in flow.calls}
    found = {}
    for c, name in enumerate(problem.names):
        call = files[name]
        held = tuple((problem.kv[c] <= problem.capacity).tolist())
        shown = (call.prompt_tokens, call.cached_tokens, call.delay, tuple(sorted(call.parents)), call.kind, call.hint)
        length = call.output_tokens if told_lengths else None
        found[name] = _Numbered(c, call, (*shown, held, length))
    return found


def _flows(problem: OfflineProblem) -> dict[str, Workflow]:
    return {flow.workflow_id: flow for flow in problem.instance.workflows}
