"""Mooncake traces of single requests (github kvcache-ai/Mooncake, FAST'25 release, Apache-2.0)."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import islice

import msgspec
import numpy as np
from numpy.typing import NDArray

from hexsched.errors import InputError
from hexsched.model.cluster import check_number
from hexsched.workloads.importers.parts.arrival import Arrival, single_call
from hexsched.workloads.importers.parts.head import Signature
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.prefix import BlockSize, PrefixStore
from hexsched.workloads.importers.parts.records import BlockTokens, Tokens
from hexsched.workloads.importers.parts.sessions import AT_START
from hexsched.workloads.importers.parts.times import Clock, Time, Unit
from hexsched.workloads.importers.parts.trace import Trace

BLOCK_TOKENS = 512  # tokens that a hash stands for in the published traces
GRID_SECONDS = 3.0  # distance of the timestamps in the published traces
GRID_SLACK = 0.01  # seconds by which they miss the grid; the published ones are off by 1 ms at most

# Fields that tie requests together, which single requests do not have: see ``agentic_mooncake``.
TIES = ("session_id", "request_id", "wait_for", "dependencies", "play_id", "schema")

NO_TIES = (None,) * len(TIES)

# Fields that tie requests together in ways that no format with these lengths has: they must not be lost unnoticed.
FOREIGN_TIES = (
    *("conversation_id", "chat_id", "parent_id", "parent_chat_id", "parent_request_id", "parents", "depends_on"),
    *("turn_id", "turn_index", "round_index", "passages_ids", "step", "sub_requests", "spans"),
)


class MooncakeOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``mooncake`` format.

    Attributes
    ----------
    time_unit : {"s", "ms", "us", "ns"}
        Of ``timestamp``.
    spread : bool, optional
        Spread requests of one timestamp evenly over the time to the next (at most ``grid_seconds``). The published
        timestamps are rounded down to a grid of about 3 s, so that without it some nine requests arrive at the very
        same instant, which no user population does. By default this is done where all times lie on that grid, and
        said; False keeps the recorded times.
    grid_seconds : float
        Distance of the grid, longest bin to spread over, and the length of the last one.
    prefix_cache : bool
        Derive ``cached_tokens`` from ``hash_ids``; False leaves them 0.
    block_tokens : int, optional
        Tokens a hash id stands for; by default 512, or the one usual size that fits the numbers of hashes.
    """

    time_unit: Unit = "ms"
    spread: bool | None = None
    grid_seconds: float = GRID_SECONDS
    prefix_cache: bool = True
    block_tokens: BlockTokens | None = None

    def __post_init__(self) -> None:
        check_number("grid_seconds", self.grid_seconds)


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    input_length: Tokens
    output_length: Tokens
    timestamp: Time | None = None
    hash_ids: tuple[int | str, ...] = ()
    session_id: object = None
    request_id: object = None
    wait_for: object = None
    dependencies: object = None
    play_id: object = None
    schema: object = None


SAMPLE = """\
{"timestamp": 0, "input_length": 1000, "output_length": 10, "hash_ids": [0, 1]}
{"timestamp": 3000, "input_length": 1000, "output_length": 10, "hash_ids": [0, 2]}
"""


class MooncakeImporter(Importer[MooncakeOptions]):
    """A request a line: ``timestamp`` ms, ``input_length``, ``output_length``, ``hash_ids`` of 512-token blocks.

    The file is read twice: what its times and numbers of hashes are like decides how its lines are read. Lines in
    order of time are not held in memory. Where no line has a timestamp, all requests arrive at 0.
    """

    name = "mooncake"
    summary = "Mooncake trace, JSON Lines: timestamp (ms), input_length, output_length, hash_ids"
    options_type = MooncakeOptions
    rank = 2
    numbered = True
    sample = SAMPLE
    signature = Signature(
        needs=(("input_length",), ("output_length",)),
        refuses=(*TIES, *FOREIGN_TIES),
        hints=("timestamp", "hash_ids"),
    )

    def arrivals(self, trace: Trace, options: MooncakeOptions) -> Iterator[Arrival]:
        times, block_tokens = _survey(trace, options)
        store = PrefixStore(block_tokens)
        rows = _rows(trace.again())
        if not np.all(times[1:] >= times[:-1]):
            order = np.argsort(times, kind="stable")
            held = list(islice(rows, len(times)))
            rows = iter([held[place] for place in order])
            times = times[order]
        moved = _moved(times, options, trace)
        for at, (index, where, row) in zip(array("d", moved.tobytes()), rows, strict=False):
            cached = store.admit(row.input_length, row.hash_ids) if options.prefix_cache and row.hash_ids else 0
            yield Arrival(at, single_call(f"r{index}", row.input_length, row.output_length, cached, "", where))


def _rows(trace: Trace) -> Iterator[tuple[int, str, _Row]]:
    """Number, place and content of every line with tokens."""
    for index, (where, row) in enumerate(trace.json_lines(_Row)):
        if not trace.drop_empty(row.input_length, row.output_length):
            yield index, where, row


def _check_single(row: _Row, where: str) -> None:
    ties = (row.session_id, row.request_id, row.wait_for, row.dependencies, row.play_id, row.schema)
    if ties != NO_TIES:
        tie = next(name for name, value in zip(TIES, ties, strict=True) if value is not None)
        raise InputError(
            f"the row has a {tie}: not all requests of the file are single; import with --format agentic-mooncake",
            where,
        )


def _survey(trace: Trace, options: MooncakeOptions) -> tuple[NDArray[np.float64], int]:
    """Times of the lines in seconds since the first, shape (lines,), and the size of a block in tokens."""
    clock = Clock(options.time_unit)
    times = array("d")
    blocks = BlockSize(options.block_tokens or BLOCK_TOKENS)
    timed = untimed = ""
    for _, where, row in islice(_rows(trace), trace.limit):
        _check_single(row, where)
        if row.timestamp is None:
            untimed = untimed or where
        else:
            timed = timed or where
        if timed and untimed:
            raise InputError(f"missing field 'timestamp', which {timed} has", untimed)
        times.append(0.0 if row.timestamp is None else clock.seconds(row.timestamp))
        if options.prefix_cache:
            blocks.see(row.input_length, len(row.hash_ids), where)
    if untimed:
        trace.note(AT_START)
    return np.array(times), blocks.settle(trace, given=options.block_tokens is not None)


def _moved(times: NDArray[np.float64], options: MooncakeOptions, trace: Trace) -> NDArray[np.float64]:
    """The times, ascending, spread where that is asked for or they lie on the grid."""
    if options.spread is False or not (options.spread or lies_on_grid(times, options.grid_seconds)):
        return times
    moved = spread_bins(times, options.grid_seconds)
    by = moved - times
    if np.any(by > 0):
        trace.note(
            f"{np.count_nonzero(by):,} of {len(times):,} arrivals moved by up to {by.max():.4g} s, in the mean "
            f"{by.mean():.4g} s: those of one time are spread over their bin of at most {options.grid_seconds:g} s; "
            "spread=false keeps them"
        )
    return moved


def lies_on_grid(times: NDArray[np.float64], grid_seconds: float) -> bool:
    """Whether recorded times were rounded to a grid: several on it, all of them on it, and some of them equal.

    Parameters
    ----------
    times : array, shape (requests,)
        Ascending, seconds.
    grid_seconds : float
        Distance of the grid; times may miss it by ``GRID_SLACK`` seconds.
    """
    if not grid_seconds > 2 * GRID_SLACK or len(times) < 3 or times[0] == times[-1] or np.all(times[1:] > times[:-1]):
        return False
    since = times - times[0]
    since -= np.round(since / grid_seconds) * grid_seconds
    return bool(np.all(np.abs(since) <= GRID_SLACK))


def spread_bins(times: NDArray[np.float64], grid_seconds: float) -> NDArray[np.float64]:
    """Spread the k requests of one time evenly over the bin that starts there.

    Parameters
    ----------
    times : array, shape (requests,)
        Ascending, seconds.
    grid_seconds : float
        A bin reaches to the next time, but not further than this; the last one is this long.

    Returns
    -------
    array, shape (requests,)
        Still ascending: the i-th of k in a bin of length b moves by i b / k. One alone in its bin stays.
    """
    starts, first, count = np.unique(times, return_index=True, return_counts=True)
    length = np.minimum(np.diff(starts, append=np.inf), grid_seconds)
    place = np.arange(len(times)) - np.repeat(first, count)
    return times + place * np.repeat(length / count, count)


IMPORTER = MooncakeImporter()
