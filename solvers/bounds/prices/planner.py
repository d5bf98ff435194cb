"""All workflows at given prices, on several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from solvers.bounds.prices.program import plan_workflows
from solvers.bounds.prices.relaxation import Relaxation
from solvers.bounds.prices.tables import Prices, Scratch, Tables

Array = np.ndarray[Any, Any]

BLOCKS_PER_WORKER = 4  # workflows differ in size, so each worker takes several blocks
GUESSES = 4  # for each interval, where a time may be
TOKEN_PRICES = 24  # at which decodes are looked at
WIDEST = 4  # cells of the call with most slack, over those of the critical path
EPSILON = 1e-9  # relative to the latest time: windows are wider by this, so that rounding closes none


class Planner:
    """Evaluates prices.

    Parameters
    ----------
    relaxation : Relaxation
    cells : int
        Cells of slack on the critical path of each workflow, unless other calls have much more slack.
    intervals : int
        Price intervals.
    workers : int
        Threads; the result does not depend on them.
    token_prices : int
        Prices of a token at which decodes are looked at.
    ranges : int
        Of ends of decodes that are looked at apart: closer where cost is not convex in the end.
    """

    def __init__(
        self,
        relaxation: Relaxation,
        cells: int,
        intervals: int,
        workers: int,
        token_prices: int = TOKEN_PRICES,
        ranges: int = 1,
    ) -> None:
        self.relaxation, self.cells, self.intervals = relaxation, cells, intervals
        self.token_prices, self.ranges = token_prices, ranges
        x = relaxation
        # of one layout on every cluster: machine code is made for layouts
        self.tables = Tables._make(np.ascontiguousarray(getattr(x, name)) for name in Tables._fields)
        self.resources = len(x.prefill_count) + 2 * len(x.decode_count)
        self._workers = workers
        self._cost = np.zeros(x.workflows)
        self._use = np.zeros((x.workflows, self.resources, intervals))
        self._released = np.zeros(len(x.head))
        share = np.cumsum(np.diff(x.first_call)) / len(x.head)
        cuts = np.searchsorted(share, np.linspace(0, 1, BLOCKS_PER_WORKER * workers + 1)[1:-1])
        self._blocks = np.unique(np.concatenate([[0], cuts, [x.workflows]]))
        self._free = [self.scratch() for _ in range(workers)]

    @property
    def wide(self) -> int:
        """Most cells of a call."""
        return WIDEST * self.cells + 3

    def scratch(self) -> Scratch:
        """Room for the dynamic program of one workflow."""
        x, wide = self.relaxation, self.wide
        calls = int(np.diff(x.first_call).max())
        kinds = len(x.decode_count)
        return Scratch(
            value=np.zeros((calls, wide)),
            prefill_on=np.zeros((calls, wide), np.int64),
            decode_on=np.zeros((calls, wide), np.int64),
            start=np.zeros((calls, wide), np.int64),
            after=np.zeros(wide),
            then=np.zeros(wide),
            price=np.zeros(wide),
            over=np.zeros(wide),
            total=np.zeros(wide),
            enter=np.zeros((kinds, wide)),
            enter_last=np.zeros(kinds, np.int64),
            enter_at=np.zeros((kinds, calls, wide), np.int64),
            decode_from=np.zeros((kinds, calls, wide), np.int64),
            decode_to=np.zeros((kinds, calls, wide), np.int64),
            decode_price=np.zeros((kinds, calls, wide)),
            last=np.zeros(calls, np.int64),
            change=np.zeros(len(x.speed_use)),
            token_price=np.zeros(self.token_prices),
            all_tokens=np.zeros(self.token_prices),
            slope=np.zeros((self.intervals + 1, self.token_prices)),
            gained=np.zeros((self.intervals + 1, self.token_prices)),
            above=np.zeros((wide, self.token_prices)),
            ranges=np.array([self.ranges]),
            worth=np.zeros((wide, self.token_prices)),
            cost=np.zeros((wide, self.token_prices)),
            most=np.zeros(wide),
            rest=np.zeros((wide, self.token_prices)),
            best=np.zeros(self.token_prices),
            at=np.zeros(self.token_prices, np.int64),
            best_end=np.zeros((wide, self.token_prices), np.int64),
            dearest=np.zeros(wide, np.int64),
            pay=np.zeros(calls),
            gain=np.zeros(calls),
            ended=np.zeros(calls),
            began=np.zeros(calls),
        )

    def prices(
        self,
        rate: Array,
        edge: Array,
        toll: Array | None = None,
        stretch: float = 1.0,
        slowness: Array | None = None,
    ) -> Prices:
        """Prices from the rates, (K + 2 L, T), of intervals between the times ``edge``.

        Parameters
        ----------
        rate : (K + 2 L, T) float array
        edge : (T + 1,) float array
            From 0, ascending.
        toll : (J,) float array, optional
            Of joins, for ``stretch`` cells of slack.
        stretch : float
        slowness : (W,) float array, optional
            Of slack at the end of each workflow.
        """
        toll = np.zeros(len(self.relaxation.join_gap)) if toll is None else toll
        slowness = np.zeros(self.relaxation.workflows) if slowness is None else slowness
        paid = np.concatenate([np.zeros((len(rate), 1)), np.cumsum(rate * np.diff(edge), axis=1)], axis=1)
        parts = np.arange(GUESSES * self.intervals) * (edge[-1] / (GUESSES * self.intervals))
        guess = np.clip(np.searchsorted(edge, parts, "right") - 1, 0, self.intervals - 1)
        # what rounding makes of a time may be in the part before
        guess = np.minimum(guess, np.concatenate([[0], guess[:-1]]))
        return Prices(np.ascontiguousarray(rate), paid, edge, guess, toll, stretch, slowness)

    def windows(self, latest: Array) -> tuple[Array, Array]:
        """Largest slack of each call, (N,), and the length of a cell of each workflow, (W,)."""
        x = self.relaxation
        limit = latest[x.workflow] - x.tail - x.head - x.best + EPSILON * max(float(latest.max()), 1.0)
        most = np.maximum.reduceat(limit, x.first_call[:-1])
        # whole cells on the critical path: its slack is that of most calls, and then nothing is rounded
        path = np.minimum.reduceat(limit, x.first_call[:-1])
        finest = np.maximum(path / self.cells, most / (WIDEST * self.cells))
        whole = np.floor(path / np.maximum(finest, EPSILON) * (1 + EPSILON))
        cell = np.where(whole >= 1, path / np.maximum(whole, 1), finest)
        return limit, np.maximum(cell, EPSILON)

    def plan(self, prices: Prices, latest: Array) -> tuple[Array, Array]:
        """Cheapest cost of each workflow, (W,), and its use, (W, K + 2 L, T); valid until the next call.

        Parameters
        ----------
        prices : Prices
        latest : (W,) float array
            Latest completion of each workflow.
        """
        limit, cell = self.windows(latest)
        ends = zip(self._blocks[:-1], self._blocks[1:], strict=True)

        def block(first: int, stop: int) -> None:
            scratch = self._free.pop()
            plan_workflows(
                self.tables, prices, scratch, self.relaxation.fixed, first, stop, limit, cell, self._cost,
                self._use, self._released,
            )  # fmt: skip
            self._free.append(scratch)

        if self._workers == 1:
            for first, stop in ends:
                block(first, stop)
        else:
            with ThreadPoolExecutor(self._workers) as pool:
                for done in [pool.submit(block, first, stop) for first, stop in ends]:
                    done.result()
        return self._cost, self._use
