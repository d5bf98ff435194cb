"""The decisions: where each call is prefilled and decoded, and when both begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ortools.sat.python import cp_model

from hexsched.model import Schedule
from solvers.exact.cp.ticked import Array, TickedProblem
from solvers.schedules.timetable import Timetable, from_schedule, to_schedule


@dataclass(frozen=True)
class Variables:
    """Variables, all by call.

    Ends are variables of their own, with a difference of two variables for each choice, as CP-SAT reasons about
    precedence between single variables and not between sums.

    Attributes
    ----------
    start, prefilled, admitted, completed : list of IntVar
        Ticks at which prefill starts and ends, and at which the decode instance admits the call and is done with it.
    reserved : list of IntVar
        Ticks from admission to completion.
    on_prefill : list of lists of BoolVar
        By prefill instance.
    in_mode : list of lists of BoolVar
        By ``TickedProblem.modes``.
    on_decode : list of dicts of int to BoolVar
        By decode instance, for those on which the call fits.
    """

    start: list[cp_model.IntVar]
    prefilled: list[cp_model.IntVar]
    admitted: list[cp_model.IntVar]
    completed: list[cp_model.IntVar]
    reserved: list[cp_model.IntVar]
    on_prefill: list[list[cp_model.IntVar]]
    in_mode: list[list[cp_model.IntVar]]
    on_decode: list[dict[int, cp_model.IntVar]]


def declare(model: cp_model.CpModel, data: TickedProblem, deadline: Array) -> Variables:
    """Add the variables.

    Parameters
    ----------
    deadline : (N,) float array
        Seconds by which each call is completed in some optimal schedule; inf where nothing is known.
    """
    problem = data.problem
    calls = range(problem.calls)
    reserved = np.min(problem.hold, axis=(1, 2))
    lengths = [sorted({mode.ticks for mode in data.modes[c]}) for c in calls]
    earliest_admission = data.head + data.prefill.min(axis=1)
    earliest_completion = earliest_admission + np.array([least for least, *_ in lengths])
    latest_admission = _up(data, deadline - reserved)
    latest_start = _up(data, deadline - problem.best)
    latest_completion = _up(data, deadline)

    def times(name: str, earliest: Array, latest: Array) -> list[cp_model.IntVar]:
        return [model.new_int_var(int(earliest[c]), int(latest[c]), f"{name}_{c}") for c in calls]

    in_mode = [[model.new_bool_var(f"mode_{c}_{k}") for k in range(len(data.modes[c]))] for c in calls]
    return Variables(
        start=times("start", data.head, latest_start),
        prefilled=times("prefilled", earliest_admission, latest_admission),
        admitted=times("admitted", earliest_admission, latest_admission),
        completed=times("completed", earliest_completion, latest_completion),
        reserved=[
            model.new_int_var_from_domain(cp_model.Domain.from_values(lengths[c]), f"reserved_{c}") for c in calls
        ],
        on_prefill=[[model.new_bool_var(f"prefill_{c}_{i}") for i in range(data.prefill.shape[1])] for c in calls],
        in_mode=in_mode,
        on_decode=[
            {
                j: in_mode[c][modes[0]] if len(modes) == 1 else model.new_bool_var(f"decode_{c}_{j}")
                for j, modes in data.modes_on(c).items()
            }
            for c in calls
        ],
    )


def hint(model: cp_model.CpModel, data: TickedProblem, variables: Variables, schedule: Schedule) -> None:
    """Let the search begin at a schedule of the instance; rounded down, it is a solution of the model."""
    known = from_schedule(data.problem, schedule)
    starts, admissions = data.ticks.down(known.start), data.ticks.down(known.admitted)
    for c in range(data.problem.calls):
        i, j, start, admitted = int(known.prefill[c]), int(known.decode[c]), int(starts[c]), int(admissions[c])
        model.add_hint(variables.start[c], start)
        model.add_hint(variables.prefilled[c], start + int(data.prefill[c, i]))
        model.add_hint(variables.admitted[c], admitted)
        for k, literal in enumerate(variables.on_prefill[c]):
            model.add_hint(literal, k == i)
        for mode, literal in zip(data.modes[c], variables.in_mode[c], strict=True):
            taken = mode.decode == j and i in mode.sources
            model.add_hint(literal, taken)
            if taken:
                model.add_hint(variables.reserved[c], mode.ticks)
                model.add_hint(variables.completed[c], admitted + mode.ticks)
        for k, modes in data.modes_on(c).items():
            if len(modes) > 1:  # else it is the literal of the mode, and a second hint for that is an error
                model.add_hint(variables.on_decode[c][k], k == j)


def decisions(
    solver: cp_model.CpSolverSolutionCallback | cp_model.CpSolver, data: TickedProblem, variables: Variables
) -> Schedule:
    """The solution as a schedule; its times are those of the model, so only their order means something."""

    def taken(choices: list[cp_model.IntVar]) -> int:
        return [solver.boolean_value(literal) for literal in choices].index(True)

    def seconds(events: list[cp_model.IntVar]) -> Array:
        times: Array = data.ticks.back(np.array([solver.value(event) for event in events]))
        return times

    modes = zip(data.modes, variables.in_mode, strict=True)
    found = Timetable(
        prefill=np.array([taken(literals) for literals in variables.on_prefill]),
        decode=np.array([of_call[taken(literals)].decode for of_call, literals in modes]),
        start=seconds(variables.start),
        admitted=seconds(variables.admitted),
    )
    return to_schedule(data.problem, found, "cpsat")


def _up(data: TickedProblem, seconds: Array) -> Array:
    """Ticks that an event no later than ``seconds`` cannot exceed, within the horizon."""
    within = np.minimum(seconds, float(data.ticks.back(data.horizon)))
    return np.minimum(data.ticks.down(within) + 1, data.horizon)
