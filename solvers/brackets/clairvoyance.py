"""How much of a policy's distance from the best schedules is clairvoyance, which any online policy must do without."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from hexsched.baselines import BASELINES, HEXAGENT
from hexsched.display import Summary, displayed
from hexsched.errors import InputError
from hexsched.model import Instance, Schedule
from hexsched.model.instance import as_instance
from hexsched.policies import Policy, as_policy
from hexsched.policies.estimators import read_estimator
from hexsched.policies.lists import read_policies
from hexsched.policies.orders.parts.horizon import HINT, REVEALED
from hexsched.policies.orders.parts.work import UNTOLD
from hexsched.progress import Progress, Wanted
from hexsched.simulator import simulate
from solvers.brackets.solve import DEFAULT, solve_with
from solvers.defaults import BLIND, OBJECTIVE
from solvers.exact.cp.futures import Known, Over, online_bound
from solvers.problem.bracket import CONTRADICTION, ContradictionError
from solvers.problem.left import check_time_limit, until, wall_clock
from solvers.problem.memory import check_memory
from solvers.problem.objective import Objective, read_objective
from solvers.problem.offline import OfflineProblem, fixed_problem
from solvers.problem.result import INTERRUPTED, Options, SolveResult

if TYPE_CHECKING:
    import pandas as pd

OVER: tuple[Over, ...] = ("mean", "worst")
MOST_CALLS = 400  # of all futures together; beyond, bounds of a minute say next to nothing
ALONE = 0.5  # share of the time for the futures one by one
LEAST = 0.01  # seconds for one of them: what needs no solver is asked in any case


class PolicyLoss(msgspec.Struct, frozen=True):
    """A policy against what can be reached with and without knowing the future.

    Attributes
    ----------
    value : float
        Its mean (worst) over the futures.
    distance : float or None
        (value - clairvoyant bound) / clairvoyant bound; None where that is 0 and the value is not.
    clairvoyance : float or None
        The part of the distance that every online policy has: from the value of the best clairvoyant schedules to the
        online bound. It is certain, so there may be more of it.
    in_reach : float or None
        From the online bound to the policy: what an online policy could gain at the most.
    knows_more : bool
        Whether it is told what no online policy knows, so that the online bound is not about it.
    """

    value: float
    distance: float | None
    clairvoyance: float | None
    in_reach: float | None
    knows_more: bool


@displayed
class ClairvoyanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """Clairvoyant bound <= online bound <= every online policy, over the same futures.

    Attributes
    ----------
    objective : str
    over : str
        ``mean`` or ``worst``: what is taken of the objective over the futures.
    estimator : str
        How policies know output lengths.
    futures, calls : int
        How many there are, and their calls together.
    clairvoyant_bound, clairvoyant_value : float
        What no schedules can beat that may know the future, and what some such schedules have.
    clairvoyant_is_best : bool
        Whether these are the same within the tolerance of solvers.
    online_bound : float
        What no online policy can beat.
    online_is_best : bool
        Whether this bound proves no more in any time.
    policies : dict of str to PolicyLoss
    message : str
        ``interrupted`` after Ctrl-C.
    seconds : float
    """

    objective: str
    over: str
    estimator: str
    futures: int
    calls: int
    clairvoyant_bound: float
    clairvoyant_value: float
    clairvoyant_is_best: bool
    online_bound: float
    online_is_best: bool
    policies: dict[str, PolicyLoss]
    message: str
    seconds: float

    def to_frame(self) -> pd.DataFrame:
        """A row a policy: ``policy`` and the fields of ``PolicyLoss``, shares as fractions."""
        import pandas as pd

        rows = [{"policy": name, **msgspec.structs.asdict(loss)} for name, loss in self.policies.items()]
        shares = ("value", "distance", "clairvoyance", "in_reach")
        return pd.DataFrame(rows).astype(dict.fromkeys(shares, float))

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self.message == INTERRUPTED

    def _summary(self) -> Summary:
        facts = {
            "futures": self.futures,
            "clairvoyant, at least": self.clairvoyant_bound,
            "online, at least": self.online_bound,
            "message": self.message or None,
        }
        rows = [
            {
                "policy": name,
                self.over: loss.value,
                "distance": _percent(loss.distance),
                "clairvoyance": _percent(loss.clairvoyance),
                "in reach": _percent(loss.in_reach),
            }
            for name, loss in self.policies.items()
        ]
        return Summary(f"{self.over} {self.objective}", facts, rows, len(rows), text=True)


@dataclass(frozen=True)
class _Ran:
    """What a policy did in the futures."""

    policy: Policy
    value: float
    schedules: list[Schedule]
    knows_more: bool


def clairvoyance(
    instances: Iterable[Instance | str | Path],
    policies: str | Policy | Iterable[str | Policy] = (HEXAGENT, *BASELINES),
    objective: str | Objective = OBJECTIVE,
    *,
    over: Over = "mean",
    estimator: str = BLIND,
    time_limit: float = 60.0,
    workers: int = 2,
    seed: int = 0,
    progress: Wanted = None,
) -> ClairvoyanceReport:
    """How much of the distance from the best schedules any online policy must have, and what the rest is.

    Two bounds over several futures, equally likely. The *clairvoyant* one is that of the best schedule of each, which
    may know all of it. The *online* one is of policies that must do the same in futures until these differ in something
    that has happened (``solvers.exact.cp.futures`` has the proof), and is never lower.

    Parameters
    ----------
    instances : iterable of Instance, str or Path
        The futures, or their files: two or more, on one cluster, in the ``fixed`` decode model. Workflows of the same
        id are the same as far as they are alike; ``solvers.futures`` draws some.
    policies : str, Policy, or iterable of these
        As in ``hexsched.compare``.
    objective : str or Objective
        ``max_ratio``, ``req(Q)``, ``mean_ratio``, ``mean_latency`` or ``misses(S)``.
    over : "mean" or "worst"
        What counts of its values in the futures.
    estimator : str
        How policies know output lengths: ``class_mean``, before they show; with ``exact`` and ``noise(SIGMA)`` lengths
        count as known from the release of a call on.
    time_limit : float
        Wall-clock seconds of the solver: half for the futures one by one, and what is left for all together.
    workers : int
        Threads.
    seed : int
        Of random placements, estimator and solver.
    progress : bool or callable, optional
        False for no line that says how far it is; a function is called in its place with (seconds, clairvoyant bound,
        online bound) whenever one of the two got better.

    Returns
    -------
    ClairvoyanceReport
        Also after Ctrl-C (or when the kernel of a notebook is interrupted): with what is proved by then.

    Raises
    ------
    InputError
        For less than two futures, other clusters, the ``fluid`` model, a closed loop, more calls than can be told
        (``MOST_CALLS``), an unknown name, and a policy of one's own that does better than any online one can.

    Examples
    --------
    >>> import hexsched as hx
    >>> import solvers
    >>> instance = hx.instance("demo", "bfcl", workflows=20, arrivals="fixed:9", decode_model="fixed")
    >>> report = solvers.clairvoyance(solvers.futures(instance, workflows=3, calls=1), "hexagent", time_limit=5)
    >>> report.clairvoyant_bound <= report.online_bound <= report.policies["hexagent"].value
    True
    """
    check_time_limit(time_limit)
    over = read_over(over)
    given = [as_instance(instance) for instance in instances]
    problems, aim, chosen = _checked(given), read_objective(objective), read_policies(policies)
    told_lengths = not read_estimator(estimator).class_mean
    check_memory()
    with Progress(f"online policies in {aim}", wanted=progress) as shown:
        left = until(wall_clock() + time_limit)
        best = [0.0, 0.0]

        def tell(alone: float, together: float) -> None:
            best[0], best[1] = max(best[0], alone), max(best[1], alone, together)
            if callable(progress):
                progress(time_limit - left(), *best)
            else:
                shown.show(f"clairvoyant >= {best[0]:.6g}, online >= {best[1]:.6g}", time_limit, time_limit - left())

        ran = [_run(policy, problems, aim, over, estimator, seed) for policy in chosen]
        known = _best_known(ran, problems, aim, over, estimator, seed)
        alone = _alone(given, aim, known, lambda: left() - (1 - ALONE) * time_limit, workers, seed)
        interrupted = any(one.interrupted for one in alone)
        lower = _over([one.lower_bound for one in alone], over)
        upper = _over([one.objective if one.objective is not None else math.inf for one in alone], over)
        tell(lower, lower)
        together, is_best = lower, False
        if not interrupted and left() > 0:
            found = online_bound(
                problems,
                aim,
                Known(known.value, known.schedules, [one.lower_bound for one in alone]),
                over=over,
                told_lengths=told_lengths,
                seconds=left(),
                workers=workers,
                seed=seed,
                on_bound=lambda bound: tell(lower, bound),
            )
            together, is_best, interrupted = max(lower, found.value), found.is_best, found.interrupted
        seconds = time_limit - left()
    _check(ran, together, aim)
    return ClairvoyanceReport(
        objective=str(aim),
        over=over,
        estimator=estimator,
        futures=len(given),
        calls=sum(problem.calls for problem in problems),
        clairvoyant_bound=lower,
        clairvoyant_value=upper,
        clairvoyant_is_best=all(one.status == "optimal" for one in alone),
        online_bound=together,
        online_is_best=is_best,
        policies={one.policy.name: _loss(one, lower, upper, together) for one in ran},
        message=INTERRUPTED if interrupted else "",
        seconds=seconds,
    )


def read_over(text: str) -> Over:
    """``mean`` or ``worst``; raises ``InputError`` for anything else."""
    for over in OVER:
        if text == over:
            return over
    raise InputError(f"over must be {' or '.join(OVER)}, got {text!r}")


def _checked(instances: Sequence[Instance]) -> list[OfflineProblem]:
    """The futures as offline problems; raises ``InputError`` where they are none, or too large."""
    if len(instances) < 2:
        raise InputError(
            f"expected two or more futures, got {len(instances)}; "
            "'hexsched clairvoyance INSTANCE --futures N' draws N of one instance"
        )
    calls = sum(instance.call_count for instance in instances)
    if calls > MOST_CALLS:
        raise InputError(
            f"the futures have {calls} calls together; what online policies lose is told of {MOST_CALLS} at most"
        )
    problems = [fixed_problem(instance) for instance in instances]
    first = instances[0]
    for k, instance in enumerate(instances[1:], start=2):
        for part in ("prefill", "decode", "links", "kv_bytes_per_token"):
            if getattr(instance, part) != getattr(first, part):
                raise InputError(f"futures are on one cluster, but future {k} has other {part} than the first")
    return problems


def _run(
    policy: Policy, problems: Sequence[OfflineProblem], aim: Objective, over: Over, estimator: str, seed: int
) -> _Ran:
    runs = [simulate(one.instance, policy, estimator=estimator, seed=seed, progress=False) for one in problems]
    values = [aim.value(run.arrival, run.completed, run.horizon) for run in runs]
    return _Ran(policy, _over(values, over), [run.schedule for run in runs], _knows_more(policy))


def _knows_more(policy: Policy) -> bool:
    """Whether it is told of work or horizons that nobody has declared (model M41, M42)."""
    told = policy.in_effect
    return bool(told["work"] != UNTOLD or told["horizon"] not in (REVEALED, HINT))


def _best_known(
    ran: Sequence[_Ran], problems: Sequence[OfflineProblem], aim: Objective, over: Over, estimator: str, seed: int
) -> _Ran:
    """The best of those that are online for certain: policies of one's own may not be."""
    certain = [one for one in ran if not (one.knows_more or one.policy.is_plain or one.policy.compiled is not None)]
    return min(certain or [_run(as_policy(HEXAGENT), problems, aim, over, estimator, seed)], key=lambda one: one.value)


def _alone(
    instances: Sequence[Instance], aim: Objective, known: _Ran, left: Callable[[], float], workers: int, seed: int
) -> list[SolveResult]:
    """Each future by itself, solved in its share of the time, none of it after Ctrl-C."""
    solved: list[SolveResult] = []
    for k, (instance, schedule) in enumerate(zip(instances, known.schedules, strict=True)):
        share = left() / (len(instances) - k)
        if any(one.interrupted for one in solved):
            share = 0.0
        options = Options(time_limit=max(share, LEAST), workers=workers, seed=seed, warm_start=schedule)
        solved.append(solve_with(instance, DEFAULT, aim, options=options))
    return solved


def _check(ran: Sequence[_Ran], bound: float, aim: Objective) -> None:
    """Raise where a policy is below the online bound: it knows more, or something is wrong here."""
    for one in ran:
        if one.knows_more or bound <= one.value * (1 + CONTRADICTION) + 1e-12:
            continue
        what = f"policy {one.policy.name!r} has {aim} {one.value:g}, and no online policy is below {bound:g}"
        if one.policy.is_plain or one.policy.compiled is not None:
            raise InputError(f"{what}: it knows what has not happened yet; 'hexsched check-policy' looks for where")
        raise ContradictionError(what)


def _loss(one: _Ran, lower: float, upper: float, together: float) -> PolicyLoss:
    certain = None if one.knows_more else _share(together - upper, lower)
    in_reach = None if one.knows_more else _share(one.value - together, lower)
    return PolicyLoss(one.value, _share(one.value - lower, lower), certain, in_reach, one.knows_more)


def _share(more: float, base: float) -> float | None:
    if more <= CONTRADICTION * base:
        return 0.0
    return more / base if base > 0 else None


def _over(values: Sequence[float], over: Over) -> float:
    return float(np.mean(values) if over == "mean" else max(values))


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"
