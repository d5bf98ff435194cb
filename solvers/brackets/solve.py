"""Solving the offline problem: ``solve`` is for people, ``solve_with`` for programs that hand options on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hexsched.errors import InputError
from hexsched.model import Instance, Schedule, read_schedule
from hexsched.model.instance import as_instance
from hexsched.policies import Policy
from hexsched.policies.lists import as_policy, read_policies
from hexsched.progress import Progress, Wanted
from hexsched.registry import choices
from hexsched.simulator import retime, simulate
from solvers.bounds import cheap
from solvers.brackets import isolation
from solvers.brackets.choice import resolved
from solvers.brackets.portfolio import best_bound
from solvers.defaults import OBJECTIVE
from solvers.exact import FORMULATIONS
from solvers.exact.parts.formulation import Formulation
from solvers.problem.bracket import Bracket, ContradictionError
from solvers.problem.certificate import certified_value, offer
from solvers.problem.idle import WithoutIdle, without_idle
from solvers.problem.left import check_time_limit
from solvers.problem.memory import check_memory
from solvers.problem.objective import Objective, read_objective
from solvers.problem.offline import OfflineProblem, fixed_problem
from solvers.problem.result import INTERRUPTED, Options, Outcome, SolveResult, Status

DEFAULT = "cpsat"
FLOOR_SECONDS = 3.0  # at most, for the bounds that need no solver
FLOOR_CALLS = 5000  # beyond, one step of such a bound takes longer than that, and only the first is asked
START_POLICIES = ("hexagent", "workflow-llf", "workflow-fcfs", "sjf")  # each takes milliseconds on what can be solved


def solve(
    instance: Instance | str | Path,
    objective: str | Objective = OBJECTIVE,
    formulation: str = DEFAULT,
    *,
    time_limit: float = 60.0,
    workers: int = 2,
    seed: int = 0,
    solver: str | None = None,
    warm_start: Schedule | str | Path | None = None,
    policies: str | Policy | Iterable[str | Policy] = START_POLICIES,
    switches: Mapping[str, bool] | None = None,
    write_model: str | Path | None = None,
    progress: Wanted = None,
) -> SolveResult:
    """A good schedule with everything known beforehand, and a lower bound that no schedule can beat, both certified.

    Parameters
    ----------
    instance : Instance, str or Path
        In the ``fixed`` decode model: ``hexsched.instance(..., decode_model="fixed")``. Fluid instances of any size
        are for ``solvers.gap``.
    objective : str or Objective
        ``max_ratio``, ``req(Q)``, ``mean_ratio``, ``mean_latency`` or ``misses(S)``; minimised.
    formulation : str
        A name of ``hexsched formulations``, or ``auto`` for what measured times say is fastest on problems like this.
    time_limit : float
        Wall-clock seconds.
    workers : int
        Threads.
    seed : int
        Of the solver.
    solver : str, optional
        Of a MILP; the formulation's first by default.
    warm_start : Schedule, str or Path, optional
        A schedule of the instance to start from, or its file.
    policies : str, Policy, or iterable of these
        The formulation starts from the best of their schedules, and is never worse. Empty for none.
    switches : mapping of str to bool, optional
        Of the formulation.
    write_model : str or Path, optional
        Write the model to this file; the ending (.mps, .lp, .pb) says how.
    progress : bool or callable, optional
        False for no line that says how far it is; a function is called in its place with (seconds, value or None, bound
        or None) whenever one of the two got better.

    Returns
    -------
    SolveResult
        Also when the solver is missing or crashes (status ``unknown``; the message says why), and after Ctrl-C: with
        the best schedule so far.

    Raises
    ------
    InputError
        For a ``fluid`` instance, an unknown formulation, objective, policy or switch, and a warm start that is no
        schedule of the instance.

    Examples
    --------
    >>> import hexsched as hx
    >>> import solvers
    >>> tiny = hx.instance("demo", "react", workflows=2, decode_model="fixed")
    >>> solvers.solve(tiny, "mean_ratio", time_limit=20).status
    'optimal'
    """
    with Progress(f"solving with {formulation}", wanted=progress) as shown:

        def tell(seconds: float, value: float | None, bound: float | None) -> None:
            if callable(progress):
                progress(seconds, value, bound)
            else:
                known = [f"{name} {x:.6g}" for name, x in (("best", value), ("bound", bound)) if x is not None]
                shown.show(", ".join(known), time_limit, seconds)

        start = read_schedule(warm_start) if isinstance(warm_start, str | Path) else warm_start
        options = Options(
            time_limit=time_limit,
            workers=workers,
            seed=seed,
            solver=solver,
            warm_start=start,
            extra=dict(switches or {}),
            on_progress=tell,
            write_model=None if write_model is None else Path(write_model),
        )
        chosen = read_policies(policies) if policies else []
        return solve_with(as_instance(instance), formulation, objective, options=options, start_policies=chosen)


def solve_with(
    instance: Instance,
    formulation: str = DEFAULT,
    objective: str | Objective = "max_ratio",
    *,
    options: Options = Options(),  # noqa: B008 - frozen
    start_policies: Sequence[str | Policy] = START_POLICIES,
) -> SolveResult:
    """As ``solve``, with options as a value that can be handed on.

    Parameters
    ----------
    instance : Instance
        In the ``fixed`` decode model.
    formulation : str
        A name of ``solvers.exact.FORMULATIONS``, or ``auto`` (``solvers.brackets.choice``).
    objective : str or Objective
    options : Options
    start_policies : sequence of str or Policy
        The formulation starts from the best of their schedules and ``options.warm_start``, and the result is never
        worse. Empty for a start from nothing.

    Returns
    -------
    SolveResult
        Also when the solver is missing or crashes (status ``unknown``; the message says why), and after Ctrl-C: with
        the best schedule so far.

    Raises
    ------
    InputError
        For a ``fluid`` instance, an unknown formulation, objective, policy or switch, and a warm start that is no
        schedule of the instance.
    """
    check_memory()
    from solvers.schedules.search import warm_up  # it takes long to load

    problem, aim = fixed_problem(instance), read_objective(objective)
    formulation, options = resolved(formulation, problem, aim, options)
    chosen = FORMULATIONS.find(formulation)
    if options.solver is not None:
        options = replace(options, solver=chosen.as_spelt(options.solver))
    warm_up()
    bracket = Bracket(aim, options.time_limit, options.on_progress)
    _check(chosen, bracket.objective, options)
    _start(problem, bracket, options.warm_start, start_policies)
    outcome = run(chosen, problem, bracket, options)
    floor = best_bound(
        problem, bracket.objective, FLOOR_SECONDS, cheap() if problem.calls <= FLOOR_CALLS else cheap()[:1]
    )
    bracket.prove(floor.value, floor.source)
    return result(chosen, bracket, outcome)


def run(chosen: Formulation, problem: OfflineProblem, bracket: Bracket, options: Options) -> Outcome:
    """Let a formulation close in on the optimum until the bracket is over, in a child process where that is possible.

    Whatever becomes of the solver, the bracket keeps what it was told. What is solved has no long idle stretches.
    """
    if bracket.left <= 0 and bracket.schedule is not None and not bracket.is_interrupted:
        return Outcome(message=f"{chosen.name}: the time limit ended before a model was built")
    short = without_idle(problem)
    isolated = options.isolate and isolation.AVAILABLE
    outcome = (_run_in_child if isolated else _run_here)(chosen, problem, short, bracket, options)
    bracket.check()
    return outcome


def result(chosen: Formulation, bracket: Bracket, outcome: Outcome) -> SolveResult:
    """What users are told."""
    source = bracket.bound_source
    status: Status = "optimal" if bracket.is_closed else "feasible"
    return SolveResult(
        formulation=chosen.name,
        objective_name=str(bracket.objective),
        status="unknown" if outcome.crashed or bracket.schedule is None else status,
        objective=bracket.value if bracket.schedule is not None else None,
        lower_bound=float(bracket.bound) + 0.0,  # neither NumPy's nor -0.0: it goes into JSON
        bound_source=f"{source} (solver)" if source == chosen.name else source,
        schedule=bracket.schedule,
        seconds=bracket.seconds,
        size=outcome.size,
        root_bound=outcome.root_bound,
        series=bracket.series,
        message=INTERRUPTED if bracket.is_interrupted else outcome.message,
        interrupted=bracket.is_interrupted,
        report=outcome.report,
    )


def _check(chosen: Formulation, aim: Objective, options: Options) -> None:
    chosen.check_installed()
    if aim.kind not in chosen.objectives:
        raise InputError(f"formulation {chosen.name!r} cannot minimise {aim}; it can {', '.join(chosen.objectives)}")
    for switch in options.extra:
        if switch not in chosen.switches:
            has = choices(switch, chosen.switches, "it has") if chosen.switches else "it has none"
            raise InputError(f"formulation {chosen.name!r} has no switch {switch!r}; {has}")
    if options.solver is not None and options.solver not in chosen.solvers:
        usable = choices(options.solver, chosen.solvers, "it can use")
        raise InputError(f"formulation {chosen.name!r} cannot use solver {options.solver!r}; {usable}")
    if options.write_model is not None and not str(options.write_model).endswith(chosen.model_formats):
        known = ", ".join(chosen.model_formats) or "none"
        raise InputError(
            f"formulation {chosen.name!r} cannot write such a model file; endings: {known}", options.write_model
        )
    check_time_limit(options.time_limit)
    if options.workers < 1:
        raise InputError(f"workers must be at least 1, got {options.workers}")


def _start(
    problem: OfflineProblem, bracket: Bracket, warm_start: Schedule | None, policies: Sequence[str | Policy]
) -> None:
    if warm_start is not None:
        try:
            retime(problem.instance, warm_start)
        except InputError as error:
            raise InputError(f"the warm start cannot be used: {error}") from None
        offer(problem, bracket, warm_start, "warm start")
    offer_policies(problem, bracket, policies)


def offer_policies(problem: OfflineProblem, bracket: Bracket, policies: Sequence[str | Policy]) -> None:
    """Report the schedules of policies, as long as there is time, and one in any case."""
    for policy in map(as_policy, policies):
        if bracket.left <= 0 and bracket.schedule is not None:
            return
        offer(problem, bracket, simulate(problem.instance, policy, progress=False).schedule, policy.name)


def _run(chosen: Formulation, problem: OfflineProblem, bracket: Bracket, options: Options) -> Outcome:
    try:
        return chosen.solve(problem, bracket, options)
    except (InputError, ContradictionError):
        raise
    except KeyboardInterrupt:
        bracket.interrupt()
        return Outcome()
    except Exception as error:  # whatever a solver's bindings may raise; bounds and warm start are still worth having
        return Outcome(message=f"{chosen.name} failed: {type(error).__name__}: {error}", crashed=True)


class _Relay(Bracket):
    """The bracket of a formulation: it knows what the bracket of a solve does, and tells whatever it is told.

    Parameters
    ----------
    problem : OfflineProblem
        What the formulation solves: schedules are of its instance, here and in what is told.
    """

    def __init__(self, problem: OfflineProblem, known: Bracket, tell: isolation.Tell) -> None:
        super().__init__(known.objective, known.left)
        if known.schedule is not None:
            certified = certified_value(problem, known.objective, known.schedule)
            assert certified is not None, "a verified schedule can be carried out"
            super().improve(*certified, known.source)
        if known.bound_source:
            super().prove(known.bound, known.bound_source)
        self._tell = tell

    def improve(self, value: float, schedule: Schedule, source: str) -> bool:
        better = super().improve(value, schedule, source)
        if better:
            self._tell(("schedule", (schedule, source)))
        return better

    def announce(self, value: float) -> None:
        super().announce(value)
        self._tell(("value", (value,)))

    def prove(self, bound: float, source: str, binding: Mapping[str, float] | None = None) -> None:
        super().prove(bound, source, binding)
        self._tell(("bound", (bound, source, binding)))

    def interrupt(self) -> None:
        super().interrupt()
        self._tell(("interrupt", ()))


def _hear(problem: OfflineProblem, short: WithoutIdle | None, bracket: Bracket) -> isolation.Tell:
    """What passes on to the bracket of a solve what a ``_Relay`` tells."""

    def hear_schedule(schedule: Schedule, source: str) -> None:
        offer(problem, bracket, schedule if short is None else short.back(schedule), source)  # verified here as well

    reports: dict[str, Callable[..., object]] = {
        "schedule": hear_schedule,
        "value": bracket.announce,
        "bound": bracket.prove,
        "interrupt": bracket.interrupt,
    }

    def hear(message: tuple[str, tuple[Any, ...]]) -> None:
        kind, content = message
        reports[kind](*content)

    return hear


def _run_here(
    chosen: Formulation, problem: OfflineProblem, short: WithoutIdle | None, bracket: Bracket, options: Options
) -> Outcome:
    if short is None:
        return _run(chosen, problem, bracket, options)
    return _run(chosen, short.problem, _Relay(short.problem, bracket, _hear(problem, short, bracket)), options)


def _run_in_child(
    chosen: Formulation, problem: OfflineProblem, short: WithoutIdle | None, bracket: Bracket, options: Options
) -> Outcome:
    solved = problem if short is None else short.problem
    try:
        outcome: Outcome = isolation.in_child(
            lambda tell: _run(chosen, solved, _Relay(solved, bracket, tell), options),
            _hear(problem, short, bracket),
            bracket.left + options.overtime,
            options.memory,
        )
    except isolation.StoppedError as error:
        return Outcome(message=f"{chosen.name}: {error}; what it had found and proved until then counts")
    except isolation.CrashedError as error:
        return Outcome(message=f"{chosen.name} crashed: {error}", crashed=True)
    except KeyboardInterrupt:
        bracket.interrupt()
        return Outcome()
    return outcome
