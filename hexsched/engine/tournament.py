"""A tournament: the least of many keys, found at once and kept up in the logarithm of their number (Knuth 1973, 5.4.1).

``winners`` is a binary tree in an array. Leaf k stands at place ``leaves + k`` and is itself; above it stands whichever
of the two below has the smaller key, the left one where they are equal. So the least key of all is that of
``winners[1]``, and of equal ones the smallest number wins. Keys beyond the last leaf in use are infinite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexsched.engine.kernel import kernel

if TYPE_CHECKING:
    from hexsched.engine.state import Array


@kernel
def set_key(winners, keys, k, key):
    """Leaf ``k`` gets another key."""
    keys[k] = key
    node = (winners.shape[0] // 2 + k) // 2
    while node >= 1:
        winner = winners[2 * node]
        right = winners[2 * node + 1]
        if keys[right] < keys[winner]:
            winner = right
        if winners[node] == winner and winner != k:
            break  # what stands above has not changed
        winners[node] = winner
        node //= 2


def new_tournament(size: int) -> Array:
    """The winners of at least ``size`` equal keys; there are ``leaves_for(size)`` leaves."""
    import numpy as np

    leaves = leaves_for(size)
    winners = np.zeros(2 * leaves, np.int64)
    winners[leaves:] = np.arange(leaves)
    for node in range(leaves - 1, 0, -1):
        winners[node] = winners[2 * node]
    return winners


def leaves_for(size: int) -> int:
    """The smallest power of two that is at least ``size``."""
    return 1 << max(size - 1, 0).bit_length()
