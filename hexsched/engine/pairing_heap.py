"""A pairing heap threaded through an array of (key, child, next) (Fredman et al. 1986): many queues share one.

An entry is in at most one heap at a time; equal keys come out in the order of their entries.
"""

from __future__ import annotations

import numpy as np

from hexsched.engine.kernel import kernel

ENTRY = np.dtype([("key", "f8"), ("child", "i8"), ("next", "i8")], align=True)


@kernel
def pairing_meld(heap, a, b):
    """Join two pairing heaps, given by their roots (-1: empty); the root of both."""
    if a < 0:
        return b
    if b < 0:
        return a
    if heap[b].key < heap[a].key or (heap[b].key == heap[a].key and b < a):
        a, b = b, a
    heap[b].next = heap[a].child
    heap[a].child = b
    return a


@kernel
def pairing_push(heap, root, entry):
    """Add ``entry``, whose key is set, to the heap at ``root``; the new root."""
    heap[entry].child = -1
    heap[entry].next = -1
    return pairing_meld(heap, root, entry)


@kernel
def pairing_pop(heap, root):
    """Remove the root of a heap; the new root (two-pass pairing)."""
    pairs = -1
    entry = heap[root].child
    while entry >= 0:
        first = entry
        second = heap[first].next
        entry = -1
        if second >= 0:
            entry = heap[second].next
            heap[second].next = -1
        heap[first].next = -1
        joined = pairing_meld(heap, first, second)
        heap[joined].next = pairs
        pairs = joined
    new_root = -1
    while pairs >= 0:
        rest = heap[pairs].next
        heap[pairs].next = -1
        new_root = pairing_meld(heap, new_root, pairs)
        pairs = rest
    return new_root
