"""A lower bound on the mean over several futures, for any policy that cannot tell them apart before they differ.

Scenarios are instances of one cluster in the ``fixed`` model, each as likely as the others. A policy *knows* of a
scenario at time t: the workflows that have arrived, the calls that have been released with their prompts, and which
calls are complete. It may know anything else that is the same in all scenarios. Let two scenarios *differ* from the
first instant D at which one of these happens in either: a workflow arrives that the other has not, or has at another
time or with other first calls; a call completes whose output is of another length there; a parent of a call completes
that is another one there, or none. The last is earlier than the release that tells, so D is never too late.

*Rule.* A decision made before D is the same in both: where such a call is prefilled and from when on, and where and
when it is admitted. For until then the policy has seen the same, and it is deterministic; one that draws lots is a
mixture of such, and its mean no lower than the best of them.

*Model.* One constraint model has the rules of every scenario (``solvers.exact.cp``) in the same ticks, and for each
pair of scenarios the rule: where a call starts before D in one of them, it starts then and there in the other. Floored
to ticks, any schedules of a policy are a solution. Rules of one scenario: ``solvers.problem.ticks``. The rule between
two: let floor(start) < floor(D) in one; then start < D, so both starts are equal, and so are their floors. In the model
a completion is a floored admission and floored durations, no more than the floored completion, so that D in the model
is no later than floor(D): it asks for less. So is the model's horizon no restriction: let T be later than all
arrivals and than the completion of all workflows that count, in a policy whose mean is not above ``value``, a mean that
a policy has. From T on let it run calls one at a time in a fixed order instead; that tells no futures apart and makes
no workflow that counts later, and all is done by T and the sum of all durations. A scenario counts at most
``S value`` less what the others are at least, 1 for ratios.

The bound of the model's solver divided by the number of scenarios is therefore below the mean of every online policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from hexsched.model import Call, Instance, Schedule
from solvers.exact.cp.constraints import add_rules
from solvers.exact.cp.objective import Minimised, deadlines, minimise
from solvers.exact.cp.ticked import MOST_TICKS, TickedProblem, in_ticks
from solvers.exact.cp.variables import Variables, declare, hint
from solvers.problem.objective import Objective, read_objective
from solvers.problem.offline import OfflineProblem, offline_problem
from solvers.problem.ticks import Ticks

PRECISION = 1e-4  # of a tick, over the shortest horizon
COUNTED = ("max_ratio", "req", "mean_ratio", "misses")


@dataclass(frozen=True)
class Scenario:
    """One future in the model."""

    problem: OfflineProblem
    data: TickedProblem
    variables: Variables
    minimised: Minimised


@dataclass(frozen=True)
class OnlineBound:
    """What was proved of the mean over scenarios, and whether nothing more can be, but for ticks."""

    value: float
    is_best: bool


def online_bound(
    scenarios: Sequence[Instance],
    objective: str,
    value: float,
    seconds: float,
    *,
    schedules: Sequence[Schedule] = (),
    clairvoyant: bool = False,
    workers: int = 1,
    seed: int = 0,
) -> OnlineBound:
    """The least mean of an objective over equally likely scenarios, for policies that cannot tell them apart.

    Parameters
    ----------
    scenarios : sequence of Instance
        In the ``fixed`` decode model. A call of the same workflow and name is the same call, as far as it is alike.
    objective : str
        ``max_ratio``, ``req(q)``, ``mean_ratio`` or ``misses(s)``.
    value : float
        The mean that some policy has.
    seconds : float
        Of the solver.
    schedules : sequence of Schedule, optional
        That policy's, where the solver begins.
    clairvoyant : bool
        Without the rule between scenarios: the mean of their optima.
    """
    aim, problems = read_objective(objective), [offline_problem(instance) for instance in scenarios]
    assert aim.kind in COUNTED
    assert not any(problem.fluid for problem in problems)
    cp = cp_model.CpModel()
    made = _declare(cp, problems, aim, value)
    if not clairvoyant:
        for one, other in combinations(made, 2):
            act_alike(cp, one, other)
    total, in_real_time = _sum(made)
    cp.minimize(total)
    for scenario, schedule in zip(made, schedules, strict=False):
        hint(cp, scenario.data, scenario.variables, schedule)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = workers
    solver.parameters.random_seed = seed
    solver.parameters.presolve_inclusion_work_limit = 0  # as in ``solvers.exact.cp.run``
    code = solver.solve(cp)
    assert code in (cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.UNKNOWN), solver.status_name(code)
    return OnlineBound(in_real_time(solver.best_objective_bound), code == cp_model.OPTIMAL)


def _declare(cp: cp_model.CpModel, problems: Sequence[OfflineProblem], aim: Objective, value: float) -> list[Scenario]:
    """The rules and the objective of every scenario, in the same ticks."""
    least = 0.0 if aim.kind == "misses" else 1.0
    cutoff = len(problems) * value - (len(problems) - 1) * least
    cutoff = cutoff * (1 + 1e-9) + 1e-9
    latest = max(float((p.arrival + _latencies(p, aim, cutoff)).max()) for p in problems)
    latest = max(latest, max(float(p.arrival.max()) for p in problems))
    end = latest + max(p.last_end - float(p.arrival.max()) for p in problems)  # the sum of all durations
    ticks = Ticks(max(PRECISION * min(float(p.horizon.min()) for p in problems), end / MOST_TICKS))
    made = []
    for problem in problems:
        data = replace(in_ticks(problem, PRECISION, ticks), horizon=int(ticks.down(end)) + 1)
        variables = declare(cp, data, deadlines(data, aim, cutoff))
        add_rules(cp, data, variables)
        made.append(Scenario(problem, data, variables, minimise(cp, data, variables, aim, least, cutoff)))
    return made


def _latencies(problem: OfflineProblem, aim: Objective, cutoff: float) -> Any:
    """(W,) by when workflows that count are complete after they arrive, where the objective is not above ``cutoff``."""
    if aim.kind == "misses":
        return aim.parameter * (1 + 1e-6) * problem.horizon
    if aim.kind == "mean_ratio":
        return (problem.workflows * cutoff - (problem.workflows - 1)) * problem.horizon
    return cutoff * problem.horizon


def _sum(made: Sequence[Scenario]) -> tuple[Any, Any]:
    """The sum over scenarios as the model has it, and what a bound on it is in real time, a scenario."""
    count = len(made)
    if made[0].minimised.largest is not None:
        total = sum(scenario.minimised.largest.ratio for scenario in made)  # type: ignore[union-attr]
        return total, lambda bound: made[0].minimised.in_real_time((bound - count) / count + 1)
    if made[0].minimised.latencies is not None:
        parts = [scenario.minimised.latencies for scenario in made]
        scale = min(part.shares.scale for part in parts if part is not None)
        terms, weights, lost = [], [], 0.0
        for part in parts:
            assert part is not None
            terms += part.latency
            weights += np.floor(part.shares.share * (scale / part.shares.scale) * (1 - 1e-12)).astype(int).tolist()
            lost += part.shares.lost
        total = cp_model.LinearExpr.weighted_sum(terms, weights)
        return total, lambda bound: (bound / scale - lost) / count
    return sum(literal for scenario in made for literal in scenario.minimised.missed), lambda bound: bound / count


def act_alike(cp: cp_model.CpModel, one: Scenario, other: Scenario) -> None:
    """Before the scenarios differ, calls start at the same times and places in both."""
    alike, known_by, telling = meeting(one.problem, other.problem)
    until: Any = int(one.data.ticks.down(known_by)) if np.isfinite(known_by) else one.data.horizon
    events = [scenario.variables.completed[c] for scenario, c in zip((one, other), telling, strict=True) for c in c]
    if events:
        constant, until = until, cp.new_int_var(0, max(one.data.horizon, other.data.horizon), "differ")
        cp.add_min_equality(until, [constant, *events])
    for a, b in alike:
        for times, places in (
            ((one.variables.start[a], other.variables.start[b]), (_prefills(one, a), _prefills(other, b))),
            ((one.variables.admitted[a], other.variables.admitted[b]), (_decodes(one, a), _decodes(other, b))),
        ):
            for time in times:
                before = cp.new_bool_var("before")
                cp.add(time >= until).only_enforce_if(before.negated())
                cp.add(times[0] == times[1]).only_enforce_if(before)
                for place in places[0].keys() & places[1].keys():
                    cp.add(places[0][place] == places[1][place]).only_enforce_if(before)
                for mine, others in (places, places[::-1]):
                    for place in mine.keys() - others.keys():  # it does not fit there in the other scenario
                        cp.add(mine[place] == 0).only_enforce_if(before)


def _prefills(scenario: Scenario, c: int) -> Mapping[int, Any]:
    return dict(enumerate(scenario.variables.on_prefill[c]))


def _decodes(scenario: Scenario, c: int) -> Mapping[int, Any]:
    return scenario.variables.on_decode[c]


def meeting(
    one: OfflineProblem, other: OfflineProblem
) -> tuple[list[tuple[int, int]], float, tuple[list[int], list[int]]]:
    """What two scenarios have in common, and what tells them apart.

    Returns
    -------
    list of (int, int)
        Calls, by their numbers in both, that are the same as far as their release tells.
    float
        Seconds by which arrivals tell them apart.
    (list of int, list of int)
        Calls of each whose completion may do so.
    """
    calls = [_calls(problem) for problem in (one, other)]
    known_by = np.inf
    arrivals = [dict(zip(_flows(problem), problem.arrival.tolist(), strict=True)) for problem in (one, other)]
    for flow in arrivals[0].keys() | arrivals[1].keys():
        times = [own[flow] for own in arrivals if flow in own]
        if len(times) == 1 or times[0] != times[1]:
            known_by = min(known_by, *times)
    alike, telling = [], ([], [])  # type: ignore[var-annotated]
    for name in calls[0].keys() | calls[1].keys():
        found = [own.get(name) for own in calls]
        if found[0] is not None and found[1] is not None and _released(found[0][1]) == _released(found[1][1]):
            alike.append((found[0][0], found[1][0]))
            if found[0][1].output_tokens != found[1][1].output_tokens:
                for k in (0, 1):
                    telling[k].append(found[k][0])  # type: ignore[index]
            continue
        for k, each in enumerate(found):
            if each is None:
                continue
            if not each[1].parents:
                known_by = min(known_by, arrivals[k][name[0]])
            for parent in each[1].parents:
                for here in (0, 1):
                    if (name[0], parent) in calls[here]:
                        telling[here].append(calls[here][name[0], parent][0])
    return sorted(alike), known_by, (sorted(set(telling[0])), sorted(set(telling[1])))


def _released(call: Call) -> tuple[Any, ...]:
    """What is known of a call when it is released."""
    return call.prompt_tokens, call.cached_tokens, call.delay, tuple(sorted(call.parents)), call.kind, call.hint


def _flows(problem: OfflineProblem) -> list[str]:
    names = np.array([flow.workflow_id for flow in problem.instance.workflows], dtype=object)
    inside = np.empty(len(names), dtype=object)
    inside[problem.places.workflow] = names
    return list(inside)


def _calls(problem: OfflineProblem) -> dict[tuple[str, str], tuple[int, Call]]:
    """Number in the problem, and the call, by workflow and name."""
    files = {(flow.workflow_id, call.call_id): call for flow in problem.instance.workflows for call in flow.calls}
    return {name: (c, files[name]) for c, name in enumerate(problem.names)}
