"""One reading of a trace: its files, record by record, and what is noticed on the way."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hexsched.errors import InputError
from hexsched.workloads.importers.parts.records import csv_records, json_document, json_records, text_lines

T = TypeVar("T")
R = TypeVar("R")

# Endings of the files of a folder that are read; others (a README, a licence) are passed over with a note, but where no
# file has one of them.
SUFFIXES = frozenset(
    {*(".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".log", ".parquet", ".arrow", ".feather")}
)
PACKED_SUFFIXES = frozenset({".gz", ".bz2", ".xz", ".zst"})

MOST_FILES = 20_000  # of a folder that is a trace: somebody who says "/" is told at once


@dataclass
class Trace:
    """What an importer reads from, and where it says what it left out or changed.

    Attributes
    ----------
    path : Path
        A file or a folder.
    files : tuple of Path
        The file, or those of the folder in sorted order.
    limit : int or None
        How many workflows are wanted; an importer that holds back what it reads may stop when so many have begun.
    skip_invalid : bool
        Leave out records, or files of one record, that are invalid, instead of stopping at the first.
    estimate_service : bool
        Whether what a request took is estimated where it is not recorded, see ``pauses``.
    dropped : Counter
        Reason to number of requests left out.
    counted : Counter
        What else the user should know and how often it happened, to stand behind the number.
    notes : list of str
        What else the user should know.
    """

    path: Path
    files: tuple[Path, ...]
    limit: int | None = None
    skip_invalid: bool = False
    estimate_service: bool = True
    dropped: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    invalid: Counter[str] = field(default_factory=Counter)
    first_invalid: str = ""

    def json_lines(self, kind: type[T]) -> Iterator[tuple[str, T]]:
        """Yield (where, record) of every file: see ``json_records``."""
        for path in self.files:
            yield from self._valid(json_records(path, kind), "records")

    def csv_rows(
        self, required: tuple[str, ...], optional: tuple[str, ...], parse: Callable[[str, Sequence[str]], R]
    ) -> Iterator[tuple[str, R]]:
        """Yield (where, row) of every file, as ``parse`` makes it of (where, values): see ``csv_records``."""
        for path in self.files:
            yield from self._valid(csv_records(path, required, optional, parse), "rows")

    def documents(self, kind: type[T]) -> Iterator[tuple[str, T]]:
        """Yield (where, value): files that are one JSON value each, or JSON Lines of such values."""
        for path in self.files:
            if _is_json_lines(path):
                yield from self._valid(json_records(path, kind), "records")
            else:
                yield from self._valid([(str(path), _document(path, kind))], "files")

    def check(self, read: Callable[[], R]) -> R | None:
        """What ``read`` returns, or None where it raises ``InputError`` and invalid records are to be left out."""
        try:
            return read()
        except InputError as error:
            self._skip(error, "records")
            return None

    def again(self) -> Trace:
        """The same trace for another reading, before the one that counts."""
        return Trace(self.path, self.files, self.limit, self.skip_invalid, self.estimate_service)

    def note(self, text: str) -> None:
        """Add to what the user should know, once."""
        if text not in self.notes:
            self.notes.append(text)

    def drop_empty(self, prompt: int, output: int) -> bool:
        """Whether a request has no tokens to prefill or none to decode; if so it is counted in ``dropped``."""
        if prompt > 0 and output > 0:
            return False
        self.dropped["zero prompt tokens" if prompt == 0 else "zero output tokens"] += 1
        return True

    def finish(self) -> None:
        """Turn what was counted into notes."""
        for what, count in self.invalid.items():
            self.note(f"{count:,} invalid {what} left out, the first: {self.first_invalid}")
        self.invalid.clear()
        for what, count in self.counted.items():
            self.note(f"{count:,} {what}")
        self.counted.clear()

    def _valid(self, records: Iterable[tuple[str, R | InputError]], what: str) -> Iterator[tuple[str, R]]:
        for where, record in records:
            if isinstance(record, InputError):
                self._skip(record, what)
            else:
                yield where, record

    def _skip(self, error: InputError, what: str) -> None:
        if not self.skip_invalid:
            if len(self.files) > 1:
                raise InputError(f"{error}; --option skip_invalid=true leaves such {what} out and counts them")
            raise error
        self.invalid[what] += 1
        self.first_invalid = self.first_invalid or str(error)


def open_trace_files(path: str | Path) -> Trace:
    """The trace that a file is, or the files of a folder and of the folders in it.

    Raises
    ------
    InputError
        For a folder without a file to read, and one with far too many.
    """
    path = Path(path)
    if not os.path.isdir(path):  # which takes names that no file can have
        return Trace(path, (path,))
    found = _files_below(path)
    files = tuple(each for each in found if _is_data(each)) or tuple(found)
    if not files:
        raise InputError("there is no file in this folder", path)
    trace = Trace(path, files)
    if len(files) < len(found):
        trace.note(f"{len(found) - len(files):,} files of the folder are no traces by their names: passed over")
    return trace


def _is_data(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] in PACKED_SUFFIXES
    return packed or (bool(suffixes) and suffixes[-1] in SUFFIXES)


def _files_below(folder: Path) -> list[Path]:
    """The files of a folder and of those in it, in order, without hidden ones and what may not be looked at."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(place, name) for name in files if not name.startswith(".")]
        found += (each for each in paths if os.path.isfile(each))
        if len(found) > MOST_FILES:
            raise InputError(f"more than {MOST_FILES:,} files are below this folder; give one of its folders", folder)
    return sorted(found)


def _document(path: Path, kind: type[T]) -> T | InputError:
    try:
        return json_document(path, kind)
    except InputError as error:
        return error


def _is_json_lines(path: Path) -> bool:
    """Whether a first line that ends an object is followed by more; one object may be too long for a line."""
    lines = (line for _, line in text_lines(path))
    return next(lines).rstrip().endswith(b"}") and next(lines, None) is not None
