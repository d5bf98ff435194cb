"""Named tuples of arrays that kernels hand on by their address."""

from __future__ import annotations

from abc import ABC


class HandedByAddress(ABC):  # noqa: B024  (nothing inherits from it)
    """Classes whose values are one pointer in kernels, whatever they contain (``hexsched.engine.compiler.addresses``).

    There they can be read, and not be made.
    """


by_address = HandedByAddress.register  # a decorator
