"""The best bounds and schedules known, who found them and when, in a CSV file: a row an instance and objective."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from experiments.library.names import names
from hexsched.errors import InputError
from hexsched.model.csv_rows import csv_rows
from hexsched.model.files import write_bytes
from hexsched.printable import printable

PACKAGED = Path(__file__).parent / "best_known.csv"
OBJECTIVES = ("max_ratio", "req(0.75)", "mean_ratio", "mean_latency", "misses(1.5)")

Key = tuple[str, str]  # instance, objective


class Entry(NamedTuple):
    """What is known of an instance and objective; the columns of the file.

    Attributes
    ----------
    instance, objective : str
    sha256 : str
        Of the instance file, so that a change of the generator does not go unnoticed.
    lower_bound : float
    lower_source : str
        What proved it.
    upper_bound : float
    upper_source : str
        Whose schedule it is.
    decisions : str
        That schedule (``experiments.library.decisions``).
    lower_by, upper_by : str
        Who found it: a person, or the version of hexsched.
    lower_on, upper_on : str
        When, YYYY-MM-DD. Archives of earlier versions do not have these four; they are empty there.
    """

    instance: str
    objective: str
    sha256: str
    lower_bound: float
    lower_source: str
    upper_bound: float
    upper_source: str
    decisions: str
    lower_by: str = ""
    lower_on: str = ""
    upper_by: str = ""
    upper_on: str = ""

    @property
    def key(self) -> Key:
        """What the entry is filed under."""
        return self.instance, self.objective


BEFORE_FINDERS = tuple(name for name in Entry._fields if name not in Entry._field_defaults)


class Finder(NamedTuple):
    """Who finds a bound or a schedule, and when (YYYY-MM-DD)."""

    by: str = ""
    on: str = ""


NOBODY = Finder()


def expected_keys() -> list[Key]:
    """What a complete archive holds, in the file's order."""
    return [(name, objective) for name in names() for objective in OBJECTIVES]


def read_archive(path: str | Path = PACKAGED) -> dict[Key, Entry]:
    """Read an archive.

    Raises
    ------
    InputError
        Naming file and line: another heading, a wrong number of columns, a bound that is no finite number, a second
        row of the same instance and objective.
    """
    lines = csv_rows(path)
    _, heading = next(lines)
    if tuple(heading) not in (Entry._fields, BEFORE_FINDERS):
        raise InputError(f"expected the columns {', '.join(Entry._fields)}", path)
    entries: dict[Key, Entry] = {}
    for where, row in lines:
        if len(row) != len(heading):
            raise InputError(f"expected {len(heading)} columns, got {len(row)}", where)
        values: dict[str, str | float] = dict(zip(heading, row, strict=True))
        for column in ("lower_bound", "upper_bound"):
            values[column] = _number(str(values[column]), column, where)
        entry = Entry(**values)  # type: ignore[arg-type]
        if entry.key in entries:
            raise InputError(f"a second row of {entry.instance} and {entry.objective}", where)
        entries[entry.key] = entry
    return entries


def write_archive(entries: Mapping[Key, Entry], path: str | Path = PACKAGED) -> None:
    """Write an archive, atomically and in a fixed order."""
    write_bytes(path, csv_bytes(entries))


def csv_bytes(entries: Mapping[Key, Entry]) -> bytes:
    """The file of an archive."""
    rank = {key: position for position, key in enumerate(expected_keys())}
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Entry._fields)
    ordered = sorted(entries.values(), key=lambda entry: (rank.get(entry.key, len(rank)), entry.key))
    writer.writerows([printable(cell) if isinstance(cell, str) else cell for cell in entry] for entry in ordered)
    return text.getvalue().encode()


def _number(text: str, column: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{column} must be a finite number, got {text!r}", where)
    return value
