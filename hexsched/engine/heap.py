"""A binary min-heap in two arrays, ordered by (key, item). Items are calls, so ties break by workflow and call id."""

from __future__ import annotations

from hexsched.engine.kernel import kernel


@kernel
def heap_push(keys, items, size, key, item):  # type: ignore[no-untyped-def]
    """Add (key, item) to a heap of ``size`` entries; the caller counts it."""
    k = size
    while k > 0:
        up = (k - 1) // 2
        if keys[up] < key or (keys[up] == key and items[up] < item):
            break
        keys[k] = keys[up]
        items[k] = items[up]
        k = up
    keys[k] = key
    items[k] = item


@kernel
def heap_pop(keys, items, size):  # type: ignore[no-untyped-def]
    """Remove the least entry of a heap of ``size`` entries and return its item; the caller counts it."""
    least = items[0]
    last = size - 1
    key = keys[last]
    item = items[last]
    k = 0
    while True:
        down = 2 * k + 1
        if down >= last:
            break
        right = down + 1
        if right < last and (
            keys[right] < keys[down] or (keys[right] == keys[down] and items[right] < items[down])
        ):
            down = right
        if key < keys[down] or (key == keys[down] and item < items[down]):
            break
        keys[k] = keys[down]
        items[k] = items[down]
        k = down
    keys[k] = key
    items[k] = item
    return least
