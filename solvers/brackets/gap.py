"""How far policies are from the best possible: (value - LB) / LB, with the bracket it came from."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from hexsched.baselines import BASELINES, HEXAGENT
from hexsched.display import MOST_ROWS, Summary, displayed
from hexsched.engine.announcing import compiled_together
from hexsched.errors import InputError
from hexsched.model import Instance, Schedule
from hexsched.model.instance import as_instance
from hexsched.plotting import Accessor
from hexsched.policies import Policy
from hexsched.policies.lists import read_policies
from hexsched.progress import Progress, Wanted
from hexsched.simulator import Run, simulate, warm_up_simulator
from hexsched.verifier import verify
from solvers.bounds import BOUNDS, cheap, costing
from solvers.bounds.parts.bound import FRUITLESS, NO_TIME, Bound, Cost, fair_share
from solvers.brackets.earlier import Earlier
from solvers.defaults import OBJECTIVE
from solvers.problem.bracket import Bracket, ContradictionError
from solvers.problem.left import check_time_limit, cpu_clock, wall_clock
from solvers.problem.memory import check_memory
from solvers.problem.objective import Objective, read_objective
from solvers.problem.prices import KeptPrices
from solvers.problem.result import INTERRUPTED, Options

if TYPE_CHECKING:
    import pandas as pd

    from solvers.schedules.search.guide import Guide

Array = np.ndarray[Any, Any]

RECORDED = " (as recorded)"  # after the source of a bound that an earlier bracket had: it is not proved again
SOON = 1e-3  # seconds: a search needs a little time


@dataclass(frozen=True)
class Tuning:
    """What is done with the time of a bracket, in this order.

    Attributes
    ----------
    exact_calls : int
        Up to so many calls, the exact formulation is tried, and the bounds that solve linear programs.
    solver, linear_programs : float
        Shares of the time that is left when it is their turn.
    first_search : float
        Share of the time that is then left for a search, whose schedule other bounds may be laid out for.
    small_search : int
        Up to so many calls, most of a search is changes of single calls, once priorities lead nowhere.
    any_time : float
        Share of the time for bounds that take any time, where one thread does both them and the search.
    """

    exact_calls: int = 100
    solver: float = 0.4
    linear_programs: float = 0.3
    first_search: float = 0.1
    small_search: int = 400
    any_time: float = 0.4


TUNING = Tuning()


class PolicyGap(msgspec.Struct, frozen=True):
    """A policy against the bracket.

    Attributes
    ----------
    value : float
        The objective of its schedule.
    gap : float or None
        (value - LB) / LB; 0 where the value is LB, None where LB is 0 and the value is not.
    gap_to_upper : float or None
        The same against UB: what is certain to be missing.
    """

    value: float
    gap: float | None
    gap_to_upper: float | None


@displayed
class GapReport(msgspec.Struct, frozen=True, kw_only=True):
    """LB <= OPT <= UB, and where every policy is.

    Attributes
    ----------
    objective : str
    lower_bound, upper_bound : float
    bound_source, upper_source : str
        Which bound, and whose schedule.
    policies : dict of str to PolicyGap
    bounds : dict of str to (float or None)
        What each bound came to; None where it does not apply, was not needed, or had no time.
    short_of_time : dict of str to str
        Bounds that say nothing for want of time, and whether they had none left or proved nothing in theirs.
    binding : dict of str to float
        Share of the proof that each resource carries, where the bound is made of prices: what is scarce.
    series : tuple of (seconds, lower bound, upper bound)
        Whenever one of them got better.
    solver_status : str
        Of the exact solver: ``optimal``, ``feasible``, ``unknown``, with its message; empty when it was not asked.
    message : str
        ``interrupted`` after Ctrl-C.
    seconds : float
    schedule : Schedule
        The one that has the upper bound; verified.
    prices : KeptPrices or None
        The best prices found, for a later bracket to go on from.
    """

    objective: str
    lower_bound: float
    bound_source: str
    upper_bound: float
    upper_source: str
    policies: dict[str, PolicyGap]
    bounds: dict[str, float | None]
    short_of_time: dict[str, str]
    binding: dict[str, float]
    series: tuple[tuple[float, float, float], ...]
    solver_status: str
    message: str
    seconds: float
    schedule: Schedule
    prices: KeptPrices | None = None

    def to_frame(self) -> pd.DataFrame:
        """A row a policy: ``policy``, ``value``, ``gap`` to the lower bound and ``gap_to_upper``, both as fractions."""
        import pandas as pd

        rows = [(name, found.value, found.gap, found.gap_to_upper) for name, found in self.policies.items()]
        frame = pd.DataFrame(rows, columns=["policy", "value", "gap", "gap_to_upper"])
        return frame.astype({"gap": float, "gap_to_upper": float})

    def series_to_frame(self) -> pd.DataFrame:
        """A row for each time that one of the ends got better: ``seconds``, ``lower_bound``, ``upper_bound``."""
        import pandas as pd

        return pd.DataFrame(self.series, columns=["seconds", "lower_bound", "upper_bound"])

    def _summary(self) -> Summary:
        facts = {
            "lower bound": self.lower_bound,
            "from": self.bound_source,
            "upper bound": self.upper_bound,
            "by": self.upper_source,
            "width": _percent(self.width),
            "seconds": self.seconds,
            "message": self.message or None,
        }
        rows = [
            {
                "policy": name,
                self.objective: found.value,
                "gap to LB": _percent(found.gap),
                "gap to UB": _percent(found.gap_to_upper),
            }
            for name, found in self.policies.items()
        ]
        return Summary(self.objective, facts, rows[:MOST_ROWS], len(rows), text=True)

    @property
    def plot(self) -> Accessor:
        """Its plots: ``report.plot.NAME(ax=None)``; ``report.plot`` itself lists them."""
        return Accessor(self)

    @property
    def width(self) -> float | None:
        """(UB - LB) / LB; None where LB is 0 and UB is not."""
        return _relative(self.upper_bound, self.lower_bound)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self.message == INTERRUPTED


def gap(
    instance: Instance | str | Path,
    policies: str | Policy | Iterable[str | Policy] = (HEXAGENT, *BASELINES),
    objective: str | Objective = OBJECTIVE,
    *,
    time_limit: float = 60.0,
    to: float = 0.0,
    earlier: Earlier | None = None,
    cpu_time: bool = False,
    seed: int = 0,
    workers: int = 2,
    progress: Wanted = None,
    tuning: Tuning = TUNING,
) -> GapReport:
    """How far policies are from the best possible, with the bracket [LB, UB] that certainly holds the optimum.

    What is done depends on the instance. Bounds that take no time come first. Up to ``Tuning.exact_calls`` calls follow
    the exact formulation, in the ``fixed`` model, and linear programs over time windows. Whatever is still open then is
    closed in from both sides at once: bounds that take any time from below, clairvoyant search from above.

    Parameters
    ----------
    instance : Instance, str or Path
        An instance, or the path of its file.
    policies : str, Policy, or iterable of these
        At least one, as in ``hexsched.compare``. Their schedules are verified, and the best is where solver and search
        start.
    objective : str or Objective
        ``max_ratio``, ``req(Q)``, ``mean_ratio``, ``mean_latency`` or ``misses(S)``.
    time_limit : float
        Seconds for everything together; policies and the cheap bounds are always run.
    to : float
        (UB - LB) / LB that will do: it ends as soon as the bracket is no wider. 0.05 is 5 %.
    earlier : Earlier, optional
        A bracket of this instance and objective to go on from. Its schedule is verified; its bound is taken as it is,
        and where it has prices, what they prove is proved anew and the search for better ones sets out from them.
    cpu_time : bool
        Seconds are CPU seconds of this process, shared out to ``workers``: how far it gets depends less on what else
        the machine does, when it ends depends on it more. Otherwise they are those of the clock.
    seed : int
        Of random placements, solver and search.
    workers : int
        Threads. With two or more, prices and search run side by side.
    progress : bool or callable, optional
        False for no line that says how far it is; a function is called in its place with (seconds, lower bound, upper
        bound) whenever one of the two got better.
    tuning : Tuning
        How the time is spent.

    Returns
    -------
    GapReport
        Also after Ctrl-C (or when the kernel of a notebook is interrupted): with the bracket so far.

    Raises
    ------
    InputError
        For an unknown name, no policies, a closed loop, a policy whose schedule breaks a rule of the model, and an
        earlier bracket of another objective, or whose schedule is none of this instance.
    ContradictionError
        When a bound lies above a verified schedule: a bug, never the input's fault.

    Examples
    --------
    >>> import hexsched as hx
    >>> import solvers
    >>> report = solvers.gap(hx.instance("demo", "bfcl", workflows=4), "hexagent,fcfs", time_limit=2)
    >>> report.lower_bound <= report.upper_bound <= report.policies["hexagent"].value
    True
    """
    from solvers.problem.offline import check_open

    check_time_limit(time_limit)
    if not 0 <= to < math.inf:
        raise InputError(f"the width to stop at must be a share of LB, such as 0.05 for 5 %, got {to:g}")
    instance = as_instance(instance)
    check_open(instance)
    aim = read_objective(objective)
    if earlier is not None and str(read_objective(earlier.objective)) != str(aim):
        raise InputError(f"a bracket of {earlier.objective}, expected one of {aim}", earlier.source)
    check_memory()
    chosen = read_policies(policies)
    warm_up(chosen)
    with Progress(f"bracketing {aim}", wanted=progress) as shown:

        def tell(seconds: float, value: float | None, bound: float | None) -> None:
            lower, upper = bound or 0.0, value or 0.0
            if callable(progress):
                progress(seconds, lower, upper)
            else:
                shown.show(f"{lower:.6g} <= optimum <= {upper:.6g}", time_limit, seconds)

        inside = Bracket(aim, time_limit, tell, to, cpu_clock(workers) if cpu_time else wall_clock)
        try:
            if earlier is not None:
                _go_on_from(earlier, instance, inside)
            return _bracket(instance, aim, chosen, inside, seed, workers, tuning)
        except ContradictionError as error:
            if earlier is None or inside.bound > earlier.lower_bound:
                raise
            what = f"its lower_bound {earlier.lower_bound:g} cannot be one of this instance ({error})"
            raise InputError(what, earlier.source) from None


def _go_on_from(earlier: Earlier, instance: Instance, inside: Bracket) -> None:
    """Tell the bracket what an earlier one knew."""
    if earlier.schedule is not None:
        report = verify(instance, earlier.schedule)
        if report.metrics is None:
            counts = ", ".join(report.counts())
            raise InputError(f"its schedule is none of this instance: it breaks {counts}", earlier.source)
        from solvers.problem.offline import offline_problem

        problem = offline_problem(instance)
        completed = problem.completed(earlier.schedule)
        value = inside.objective.value(problem.arrival, completed, problem.horizon)
        inside.improve(value, earlier.schedule, earlier.upper_source)
    inside.keep_prices(earlier.prices)
    inside.prove(earlier.lower_bound, f"{earlier.bound_source.removesuffix(RECORDED)}{RECORDED}")


def _bracket(
    instance: Instance,
    aim: Objective,
    chosen: Sequence[Policy],
    inside: Bracket,
    seed: int,
    workers: int,
    tuning: Tuning,
) -> GapReport:
    values = {}
    for policy in chosen:
        made = _run(instance, policy, seed)
        values[policy.name] = aim.value(made.arrival, made.completed, made.horizon)
        inside.improve(values[policy.name], made.schedule, policy.name)
    work = _Work(instance, inside, seed, workers, tuning)
    try:
        work.close_in()
    except KeyboardInterrupt:
        inside.interrupt()
    inside.check()
    assert inside.schedule is not None  # that of a policy at least
    lower, upper = inside.bound, inside.value
    return GapReport(
        objective=str(aim),
        lower_bound=lower,
        bound_source=inside.bound_source,
        upper_bound=upper,
        upper_source=inside.source,
        policies={name: PolicyGap(v, _relative(v, lower), _relative(v, upper)) for name, v in values.items()},
        bounds=work.unable | inside.bounds | dict.fromkeys(work.short_of_time),
        short_of_time=work.short_of_time,
        binding=inside.binding,
        series=tuple((row.seconds, row.bound or 0.0, row.value or 0.0) for row in inside.series),
        solver_status=work.solver_status,
        message=INTERRUPTED if inside.is_interrupted else "",
        seconds=inside.seconds,
        schedule=inside.schedule,
        prices=inside.prices,
    )


def warm_up(policies: Sequence[Policy] = ()) -> None:
    """Compile what a bracket may run, of these policies too, before its clock starts."""
    from solvers.schedules import search

    bounds = list(BOUNDS.values())  # loaded first, so that what they compile counts
    with compiled_together():
        warm_up_simulator(policies)
        search.warm_up()
        for bound in bounds:
            bound.warm_up()


class _Work:
    """Works on both ends of a bracket until they meet or the time is out.

    Attributes
    ----------
    unable : dict of str to None
        Bounds that do not hold for the objective.
    short_of_time : dict of str to str
        As in ``GapReport``.
    solver_status : str
        Of the exact solver; empty where it was not asked, and after Ctrl-C.
    """

    def __init__(self, instance: Instance, inside: Bracket, seed: int, workers: int, tuning: Tuning) -> None:
        from solvers.problem.offline import offline_problem

        self.instance, self.problem, self.inside = instance, offline_problem(instance), inside
        self.seed, self.workers, self.tuning = seed, workers, tuning
        self.unable: dict[str, None] = {}
        self.short_of_time: dict[str, str] = {}
        self.solver_status = ""

    def close_in(self) -> None:
        """What takes no time first, then what is exact, then what gets on at any size."""
        is_small = self.instance.call_count <= self.tuning.exact_calls
        self._prove(cheap() if is_small else cheap()[:1], self.inside)
        if is_small and not self.inside.is_over and not self.problem.fluid:
            self._solve()
        if is_small and not self.inside.is_over:
            self._prove(
                costing(Cost.LINEAR_PROGRAM), self.inside.within(self.inside.left * self.tuning.linear_programs)
            )
        if not self.inside.is_over:
            self._any_time_and_search()
        if not (self.inside.is_enough() or self.inside.is_interrupted):
            later = costing(Cost.ANY_TIME) + (costing(Cost.LINEAR_PROGRAM) if is_small else [])
            unasked = [bound for bound in later if bound.name not in self.unable | self.inside.bounds]
            left = {bound.name: NO_TIME for bound in unasked if bound.holds_for(self.problem, self.inside.objective)}
            self.short_of_time = left | self.short_of_time

    def _prove(self, bounds: Sequence[Bound], within: Bracket) -> None:
        """What the bounds say that hold, each within its share of the time that the others have left."""
        able = [bound for bound in bounds if bound.holds_for(self.problem, within.objective)]
        self.unable |= dict.fromkeys(bound.name for bound in bounds if bound not in able)
        for k, bound in enumerate(able):
            limit = within.left * fair_share(able[k:])
            if bound.is_too_late(limit):
                self.short_of_time[bound.name] = NO_TIME
                continue
            floor, began = self.inside.bound, within.clock()
            bound.prove(self.problem, within.within(limit), self.seed)
            if bound.said_nothing(self.inside.bounds.get(bound.name, floor), floor, within.clock() - began, limit):
                self.short_of_time[bound.name] = FRUITLESS

    def _solve(self) -> None:
        """With the formulation that ``solve`` takes."""
        from solvers.brackets.solve import DEFAULT, result, run
        from solvers.exact import FORMULATIONS

        formulation = FORMULATIONS[DEFAULT]
        within = self.inside.on_the_wall(self.inside.left * self.tuning.solver)
        outcome = run(formulation, self.problem, within, Options(workers=self.workers, seed=self.seed))
        if not self.inside.is_interrupted:
            solved = result(formulation, within, outcome)
            self.solver_status = ": ".join(filter(None, (solved.status, solved.message)))

    def _any_time_and_search(self) -> None:
        """Lower bounds and schedules for any size, side by side where there are two threads."""
        inside, tuning = self.inside, self.tuning
        # such bounds may be laid out for the best schedule known
        guide = self._search(inside.within(inside.left * tuning.first_search), self.seed, self.workers, None)
        if inside.is_over:
            return
        failures: list[BaseException] = []

        def prove(within: Bracket) -> None:
            try:
                self._prove(costing(Cost.ANY_TIME), within)
            except Exception as error:  # it is raised again where somebody listens
                failures.append(error)

        if self.workers > 1:
            # a daemon: after Ctrl-C what it has told so far counts, and nobody waits for it
            thread = threading.Thread(target=prove, args=(inside,), daemon=True)
            thread.start()
            self._search(inside, self.seed + 1, self.workers - 1, guide)
            while thread.is_alive() and not inside.is_interrupted:
                thread.join(0.1)
        else:
            prove(inside.within(inside.left * tuning.any_time))
            if not inside.is_over:
                self._search(inside, self.seed + 1, 1, guide)
        if failures:
            raise failures[0]

    def _search(self, within: Bracket, seed: int, workers: int, guide: Guide | None) -> Guide | None:
        """Look for a better schedule, from the guide of an earlier search on; the guide that led to it."""
        from solvers.schedules.search import search, tuning

        assert within.schedule is not None
        is_small = self.instance.call_count <= self.tuning.small_search
        answer = search(
            self.instance,
            str(within.objective),
            start=[within.schedule, *([guide] if guide is not None else [])],
            time_limit=max(within.left, SOON),
            workers=workers,
            seed=seed,
            progress=lambda _, value: within.announce(value),
            enough=within.is_enough,
            clock=within.clock,
            tuning=tuning.SMALL if is_small else tuning.TUNING,
        )
        within.improve(answer.value, answer.schedule, "search")
        if answer.interrupted:
            within.interrupt()
        return answer.guide


def _run(instance: Instance, policy: Policy, seed: int) -> Run:
    run = simulate(instance, policy, seed=seed)
    report = verify(instance, run.schedule)
    if not report.ok:
        raise InputError(f"the schedule of policy {policy.name!r} breaks {', '.join(report.counts())}")
    return run


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"


def _relative(value: float, base: float) -> float | None:
    if value <= base:
        return 0.0
    return (value - base) / base if base > 0 else None
