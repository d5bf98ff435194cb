"""Flat instances: the offline problem in the ``fixed`` decode model as plain arrays of whole numbers.

The words are those of shop scheduling, so that nothing of hexsched needs to be known: a workflow is a *job*, a call a
*task* with two stages, prefill instances are the machines of stage 1, decode instances those of stage 2, and KV tokens
are memory. Calls keep the order of the instance file.

Durations and releases are rounded down to ticks, which relaxes the problem (``solvers.problem.ticks`` says why): the
rounded times of any schedule are a solution. Let C and a be a completion and an arrival in ticks, not rounded, and H
the ideal time. The solution then has a latency below C - a + 1, and with the ideal time rounded up to at least H + 1 a
ratio below (C - a + 1) / (H + 1), which is no more than (C - a) / H as no latency is below H. So ratios are never above
the real ones, nor is an optimum of them; a mean of latencies is by less than a tick.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np

from hexsched.errors import InputError
from hexsched.model.files import decode_json, read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.exports.parts.export import Request
    from hexsched.model import Instance, Schedule

FINE = 1e-5  # the coarsest tick that is taken unasked, relative to the shortest ideal time
NOWHERE = -1  # in place of a duration: the task does not fit there

Whole = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class FlatInstance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hybrid flow shop of two stages, in whole ticks; all numbering is from 0.

    Attributes
    ----------
    format : str
        ``hexsched-flat/1``.
    name : str
        Of the instance.
    sha256 : str
        Of the instance file that this was made of.
    tick_seconds : float
        Length of a tick, seconds.
    jobs, tasks, stage1_machines, stage2_machines : int
        How many there are.
    horizon : int
        Some best schedule ends by then, ticks.
    job_name : list
        Of each job.
    job_release : list
        No task of the job starts before this, and its latency counts from here, ticks.
    job_ideal : list
        What the latency of the job is divided by for its ratio, ticks: as fast as it could ever be.
    job_due : list
        By when the job must be complete not to be late, ticks; empty but for ``misses``.
    task_name : list
        Of each task, unique within its job.
    task_job : list
        The job of each task.
    task_predecessors : list
        Tasks whose stage 2 must be over before the task may start.
    task_lag : list
        Ticks that must pass after that, or after the release of the job where there are no predecessors.
    task_memory : list
        What the task takes of the memory of its stage-2 machine.
    stage1_name, stage2_name : list
        Of each machine.
    stage1_ticks : list
        By task, then by stage-1 machine: how long it takes there.
    stage2_ticks : list
        By task, then by the stage-1 machine that it was on, then by stage-2 machine: how long it takes there; -1 where
        it does not fit.
    stage2_memory : list
        Memory of each stage-2 machine.
    stage2_slots : list
        How many tasks may be on each stage-2 machine at once.
    objective : str
        What is minimised: ``max_ratio``, ``req`` (the same, but for a few jobs), ``mean_ratio``, ``mean_latency`` or
        ``misses`` (jobs that are late).
    jobs_left_out : int
        Of ``req``: how many jobs need not count; 0 for the others.
    best_lower, best_upper : float or None
        The best bounds known of the real optimum: a ratio, seconds for ``mean_latency``, jobs for ``misses``.
    """

    format: Literal["hexsched-flat/1"]
    name: str
    sha256: str
    tick_seconds: float
    jobs: Whole
    tasks: Whole
    stage1_machines: Whole
    stage2_machines: Whole
    horizon: Whole
    job_name: list[str]
    job_release: list[Whole]
    job_ideal: list[Whole]
    job_due: list[Whole]
    task_name: list[str]
    task_job: list[Whole]
    task_predecessors: list[list[Whole]]
    task_lag: list[Whole]
    task_memory: list[Whole]
    stage1_name: list[str]
    stage2_name: list[str]
    stage1_ticks: list[list[Whole]]
    stage2_ticks: list[list[list[int]]]
    stage2_memory: list[Whole]
    stage2_slots: list[Whole]
    objective: Literal["max_ratio", "req", "mean_ratio", "mean_latency", "misses"]
    jobs_left_out: Whole
    best_lower: float | None
    best_upper: float | None


class FlatSolution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where each task of a flat instance goes, and when; a list each, by task.

    Attributes
    ----------
    format : str
        ``hexsched-flat-solution/1``.
    name : str
        Of the instance.
    by : str
        Who found it, and with which solver.
    stage1_machine, stage2_machine : list
        The machine of each task.
    stage1_start, stage2_start : list
        When it starts there, ticks.
    """

    format: Literal["hexsched-flat-solution/1"]
    name: str
    by: str = ""
    stage1_machine: list[Whole]
    stage1_start: list[Whole]
    stage2_machine: list[Whole]
    stage2_start: list[Whole]


def flatten(request: Request, tick: float | None = None) -> FlatInstance:
    """The flat instance of an instance and objective.

    Parameters
    ----------
    request : Request
    tick : float, optional
        Seconds of a tick; by default a power of ten that is at most ``FINE`` times the shortest H_w.

    Raises
    ------
    InputError
        For a ``fluid`` instance, and a tick that is not above 0 or makes numbers that do not fit into 53 bits.
    """
    from experiments.library.names import digest
    from solvers.problem.objective import SLACK
    from solvers.problem.offline import fixed_problem
    from solvers.problem.ticks import Ticks

    instance, objective, problem = request.instance, request.objective, fixed_problem(request.instance)
    seconds = 10.0 ** math.floor(math.log10(FINE * problem.horizon.min())) if tick is None else tick
    end = problem.last_end
    if not (0 < seconds < math.inf and end / seconds < 2**53):
        raise InputError(
            f"a tick must be above 0 and no more than 2^53 fit into {end:.6g} s, got {seconds:g} s", "--tick"
        )
    ticks = Ticks(seconds)
    calls, flows = problem.places.call, problem.places.workflow  # where those of the file are in the arrays
    position = {int(c): k for k, c in enumerate(calls)}
    job_of = {int(w): k for k, w in enumerate(flows)}
    fits = np.isfinite(problem.hold)
    held = np.where(fits, ticks.down(np.where(fits, problem.hold, 0.0)), NOWHERE)
    due = np.minimum(problem.arrival + objective.parameter * (1 + 2 * SLACK) * problem.horizon, end)
    names = [problem.names[c] for c in calls]
    known = request.known or (None, None)
    return FlatInstance(
        format="hexsched-flat/1",
        name=request.name,
        sha256=digest(instance),
        tick_seconds=seconds,
        jobs=problem.workflows,
        tasks=problem.calls,
        stage1_machines=len(instance.prefill),
        stage2_machines=len(instance.decode),
        horizon=int(ticks.down(end)) + 1,
        job_name=[flow.workflow_id for flow in instance.workflows],
        job_release=ticks.down(problem.arrival[flows]).tolist(),
        job_ideal=(np.ceil(problem.horizon[flows] / seconds).astype(np.int64) + 1).tolist(),
        job_due=(ticks.down(due[flows]) + 1).tolist() if objective.kind == "misses" else [],
        task_name=[call for _, call in names],
        task_job=[job_of[int(problem.workflow[c])] for c in calls],
        task_predecessors=[sorted(position[p] for p in problem.parents[c]) for c in calls],
        task_lag=ticks.down(problem.delay[calls]).tolist(),
        task_memory=problem.kv[calls].tolist(),
        stage1_name=[machine.id for machine in instance.prefill],
        stage2_name=[machine.id for machine in instance.decode],
        stage1_ticks=ticks.down(problem.prefill[calls]).tolist(),
        stage2_ticks=held[calls].tolist(),
        stage2_memory=problem.capacity.tolist(),
        stage2_slots=problem.max_batch.tolist(),
        objective=objective.kind,  # type: ignore[arg-type]
        jobs_left_out=objective.dropped(problem.workflows),
        best_lower=known[0],
        best_upper=known[1],
    )


def read_solution(path: str | Path) -> FlatSolution:
    """Read the solution of a flat instance; raises ``InputError`` for what is none."""
    return decode_json(read_bytes(path), FlatSolution, str(path))


def as_schedule(solution: FlatSolution, instance: Instance) -> Schedule:
    """The decisions of a solution as a schedule of its instance; times are ranks, to be made anew by ``retime``.

    Who starts before whom is what counts. Where two start in one tick, parents come first.

    Raises
    ------
    InputError
        When a list has not an entry for each call, or names a machine that there is not.
    """
    from hexsched.model import Schedule, ScheduledCall
    from hexsched.model.schedule import FORMAT
    from solvers.problem.offline import fixed_problem

    problem = fixed_problem(instance)
    lists = (solution.stage1_machine, solution.stage1_start, solution.stage2_machine, solution.stage2_start)
    fields = ("stage1_machine", "stage1_start", "stage2_machine", "stage2_start")
    for field, values in zip(fields, lists, strict=True):
        if len(values) != problem.calls:
            raise InputError(f"{field} has {len(values)} entries, {solution.name} has {problem.calls} tasks")
    for field, values, pool in ((fields[0], lists[0], instance.prefill), (fields[2], lists[2], instance.decode)):
        if max(values) >= len(pool):
            raise InputError(f"{field} names machine {max(values)}, {solution.name} has {len(pool)} from 0 on")
    before = np.empty(problem.calls, int)
    before[problem.topological] = np.arange(problem.calls)
    before = before[problem.places.call]
    start, admitted = (
        np.argsort(np.lexsort((before, np.array(times)))).tolist()
        for times in (solution.stage1_start, solution.stage2_start)
    )
    rows = []
    for k, (flow, call) in enumerate((owner, each) for owner in instance.workflows for each in owner.calls):
        rows.append(
            ScheduledCall(
                workflow_id=flow.workflow_id,
                call_id=call.call_id,
                prefill_instance=instance.prefill[solution.stage1_machine[k]].id,
                prefill_start=float(start[k]),
                prefill_end=float(start[k]),
                decode_instance=instance.decode[solution.stage2_machine[k]].id,
                admitted=float(admitted[k]),
                decode_start=float(admitted[k]),
                decode_end=float(admitted[k]),
            )
        )
    return Schedule(format=FORMAT, policy=solution.by or "flat", calls=tuple(rows))
