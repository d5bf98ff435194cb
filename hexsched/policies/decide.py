"""The one place where compiled policies meet the engine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from hexsched.engine.announcing import announce
from hexsched.engine.kernel import entry, kernel, routine, specialised
from hexsched.engine.loop import advance
from hexsched.engine.wallclock import nanoseconds, record
from hexsched.policies.orders.parts.chosen import note_entry, note_epoch, note_service, order_key
from hexsched.policies.parts.order import Order
from hexsched.policies.planning.hexagent import plan
from hexsched.policies.queueing.dispatch import dispatch
from hexsched.policies.registry import Policy
from hexsched.policies.replay import replay
from hexsched.policies.settings import ALWAYS, PLAN, QUEUES, READY
from hexsched.policies.uncompiled import not_compiled


@kernel
def asks_for_decision(clock):
    """Whether anything happened that decisions depend on: the end of a transfer does not (model M22)."""
    return clock.released + clock.prefilled + clock.completed > 0


@kernel
def asks_plain(clock, settings):
    """Whether plain Python has a say in this decision: all of it, or priority and place of calls that become ready."""
    return settings.asks == ALWAYS or (settings.asks == READY and clock.released + clock.prefilled > 0)


@routine
def run_on(state, memory, settings, epochs, latency, buffer):
    """Run at most ``epochs`` decision epochs; False when nothing is left to happen.

    Returns early, with ``counters.plain_turn`` set, when a decision waits for plain Python; the next call goes on
    there. ``latency`` is a histogram of the time each decision took (``hexsched.engine.wallclock``).
    """
    seen = state.seen
    clock = seen.clock[0]
    counters = memory.counters[0]
    for _ in range(epochs):
        if counters.plain_turn == 0:
            if not advance(state):
                return False
            if not asks_for_decision(clock):
                continue
        start = nanoseconds(buffer)
        if counters.plain_turn == 0:
            note_epoch(seen, memory, settings[0])
            if asks_plain(clock, settings[0]):
                counters.plain_turn = 1
                return True
        if settings[0].mode == PLAN:
            plan(state, seen, memory, settings[0])
        elif settings[0].mode == QUEUES:
            dispatch(state, seen, memory, settings[0])  # what plain Python decides is already done
        record(latency, nanoseconds(buffer) - start + counters.plain_nanoseconds)
        counters.plain_turn = 0
        counters.plain_nanoseconds = 0
    return True


@entry
def run_epochs(state, memory, settings, epochs, latency, buffer):
    """As ``run_on`` again and again, to the end: gives True after each time.

    A generator, since to hand all these arrays to compiled code takes longer than most decisions: so it is done once.
    It keeps no record from one time to the next, as numba would keep a copy. It does not keep the arrays alive, either:
    Python asks by way of ``each_time``.
    """
    while True:  # not "while run_on(...)": Python writes a condition out twice, which would compile all of it twice
        if not run_on(state, memory, settings, epochs, latency, buffer):
            return
        yield True


def each_time(generator: Any, *given: Any) -> Iterator[bool]:
    """What a compiled generator gives for these arguments, which stay alive as long as it is asked."""
    yield from generator(*given)


def epochs_of(policy: Policy) -> Any:
    """``run_epochs`` for a policy: with the kernels of its order where that does not come with hexsched."""
    return run_epochs if policy.foreign is None else _with_order(policy.foreign)


def compiled_epochs(policy: Policy) -> Any:
    """As ``epochs_of``; raises ``InputError`` where the order does not compile."""
    run, order = epochs_of(policy), policy.foreign
    if order is None:
        return run

    def made(*given: Any) -> Any:
        from hexsched.engine.compiler.dispatchers import NumbaError

        try:
            return run(*given)  # this compiles; nothing happens before the generator is asked
        except (NumbaError, KeyError) as error:
            raise not_compiled(order, error) from error

    return made


@cache
def _with_order(order: Order) -> Any:
    books = order.books
    kernels = {
        order_key: order.key,
        note_epoch: books.note_epoch,
        note_entry: books.note_entry,
        note_service: books.note_service,
    }
    made = specialised(run_epochs, kernels)
    announce(made, f"the simulator with order {order.name!r}", 30)
    return made


@routine
def replay_on(state, orders, epochs):
    """As ``run_on``, for given decisions."""
    for _ in range(epochs):
        if not advance(state):
            return False
        replay(state, state.seen, orders)
    return True


@entry
def replay_epochs(state, orders, epochs):
    """As ``run_epochs``, for given decisions."""
    while True:
        if not replay_on(state, orders, epochs):
            return
        yield True
