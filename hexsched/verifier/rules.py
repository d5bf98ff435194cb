"""The rules of the model, M3 and M10 to M17, one function a family; ``CHECKS`` lists them in the order of ``RULES``.

Each yields violations and looks only at the calls for which everything it compares is known, so that a broken row
does not hide what is wrong elsewhere. A comparison is written so that NaN, from numbers too large, is a violation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from hexsched.verifier.claims import TIMES, Claims, Floats, Integers
from hexsched.verifier.physics import alone_seconds, fixed_seconds, fluid_tokens, prefill_seconds, transfer_seconds
from hexsched.verifier.report import Violation
from hexsched.verifier.tolerance import slack

Booleans = npt.NDArray[np.bool_]
Check = Callable[[Claims], Iterator[Violation]]


def check_rows(claims: Claims) -> Iterator[Violation]:
    """Every call has exactly one row, and every row a call."""
    for r in claims.unknown.tolist():
        yield _row_violation(claims, "unknown-call", r, "the instance has no such call")
    for r in claims.duplicate.tolist():
        message = "the call has another row before this one; only the first is checked further"
        yield _row_violation(claims, "duplicate-call", r, message)
    for k in _where(claims.row < 0):
        yield _violation(claims, "missing-call", k, "", "the schedule has no row for it")


def check_finite(claims: Claims) -> Iterator[Violation]:
    """Every time is a finite number."""
    finite = np.ones(len(claims.row), bool)
    for name in TIMES:
        finite &= np.isfinite(getattr(claims, name))
    for k in _where(~finite & (claims.row >= 0)):
        times = {name: float(getattr(claims, name)[k]) for name in TIMES}
        found = ", ".join(f"{name} is {time}" for name, time in times.items() if not np.isfinite(time))
        yield _violation(claims, "nan", k, "", f"{found}; a finite number of seconds was expected")


def check_placement(claims: Claims) -> Iterator[Violation]:
    """Prefill runs on an instance of the prefill pool, decode on one of the decode pool."""
    for k in _where(((claims.prefill < 0) | (claims.decode < 0)) & (claims.row >= 0)):
        for pool, position, name in (
            ("prefill", claims.prefill[k], _prefill_name(claims, k)),
            ("decode", claims.decode[k], _decode_name(claims, k)),
        ):
            if position < 0:
                yield _violation(claims, "unknown-instance", k, name, f"{name!r} is not in the {pool} pool")


def check_release(claims: Claims) -> Iterator[Violation]:
    """Prefill starts at or after max(arrival, completions of the parents) + delay.

    A parent whose completion is not known does not count: what is left is still a lower bound.
    """
    ready = claims.arrival.copy()
    completion = claims.decode_end[claims.parent]
    known = np.isfinite(completion)
    np.maximum.at(ready, claims.child[known], completion[known])
    release = ready + claims.delay
    start = claims.prefill_start
    for k in _where(np.isfinite(start) & ~(start >= release - slack(start, release))):
        message = f"prefill starts at {start[k]:.9g} s, the call is released at {release[k]:.9g} s"
        yield _violation(claims, "before-release", k, _prefill_name(claims, k), message, release[k] - start[k])


def check_prefill_time(claims: Claims) -> Iterator[Violation]:
    """Prefill takes P(n, h): it is neither cut short, nor preempted or stretched."""
    expected = np.full(len(claims.prompt), np.nan)
    for machine, here in zip(claims.instance.prefill, claims.prefilled_on, strict=True):
        expected[here] = prefill_seconds(machine, claims.prompt[here], claims.cached[here])
    yield from _duration(claims, "prefill", expected, claims.prefill_start, claims.prefill_end, claims.prefill >= 0)


def check_overlap(claims: Claims) -> Iterator[Violation]:
    """A prefill instance runs one call at a time."""
    start, end = claims.prefill_start, claims.prefill_end
    known = np.isfinite(start) & np.isfinite(end)
    for machine, everything in zip(claims.instance.prefill, claims.prefilled_on, strict=True):
        here = everything[known[everything]]
        order = here[np.lexsort((end[here], start[here]))]  # by start; at one start, what is over at once comes first
        busy_until = np.maximum.accumulate(end[order][:-1])
        begins = start[order][1:]
        for position in _where(~(begins >= busy_until - slack(begins, busy_until))):
            k = int(order[position + 1])
            message = f"prefill starts at {start[k]:.9g} s, the instance is busy until {busy_until[position]:.9g} s"
            yield _violation(claims, "overlap", k, machine.id, message, busy_until[position] - start[k])


def check_admission(claims: Claims) -> Iterator[Violation]:
    """A call is admitted at or after the end of its prefill."""
    end, admitted = claims.prefill_end, claims.admitted
    known = np.isfinite(end) & np.isfinite(admitted)
    for k in _where(known & ~(admitted >= end - slack(admitted, end))):
        message = f"admitted at {admitted[k]:.9g} s, its prefill ends at {end[k]:.9g} s"
        yield _violation(claims, "admitted-early", k, _decode_name(claims, k), message, end[k] - admitted[k])


def check_transfer_time(claims: Claims) -> Iterator[Violation]:
    """Decode starts T(n) after admission."""
    expected = np.full(len(claims.prompt), np.nan)
    links = {(link.source, link.to): link for link in claims.instance.links}
    placed = (claims.prefill >= 0) & (claims.decode >= 0)
    for source, starts_here in zip(claims.instance.prefill, claims.prefilled_on, strict=True):
        ends_at = claims.decode[starts_here]
        for j, target in enumerate(claims.instance.decode):
            here = starts_here[ends_at == j]
            expected[here] = transfer_seconds(
                links[source.id, target.id], claims.prompt[here], claims.instance.kv_bytes_per_token
            )
    yield from _duration(claims, "transfer", expected, claims.admitted, claims.decode_start, placed)


def check_capacity(claims: Claims) -> Iterator[Violation]:
    """From admission to completion n + m tokens and one place are taken; neither total exceeds the instance's.

    Whatever is over is reported at the admission that made it so. A completion at the instant of an admission, or
    within the tolerance after it, frees first.
    """
    admitted, end = claims.admitted, claims.decode_end
    known = np.isfinite(admitted) & np.isfinite(end) & (admitted < end)
    need = (claims.prompt + claims.output).astype(np.int64)
    for machine, everything in zip(claims.instance.decode, claims.decoded_on, strict=True):
        here = everything[known[everything]]
        freed = end[here] - slack(end[here])
        order = np.argsort(np.concatenate([freed, admitted[here]]), kind="stable")
        change = np.repeat([-1, 1], len(here))
        calls = np.concatenate([here, here])[order]
        change = change[order]
        tokens, places = np.cumsum(change * need[calls]), np.cumsum(change)
        for rule, used, limit, unit in (
            ("kv-over", tokens, machine.kv_capacity_tokens, "tokens"),
            ("batch-over", places, machine.max_batch, "calls"),
        ):
            for event in _where((change > 0) & (used > limit)):
                k = int(calls[event])
                message = f"its admission at {admitted[k]:.9g} s brings the {unit} held to {used[event]} of {limit}"
                yield _violation(claims, rule, k, machine.id, message, used[event] - limit, unit)


def check_decode_time(claims: Claims) -> Iterator[Violation]:
    """Decode lasts as long as the batch it is in makes it."""
    if claims.instance.decode_model == "fixed":
        yield from _fixed_decode_time(claims)
    else:
        yield from _fluid_decode_time(claims)


CHECKS: tuple[Check, ...] = (
    check_rows,
    check_finite,
    check_placement,
    check_release,
    check_prefill_time,
    check_overlap,
    check_admission,
    check_transfer_time,
    check_capacity,
    check_decode_time,
)


def _fixed_decode_time(claims: Claims) -> Iterator[Violation]:
    expected = np.full(len(claims.prompt), np.nan)
    for machine, here in zip(claims.instance.decode, claims.decoded_on, strict=True):
        expected[here] = fixed_seconds(machine, claims.output[here])
    yield from _duration(claims, "decode", expected, claims.decode_start, claims.decode_end, claims.decode >= 0)


def _fluid_decode_time(claims: Claims) -> Iterator[Violation]:
    """Compare the tokens that each call gets in the batches claimed with its m.

    The difference is turned into seconds by the call's own pace, so that it means the same on slow and fast instances.
    """
    start, end = claims.decode_start, claims.decode_end
    finite = np.isfinite(start) & np.isfinite(end)
    for machine, here, decoded in zip(claims.instance.decode, claims.decoded_on, claims.decoded, strict=True):
        members = np.flatnonzero(finite[here] & (start[here] < end[here]))
        begins, ends, prompt, output = start[here], end[here], claims.prompt[here], claims.output[here]
        tokens = np.zeros(len(here))
        if decoded is None:
            tokens[members] = fluid_tokens(machine, begins[members], ends[members], prompt[members])
        else:
            tokens[members] = decoded.tokens
        pace = alone_seconds(machine, prompt, output) / output
        pace[members] = (ends[members] - begins[members]) / tokens[members]
        short = (output - tokens) * pace
        known = finite[here] & (ends <= _batch_known_until(claims, here))
        for position in _where(known & ~(np.abs(short) <= slack(begins, ends))):
            k = int(here[position])
            rule = "long-decode" if short[position] < 0 else "short-decode"
            message = (
                f"decode from {start[k]:.9g} s to {end[k]:.9g} s gives {tokens[position]:.9g} of "
                f"{claims.output[k]:.0f} tokens in the batches that the schedule claims"
            )
            yield _violation(claims, rule, k, machine.id, message, abs(short[position]))


def _batch_known_until(claims: Claims, here: Integers) -> float:
    """Until when the batches of a decode instance are known: a member of it with a broken time may come in later."""
    broken = here[~(np.isfinite(claims.decode_start[here]) & np.isfinite(claims.decode_end[here]))]
    before = np.stack([getattr(claims, name)[broken] for name in TIMES if name != "decode_end"])
    return float(np.where(np.isfinite(before), before, -np.inf).max(axis=0).min(initial=np.inf))


def _duration(
    claims: Claims, stage: str, expected: Floats, start: Floats, end: Floats, placed: Booleans
) -> Iterator[Violation]:
    """``end - start`` equals ``expected`` for the placed calls with finite times."""
    taken = end - start
    known = placed & np.isfinite(start) & np.isfinite(end)
    too_short = "instant-transfer" if stage == "transfer" else f"short-{stage}"
    for k in _where(known & ~(np.abs(taken - expected) <= slack(start, end))):
        rule = f"long-{stage}" if taken[k] > expected[k] else too_short
        name = _prefill_name(claims, k) if stage == "prefill" else _decode_name(claims, k)
        message = f"{stage} takes {taken[k]:.9g} s instead of {expected[k]:.9g} s"
        yield _violation(claims, rule, k, name, message, abs(taken[k] - expected[k]))


def _where(mask: Booleans) -> list[int]:
    positions: list[int] = np.flatnonzero(mask).tolist()
    return positions


def _violation(
    claims: Claims, rule: str, k: int, instance: str, message: str, excess: float | None = None, unit: str = "s"
) -> Violation:
    workflow_id, call_id = claims.workload.name(k)
    return Violation(
        rule=rule,
        workflow_id=workflow_id,
        call_id=call_id,
        instance=instance,
        message=message,
        excess=None if excess is None else float(excess),
        unit="" if excess is None else unit,
    )


def _row_violation(claims: Claims, rule: str, r: int, message: str) -> Violation:
    """Of a row that is no call's, or not its first one."""
    return Violation(
        rule=rule,
        workflow_id=claims.rows.workflow_id[r],
        call_id=claims.rows.call_id[r],
        instance="",
        message=message,
    )


def _prefill_name(claims: Claims, k: int) -> str:
    row = claims.row[k]
    return "" if row < 0 else claims.rows.prefill_instance[row]


def _decode_name(claims: Claims, k: int) -> str:
    row = claims.row[k]
    return "" if row < 0 else claims.rows.decode_instance[row]
