"""Mooncake traces (github kvcache-ai/Mooncake, FAST'25 release, Apache-2.0)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import msgspec

from hexsched.model.cluster import check_number
from hexsched.workloads.importers.parts.head import Head
from hexsched.workloads.importers.parts.importer import Arrival, Importer, ImportOptions, is_empty, single_call
from hexsched.workloads.importers.parts.prefix import PrefixStore
from hexsched.workloads.importers.parts.records import BlockTokens, Duration, Tokens, json_lines

BLOCK_TOKENS = 512  # tokens that a hash stands for in the published traces
GRID_SECONDS = 3.0  # distance of the timestamps in the published traces


class MooncakeOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``mooncake`` format.

    Attributes
    ----------
    spread : bool
        Spread requests of one timestamp evenly over the time to the next (at most ``grid_seconds``). The published
        timestamps are rounded down to a grid of about 3 s, so that without it some nine requests arrive at the very
        same instant, which no user population does. False keeps the recorded times.
    grid_seconds : float
        Longest bin to spread over, and the length of the last one.
    prefix_cache : bool
        Derive ``cached_tokens`` from ``hash_ids``; False leaves them 0.
    block_tokens : int
        Tokens a hash id stands for.
    """

    spread: bool = True
    grid_seconds: float = GRID_SECONDS
    prefix_cache: bool = True
    block_tokens: BlockTokens = BLOCK_TOKENS

    def __post_init__(self) -> None:
        check_number("grid_seconds", self.grid_seconds)


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    timestamp: Duration
    input_length: Tokens
    output_length: Tokens
    hash_ids: tuple[int | str, ...] = ()


SAMPLE = """\
{"timestamp": 0, "input_length": 1000, "output_length": 10, "hash_ids": [0, 1]}
{"timestamp": 3000, "input_length": 1000, "output_length": 10, "hash_ids": [0, 2]}
"""


class MooncakeImporter(Importer[MooncakeOptions]):
    """A request a line: ``timestamp`` ms, ``input_length``, ``output_length``, ``hash_ids`` of 512-token blocks."""

    name = "mooncake"
    summary = "Mooncake trace, JSON Lines: timestamp (ms), input_length, output_length, hash_ids"
    options_type = MooncakeOptions
    rank = 2
    sample = SAMPLE

    def sniff(self, head: Head) -> bool:
        keys = head.json_keys
        return {"timestamp", "input_length", "output_length"} <= keys and not (
            {"chat_id", "session_id", "request_id", "wait_for"} & keys
        )

    def arrivals(self, path: Path, options: MooncakeOptions, dropped: Counter[str]) -> Iterator[Arrival]:
        store = PrefixStore(options.block_tokens)
        for index, (where, row) in enumerate(json_lines(path, _Row)):
            if is_empty(row.input_length, row.output_length, dropped):
                continue
            cached = store.admit(row.input_length, row.hash_ids) if options.prefix_cache else 0
            yield Arrival(
                row.timestamp / 1000, single_call(f"r{index}", row.input_length, row.output_length, cached, "", where)
            )

    def arrange(self, arrivals: list[Arrival], options: MooncakeOptions) -> list[Arrival]:
        arranged = super().arrange(arrivals, options)
        return spread_bins(arranged, options.grid_seconds) if options.spread else arranged


def spread_bins(arrivals: Sequence[Arrival], grid_seconds: float) -> list[Arrival]:
    """Spread the k workflows of one time evenly over the bin that starts there.

    Parameters
    ----------
    arrivals : sequence of Arrival
        By time.
    grid_seconds : float
        A bin reaches to the next time, but not further than this; the last one is this long.

    Returns
    -------
    list of Arrival
        Still by time: the i-th of k in a bin of length b moves by i b / k. A workflow alone in its bin stays.
    """
    bins = [(at, list(group)) for at, group in groupby(arrivals, key=lambda item: item.at)]
    ends = [at for at, _ in bins[1:]] + [float("inf")]
    spread = []
    for (at, group), end in zip(bins, ends, strict=True):
        step = min(end - at, grid_seconds) / len(group)
        spread += [Arrival(at + place * step, item.workflow) for place, item in enumerate(group)]
    return spread


IMPORTER = MooncakeImporter()
