"""A pairing heap threaded through arrays by entry (Fredman et al. 1986): many queues share one set of arrays.

An entry is in at most one heap of a set at a time; equal keys come out in the order of their entries.
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel


@kernel
def pairing_meld(key, child, sibling, a, b):  # type: ignore[no-untyped-def]
    """Join two pairing heaps, given by their roots (-1: empty); the root of both."""
    if a < 0:
        return b
    if b < 0:
        return a
    if key[b] < key[a] or (key[b] == key[a] and b < a):
        a, b = b, a
    sibling[b] = child[a]
    child[a] = b
    return a


@kernel
def pairing_push(key, child, sibling, root, entry):  # type: ignore[no-untyped-def]
    """Add ``entry``, whose key is set, to the heap at ``root``; the new root."""
    child[entry] = -1
    sibling[entry] = -1
    return pairing_meld(key, child, sibling, root, entry)


@kernel
def pairing_pop(key, child, sibling, root):  # type: ignore[no-untyped-def]
    """Remove the root of a heap; the new root (two-pass pairing)."""
    pairs = -1
    entry = child[root]
    while entry >= 0:
        first = entry
        second = sibling[first]
        entry = -1
        if second >= 0:
            entry = sibling[second]
            sibling[second] = -1
        sibling[first] = -1
        joined = pairing_meld(key, child, sibling, first, second)
        sibling[joined] = pairs
        pairs = joined
    new_root = -1
    while pairs >= 0:
        rest = sibling[pairs]
        sibling[pairs] = -1
        new_root = pairing_meld(key, child, sibling, new_root, pairs)
        pairs = rest
    return new_root
