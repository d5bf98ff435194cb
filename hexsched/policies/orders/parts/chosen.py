"""One kernel for all orders, and one for what they note: the number in the settings says whose."""

from __future__ import annotations

from hexsched.engine.kernel import choose, kernel
from hexsched.policies.orders import ORDERS
from hexsched.policies.orders.parts.attained_service import ATTAINED_SERVICE
from hexsched.policies.parts.order import NO_BOOKS, Books


@kernel
def plain_key(seen, memory, settings, c, stage):
    """Set by an order in plain Python before the decision."""
    return memory.calls[c].plain_key


NUMBER = {name: number for number, name in enumerate(ORDERS)}
PLAIN = len(NUMBER)  # an order in plain Python

# plain Python may look at attained service, whoever else does
BOOKS: tuple[Books, ...] = tuple(
    dict.fromkeys([NO_BOOKS, ATTAINED_SERVICE, *(order.books for order in ORDERS.values())])
)

order_key = choose(
    "order_key",
    "seen, memory, settings, c, stage",
    "settings.order",
    [*(order.key for order in ORDERS.values()), plain_key],
)

note_epoch = choose("note_epoch", "seen, memory, settings", "settings.books", [one.note_epoch for one in BOOKS])
note_entry = choose("note_entry", "seen, memory, settings, c", "settings.books", [one.note_entry for one in BOOKS])
note_service = choose(
    "note_service", "seen, memory, settings, c", "settings.books", [one.note_service for one in BOOKS]
)
