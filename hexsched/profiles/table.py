"""Measured service times: the table that the laws are fitted to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from hexsched.errors import InputError
from hexsched.model.csv_rows import csv_rows

Phase = Literal["prefill", "decode"]

REQUIRED = ("model", "system", "tp", "phase", "batch_size", "context_tokens", "ms")


@dataclass(frozen=True)
class Measurement:
    """One row of a table.

    Attributes
    ----------
    model, gpu : str
        As the table spells them.
    tp : int
        Tensor-parallel degree.
    phase : {"prefill", "decode"}
        A whole prefill of one prompt, or one decode iteration.
    batch, context : int
        Calls in the batch and tokens of each.
    seconds : float
    backend : str
        Version of the serving engine, empty when the table does not say.
    line : int
        Where it stands in the file.
    """

    model: str
    gpu: str
    tp: int
    phase: Phase
    batch: int
    context: int
    seconds: float
    backend: str
    line: int

    @property
    def kv_tokens(self) -> int:
        """K: KV tokens held by the whole batch."""
        return self.batch * self.context


def read_table(path: str | Path) -> tuple[Measurement, ...]:
    """Read a CSV table of service times by column name; columns beyond the needed ones are left alone.

    Needed are ``model, system, tp, phase, batch_size, context_tokens, ms``; ``backend_version`` is kept when there.

    Raises
    ------
    InputError
        Naming file, line and column.
    """
    lines = csv_rows(path)
    where, names = next(lines)
    header = [name.strip() for name in names]
    _check_header(header, where)
    rows = [_measurement(header, cells, where) for where, cells in lines if any(cell.strip() for cell in cells)]
    if not rows:
        raise InputError("the table has a header and no rows; expected one measurement a line", path)
    return tuple(rows)


def _check_header(header: list[str], where: str) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise InputError(
            f"missing column {missing[0]!r}; needed are {', '.join(REQUIRED)}, found {', '.join(header)}", where
        )
    twice = [name for name in REQUIRED if header.count(name) > 1]
    if twice:
        raise InputError(f"column {twice[0]!r} appears twice", where)


def _measurement(header: list[str], cells: list[str], where: str) -> Measurement:
    if len(cells) != len(header):
        raise InputError(f"expected {len(header)} columns as in the header, found {len(cells)}", where)
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    for name in ("model", "system"):
        if not row[name]:
            raise InputError(f"column {name!r} is empty", where)
    if row["phase"] not in ("prefill", "decode"):
        raise InputError(f"column 'phase' must be 'prefill' or 'decode', got {row['phase']!r}", where)
    phase = cast(Phase, row["phase"])
    batch = _whole(row, "batch_size", where)
    if phase == "prefill" and batch != 1:
        raise InputError(f"column 'batch_size' must be 1 for a prefill, which runs one call, got {batch}", where)
    return Measurement(
        model=row["model"],
        gpu=row["system"],
        tp=_whole(row, "tp", where),
        phase=phase,
        batch=batch,
        context=_whole(row, "context_tokens", where),
        seconds=_milliseconds(row, where) / 1e3,
        backend=row.get("backend_version", ""),
        line=int(where.rpartition(":")[2]),
    )


SHORTEST, LONGEST = 1e-6, 1e12  # milliseconds of a measurement


def _number(row: dict[str, str], column: str, where: str) -> float:
    try:
        value = float(row[column])
    except ValueError:
        raise InputError(f"column {column!r} must be a number, got {row[column]!r}", where) from None
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"column {column!r} must be a finite number above 0, got {row[column]!r}", where)
    return value


def _milliseconds(row: dict[str, str], where: str) -> float:
    value = _number(row, "ms", where)
    if not SHORTEST <= value <= LONGEST:
        raise InputError(f"column 'ms' must be from {SHORTEST:g} to {LONGEST:g}, got {row['ms']!r}", where)
    return value


def _whole(row: dict[str, str], column: str, where: str) -> int:
    value = _number(row, column, where)
    if value != int(value) or value > 1e9:
        raise InputError(f"column {column!r} must be a whole number from 1 to 1000000000, got {row[column]!r}", where)
    return int(value)
