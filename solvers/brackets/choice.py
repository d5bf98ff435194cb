"""Which formulation, solver and switches: ``--formulation auto``, by a small tree learnt from measured times.

The times stand in ``choice.csv``, made by ``hexsched library time``; the tree is grown from them when it is first
needed, so that it cannot differ from its data. Only rows of the *train* split are learnt from; those of the *test*
split say how good the choice is (``hexsched library choice``).

A tree in the sense of Breiman, Friedman, Olshen and Stone (Classification and regression trees, 1984), for what Rice
(The algorithm selection problem, 1976) asks: what a leaf chooses has the least mean logarithm of the time on its
problems, so the geometric mean of times is what is small. A problem that was not proven in time counts as ``PENALTY``
times the limit. Every question is whether a feature is at most a number half way between two that were measured, of all
those questions the best; ties go to the feature and number that come first. How many questions there are one after
another is settled by cross-validation over instances, within the train split: as few as are no more than a standard
error worse, on what was left out, than the best number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hexsched.errors import InputError
from hexsched.model.csv_rows import csv_rows
from solvers.defaults import AUTO
from solvers.problem.features import Features, features
from solvers.problem.objective import Objective, read_objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options

Array = np.ndarray[Any, Any]

DATA = Path(__file__).parent / "choice.csv"
PENALTY = 2.0  # times the limit, for what was not proven within it
SHORTEST = 0.01  # seconds; below, times differ by chance
DEPTH = 2  # questions one after another, at most
FOLDS = 10  # of the cross-validation
LEAF = 12  # problems that a leaf has at least
QUESTIONS = (*Features._fields, "tail", "misses")  # what may be asked for; the last two are of the objective, 0 or 1


class Arm(NamedTuple):
    """What can be chosen.

    Attributes
    ----------
    formulation : str
    solver : str or None
        The formulation's first where None.
    switches : tuple of (str, bool)
    """

    formulation: str
    solver: str | None = None
    switches: tuple[tuple[str, bool], ...] = ()

    def __str__(self) -> str:
        switches = "+".join(f"{name}={'on' if on else 'off'}" for name, on in self.switches)
        return f"{self.formulation}{f'/{self.solver}' if self.solver else ''}{f':{switches}' if switches else ''}"


def read_arm(text: str) -> Arm:
    """Read ``FORMULATION[/SOLVER][:SWITCH=on+SWITCH=off]``; raises ``InputError`` for what is none."""
    head, colon, tail = text.partition(":")
    formulation, slash, solver = head.partition("/")
    switches = []
    for part in tail.split("+") if colon else ():
        name, _, value = part.partition("=")
        if not name or value not in ("on", "off"):
            raise InputError(f"{text!r}: expected FORMULATION[/SOLVER][:SWITCH=on+SWITCH=off]")
        switches.append((name, value == "on"))
    if not formulation or (slash and not solver):
        raise InputError(f"{text!r}: expected FORMULATION[/SOLVER][:SWITCH=on+SWITCH=off]")
    return Arm(formulation, solver or None, tuple(switches))


class Timed(NamedTuple):
    """A solve that was measured; the columns of ``choice.csv``.

    Attributes
    ----------
    instance, split, objective : str
    calls, workflows, machines, contention, precedence, tightness, heterogeneity : float
        Its ``Features``.
    arm : str
    status : str
        ``optimal`` where it was proven within the limit.
    cpu_seconds : float
        Of the solve, with all that it starts from.
    time_limit : float
        Wall-clock seconds.
    workers, seed : int
    versions : str
        Of the solvers.
    """

    instance: str
    split: str
    objective: str
    calls: float
    workflows: float
    machines: float
    contention: float
    precedence: float
    tightness: float
    heterogeneity: float
    arm: str
    status: str
    cpu_seconds: float
    time_limit: float
    workers: int
    seed: int
    versions: str

    @property
    def is_proven(self) -> bool:
        """Whether it was proven within the limit."""
        return self.status == "optimal"

    @property
    def cost(self) -> float:
        """Seconds that count."""
        return max(self.cpu_seconds, SHORTEST) if self.is_proven else PENALTY * self.time_limit

    @property
    def answers(self) -> tuple[float, ...]:
        """What the problem answers to each of ``QUESTIONS``."""
        own = Features(*(getattr(self, name) for name in Features._fields))
        return _answers(own, read_objective(self.objective))


WHOLE = ("workers", "seed")
TEXT = ("instance", "split", "objective", "arm", "status", "versions")


def read_times(path: str | Path = DATA) -> list[Timed]:
    """Read measured times; raises ``InputError`` naming the line that is wrong."""
    lines = csv_rows(path)
    _, heading = next(lines)
    if tuple(heading) != Timed._fields:
        raise InputError(f"expected the columns {', '.join(Timed._fields)}", path)
    return [_timed(row, where) for where, row in lines]


class Times(NamedTuple):
    """Costs of problems by arm. Those that no arm has proven are not among them: they say nothing of which is fast.

    Attributes
    ----------
    problems : list of (str, str)
        Instance and objective.
    arms : list of str
    answers : (P, Q) float array
        To each of ``QUESTIONS``.
    cost : (P, A) float array
        Seconds.
    proven : (P, A) bool array
        Where the optimum was proven within the limit.
    """

    problems: list[tuple[str, str]]
    arms: list[str]
    answers: Array
    cost: Array
    proven: Array


def times_of(rows: Iterable[Timed], split: str) -> Times:
    """The problems of a split that all arms tried and one has proven."""
    rows = list(rows)
    arms = list(dict.fromkeys(row.arm for row in rows))
    tried: dict[tuple[str, str], dict[str, Timed]] = {}
    for row in rows:
        if row.split == split:
            tried.setdefault((row.instance, row.objective), {})[row.arm] = row
    complete = {
        problem: [by_arm[arm] for arm in arms]
        for problem, by_arm in tried.items()
        if len(by_arm) == len(arms) and any(row.is_proven for row in by_arm.values())
    }
    shape = len(complete), len(arms)
    return Times(
        list(complete),
        arms,
        np.array([solves[0].answers for solves in complete.values()]).reshape(len(complete), len(QUESTIONS)),
        np.array([[row.cost for row in solves] for solves in complete.values()]).reshape(shape),
        np.array([[row.is_proven for row in solves] for solves in complete.values()], bool).reshape(shape),
    )


@dataclass(frozen=True)
class Tree:
    """A leaf, or a question with two answers.

    Attributes
    ----------
    arm : str
        What is best on all problems here; what a leaf chooses.
    problems : int
        That it was learnt from.
    seconds : float
        Geometric mean of the time that the choices below take on them.
    question : str
        Which number is asked for; empty at a leaf.
    limit : float
        Whether it is at most this.
    yes, no : Tree or None
    """

    arm: str
    problems: int
    seconds: float
    question: str = ""
    limit: float = math.nan
    yes: Tree | None = None
    no: Tree | None = None

    def leaf(self, answers: Sequence[float]) -> Tree:
        """The leaf of a problem."""
        if self.yes is None or self.no is None:
            return self
        return (self.yes if answers[QUESTIONS.index(self.question)] <= self.limit else self.no).leaf(answers)

    def lines(self, indent: str = "") -> list[str]:
        """The tree for people."""
        about = f"{self.problems} problems, {self.seconds:.2g} s"
        if self.yes is None or self.no is None:
            return [f"{indent}{self.arm}  ({about})"]
        lines = [f"{indent}{self.question} <= {self.limit:.4g}:", *self.yes.lines(indent + "    ")]
        return [*lines, f"{indent}else:", *self.no.lines(indent + "    ")]


def grow(times: Times, depth: int = DEPTH) -> Tree:
    """The tree of measured times.

    Raises
    ------
    InputError
        When no problem was tried by all arms.
    """
    if not times.problems:
        raise InputError("no problem was tried by all formulations and proven by one, so there is nothing to choose by")
    cost = np.log(times.cost)
    best = _best(cost)
    total, question, limit = float(cost[:, best].sum()), -1, math.nan
    for q in range(len(QUESTIONS)) if depth else ():
        values = np.unique(times.answers[:, q])
        for low, high in itertools.pairwise(values):
            between = (low + high) / 2
            yes = times.answers[:, q] <= between
            if LEAF <= yes.sum() <= len(yes) - LEAF:
                split = sum(float(part[:, _best(part)].sum()) for part in (cost[yes], cost[~yes]))
                if split < total - 1e-9:
                    total, question, limit = split, q, float(between)
    arm, count = times.arms[best], len(times.problems)
    if question < 0:
        return Tree(arm, count, math.exp(total / count))
    yes = times.answers[:, question] <= limit
    below = [grow(_part(times, part), depth - 1) for part in (yes, ~yes)]
    mean = sum(math.log(tree.seconds) * tree.problems for tree in below) / count
    return Tree(arm, count, math.exp(mean), QUESTIONS[question], limit, *below)


def learn(times: Times) -> Tree:
    """The tree with as many questions as are worth it by cross-validation; raises as ``grow``."""
    instances = sorted({instance for instance, _ in times.problems})
    if len(instances) < FOLDS:
        return grow(times, 0)
    fold = {instance: k % FOLDS for k, instance in enumerate(instances)}
    of = np.array([fold[instance] for instance, _ in times.problems])
    lost = [_left_out(times, of, depth) for depth in range(DEPTH + 1)]
    more = [losses - min(lost, key=np.sum) for losses in lost]
    enough = [depth for depth, m in enumerate(more) if m.sum() <= m.std() * math.sqrt(len(m))]
    return grow(times, enough[0])


@lru_cache(maxsize=1)
def shipped_tree() -> Tree:
    """The tree of the times that come with the package."""
    return learn(times_of(read_times(), "train"))


def choose(problem: OfflineProblem, objective: Objective) -> Arm:
    """What ``auto`` stands for on this problem: a function of its features, its objective and the shipped times."""
    return read_arm(shipped_tree().leaf(_answers(features(problem), objective)).arm)


def resolved(formulation: str, problem: OfflineProblem, objective: Objective, options: Options) -> tuple[str, Options]:
    """The formulation and options to solve with: those given, or what ``auto`` chooses.

    Raises
    ------
    InputError
        When ``auto`` is to choose what is given, too.
    """
    if formulation != AUTO:
        return formulation, options
    if options.solver is not None or options.extra:
        raise InputError(f"{AUTO!r} chooses solver and switches itself; name a formulation to choose them")
    arm = choose(problem, objective)
    return arm.formulation, replace(options, solver=arm.solver, extra=dict(arm.switches))


def _answers(own: Features, objective: Objective) -> tuple[float, ...]:
    return (*own, float(objective.is_tail), float(objective.kind == "misses"))


def _left_out(times: Times, fold: Array, depth: int) -> Array:
    """(P,) what the problems of each fold lose by a tree of the others."""
    lost = np.zeros(len(fold))
    for k in range(FOLDS):
        lost[fold == k] = _losses(grow(_part(times, fold != k), depth), _part(times, fold == k))
    return lost


def _losses(tree: Tree, times: Times) -> Array:
    """(P,) logarithms of the time that what a tree chooses takes."""
    columns = [times.arms.index(tree.leaf(answers.tolist()).arm) for answers in times.answers]
    return np.asarray(np.log(times.cost[np.arange(len(columns)), columns]))


def _best(cost: Array) -> int:
    """The column of the least sum, the first of those."""
    return int(np.argmin(cost.sum(axis=0)))


def _part(times: Times, chosen: Array) -> Times:
    problems = [problem for problem, here in zip(times.problems, chosen, strict=True) if here]
    return Times(problems, times.arms, times.answers[chosen], times.cost[chosen], times.proven[chosen])


def _timed(row: list[str], where: str) -> Timed:
    if len(row) != len(Timed._fields):
        raise InputError(f"expected {len(Timed._fields)} columns, got {len(row)}", where)
    values: dict[str, Any] = dict(zip(Timed._fields, row, strict=True))
    for column, text in values.items():
        if column not in TEXT:
            try:
                values[column] = int(text) if column in WHOLE else float(text)
            except ValueError:
                raise InputError(f"{column} must be a number, got {text!r}", where) from None
    return Timed(**values)
