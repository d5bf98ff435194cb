"""What tells one planner from another: which call goes first, where it may go, what a place costs, how it is admitted.

Every kernel gets what is seen, the planner's memory and a ``wish``: whatever the preference needs to know besides. A
preference says only in what it differs from the plainest one: any place will do, and the earliest finish is best.
"""

from __future__ import annotations

from dataclasses import dataclass

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.order import Kernel
from hexsched.policies.planning.projection import decode_seconds, transfer


@kernel
def settings_themselves(wish):
    """The wish is a policy's settings."""
    return wish


@kernel
def as_declared(wish):
    """As the order of a policy has it."""
    return wish.key_changes


@kernel
def never(memory, wish):
    """Never."""
    return False


@kernel
def always(wish):
    """Always."""
    return True


@kernel
def anywhere(wish, c, stage, kind):
    """Every kind of instance will do."""
    return True


@kernel
def first_will_do(wish):
    """Of identical instances the first with room is as good as any."""
    return True


@kernel
def nothing_aside(seen, memory, wish, c, j):
    """Nothing but the finish counts."""
    return 0.0


@kernel
def the_finish(seen, wish, c, finish, aside):
    """The finish itself, seconds from now."""
    return finish


@kernel
def first_come(j):
    """Of places of equal cost the first one looked at is taken."""
    return 0


@kernel
def as_found(seen, memory, wish, c, i, j):
    """The pair of least cost."""
    return i, j


@kernel
def finish_of_decode(seen, memory, wish, c, j):
    """Projected finish of prefilled call ``c`` on ``j``, which has room, seconds from now."""
    call = seen.calls[c]
    return transfer(seen, wish, call.prefill_instance, j, call.n) + decode_seconds(seen, memory, c, j)


@kernel
def leave_planned(seen, memory, wish, c, may_fit):
    """Until it is admitted, the call stays counted where it is."""


@kernel
def nothing_to_note(seen, memory, wish, c):
    """Nothing to note."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Preference:
    """The kernels of a preference, and one choice.

    Attributes
    ----------
    key : ``(seen, memory, wish, c, stage) -> float``
        The call of least key goes first.
    key_changes : ``(wish) -> int``
        How keys before prefill change while calls wait: KEY_STAYS, only KEY_RISES, or KEY_CHANGES.
    by_risk : ``(memory, wish) -> bool``
        Whether keys before prefill are at least -R(c, t) now (model M23), with Delta as last projected.
    settings : ``(wish) -> SETTINGS``
        The part of the wish that projections read.
    allows : ``(wish, c, stage, kind) -> bool``
        Whether call c may use instances of that kind at that stage.
    twins_alike : ``(wish) -> bool``
        Whether of identical decode instances with room only the one with the fastest iterations need be looked at.
    aside : ``(seen, memory, wish, c, j) -> float``
        What decode instance j costs call c besides its finish.
    cost : ``(seen, wish, c, finish, aside) -> float``
        What a pair costs on which call c finishes so many seconds from now, at least that where nothing is set aside;
        it never falls with the finish. The pair of least cost is taken.
    tie : ``(j) -> int``
        Of pairs of equal cost the one of least ``tie`` is taken, the first one looked at where those are equal.
    settle : ``(seen, memory, wish, c, i, j) -> (i, j)``
        The pair that is taken in place of the best one.
    takes_best : ``(wish) -> bool``
        Whether ``settle`` and ``decode_cost`` leave it at the earliest finish: then most places need not be looked at.
    decode_cost : ``(seen, memory, wish, c, j) -> float``
        What admission to j, which has room, costs prefilled call c: at least its finish, where the best is taken.
    reconsider : ``(seen, memory, wish, c, may_fit)``
        Another look at where a call that waits for admission is counted.
    note_entry, note_service : ``(seen, memory, wish, c)``
        Call c begins to wait, and it is about to be started or admitted.
    left_over_first : bool
        Whether calls left over from earlier epochs are admitted before those whose prefill has just ended.
    """

    key: Kernel
    key_changes: Kernel = as_declared
    by_risk: Kernel = never
    settings: Kernel = settings_themselves
    allows: Kernel = anywhere
    twins_alike: Kernel = first_will_do
    aside: Kernel = nothing_aside
    cost: Kernel = the_finish
    tie: Kernel = first_come
    settle: Kernel = as_found
    takes_best: Kernel = always
    decode_cost: Kernel = finish_of_decode
    reconsider: Kernel = leave_planned
    note_entry: Kernel = nothing_to_note
    note_service: Kernel = nothing_to_note
    left_over_first: bool = True
