"""Moves: small changes to a guide. To add one, write a function and give it a name in ``MOVES``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from solvers.schedules.search.features import drop_score
from solvers.schedules.search.guide import ANY, MOST, Array, Guide
from solvers.schedules.search.merit import Merit, Outcome

Rng = np.random.Generator
Move = Callable[[Merit, Outcome, Rng], Guide | None]


def hurry(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """Calls of some of the workflows that decide the objective go earlier, by a part of H_w."""
    flows = _critical(merit, now, rng, int(rng.integers(1, 6)))
    return now.guide.but(key=_shifted(merit, now.guide, flows, -rng.exponential(0.3, len(flows))))


def jitter(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """Calls of some workflows go earlier or later, by a part of H_w."""
    flows = np.unique(rng.integers(len(now.ratio), size=rng.integers(1, merit.tuning.many)))
    return now.guide.but(key=_shifted(merit, now.guide, flows, rng.normal(0.0, 0.5, len(flows))))


def balance(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """Workflows beyond the objective go earlier and those within it later, in proportion (squeaky wheel optimisation).

    After Joslin and Clements, Squeaky Wheel Optimization, JAIR 10 (1999).
    """
    level = now.value if merit.aim.is_tail else float(np.median(now.ratio))
    step = 10 ** rng.uniform(-2.0, 0.0)
    some = rng.random(len(now.ratio)) < rng.choice([0.1, 0.3, 1.0])
    flows = np.flatnonzero(some & ~now.guide.dropped)
    return now.guide.but(key=_shifted(merit, now.guide, flows, -step * np.clip(now.ratio[flows] - level, -1.0, 1.0)))


def swap_dropped(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """Another workflow is dropped."""
    dropped = now.guide.dropped
    kept = np.flatnonzero(~dropped)
    if merit.aim.kind == "misses":
        change = dropped.copy()
        change[rng.integers(len(dropped))] ^= True
        return now.guide.but(dropped=change)
    if not merit.may_drop or not len(kept):
        return None
    if rng.random() < 0.5:
        into = int(_critical(merit, now, rng, 1)[0])
        if dropped[into]:
            return None
    else:
        e = merit.evaluator
        work = np.bincount(e.workflow, e.prefill_work + e.decode_work)[kept]
        into = int(rng.choice(kept, p=work / work.sum()))
    change = dropped.copy()
    if change.sum() >= merit.may_drop:
        change[rng.choice(np.flatnonzero(change))] = False
    change[into] = True
    return now.guide.but(dropped=change)


def shift_calls(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """Single calls go earlier or later."""
    calls = _calls(merit, now, rng)
    key = now.guide.key.copy()
    e = merit.evaluator
    key[calls] += rng.normal(0.0, 0.3, len(calls)) * e.horizon[e.workflow[calls]]
    return now.guide.but(key=key)


def shift_admissions(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """The same, at their admission alone."""
    calls = _calls(merit, now, rng)
    later = now.guide.later.copy()
    e = merit.evaluator
    later[calls] += rng.normal(0.0, 0.3, len(calls)) * e.horizon[e.workflow[calls]]
    return now.guide.but(later=later)


def swap_calls(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """Two calls swap priorities."""
    one = int(_calls(merit, now, rng)[0])
    key = now.guide.key
    near = np.argsort(np.abs(key - key[one]), kind="stable")[: 2 * merit.tuning.many]
    other = int(rng.choice(near))
    if other == one:
        return None
    change = key.copy()
    change[one], change[other] = key[other], key[one]
    return now.guide.but(key=change)


def bind(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """Some calls may use one kind of instances only."""
    calls = _calls(merit, now, rng)
    e = merit.evaluator
    if rng.random() < 0.5:
        return now.guide.but(prefills=_bound(now.guide.prefills, e.prefill_bits, calls, rng))
    return now.guide.but(decodes=_bound(now.guide.decodes, e.decode_bits, calls, rng))


def free(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """Some calls may use any instance again, and wait for nothing."""
    guide = now.guide
    bound = np.flatnonzero((guide.prefills != ANY) | (guide.decodes != ANY) | (guide.wait > 0))
    if not len(bound):
        return None
    calls = rng.choice(bound, size=min(len(bound), int(rng.integers(1, merit.tuning.many))), replace=False)
    prefills, decodes, wait = guide.prefills.copy(), guide.decodes.copy(), guide.wait.copy()
    prefills[calls] = decodes[calls] = ANY
    wait[calls] = 0.0
    return guide.but(prefills=prefills, decodes=decodes, wait=wait)


def hold(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """A call is held back for a while, so that what comes soon finds an idle instance."""
    e = merit.evaluator
    c = int(rng.integers(len(now.guide.wait)))
    wait = now.guide.wait.copy()
    wait[c] = max(wait[c] + rng.normal(0.0, 0.3) * e.tail[c], 0.0)
    return now.guide.but(wait=wait)


def lean(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """The rule behind all priorities changes: one thing counts more, or less, for every call.

    Searching the space of rules instead of schedules is how dispatching rules are designed automatically: Branke,
    Nguyen, Pickardt and Zhang, Automated design of production scheduling heuristics, IEEE Trans. Evol. Comp. 20 (2016).
    """
    features = merit.features
    if not len(features):
        return None
    key = now.guide.key.copy()
    step = 10 ** rng.uniform(-2.0, 0.3)
    for f in rng.integers(len(features), size=int(rng.integers(1, 4))).tolist():
        key += rng.normal(0.0, step) * features[f]
    return now.guide.but(key=key)


def drop_by_rule(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """Other workflows are dropped, by work and H_w in proportions drawn at random; those dropped now may stay so."""
    if not merit.may_drop:
        return None
    score = drop_score(merit.evaluator, *rng.normal(0.5, 0.5, 3))
    score += rng.exponential(3.0) * float(score.std()) * now.guide.dropped
    dropped = np.zeros(len(score), bool)
    dropped[np.argsort(-score, kind="stable")[: merit.may_drop]] = True
    return None if np.array_equal(dropped, now.guide.dropped) else now.guide.but(dropped=dropped)


def cap(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """A decode instance, or all of a kind, takes more calls at once or fewer; or all keep the same pace."""
    e = merit.evaluator
    fastest, slowest = e.token_seconds
    if fastest < slowest and rng.random() < 0.3:
        return now.guide.but(caps=e.caps_at(float(np.exp(rng.uniform(np.log(fastest), np.log(slowest))))))
    j = int(rng.integers(len(e.max_batch)))
    which = e.kind_of_decode == e.kind_of_decode[j] if rng.random() < 0.5 else np.arange(len(e.max_batch)) == j
    caps = now.guide.caps.copy()
    if rng.random() < 0.2:
        caps[which] = MOST
    elif rng.random() < 0.5:
        caps[which] = np.exp(rng.uniform(0.0, np.log(e.max_batch[j] + 1)))
    else:
        most = np.minimum(caps[which], e.max_batch[which])
        caps[which] = np.maximum(np.round(most * np.exp(rng.normal(0.0, 0.2))), 1)
    return now.guide.but(caps=caps)


def pace(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """Calls may take their time up to another ratio."""
    if rng.random() < 0.2:
        return now.guide.but(pace=0.0)
    level = now.value if merit.aim.is_tail else float(np.median(now.ratio))
    return now.guide.but(pace=level * float(rng.uniform(0.4, 1.1)))


def crowd(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """Crowding counts more, or less."""
    return now.guide.but(crowding=abs(now.guide.crowding + rng.normal(0.0, 0.2)))


def settle(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """The same schedule, said by its times: what comes next moves calls by when they run, not by when they are due.

    Some workflows are bound to the kinds of instances they ran on, too.
    """
    e, times = merit.evaluator, now.times
    ran = times.decode >= 0  # dropped workflows may not have been
    bound = ran & (rng.random(len(e.arrival)) < rng.choice([0.0, 0.2, 1.0]))[e.workflow]
    return now.guide.but(
        key=np.where(ran, times.start, now.guide.key),
        later=np.where(ran, times.admitted - times.start, now.guide.later),
        prefills=np.where(bound, 1 << e.kind_of_prefill[times.prefill], now.guide.prefills),
        decodes=np.where(bound, 1 << e.kind_of_decode[times.decode], now.guide.decodes),
    )


def overtake(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """A call starts its prefill before one that ran ahead of it on the same instance."""
    pair = _ahead(merit, now, rng)
    if pair is None:
        return None
    ahead, behind = pair
    key = now.guide.key.copy()
    key[ahead], key[behind] = max(key[ahead], key[behind]), min(key[ahead], key[behind])
    return now.guide.but(key=key)


def give_way(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """The same where the other was there first: it is held back, and the instance idles until the call comes."""
    pair = _ahead(merit, now, rng)
    if pair is None:
        return None
    ahead, behind = pair
    key, wait = now.guide.key.copy(), now.guide.wait.copy()
    key[ahead], key[behind] = max(key[ahead], key[behind]), min(key[ahead], key[behind])
    wait[ahead] += (now.times.start[behind] - now.times.start[ahead]) * float(rng.choice([0.5, 1.0, 1.0]))
    return now.guide.but(key=key, wait=wait)


def elsewhere(merit: Merit, now: Outcome, rng: Rng) -> Guide | None:
    """A call, and half of the time all of its workflow, may use every kind of instances but the one it ran on."""
    e = merit.evaluator
    calls = _calls(merit, now, rng)[:1]
    if rng.random() < 0.3:
        calls = np.flatnonzero(e.workflow == e.workflow[calls[0]])
    guide = now.guide
    if rng.random() < 0.5:
        left = e.prefill_bits[calls] & ~(1 << e.kind_of_prefill[now.times.prefill[calls]])
        prefills = guide.prefills.copy()
        prefills[calls] = np.where(left > 0, left, ANY)
        return guide.but(prefills=prefills)
    left = e.decode_bits[calls] & ~(1 << e.kind_of_decode[now.times.decode[calls]])
    decodes = guide.decodes.copy()
    decodes[calls] = np.where(left > 0, left, ANY)
    return guide.but(decodes=decodes)


MOVES: dict[str, tuple[Move, float]] = {  # name -> (move, how often at first)
    "hurry": (hurry, 0.25),
    "jitter": (jitter, 0.1),
    "balance": (balance, 0.15),
    "swap-dropped": (swap_dropped, 0.15),
    "shift-calls": (shift_calls, 0.1),
    "shift-admissions": (shift_admissions, 0.05),
    "swap-calls": (swap_calls, 0.05),
    "bind": (bind, 0.05),
    "free": (free, 0.02),
    "hold": (hold, 0.03),
    "lean": (lean, 0.3),
    "drop-by-rule": (drop_by_rule, 0.1),
    "cap": (cap, 0.05),
    "pace": (pace, 0.05),
    "crowd": (crowd, 0.03),
    "settle": (settle, 0.02),
    "overtake": (overtake, 0.05),
    "give-way": (give_way, 0.05),
    "elsewhere": (elsewhere, 0.05),
}


def _shifted(merit: Merit, guide: Guide, flows: Array, by: Array) -> Array:
    """The keys with those of workflows ``flows`` moved by ``by`` H_w."""
    e = merit.evaluator
    shift = np.zeros(len(e.arrival))
    shift[flows] = by * e.horizon[flows]
    return np.asarray(guide.key + shift[e.workflow])


def _critical(merit: Merit, now: Outcome, rng: Rng, count: int) -> Array:
    """Workflows that decide the objective: just above, at or below the largest ratio that counts, or any."""
    flows = len(now.ratio)
    if not (merit.aim.is_tail or merit.aim.kind == "misses"):
        return np.unique(rng.integers(flows, size=count))
    order = np.argsort(-np.where(now.guide.dropped, -np.inf, now.ratio), kind="stable")
    first = int(np.count_nonzero(now.ratio[order] > merit.aim.parameter)) if merit.aim.kind == "misses" else 0
    ranks = first + rng.exponential(max(merit.tuning.spread * flows, 1.0), count) * (
        1 if not first else rng.choice([-1, 1], count)
    )
    return np.asarray(np.unique(order[np.clip(ranks.astype(int), 0, flows - 1)]))


def _calls(merit: Merit, now: Outcome, rng: Rng) -> Array:
    """A few calls: of one workflow that decides the objective, or any."""
    e = merit.evaluator
    if rng.random() < 0.5:
        flow = int(_critical(merit, now, rng, 1)[0])
        first, last = np.searchsorted(e.workflow, [flow, flow + 1])
        pool = np.arange(first, last)
    else:
        pool = np.arange(len(e.workflow))
    return np.asarray(rng.choice(pool, size=min(len(pool), int(rng.integers(1, merit.tuning.many))), replace=False))


def _ahead(merit: Merit, now: Outcome, rng: Rng) -> tuple[int, int] | None:
    """A call and one that was prefilled shortly before it on the same instance: (the one ahead, the one behind)."""
    times = now.times
    behind = int(_calls(merit, now, rng)[0])
    before = np.flatnonzero((times.prefill == times.prefill[behind]) & (times.start < times.start[behind]))
    if not len(before):
        return None
    near = before[np.argsort(-times.start[before], kind="stable")[:4]]
    return int(rng.choice(near)), behind


def _bound(bits: Array, able: Array, calls: Array, rng: Rng) -> Array:
    changed = bits.copy()
    for c in calls.tolist():
        kinds = [k for k in range(63) if (int(able[c]) >> k) & 1]
        changed[c] = 1 << int(rng.choice(kinds))
    return np.asarray(changed)
