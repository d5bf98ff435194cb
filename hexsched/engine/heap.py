"""A binary min-heap in an array of (key, code), ordered by both. Items are calls, so ties break by their ids."""

from __future__ import annotations

from hexsched.engine.kernel import kernel


@kernel
def heap_push(heap, size, key, code):
    """Add (key, code) to a heap of ``size`` entries; the caller counts it."""
    k = size
    while k > 0:
        up = (k - 1) // 2
        if heap[up].key < key or (heap[up].key == key and heap[up].code < code):
            break
        heap[k].key = heap[up].key
        heap[k].code = heap[up].code
        k = up
    heap[k].key = key
    heap[k].code = code


@kernel
def heap_pop(heap, size):
    """Remove the least entry of a heap of ``size`` entries and return its code; the caller counts it."""
    least = heap[0].code
    last = size - 1
    key = heap[last].key
    code = heap[last].code
    k = 0
    while True:
        down = 2 * k + 1
        if down >= last:
            break
        right = down + 1
        if right < last and (
            heap[right].key < heap[down].key
            or (heap[right].key == heap[down].key and heap[right].code < heap[down].code)
        ):
            down = right
        if key < heap[down].key or (key == heap[down].key and code < heap[down].code):
            break
        heap[k].key = heap[down].key
        heap[k].code = heap[down].code
        k = down
    heap[k].key = key
    heap[k].code = code
    return least


@kernel
def sort_ascending(numbers, count):
    """Sort the first ``count`` of an array in place; they nearly always are in order."""
    for k in range(1, count):
        if numbers[k] < numbers[k - 1]:
            break
    else:
        return
    for start in range(count // 2 - 1, -1, -1):
        sift_down(numbers, start, count)
    for last in range(count - 1, 0, -1):
        numbers[0], numbers[last] = numbers[last], numbers[0]
        sift_down(numbers, 0, last)


@kernel
def sift_down(numbers, k, size):
    """Restore the max-heap of ``numbers[:size]`` below ``k``."""
    number = numbers[k]
    while 2 * k + 1 < size:
        down = 2 * k + 1
        if down + 1 < size and numbers[down + 1] > numbers[down]:
            down += 1
        if numbers[down] <= number:
            break
        numbers[k] = numbers[down]
        k = down
    numbers[k] = number
