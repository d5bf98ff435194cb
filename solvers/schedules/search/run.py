"""The search: starts, tuned rules, chains of local search, neighbourhoods, proof that what they found is a schedule."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hexsched.errors import InputError
from hexsched.model import Instance, Schedule
from hexsched.model.instance import as_instance
from hexsched.policies import Policy, policies
from hexsched.policies.lists import as_policy
from hexsched.progress import Progress, Wanted
from hexsched.simulator import retime, simulate
from hexsched.verifier import verify
from solvers.defaults import OBJECTIVE
from solvers.problem.bracket import Bracket, ContradictionError
from solvers.problem.left import Clock, check_time_limit, wall_clock
from solvers.problem.objective import Objective, read_objective
from solvers.problem.offline import offline_problem
from solvers.problem.result import INTERRUPTED
from solvers.schedules.search.chain import Chain
from solvers.schedules.search.decisions import CappedDecisions
from solvers.schedules.search.evaluator import Evaluator
from solvers.schedules.search.guide import Guide
from solvers.schedules.search.merit import Merit, Outcome
from solvers.schedules.search.neighbourhood_model import Shop
from solvers.schedules.search.neighbourhoods import Carried, Neighbourhoods, carry_out
from solvers.schedules.search.places import Places, held_back
from solvers.schedules.search.result import MoveCount, SearchResult
from solvers.schedules.search.rules import Tuner
from solvers.schedules.search.starts import crowded, decisions_of, from_schedule, rules, with_drops
from solvers.schedules.search.tuning import TUNING, Tuning
from solvers.schedules.search.warm_up import warm_up

NEIGHBOURHOOD, PLACE = "neighbourhood", "place"  # among the moves
RULES_STREAM, NEIGHBOURHOODS_STREAM, PLACES_STREAM = (
    3,
    2,
    4,
)  # labels of the random streams of each, apart from those of the chains


def default_starts() -> tuple[str, ...]:
    """Every registered policy that is compiled and a start by its own word, and HexAGenT with the true horizon."""
    orders = [(p.name, p.compiled_order) for p in policies() if not p.is_plain]
    compiled = [name for name, order in orders if order is not None and order.starts_search]
    return (*compiled, "hexagent(horizon=oracle)")


def search(
    instance: Instance | str | Path,
    objective: str | Objective = OBJECTIVE,
    *,
    start: Sequence[str | Policy | Schedule | Guide] | None = None,
    time_limit: float = 60.0,
    evaluations: int | None = None,
    workers: int = 2,
    seed: int = 0,
    progress: Wanted = None,
    enough: Callable[[float], bool] | None = None,
    clock: Clock = wall_clock,
    with_neighbourhoods: bool = True,
    tuning: Tuning = TUNING,
) -> SearchResult:
    """Look for a good schedule with everything known: an upper bound at any size, in either decode model.

    The simulator turns priorities, restrictions and a set of workflows to sacrifice into a schedule (``guide``). First
    the rule behind them is tuned as a whole (``rules``), then local search changes single ones (``moves``). Where
    that is stuck, single calls of the schedule itself change places (``places``), and at last parts of it are solved
    with CP-SAT and re-timed (``neighbourhoods``). Nothing is proven but that the schedule is one and has that value.

    Parameters
    ----------
    instance : Instance, str or Path
        An instance, or the path of its file.
    objective : str or Objective
        ``max_ratio``, ``req(Q)``, ``mean_ratio``, ``mean_latency`` or ``misses(S)``.
    start : sequence of str, Policy, Schedule or Guide, optional
        Policies, schedules, and guides of earlier searches to improve on: the result is never worse.
        ``default_starts()`` when not given.
    time_limit : float
        Seconds of ``clock``. The first start is always run.
    evaluations : int, optional
        Runs of the simulator; a neighbourhood counts as ``Tuning.runs_a_neighbourhood``. Where this limit is reached
        before the other, the same seed gives the same schedule, whatever ``workers`` is. The starts given are all run.
    workers : int
        Threads; no more than ``Tuning.chains`` have work.
    seed : int
        Of the search and of random placements.
    progress : bool or callable, optional
        False for no line that says how far it is; a function is called in its place with (seconds, value) whenever
        something better was found.
    enough : callable, optional
        Asked now and then, with the best value so far, whether that will do: then the search ends.
    clock : callable
        What seconds are told by, that on the wall when not given.
    with_neighbourhoods : bool
        False for a search that does without CP-SAT.
    tuning : Tuning
        How it spends its effort.

    Returns
    -------
    SearchResult
        Also after Ctrl-C: with the best schedule so far.

    Raises
    ------
    InputError
        For an unknown objective or policy, a start that is no schedule of the instance, and a limit
        that is not above 0.
    """
    aim, instance = read_objective(objective), as_instance(instance)
    _check(time_limit, evaluations, workers, seed)
    names = default_starts() if start is None else start
    chosen = [item if isinstance(item, Schedule | Guide) else as_policy(item) for item in names]
    warm_up()
    with Progress(f"searching for {aim}", wanted=progress) as shown:

        def tell(seconds: float, value: float) -> None:
            if callable(progress):
                progress(seconds, value)
            else:
                shown.show(f"{value:.6g} found", time_limit, seconds)

        work = _Search(instance, aim, time_limit, evaluations, seed, tell, enough, clock, with_neighbourhoods, tuning)
        return work.run(chosen, workers)


class _Known(NamedTuple):
    """The best so far: a schedule as it is, or what leads to one."""

    value: float
    start: str
    move: str
    made: Schedule | Guide | CappedDecisions


class _Search:
    def __init__(
        self,
        instance: Instance,
        aim: Objective,
        time_limit: float,
        evaluations: int | None,
        seed: int,
        tell: Callable[[float, float], None],
        enough: Callable[[float], bool] | None,
        clock: Clock,
        with_neighbourhoods: bool,
        tuning: Tuning,
    ) -> None:
        self.tuning = tuning
        # until the schedule has been verified, at the end, values are announced to it
        self.bracket = Bracket(aim, time_limit, lambda seconds, value, _: tell(seconds, value or 0.0), clock=clock)
        self.instance, self.problem, self.aim, self.seed = instance, offline_problem(instance), aim, seed
        self.enough = enough
        # a workflow that misses s is dropped, and one that does not is early enough: neighbourhoods could gain nothing
        self.share_of_neighbourhoods = self.tuning.share_of_neighbourhoods * (
            with_neighbourhoods and aim.kind != "misses"
        )
        self.budget = math.inf if evaluations is None else evaluations
        self.merit = Merit(aim, Evaluator(self.problem), tuning)
        self.policy_runs = 0
        self.starts: dict[str, float] = {}
        self.known: _Known | None = None
        self.chains: list[Chain] = []
        self.places: Places | None = None
        self.neighbourhoods: Neighbourhoods | None = None
        self.cancelled = threading.Event()

    def run(self, chosen: Sequence[Policy | Schedule | Guide], workers: int) -> SearchResult:
        message = ""
        try:
            outcomes = self._run_starts(chosen)
            self._set_out(self._tune(outcomes))
            self._climb(workers, self.share_of_neighbourhoods)
            self._solve_neighbourhoods()
            self._climb(workers, 0.0)
        except KeyboardInterrupt:
            if self.known is None:
                raise
            self.bracket.interrupt()
            message = INTERRUPTED
            for chain in self.chains:
                self._better(_best_of(chain))
        return self._result(message)

    # --- starts -------------------------------------------------------------------------------------------------------

    def _run_starts(self, chosen: Sequence[Policy | Schedule | Guide]) -> list[tuple[Outcome, str]]:
        """Guide to climb from, best first, with their names."""
        outcomes: list[tuple[Outcome, str]] = []
        schedules: list[tuple[float, str, Schedule]] = []
        given = 0
        for item in chosen:
            if self.known is not None and self._out_of_time():
                break
            if isinstance(item, Guide):
                self._try(f"guide {len(outcomes)}", item, outcomes, always=True)
                continue
            if isinstance(item, Schedule):
                name, schedule = f"schedule {given}", self._valid(item, given)
                given += 1
            else:
                name, schedule = item.name, simulate(self.instance, item, seed=self.seed).schedule
            self.policy_runs += 1
            value = self._value(schedule)
            self.starts[name] = value
            self._better(_Known(value, name, "", schedule))
            schedules.append((value, name, schedule))
        for name, guide in rules(self.merit):
            self._try(name, guide, outcomes, always=self.known is None)
        for outcome, name in list(outcomes):
            for other, guide in with_drops(self.merit, name, outcome):
                self._try(other, guide, outcomes)
        for outcome, name in _best(outcomes, 3):
            for other, guide in crowded(self.merit, name, outcome):
                self._try(other, guide, outcomes)
        for _, name, schedule in sorted(schedules, key=lambda row: row[0])[:3]:
            for guide in from_schedule(self.merit, schedule):
                tried = self._try(name, guide, outcomes)
                if tried is not None:
                    for other, again in with_drops(self.merit, name, tried):
                        self._try(other, again, outcomes)
        return sorted(outcomes, key=lambda row: row[0].energy)

    def _try(
        self, name: str, guide: Guide, outcomes: list[tuple[Outcome, str]], always: bool = False
    ) -> Outcome | None:
        if not always and (self._out_of_time() or self._evaluations() >= self.budget):
            return None
        outcome = self.merit(guide)
        assert outcome is not None  # there was no limit
        self.starts.setdefault(name, outcome.value)
        self._better(_Known(outcome.value, name, "", guide))
        outcomes.append((outcome, name))
        return outcome

    def _valid(self, given: Schedule, number: int) -> Schedule:
        """The schedule as it is where it is one, else its decisions re-timed."""
        try:
            retimed = retime(self.instance, given)
        except InputError as error:
            raise InputError(f"start schedule {number} cannot be used: {error}") from None
        if not verify(self.instance, given).ok:
            return retimed
        return min((given, retimed), key=self._value)

    # --- rules --------------------------------------------------------------------------------------------------------

    def _tune(self, outcomes: list[tuple[Outcome, str]]) -> list[tuple[Outcome, str]]:
        """Add the guides of tuned rules, best first."""
        if not outcomes or self._out_of_time() or self._evaluations() + self.tuning.rules > self.budget:
            return outcomes
        free = [row for row in outcomes if not row[0].guide.dropped.any()]
        chosen = (free[:2] if self.merit.may_drop else []) + outcomes
        seeds = np.random.SeedSequence([self.seed, RULES_STREAM]).spawn(self.tuning.rules)
        lines = [(Tuner(self.merit, o, seed), f"{name}, tuned") for (o, name), seed in zip(chosen, seeds, strict=False)]
        began = self.bracket.clock()
        deadline = began + self.tuning.share_of_rules * (self.bracket.deadline - began)
        budget = self._evaluations() + self.tuning.share_of_rules * (self.budget - self._evaluations())

        def stop() -> bool:
            return self.bracket.clock() >= deadline or self._evaluations() >= budget or self._is_enough()

        def run(line: tuple[Tuner, str], runs: int) -> None:
            tuner, name = line
            tuner.run(runs, stop, lambda o: self._better(_Known(o.value, name, "", o.guide)))

        for line in lines:
            run(line, self.tuning.trial)
        lines.sort(key=lambda line: line[0].best.energy)
        while lines and not stop() and lines[0][0].idle < self.tuning.rule_patience:
            run(lines[0], self.tuning.trial)
        tuned = [(tuner.best, name) for tuner, name in lines]
        for outcome, name in tuned:
            self.starts.setdefault(name, outcome.value)
        return _best(tuned + outcomes, self.tuning.chains * self.tuning.variety)

    # --- local search -------------------------------------------------------------------------------------------------

    def _set_out(self, outcomes: list[tuple[Outcome, str]]) -> None:
        if not outcomes:
            return
        seeds = np.random.SeedSequence(self.seed).spawn(self.tuning.chains)
        for k in range(self.tuning.chains):
            own = outcomes[k :: self.tuning.chains] or outcomes
            merit = self.merit if k == 0 else Merit(self.aim, Evaluator(self.problem), self.tuning)
            self.chains.append(Chain(merit, own, seeds[k]))

    def _climb(self, workers: int, reserve: float) -> None:
        """Local search, but for a share of time and evaluations once all chains have been stuck."""
        if not self.chains:
            return
        began, first = self.bracket.clock(), self._evaluations()
        with ThreadPoolExecutor(min(workers, self.tuning.chains)) as pool:
            try:
                while True:
                    share = 1 - reserve * all(chain.been_stuck for chain in self.chains)
                    deadline = began + share * (self.bracket.deadline - began)
                    left = first + share * (self.budget - first) - self._evaluations()
                    if self.bracket.clock() >= deadline or left < 1 or self._is_enough():
                        break
                    self._round(pool, left, deadline)
            except BaseException:  # Ctrl-C comes to this thread alone
                self.cancelled.set()
                raise

    def _round(self, pool: ThreadPoolExecutor, left: float, deadline: float) -> None:
        """Let every chain go on for a while; then those far behind go on from the best one's guide."""
        found: queue.SimpleQueue[_Known] = queue.SimpleQueue()
        shares = [
            self.tuning.round
            if left >= self.tuning.round * self.tuning.chains
            else int(left) // self.tuning.chains + (k < int(left) % self.tuning.chains)
            for k in range(self.tuning.chains)
        ]

        def is_over() -> bool:
            return self.cancelled.is_set() or self.bracket.clock() >= deadline or self._is_enough()

        def go(k: int) -> None:
            def improved(outcome: Outcome, move: str) -> None:
                found.put(_Known(outcome.value, self.chains[k].origin, move, outcome.guide))

            self.chains[k].run(shares[k], is_over, improved)

        before = self.known
        assert before is not None  # the starts have been run
        running: set[Future[None]] = {pool.submit(go, k) for k in range(self.tuning.chains)}
        while running:
            done, running = wait(running, timeout=self.tuning.look)
            while not found.empty():
                self._better(found.get())
            for future in done:
                future.result()
        # which of two that are as good came first is up to the threads
        self.known = min([before, *map(_best_of, self.chains)], key=lambda known: known.value)
        leader = min(self.chains, key=lambda chain: chain.current.energy)
        for chain in self.chains:
            if not chain.been_stuck and chain.current.energy > leader.current.energy * (1 + self.tuning.behind):
                chain.adopt(leader)

    # --- neighbourhoods -----------------------------------------------------------------------------------------------

    def _solve_neighbourhoods(self) -> None:
        """Where changes of a guide lead nowhere, go on from the schedule, whose parts can change by themselves."""
        left = self.budget - self._evaluations()
        known, e = self.known, self.merit.evaluator
        if (
            not self.share_of_neighbourhoods
            or self._out_of_time()
            or left < self.tuning.runs_a_neighbourhood
            or known is None
        ):
            return
        made = known.made if isinstance(known.made, Schedule) else e.schedule(known.made, "search")
        start = decisions_of(e, made)
        if isinstance(known.made, Guide):
            start = start._replace(dropped=known.made.dropped, caps=known.made.caps)
        shop = Shop(e)
        carried = carry_out(self.merit, shop, start)
        if carried is not None:
            carried = carry_out(self.merit, shop, self._change_places(shop, carried, known.start, left))
        if carried is None:
            return
        neighbourhoods = (self.budget - self._evaluations()) / self.tuning.runs_a_neighbourhood
        self.neighbourhoods = Neighbourhoods(
            self.merit, shop, carried, np.random.SeedSequence([self.seed, NEIGHBOURHOODS_STREAM])
        )

        def improved(now: Carried) -> None:
            self._better(_Known(now.value, known.start, NEIGHBOURHOOD, now.seen.decisions))

        self.neighbourhoods.run(neighbourhoods, lambda: 0.0 if self._is_enough() else self.bracket.left, improved)

    def _change_places(self, shop: Shop, carried: Carried, start: str, runs: float) -> CappedDecisions:
        """Decisions that are no worse, where single calls go elsewhere."""
        decisions = carried.seen.decisions
        if self.merit.may_drop and not decisions.dropped.any():
            worst_first = np.argsort(-carried.seen.ratio, kind="stable")
            dropped = np.zeros(len(worst_first), bool)
            dropped[worst_first[: self.merit.may_drop]] = True
            again = held_back(self.merit, decisions._replace(dropped=dropped))
            carried = carry_out(self.merit, shop, again, carried.energy) or carried
        seed = np.random.SeedSequence([self.seed, PLACES_STREAM])
        self.places = places = Places(self.merit, carried.seen.decisions, carried.seen.ratio, seed)
        deadline = self.bracket.clock() + self.tuning.share_of_places * self.bracket.left
        places.run(
            self.tuning.share_of_places * runs,
            lambda: self.bracket.clock() >= deadline or self._is_enough(),
            lambda: self._better(_Known(places.value, start, PLACE, places.best)),
        )
        return places.best

    # --- bookkeeping --------------------------------------------------------------------------------------------------

    def _out_of_time(self) -> bool:
        return self.bracket.left <= 0 or self._is_enough()

    def _is_enough(self) -> bool:
        return self.enough is not None and self.known is not None and self.enough(self.known.value)

    def _evaluations(self) -> int:
        of_neighbourhoods = (
            0
            if self.neighbourhoods is None
            else self.neighbourhoods.tried * self.tuning.runs_a_neighbourhood - self.neighbourhoods.runs
        )
        return self.policy_runs + of_neighbourhoods + sum(e.runs for e in self._evaluators())

    def _evaluators(self) -> list[Evaluator]:
        return [self.merit.evaluator] + [chain.merit.evaluator for chain in self.chains[1:]]

    def _value(self, schedule: Schedule) -> float:
        problem = self.problem
        return self.aim.value(problem.arrival, problem.completed(schedule), problem.horizon)

    def _better(self, candidate: _Known) -> None:
        if self.known is not None and candidate.value >= self.known.value:
            return
        self.known = candidate
        self.bracket.announce(candidate.value)

    def _result(self, message: str) -> SearchResult:
        known = self.known
        assert known is not None
        if isinstance(known.made, Schedule):
            schedule = known.made
        else:
            found = self.merit.evaluator.schedule(known.made, "search")
            schedule = min((found, retime(self.instance, found)), key=self._value)
        report = verify(self.instance, schedule)
        if not report.ok:
            raise ContradictionError(f"a schedule of the simulator breaks {', '.join(report.counts())}")
        value = self._value(schedule)
        self.bracket.improve(value, schedule, known.start)
        return SearchResult(
            objective_name=str(self.aim),
            value=value,
            schedule=schedule,
            guide=self._guide(),
            start=known.start,
            move=known.move,
            starts=self.starts,
            series=tuple((row.seconds, row.value) for row in self.bracket.series if row.value is not None),
            evaluations=self._evaluations(),
            moves=self._moves(),
            seconds=self.bracket.seconds,
            message=message,
        )

    def _guide(self) -> Guide | None:
        """The best guide."""
        if self.chains:
            return min((chain.best for chain in self.chains), key=lambda outcome: outcome.value).guide
        return self.known.made if self.known is not None and isinstance(self.known.made, Guide) else None

    def _moves(self) -> dict[str, MoveCount]:
        counts = {
            name: MoveCount(sum(c.tried[name] for c in self.chains), sum(c.helped[name] for c in self.chains))
            for name in (self.chains[0].tried if self.chains else ())
        }
        if self.places is not None:
            counts[PLACE] = MoveCount(self.places.tried, self.places.helped)
        if self.neighbourhoods is not None:
            counts[NEIGHBOURHOOD] = MoveCount(self.neighbourhoods.tried, self.neighbourhoods.helped)
        return counts


def _best_of(chain: Chain) -> _Known:
    return _Known(chain.best.value, chain.best_from, chain.best_move, chain.best.guide)


def _best(outcomes: list[tuple[Outcome, str]], count: int) -> list[tuple[Outcome, str]]:
    return sorted(outcomes, key=lambda row: row[0].energy)[:count]


def _check(time_limit: float, evaluations: int | None, workers: int, seed: int) -> None:
    check_time_limit(time_limit)
    if evaluations is not None and evaluations < 1:
        raise InputError(f"evaluations must be at least 1, got {evaluations}")
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    if seed < 0:
        raise InputError(f"seed must be 0 or more, got {seed}")
