"""From a formulation in PuLP to what its bracket learns: the start, the solver, bounds and decisions."""

from __future__ import annotations

from contextlib import suppress

from solvers.bounds import critical_path
from solvers.exact.milp.answer import Answer, Effort, safe
from solvers.exact.milp.backends import Backend, backend, run
from solvers.exact.milp.model import Build, Limits, Model, size, write_model
from solvers.exact.milp.targets import Targets, has_targets
from solvers.exact.milp.time_windows import windows
from solvers.exact.milp.tuning import TUNING, Tuning
from solvers.exact.parts.size import NotBuiltError
from solvers.exact.parts.start import offer_list_schedule, search_from
from solvers.problem.bracket import Bracket, ContradictionError
from solvers.problem.certificate import offer
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome, Size
from solvers.schedules.timetable import from_schedule, to_schedule


def solve_model(
    name: str, build: Build, problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning = TUNING
) -> Outcome:
    """Find a start, then look for better schedules and proofs that there are none.

    For tails and ``misses`` that is a series of targets: can the objective be so low? Each model has only what can be
    in time for its target, which leaves far less to be decided than a model of all schedules does. The other
    objectives are minimised in windows that the start gives.
    """
    solver, objective = backend(options.solver), bracket.objective
    offer_list_schedule(problem, bracket)
    if bracket.schedule is None:
        return Outcome(message="the time limit ended before there was a schedule to start from")
    limits = Limits(bracket.deadline, tuning.entries)
    if options.write_model is not None:
        known = windows(problem, objective, bracket.value)
        try:
            write_model(build(problem, objective, known, limits).lp, options.write_model)
        except NotBuiltError as error:
            return Outcome(message=f"{name}: {error}; no model is written")
        if options.only_write:
            return Outcome()
    # the bounds that use SciPy's HiGHS are left alone: in one process with highspy it has crashed
    bracket.prove(critical_path.compute(problem, objective), critical_path.BOUND.name)
    seconds = min(tuning.search * bracket.left, tuning.search_a_pair * problem.calls**2)
    if seconds >= tuning.shortest_search and not bracket.is_closed:
        # without neighbourhoods, else a formulation would have the help of the one it is compared with
        with_one_thread = Options(workers=1, seed=options.seed)
        search_from(problem, bracket.within(seconds), with_one_thread, with_neighbourhoods=False)
    if bracket.is_closed:
        try:  # nothing is left to solve; the size is that of what would have been
            known = windows(problem, objective, bracket.value)
            return Outcome(size(build(problem, objective, known, limits).lp))
        except NotBuiltError:
            return Outcome()
    if has_targets(objective):
        return Targets(name, build, limits, problem, bracket, options, solver, tuning).run()
    return _minimise(name, build, limits, problem, bracket, options, solver)


def _minimise(
    name: str,
    build: Build,
    limits: Limits,
    problem: OfflineProblem,
    bracket: Bracket,
    options: Options,
    solver: Backend,
) -> Outcome:
    """Solve in windows that the value of a known schedule gives, again wherever the model has something to learn."""
    answer, root, last_size, report = Answer("unknown"), None, Size(0, 0), None
    learning = True
    while learning and not bracket.is_over:
        try:
            known = windows(problem, bracket.objective, bracket.value)
            model = build(problem, bracket.objective, known, limits)
        except NotBuiltError as error:
            return Outcome(last_size, root, f"{name}: {error}", report=report)
        assert bracket.schedule is not None  # a list schedule at least
        model.load(from_schedule(problem, bracket.schedule))
        last_size = size(model.lp)
        answer = run(model.lp, solver, _effort(name, model, bracket, options))
        report = solver.report(answer, options)
        root = safe(answer.root_bound) if root is None else root
        if answer.interrupted:
            bracket.interrupt()
        bound = safe(answer.bound)
        if bound is not None:
            bracket.prove(bound, name)
        learning = False
        if answer.solved:
            timetable = model.timetable()
            offer(problem, bracket, to_schedule(problem, timetable, name), name)
            learning = model.learn(timetable)
    return Outcome(last_size, root, "" if bracket.is_closed else _message(answer), report=report)


def _effort(name: str, model: Model, bracket: Bracket, options: Options) -> Effort:
    """All the time that is left; the bracket hears of what the solver finds and proves on its way."""

    def on_progress(incumbent: float | None, bound: float | None) -> None:
        proved = safe(bound)
        with suppress(ContradictionError):  # here it would be lost; whoever solves looks for it (``Bracket.check``)
            if incumbent is not None and model.exact:
                bracket.announce(incumbent)
            if proved is not None:
                bracket.prove(proved, name)

    return Effort(bracket.left, options.workers, options.seed, on_progress, options.memory)


def _message(answer: Answer) -> str:
    if answer.status == "infeasible":  # the start is a solution, so this is numerical trouble and no proof
        return "the solver calls a model infeasible that has a known solution"
    if answer.solved or answer.interrupted:
        return answer.message
    return "; ".join(filter(None, (answer.message, "the schedule is the one the solver started from")))
