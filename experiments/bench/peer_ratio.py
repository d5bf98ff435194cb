"""How much faster ``cpsat`` proves optima than PyJobShop, a general scheduling library on the same solver.

    python -m experiments.bench.peer_ratio [INSTANCE_OR_FAMILY ...] [--objective O] [--time-limit S] [--workers N]

Needs PyJobShop (``pip install pyjobshop``), which nothing else here does. Both get the problem in the same ticks and
run CP-SAT with the same number of workers, seed and relative gap; everything else is as each ships it. Neither is given
a schedule; that ``cpsat`` begins by making one is part of it and of its time. (``--share-start`` has PyJobShop begin at
the same one, which is charged for making it as well.)

PyJobShop gets all that its API can say: one task for the prefill and one for the decode of each call, a mode for each
machine, mode dependencies where the length of a transfer depends on its source, unary machines where a batch is one
call, renewables elsewhere, none that can never be short, and the same objective but for the rounding of coefficients.
``cpsat`` re-times and verifies what it finds, and solves again in finer ticks where schedule and bound do not meet in
real time; both count against it.

Time is CPU seconds of the process and its children, all threads, from the arrays of the problem to the proven optimum,
model building included. The two take turns, and who is first alternates. The ratio is PyJobShop's seconds over those of
``cpsat``; the geometric mean is over instances on which both prove optimality. A star marks a time-out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import resource
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.library.names import expand, instance, names
from hexsched.errors import InputError
from solvers.exact.cp.ticked import TickedProblem, in_ticks
from solvers.exact.cpsat import FORMULATION, Tuning
from solvers.problem.bracket import Bracket
from solvers.problem.objective import Objective, read_objective
from solvers.problem.offline import OfflineProblem, fixed_problem
from solvers.problem.result import Options
from solvers.schedules.list_schedule import best_list_schedule

if TYPE_CHECKING:
    import pyjobshop  # type: ignore[import-untyped,import-not-found,unused-ignore]

SIZES = (15, 37)  # calls, of the instances taken by default
LARGEST_WEIGHT = 5e5  # of all workflows, whole: times the 2**42 ticks that PyJobShop allows it must stay within 64 bits
AGREEMENT = 1e-3  # relative difference up to which two proven optima count as the same
KINDS = ("max_ratio", "mean_ratio", "mean_latency", "misses")  # it cannot drop workflows, as req(q) does


@dataclass(frozen=True)
class Run:
    """One solve.

    Attributes
    ----------
    proved : bool
        Whether it ended with a proof of optimality.
    value : float or None
        Of the best solution, in real units.
    seconds : float
        CPU seconds of all threads.
    """

    proved: bool
    value: float | None
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """Both on one instance.

    Attributes
    ----------
    instance : str
    calls : int
    ours, peer : Run
        The median run of each.
    """

    instance: str
    calls: int
    ours: Run
    peer: Run

    @property
    def ratio(self) -> float:
        """CPU seconds of PyJobShop over those of ``cpsat``."""
        return self.peer.seconds / self.ours.seconds

    @property
    def both_proved(self) -> bool:
        """Whether the ratio counts."""
        return self.ours.proved and self.peer.proved

    @property
    def agree(self) -> bool:
        """Whether two proven optima are the same to ``AGREEMENT``."""
        if not self.both_proved or self.ours.value is None or self.peer.value is None:
            return True
        return abs(self.ours.value - self.peer.value) <= AGREEMENT * max(abs(self.ours.value), 1e-9)


def compare(
    name: str, aim: Objective, limit: float, workers: int, repeats: int, peer_first: bool, share_start: bool
) -> Comparison:
    """Solve a library instance ``repeats`` times with each in turn; the run with the median CPU time counts."""
    problem = fixed_problem(instance(name))
    ours, peer = [], []
    for repeat in range(repeats):
        for peers_turn in (peer_first, not peer_first) if repeat % 2 == 0 else (not peer_first, peer_first):
            if peers_turn:
                peer.append(run_peer(problem, aim, limit, workers, repeat, share_start))
            else:
                ours.append(run_ours(problem, aim, limit, workers, repeat))
    return Comparison(name, problem.calls, _median(ours), _median(peer))


def run_ours(problem: OfflineProblem, aim: Objective, limit: float, workers: int, seed: int) -> Run:
    """``cpsat`` from nothing."""
    began = cpu_seconds()
    bracket = Bracket(aim, limit)
    FORMULATION.solve(problem, bracket, Options(workers=workers, seed=seed))
    seconds = cpu_seconds() - began
    if bracket.schedule is None:
        return Run(False, None, seconds)
    return Run(bracket.is_closed, bracket.value, seconds)


def run_peer(problem: OfflineProblem, aim: Objective, limit: float, workers: int, seed: int, share_start: bool) -> Run:
    """PyJobShop on the first ticks of ``cpsat``."""
    began = cpu_seconds()
    data = in_ticks(problem, Tuning().precisions[0])
    model, unit = peer_model(data, aim)
    result = model.solve(
        display=False,
        time_limit=limit,
        num_workers=workers,
        initial_solution=list_start(model, data, aim) if share_start else None,
        random_seed=seed,
        relative_gap_limit=Tuning().relative_gap,
    )
    seconds = cpu_seconds() - began
    solved = math.isfinite(result.objective)
    return Run(result.status.value == "Optimal", result.objective * unit if solved else None, seconds)


def list_start(model: pyjobshop.Model, data: TickedProblem, aim: Objective) -> pyjobshop.Solution:
    """The list schedule from which ``cpsat`` starts, in PyJobShop's terms."""
    from pyjobshop.Solution import ScheduledTask, Solution  # type: ignore[import-untyped,unused-ignore]

    problem, plan, tasks, mode = data.problem, best_list_schedule(data.problem, aim), [], 0
    assert plan is not None  # it had all the time that it wanted
    known = model.data()
    for c, modes in enumerate(data.modes):
        i, begin, admitted = int(plan.prefill[c]), data.ticks.down(plan.start[c]), data.ticks.down(plan.admitted[c])
        k = next(k for k, one in enumerate(modes) if one.decode == plan.decode[c] and i in one.sources)
        for chosen, start, length in (
            (mode + i, int(begin), int(data.prefill[c, i])),
            (mode + problem.prefill.shape[1] + k, int(admitted), modes[k].ticks),
        ):
            tasks.append(ScheduledTask(chosen, known.modes[chosen].resources, start, start + length))
        mode += problem.prefill.shape[1] + len(modes)  # in the order in which ``peer_model`` adds them
    return Solution(known, tasks)


def peer_model(data: TickedProblem, aim: Objective) -> tuple[pyjobshop.Model, float]:
    """The problem in PyJobShop's terms, and what a unit of its objective is worth.

    Raises
    ------
    InputError
        When PyJobShop is not installed, or cannot minimise ``aim``.
    """
    try:
        from pyjobshop import Model  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        raise InputError("this comparison needs PyJobShop; install it with: pip install pyjobshop") from None
    problem, model = data.problem, Model()
    weight, due, unit = _objective(data, aim)
    jobs = [model.add_job(weight=int(weight[w]), due_date=int(due[w])) for w in range(problem.workflows)]
    machines = [model.add_machine() for _ in range(data.prefill.shape[1])]
    resources = [_resources(model, problem, j) for j in range(len(problem.capacity))]
    prefills, decodes = [], []
    for c in range(problem.calls):
        w = problem.workflow[c]
        released = 0 if problem.parents[c] else int(data.ticks.down(problem.arrival[w] + problem.delay[c]))
        prefill = model.add_task(job=jobs[w], earliest_start=released)
        decode = model.add_task(job=jobs[w])
        sources = [model.add_mode(prefill, machine, int(data.prefill[c, i])) for i, machine in enumerate(machines)]
        for mode in data.modes[c]:
            used, demands = resources[mode.decode]
            taken = {"kv": int(problem.kv[c]), "slot": 1, "machine": 0}
            option = model.add_mode(decode, used, mode.ticks, [taken[each] for each in demands])
            if len(mode.sources) < len(sources):
                model.add_mode_dependency(option, [sources[i] for i in mode.sources])
        model.add_end_before_start(prefill, decode)
        prefills.append(prefill)
        decodes.append(decode)
    for c, parents in enumerate(problem.parents):
        for p in parents:
            model.add_end_before_start(decodes[p], prefills[c], int(data.delay[c]))
    if aim.kind == "max_ratio":
        model.set_objective(weight_max_tardiness=1)
    elif aim.kind == "misses":
        model.set_objective(weight_tardy_jobs=1)
    else:
        model.set_objective(weight_total_tardiness=1)
    return model, unit


def _objective(data: TickedProblem, aim: Objective) -> tuple[Any, Any, float]:
    """(W,) weights, (W,) due dates in ticks, and the worth of a unit.

    A workflow that is due when it arrives is as late as its latency; the weight turns that into its ratio.
    """
    if aim.kind not in KINDS:
        raise InputError(f"PyJobShop cannot minimise {aim}; it can {', '.join(KINDS)}")
    problem = data.problem
    if aim.kind == "misses":
        due = data.ticks.down(problem.arrival + aim.parameter * problem.horizon) + 1
        return np.ones(problem.workflows), due, 1.0
    due = data.arrived if aim.kind == "max_ratio" else data.arrival
    share = 1.0 if aim.kind == "max_ratio" else 1.0 / problem.workflows
    if aim.kind == "mean_latency":
        return np.ones(problem.workflows), due, data.ticks.seconds * share
    inverse = 1 / problem.horizon
    scale = LARGEST_WEIGHT / (inverse.max() if aim.kind == "max_ratio" else inverse.sum())
    return np.floor(scale * inverse), due, data.ticks.seconds / scale * share


def _resources(model: pyjobshop.Model, problem: OfflineProblem, j: int) -> tuple[list[Any], list[str]]:
    """What a decode instance has that can be short, and what a call takes of each."""
    tokens = problem.kv[problem.kv <= problem.capacity[j]]
    if problem.max_batch[j] == 1:
        return [model.add_machine()], ["machine"]
    used, demands = [], []
    if tokens.sum() > problem.capacity[j]:
        used.append(model.add_renewable(int(problem.capacity[j])))
        demands.append("kv")
    if len(tokens) > problem.max_batch[j] or not used:
        used.append(model.add_renewable(int(problem.max_batch[j])))
        demands.append("slot")
    return used, demands


def calls(name: str) -> int:
    """How many calls a library instance has."""
    return sum(len(workflow.calls) for workflow in instance(name).workflows)


def cpu_seconds() -> float:
    """CPU seconds so far, of all threads of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def geometric_mean(rows: Sequence[Comparison]) -> float | None:
    """Of the ratios that count; None when none does."""
    logs = [math.log(row.ratio) for row in rows if row.both_proved]
    return math.exp(statistics.fmean(logs)) if logs else None


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print a line an instance and the geometric mean."""
    parser = argparse.ArgumentParser(prog="peer_ratio", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "instances", nargs="*", help=f"of the library; by default all of {SIZES[0]} to {SIZES[1]} calls"
    )
    parser.add_argument("--objective", default="max_ratio", help=", ".join(KINDS))
    parser.add_argument("--time-limit", type=float, default=60.0, help="wall-clock seconds a solve")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1, help="solves of each, with seeds 0, 1, ...")
    parser.add_argument("--share-start", action="store_true", help="PyJobShop starts from our list schedule as well")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    try:
        instances = expand(options.instances) or [
            name for name in names() if SIZES[0] <= fixed_problem(instance(name)).calls <= SIZES[1]
        ]
        aim = read_objective(options.objective)
        compare("loose-chain-4-0", aim, 10.0, options.workers, 1, False, options.share_start)  # loads compiled code
        rows = []
        for turn, name in enumerate(instances):
            rows.append(
                compare(
                    name, aim, options.time_limit, options.workers, options.repeats, turn % 2 == 1, options.share_start
                )
            )
            if not options.json:
                print(_line(rows[-1]), flush=True)
    except InputError as error:
        print(f"peer_ratio: error: {error}", file=sys.stderr)
        return 2
    counted, mean = [row for row in rows if row.both_proved], geometric_mean(rows)
    disagree = [row.instance for row in rows if not row.agree]
    if options.json:
        record = {
            "objective": str(aim),
            "time_limit": options.time_limit,
            "workers": options.workers,
            "repeats": options.repeats,
            "share_start": options.share_start,
            "counted": len(counted),
            "geometric_mean": mean,
            "disagree": disagree,
            "instances": [{**dataclasses.asdict(row), "ratio": row.ratio, "counted": row.both_proved} for row in rows],
        }
        print(json.dumps(record, indent=1))
    else:
        ratio = "none" if mean is None else f"{mean:.2f}"
        print(f"{len(counted)} of {len(rows)} instances proved by both, geometric mean of the ratios: {ratio}")
        print(f"optima differ on: {', '.join(disagree) or 'none'}")
    return 0


def _median(runs: list[Run]) -> Run:
    """The run with the median CPU time; unproved where any is, as its time says nothing then."""
    middle = sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
    return dataclasses.replace(middle, proved=all(run.proved for run in runs))


def _line(row: Comparison) -> str:
    def run(each: Run) -> str:
        value = "none" if each.value is None else f"{each.value:.5f}"
        return f"{value:>9} {each.seconds:8.2f} s{' ' if each.proved else '*'}"

    return f"{row.instance:24} cpsat {run(row.ours)}  PyJobShop {run(row.peer)}  ratio {row.ratio:6.2f}"


if __name__ == "__main__":
    sys.exit(main())
