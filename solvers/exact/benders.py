"""Logic-based Benders decomposition: a master places calls, CP-SAT sequences them, cuts say what that costs.

The master (``decomposition.master``) decides where every call goes and which workflows count, with calls that are never
in each other's way; it is a relaxation, and so is it with any cuts, since each holds for every schedule
(``decomposition.cuts`` has the proofs). So its optimum is a lower bound, at any time. Workflows that meet on some
instance are sequenced together (``decomposition.sequencing``), each such set apart from the others. What a set costs
beyond what the master thought becomes a cut, strengthened by leaving out what does not matter; what is found for all
sets together is a schedule, re-timed and verified. There are finitely many placements, and each is cut off or found to
cost what the master says, so in the end both meet, but for the ticks, which then get finer.

Means: a set of workflows costs the sum of its weighted latencies. ``misses``: of a set that cannot be in time together,
one is missed. ``req``: a cut holds where none of its workflows is dropped.

J. N. Hooker, G. Ottosson, Logic-based Benders decomposition, Mathematical Programming 96 (2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.bounds import critical_path
from solvers.exact.cp.closing import Steps, close
from solvers.exact.cp.objective import deadlines
from solvers.exact.cp.run import CPSAT_VERSION
from solvers.exact.cp.ticked import Array, TickedProblem, in_ticks
from solvers.exact.decomposition.cuts import Cut, analytical, images, strengthened, without
from solvers.exact.decomposition.master import Master, Placed
from solvers.exact.decomposition.sequencing import Sequenced, components, sequence
from solvers.exact.milp.leaving_out import run_last
from solvers.exact.parts.formulation import Formulation
from solvers.exact.parts.size import TooLargeError
from solvers.exact.parts.start import offer_list_schedule, search_from
from solvers.problem.bracket import OPTIMALITY_TOLERANCE, Bracket
from solvers.problem.certificate import offer
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome, Report, Size
from solvers.schedules.timetable import Timetable, to_schedule

NAME = "benders"


@dataclass(frozen=True)
class Tuning:
    """How the time of a solve is spent.

    Attributes
    ----------
    precisions : tuple of float
        Ticks, as shares of the shortest H_w, one after the other.
    search, search_a_pair, shortest_search : float
        As of the MILPs: share of the time for local search at the start, seconds for each pair of calls, at most, and
        seconds for which it is worth it.
    subproblem, longer : float
        Seconds of one, and by what factor they get more where none of a round was decided.
    check, strengthening : float
        Seconds of one proof that a cut holds without a placement, and of all of them for one cut.
    entries : int
        Calls times places, twice, and pairs of calls for the analytical cuts; a larger model is not built.
    steps : Steps
        How the bracket of the largest ratio is closed in: deadlines are tight near the lower bound, and conflicts few.
    """

    precisions: tuple[float, ...] = (1e-5, 1e-6)
    search: float = 0.1
    search_a_pair: float = 0.015
    shortest_search: float = 0.05
    subproblem: float = 1.0
    longer: float = 2.0
    check: float = 0.3
    strengthening: float = 2.0
    entries: int = 3_000_000
    steps: Steps = Steps()  # noqa: RUF009 - frozen


def solve(problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning = Tuning()) -> Outcome:
    """Solve in coarse ticks, and once more in fine ones where master and schedules do not meet in real time."""
    offer_list_schedule(problem, bracket)
    if bracket.schedule is None:
        return Outcome(message="the time limit ended before there was a schedule to start from")
    calls, instances = problem.prefill.shape
    size = 24 * calls * (instances + len(problem.capacity)) + calls**2 * instances
    if size > tuning.entries:
        return Outcome(message=f"{NAME}: {TooLargeError(f'about {size:,} entries', tuning.entries)}")
    bracket.prove(critical_path.compute(problem, bracket.objective), critical_path.BOUND.name)
    seconds = min(tuning.search * bracket.left, tuning.search_a_pair * calls**2)
    if seconds >= tuning.shortest_search and not bracket.is_closed:
        # without neighbourhoods, else a formulation would have the help of the one it is compared with
        with_one_thread = Options(workers=1, seed=options.seed)
        search_from(problem, bracket.within(seconds), with_one_thread, with_neighbourhoods=False)
    if bracket.is_closed:  # nothing is left to solve; the size is that of what would have been
        data = in_ticks(problem, tuning.precisions[0])
        return Outcome(Master(data, bracket.objective, bracket.bound, bracket.value, symmetry=True, energy=False).size)
    outcome = Outcome()
    for precision in tuning.precisions:
        if bracket.is_interrupted:
            break
        run = _Rounds(in_ticks(problem, precision), bracket, options, tuning, outcome.root_bound)
        outcome = run.run()
        if bracket.is_over:
            break
    return outcome


class _Rounds:
    """Master and subproblems in turn, in one length of ticks."""

    def __init__(
        self, data: TickedProblem, bracket: Bracket, options: Options, tuning: Tuning, root: float | None
    ) -> None:
        self.data, self.bracket, self.options, self.tuning = data, bracket, options, tuning
        self.objective, self.root = bracket.objective, root
        self.on = SWITCHED_ON | options.extra
        self.within = bracket
        self.status = "unknown"
        self.size = Size(0, 0)
        self.cuts: list[Cut] = []

    def run(self) -> Outcome:
        """Until master and schedules meet, or nothing is gained in these ticks."""
        bracket = self.bracket
        if self.objective.is_tail:
            close(bracket, self._search, self.tuning.steps)
        else:
            going = True
            while going and not bracket.is_over:
                before = bracket.bound, bracket.value
                going = not self._search(bracket.value, bracket.left) or before != (bracket.bound, bracket.value)
        return Outcome(self.size, self.root, report=self._report())

    @property
    def _is_count(self) -> bool:
        return self.objective.kind == "misses"

    def _search(self, target: float, seconds: float) -> bool:
        """Look for a schedule that is better than the best and no worse than the target.

        Whether it is decided if there is any: one has been found, or there is none.
        """
        bracket, value = self.bracket, self.bracket.value
        self.within = bracket.within(seconds)
        # what is hardly better need not be told apart from the best schedule
        self.cutoff = value - 1 if self._is_count else min(target, value * (1 - OPTIMALITY_TOLERANCE / 2))
        switches = self.on["symmetry"], self.on["energy"]
        self.master = Master(self.data, self.objective, bracket.bound, self.cutoff, *switches)
        if self.on["analytical"] and (self.objective.is_tail or self._is_count):
            for cut in analytical(self.data, self.objective, bracket.bound):
                self.master.add(cut)
        for cut in self.cuts:
            self.master.add(cut)
        self.subproblem = self.tuning.subproblem
        going = True
        while going and self.within.left > 0 and not bracket.is_over and bracket.value == value:
            going = self._round()
        self.size = self.master.size
        return not going or bracket.value < value

    def _round(self) -> bool:
        """One solve of the master and what follows from it; whether another can say more."""
        bracket, master, cutoff = self.bracket, self.master, self.cutoff
        placed = master.solve(self.within.left, self.options.workers, self.options.seed)
        self.status = placed.status
        bound = min(master.minimised.in_real_time(placed.bound), bracket.value if self._is_count else cutoff)
        self.root = bound if self.root is None else self.root
        bracket.prove(bound, NAME)
        if placed.status == "infeasible":
            return False
        if placed.status == "unknown":
            return True
        answers = []
        new = undecided = False
        for placements, workflows in components(master, placed, self._due(cutoff)):
            lower, most = self._limits(placed, workflows)
            answer = self._sequence(Cut(placements, workflows), lower, most, self.subproblem)
            answers.append(answer)
            costs_more = answer.status == "infeasible" if self._is_count else answer.bound > lower
            if costs_more:
                new |= self._learn(Cut(placements, workflows, answer.bound), lower)
            undecided |= answer.status not in ("optimal", "infeasible") and not costs_more
        if all(answer.times for answer in answers):
            self._offer(placed, answers)
        if undecided and not new:
            self.subproblem *= self.tuning.longer
        return new or undecided or placed.status == "feasible"

    def _limits(self, placed: Placed, workflows: frozenset[int]) -> tuple[int, int]:
        """What the workflows may cost without a word, and the most that they may."""
        latencies, most = self.master.minimised.latencies, self.master.most
        if latencies is None:
            return most, most
        inside, shares = sorted(workflows), latencies.shares
        outside = [w for w in range(self.data.problem.workflows) if w not in workflows]
        thought = sum(int(shares.share[w]) * placed.latency[w] for w in inside)
        return thought, most - int((shares.share * shares.best)[outside].sum())

    def _sequence(self, cut: Cut, lower: int, most: int, seconds: float) -> Sequenced:
        workers, seed = self.options.workers, self.options.seed
        seconds = min(seconds, self.within.left)
        return sequence(self.data, self.objective, cut.placements, cut.workflows, lower, most, seconds, workers, seed)

    def _learn(self, cut: Cut, lower: int) -> bool:
        """Add cuts that follow from one, without what does not matter; whether any was new.

        What is left of the placements without those of a cut may be too much as well, and gives another.
        """
        data, master = self.data, self.master
        if not self.on["strengthen"]:
            self.cuts.append(cut)
            return master.add(cut)
        within = self.within.within(self.tuning.strengthening)
        is_mean = master.minimised.latencies is not None

        def holds(smaller: Cut) -> bool:
            return self._sequence(smaller, lower, smaller.value - 1, self.tuning.check).status == "infeasible"

        added = False
        while True:
            small = strengthened(cut, data.problem.workflow, holds, is_mean, lambda: within.left <= 0)
            for image in images(data, small, holds):
                if master.add(image):
                    self.cuts.append(image)
                    added = True
            cut = without(cut, sorted(small.placements), data.problem.workflow, is_mean)
            if not cut.placements or within.left <= 0 or not holds(cut):
                return added

    def _due(self, cutoff: float) -> Array:
        """(N,) seconds by which the calls of workflows that count are completed in what is looked for."""
        problem, objective = self.data.problem, self.objective
        if not (objective.is_tail or self._is_count):
            return deadlines(self.data, objective, cutoff)
        scale = objective.parameter if self._is_count else cutoff
        due: Array = (problem.arrival + scale * problem.horizon)[problem.workflow] - problem.tail
        return due

    def _offer(self, placed: Placed, answers: list[Sequenced]) -> None:
        """Report the schedule: every set in its own times, workflows that do not count after everything else."""
        problem, ticks = self.data.problem, self.data.ticks
        start, admitted = np.zeros(problem.calls), np.zeros(problem.calls)
        for answer in answers:
            for c, times in answer.times.items():
                start[c], admitted[c] = ticks.back(np.array(times))
        timetable = Timetable(np.array(placed.prefill), np.array(placed.decode), start, admitted)
        left_out = set(range(problem.workflows)) - placed.kept
        if left_out:
            timetable = run_last(problem, timetable, left_out)
        offer(problem, self.bracket, to_schedule(problem, timetable, NAME), NAME)

    def _report(self) -> Report:
        bound = self.bracket.bounds.get(NAME)
        return Report("CP-SAT", CPSAT_VERSION, self.options.workers, 0.0, self.status, bound)


SWITCHED_ON = {"symmetry": True, "energy": True, "analytical": True, "strengthen": True}

FORMULATION = Formulation(
    name=NAME,
    summary="logic-based Benders: a master places the calls, CP-SAT sequences those that meet, cuts tell what it costs",
    citation="J. N. Hooker, G. Ottosson, Logic-based Benders decomposition, Mathematical Programming 96 (2003)",
    solve=solve,
    solvers=("CP-SAT",),
    defaults=SWITCHED_ON,
    switches={
        "symmetry": "identical instances are used in turn (on)",
        "energy": "work in windows of time against the largest ratio, in the master (on)",
        "analytical": "pairs of calls that cannot be on one instance, in the master from the start (on)",
        "strengthen": "what does not matter is left out of a cut (on)",
    },
)
