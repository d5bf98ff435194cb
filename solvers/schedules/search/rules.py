"""Better priority rules, before single calls are looked at: a few numbers decide on all of a guide.

Searching the space of rules instead of that of schedules is how dispatching rules are designed automatically: Branke,
Nguyen, Pickardt and Zhang, Automated design of production scheduling heuristics, IEEE Trans. Evol. Comp. 20 (2016). On
thousands of calls it gains more in a few hundred runs than moves of single calls or workflows do in thousands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from solvers.schedules.search.features import drop_score
from solvers.schedules.search.guide import MOST, Array, Guide
from solvers.schedules.search.merit import Merit, Outcome

Rng = np.random.Generator


@dataclass(frozen=True, eq=False)
class Rule:
    """A change of a base guide as a whole.

    Attributes
    ----------
    base : Guide
    weights : (F,) float array
        Of the features of calls, added to the priorities.
    drops : (3,) float array
        Of ``drop_score``: the workflows of most score are dropped.
    loyalty : float
        By how many standard deviations more the score of those is that the base drops; beyond ``Tuning.loyal`` they
        are kept.
    caps : (J,) int array
        Most calls at once on each decode instance.
    crowding, pace : float
    """

    base: Guide
    weights: Array
    drops: Array
    loyalty: float
    caps: Array
    crowding: float
    pace: float


def rule_of(merit: Merit, base: Guide) -> Rule:
    """The rule that changes nothing."""
    nothing = np.zeros(len(merit.features))
    return Rule(base, nothing, np.array([1.0, 1.0, 0.0]), merit.tuning.loyal, base.caps, base.crowding, base.pace)


def guide_of(merit: Merit, rule: Rule) -> Guide:
    """What a rule decides."""
    base, changes = rule.base, dict[str, Any]()
    if rule.weights.any():
        changes["key"] = base.key + rule.weights @ merit.features
    if merit.may_drop and rule.loyalty < merit.tuning.loyal:
        score = drop_score(merit.evaluator, *rule.drops)
        score += rule.loyalty * float(score.std()) * base.dropped
        changes["dropped"] = np.zeros(len(score), bool)
        changes["dropped"][np.argsort(-score, kind="stable")[: merit.may_drop]] = True
    return base.but(caps=rule.caps, crowding=rule.crowding, pace=rule.pace, **changes)


class Tuner:
    """A (1 + 1) evolution of one rule: a child takes over when it is no worse.

    Attributes
    ----------
    best : Outcome
        Of least energy.
    idle : int
        Runs since it last got better.
    """

    def __init__(self, merit: Merit, start: Outcome, seed: np.random.SeedSequence) -> None:
        self.merit = merit
        self.rule = rule_of(merit, start.guide)
        self.best, self.idle = start, 0
        if merit.may_drop and not start.guide.dropped.any():  # what a rule drops can be tuned, a set can not
            self.rule = replace(self.rule, loyalty=0.0)
            found = merit(guide_of(merit, self.rule))
            assert found is not None  # there was no limit
            self.best = found
        self._rng = np.random.Generator(np.random.PCG64(seed))

    def run(self, evaluations: int, stop: Callable[[], bool], improved: Callable[[Outcome], None]) -> None:
        """Go on for that many runs, or until ``stop`` says so; tell every guide of lower energy."""
        for _ in range(evaluations):
            if stop():
                return
            child = self._child()
            found = self.merit(guide_of(self.merit, child), self.best.energy)
            self.idle += 1
            if found is None or found.energy > self.best.energy:
                continue
            self.rule = child
            if found.energy < self.best.energy:
                self.best, self.idle = found, 0
                improved(found)

    def _child(self) -> Rule:
        rule, rng = self.rule, self._rng
        for _ in range(int(rng.integers(1, self.merit.tuning.rule_changes + 1))):
            changes = [self._weigh, self._crowd, self._pace, self._cap] + [self._drop] * (self.merit.may_drop > 0)
            shares = np.array([4.0, 1.0, 1.0, 1.0, 3.0][: len(changes)])
            rule = changes[int(rng.choice(len(changes), p=shares / shares.sum()))](rule)
        return rule

    def _weigh(self, rule: Rule) -> Rule:
        if not len(rule.weights):
            return rule
        weights = rule.weights.copy()
        weights[self._rng.integers(len(weights))] += self._rng.normal(0.0, 10 ** self._rng.uniform(-1.0, 0.2))
        return replace(rule, weights=weights)

    def _drop(self, rule: Rule) -> Rule:
        if rule.loyalty >= self.merit.tuning.loyal or self._rng.random() < 0.2:
            loyalty = 0.0 if self._rng.random() < 0.5 else float(self._rng.exponential(1.0))
            return replace(rule, loyalty=loyalty)
        drops = rule.drops.copy()
        drops[self._rng.integers(len(drops))] += self._rng.normal(0.0, 0.5)
        return replace(rule, drops=drops)

    def _crowd(self, rule: Rule) -> Rule:
        crowding = abs(rule.crowding + self._rng.normal(0.0, 0.3))
        return replace(rule, crowding=0.0 if self._rng.random() < 0.1 else float(crowding))

    def _pace(self, rule: Rule) -> Rule:
        level = self.best.value if self.merit.aim.is_tail else float(np.median(self.best.ratio))
        return replace(rule, pace=0.0 if self._rng.random() < 0.2 else level * float(self._rng.uniform(0.4, 1.1)))

    def _cap(self, rule: Rule) -> Rule:
        e, caps = self.merit.evaluator, rule.caps.copy()
        fastest, slowest = e.token_seconds
        if fastest < slowest and self._rng.random() < 0.5:  # all as fast as each other
            return replace(rule, caps=e.caps_at(float(np.exp(self._rng.uniform(np.log(fastest), np.log(slowest))))))
        j = int(self._rng.integers(len(e.max_batch)))
        which = np.arange(len(caps)) == j
        if self._rng.random() < 0.7:
            which = e.kind_of_decode == e.kind_of_decode[j]
        if self._rng.random() < 0.3:
            caps[which] = MOST
        else:
            most = min(int(caps[j]), int(e.max_batch[j]))
            caps[which] = max(round(most * float(np.exp(self._rng.normal(-0.2, 0.6)))), 1)
        return replace(rule, caps=caps)
