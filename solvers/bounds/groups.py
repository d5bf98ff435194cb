"""What groups of workflows need, each alone: decomposition by time."""

from __future__ import annotations

from solvers.bounds.grouped.bound import apart, grouped_bound
from solvers.bounds.parts.bound import Bound, Cost
from solvers.bounds.prices import warm_up
from solvers.problem.bracket import Bracket
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem

NAME = "groups"


def compute(problem: OfflineProblem, objective: Objective, time_limit: float) -> float:
    """What is proved of groups of workflows that have no workflow in common adds up.

    *Leaving out relaxes.* Of every schedule of the whole, the workflows of a group have a schedule of their own in
    which each of their calls completes at the same time, without the others. In ``fixed``, it is what is left when the
    calls of the others are taken away: a machine may be idle (model M26). In ``fluid`` it may be another one: calls
    that get on faster without the others hold more tokens sooner, which can slow down those that join them. So let
    every call of the group join its batch later. Look at one decode instance, backwards in time: let each call of the
    group be in its batch from its old completion C_c, with all m_c tokens out, back to where none is, at the speed of
    the batch of those calls alone; let p_c(t) be the tokens that were out in the old schedule, and p'_c(t) in this one.
    At C_c both are m_c. Where p' <= p for all calls, those with p' > 0 are part of the old batch, so they are no more
    and hold no more (n_c + p'_c each), an iteration takes no longer (g does not decrease in B: M9), and going back in
    time every p' falls at least as fast as p. So p' <= p throughout: each call joins at its old instant or later, and
    completes at its old instant. Its prefill stays where it was, its admission is later by as much as its start of
    decode is (it waits, M12), its reservation is part of the old one, and no room is exceeded. So what no schedule of
    the group can beat holds for its workflows in every schedule of the whole. Arrivals, delays and horizons are those
    of each workflow alone (M19), and stay what they are.

    *Sums.* Let the groups have no workflow in common, and let at least m_g(s) workflows of group g have a ratio above s
    in every schedule of the group. Then at least M(s) = sum_g m_g(s) of all workflows have one in every schedule:
    nobody is counted twice. m_g is what any bound proves for ``misses(s)``; a workflow that is above s is above all
    smaller scales, so the best of what is proved at s and above counts at s. Hence

    - ``misses(s)`` >= M(s);
    - if M(s) > floor((1 - q) W), too many are above s, and Req_q > s; ``max_ratio`` > s if M(s) > 0;
    - W times the mean is the sum over the groups of their sizes times their means, so the means of groups, weighted by
      their sizes, bound that of all.

    A value of Req_q for each group would prove less: late workflows may all be in one of them.

    *What is won.* A group is rounded up to whole workflows where the whole is rounded up once, and time, cells and
    prices go where there is waiting. *What is lost* is all that groups take from each other: so they are cut where
    little is under way in a known schedule. A group is asked through ``load``, linear programs where it is small, and
    prices that stay with it from scale to scale.

    Where something is under way all the time, prices of the whole say more, and this leaves them the time: it is no
    better than the critical path there. See ``solvers.bounds.grouped``.
    """
    return grouped_bound(problem, objective, time_limit, programs=_programs(), least_apart=2)


def close_in(problem: OfflineProblem, bracket: Bracket, seed: int) -> None:
    """The same, with groups of the best schedule; each better bound is proved at once."""
    schedule = bracket.schedule
    found = grouped_bound(
        problem,
        bracket.objective,
        bracket.left,
        completed=None if schedule is None else problem.completed(schedule),
        programs=_programs(),
        seed=seed,
        on_bound=lambda value: bracket.prove(value, NAME),
        left=lambda: bracket.open_for,
        least_apart=2,
    )
    bracket.prove(found, NAME)


def why_no_more(problem: OfflineProblem) -> str:
    """Whether there is one group only."""
    return "" if len(apart(problem)) > 1 else "one group: something is under way all the time"


def _programs() -> list[Bound]:
    from solvers.bounds import costing

    return costing(Cost.LINEAR_PROGRAM)


BOUND = Bound(
    name=NAME,
    summary="groups of workflows that are under way together, each alone; what is proved of them adds up",
    citation="Pinedo, Scheduling: theory, algorithms, and systems, 2016, for bounds by relaxation to subsets of jobs; "
    "the sum of late workflows over groups is this project's",
    compute=compute,
    close_in=close_in,
    warm_up=warm_up,
    why_no_more=why_no_more,
    cost=Cost.ANY_TIME,
    share=0.2,
)
