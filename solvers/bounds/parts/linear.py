"""Linear programs whose lower bound can be trusted, whatever the solver's tolerances."""

from __future__ import annotations

import time
import warnings
from typing import Any, Literal

import numpy as np

from hexsched.errors import InputWarning
from solvers.problem.memory import RESERVE, memory_left

Array = np.ndarray[Any, Any]


# Seconds for each number, less than any solve takes: HiGHS goes on without a limit when presolve has used it up.
PRESOLVE_SECONDS = 2e-6
MOST_NUMBERS = 4_000_000  # columns, rows and coefficients: below 1 GB with all that a solver makes of them
BYTES_A_NUMBER = 250  # of that


class GaveUpError(Exception):
    """A program was not finished: the time was up, or it became too large."""


class Program:
    """Minimise cost x subject to A x <= b and 0 <= x <= upper, with every upper bound finite.

    Building takes time and memory as solving does. So each call that adds to the program looks at the clock and at the
    size first, and raises ``GaveUpError`` where it is not worth going on.

    Parameters
    ----------
    name : str
        Of the bound, for the warning that a program became too large.
    stop : float
        Time of ``time.monotonic`` at which building ends.
    most : int
        Columns, rows and coefficients together; fewer where there is not the memory for so many.
    """

    def __init__(self, name: str, stop: float = float("inf"), most: int = MOST_NUMBERS) -> None:
        self.name, self.stop = name, stop
        left = memory_left()
        self.most = most if left == float("inf") else min(most, int(max(left - RESERVE, 0.0) / BYTES_A_NUMBER))
        self._short = self.most < most  # of memory
        self._size = 0
        self._cost: list[Array] = []
        self._upper: list[Array] = []
        self._rhs: list[Array] = []
        self._entries: list[tuple[Array, Array, Array]] = []
        self._columns = 0
        self._rows = 0

    @property
    def columns(self) -> int:
        """Number of variables."""
        return self._columns

    def variables(self, count: int, upper: Array | float, cost: Array | float = 0.0) -> Array:
        """Add variables; their column numbers."""
        self._grow(count)
        first = self._columns
        self._cost.append(np.broadcast_to(cost, count).astype(float))
        self._upper.append(np.broadcast_to(upper, count).astype(float))
        self._columns += count
        return np.arange(first, self._columns)

    def rows(self, rhs: Array | float, count: int = 1) -> Array:
        """Add rows ``... <= rhs`` without entries yet; their row numbers."""
        self._grow(count)
        first = self._rows
        self._rhs.append(np.broadcast_to(rhs, count).astype(float))
        self._rows += count
        return np.arange(first, self._rows)

    def entries(self, rows: Array | int, columns: Array | int, values: Array | float) -> None:
        """Add ``values`` to the coefficients at (rows, columns), broadcast against each other."""
        rows, columns, values = np.broadcast_arrays(rows, columns, np.asarray(values, dtype=float))
        self._grow(rows.size)
        self._entries.append((rows.ravel(), columns.ravel(), values.ravel()))

    def _grow(self, numbers: int) -> None:
        self._size += numbers
        if self._size > self.most:
            why = ", for want of memory" if self._short else ""
            text = f"linear programs of more than {self.most:,} numbers are left out{why}; bounds are weaker"
            raise self._given_up(text)
        if time.monotonic() > self.stop:
            raise GaveUpError(f"{self.name}: the time was up while a linear program was built")

    def _given_up(self, text: str) -> GaveUpError:
        warnings.warn(InputWarning(f"{self.name}: {text}"), stacklevel=3)
        return GaveUpError(f"{self.name}: {text}")

    def lower_bound(self, time_limit: float, method: Literal["highs-ds", "highs-ipm"] = "highs-ds") -> float | None:
        """A value that no feasible x goes below; None when the solver found no dual solution in time."""
        y = self.duals(time_limit, method)
        return None if y is None else self.proved_by(y)

    def duals(self, time_limit: float, method: Literal["highs-ds", "highs-ipm"] = "highs-ds") -> Array | None:
        """The solver's dual solution, one y >= 0 for each row; None when it found none in time."""
        from scipy.optimize import OptimizeWarning, linprog

        if time_limit <= PRESOLVE_SECONDS * self._size:
            return None
        try:
            cost, upper, rhs = (np.concatenate(part) for part in (self._cost, self._upper, self._rhs))
            box: Any = np.column_stack([np.zeros_like(upper), upper])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OptimizeWarning)
                found = linprog(
                    cost,
                    self._matrix(),
                    rhs,
                    bounds=box,
                    method=method,
                    options={"time_limit": time_limit},
                )
        except MemoryError:
            self._given_up(f"no memory to solve a linear program of {self._size:,} numbers; bounds are weaker")
            return None
        return np.maximum(-found.ineqlin.marginals, 0.0) if found.status == 0 else None

    def proved_by(self, y: Array) -> float:
        """A value that no feasible x goes below, from any y >= 0, one for each row.

        Any y >= 0 proves cost x >= -b y + sum_j min(0, (cost + A' y)_j) upper_j (weak duality over the box; Neumaier
        and Shcherbina, Safe bounds in linear and mixed-integer linear programming, 2004). So the solver's y is only a
        guess, and its tolerances weaken the bound where they matter but never make it wrong; what is left is the
        rounding of one sum in double precision.
        """
        cost, upper, rhs = (np.concatenate(part) for part in (self._cost, self._upper, self._rhs))
        reduced = cost + self._matrix().T @ y
        return float(-rhs @ y + np.minimum(reduced, 0.0) @ upper)

    def _matrix(self) -> Any:
        from scipy.sparse import coo_array

        row, column, value = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        return coo_array((value, (row, column)), shape=(self._rows, self._columns)).tocsr()
