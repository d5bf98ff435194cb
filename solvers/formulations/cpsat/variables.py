"""The decisions: where each call is prefilled and decoded, and when both begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ortools.sat.python import cp_model

from hexsched.model import Schedule, ScheduledCall
from solvers.formulations.cpsat.ticked import Array, TickedProblem

Expression = cp_model.LinearExprT


@dataclass(frozen=True)
class Variables:
    """Variables and the expressions in them that constraints are about, all by call.

    Attributes
    ----------
    start, admitted : list of IntVar
        Ticks at which prefill starts and the decode instance admits the call.
    on_prefill : list of lists of BoolVar
        By prefill instance.
    in_mode : list of lists of BoolVar
        By ``TickedProblem.modes``.
    prefilled, completed : list of linear expressions
        Ticks at which prefill and decode end.
    """

    start: list[cp_model.IntVar]
    admitted: list[cp_model.IntVar]
    on_prefill: list[list[cp_model.IntVar]]
    in_mode: list[list[cp_model.IntVar]]
    prefilled: list[Expression]
    completed: list[Expression]


def declare(model: cp_model.CpModel, data: TickedProblem, deadline: Array) -> Variables:
    """Add the variables.

    Parameters
    ----------
    deadline : (N,) float array
        Seconds by which each call is completed in some optimal schedule; inf where nothing is known.
    """
    problem = data.problem
    calls = range(problem.calls)
    reserved = np.min(problem.transfer + problem.decode[:, None, :], axis=(1, 2))
    latest_admission = _up(data, deadline - reserved)
    latest_start = _up(data, deadline - problem.best)
    start = [model.new_int_var(int(data.head[c]), int(latest_start[c]), f"start_{c}") for c in calls]
    on_prefill = [[model.new_bool_var(f"prefill_{c}_{i}") for i in range(data.prefill.shape[1])] for c in calls]
    admitted = [
        model.new_int_var(int(data.head[c] + data.prefill[c].min()), int(latest_admission[c]), f"admitted_{c}")
        for c in calls
    ]
    in_mode = [[model.new_bool_var(f"mode_{c}_{k}") for k in range(len(data.modes[c]))] for c in calls]
    return Variables(
        start=start,
        admitted=admitted,
        on_prefill=on_prefill,
        in_mode=in_mode,
        prefilled=[start[c] + cp_model.LinearExpr.weighted_sum(on_prefill[c], data.prefill[c].tolist()) for c in calls],
        completed=[
            admitted[c] + cp_model.LinearExpr.weighted_sum(in_mode[c], [mode.ticks for mode in data.modes[c]])
            for c in calls
        ],
    )


def hint(model: cp_model.CpModel, data: TickedProblem, variables: Variables, schedule: Schedule) -> None:
    """Let the search begin at a schedule of the instance; rounded down, it is a solution of the model."""
    instance = data.problem.instance
    prefill = {machine.id: i for i, machine in enumerate(instance.prefill)}
    decode = {machine.id: j for j, machine in enumerate(instance.decode)}
    rows = {(row.workflow_id, row.call_id): row for row in schedule.calls}
    names = ((w.workflow_id, call.call_id) for w in instance.workflows for call in w.calls)
    for c, name in enumerate(names):
        row = rows[name]
        i, j = prefill[row.prefill_instance], decode[row.decode_instance]
        model.add_hint(variables.start[c], int(data.ticks.down(row.prefill_start)))
        model.add_hint(variables.admitted[c], int(data.ticks.down(row.admitted)))
        for k, literal in enumerate(variables.on_prefill[c]):
            model.add_hint(literal, k == i)
        for mode, literal in zip(data.modes[c], variables.in_mode[c], strict=True):
            model.add_hint(literal, mode.decode == j and i in mode.sources)


def decisions(
    solver: cp_model.CpSolverSolutionCallback | cp_model.CpSolver, data: TickedProblem, variables: Variables
) -> Schedule:
    """The solution as a schedule; its times are those of the model, so only their order means something."""
    instance = data.problem.instance
    rows = []
    for c, (workflow, call) in enumerate((w, call) for w in instance.workflows for call in w.calls):
        i = [solver.boolean_value(literal) for literal in variables.on_prefill[c]].index(True)
        k = [solver.boolean_value(literal) for literal in variables.in_mode[c]].index(True)
        start, admitted = solver.value(variables.start[c]), solver.value(variables.admitted[c])
        prefilled, completed = start + data.prefill[c, i], admitted + data.modes[c][k].ticks
        times = [float(data.ticks.back(t)) for t in (start, prefilled, admitted, completed)]
        rows.append(
            ScheduledCall(
                workflow_id=workflow.workflow_id,
                call_id=call.call_id,
                prefill_instance=instance.prefill[i].id,
                prefill_start=times[0],
                prefill_end=times[1],
                decode_instance=instance.decode[data.modes[c][k].decode].id,
                admitted=times[2],
                decode_start=times[2],
                decode_end=times[3],
            )
        )
    return Schedule(format="hexsched-schedule/1", policy="cpsat", calls=tuple(rows))


def _up(data: TickedProblem, seconds: Array) -> Array:
    """Ticks that an event no later than ``seconds`` cannot exceed, within the horizon."""
    within = np.minimum(seconds, float(data.ticks.back(data.horizon)))
    return np.minimum(data.ticks.down(within) + 1, data.horizon)
