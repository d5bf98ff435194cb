"""The beginning of a file: what formats are told apart by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from hexsched.errors import InputError
from hexsched.model.files import UNREADABLE, open_plain, unreadable
from hexsched.workloads.importers.parts.records import column_key, column_names

HEAD_BYTES = 256 * 2**10  # of a file, read to tell its format


@dataclass(frozen=True)
class Head:
    """The first ``HEAD_BYTES`` of a file, unpacked.

    Attributes
    ----------
    text : str
        Without a byte order mark; bytes that are not UTF-8 are replaced, since reading proper reports them.
    """

    text: str

    @property
    def first_line(self) -> str:
        """Its first line that is not blank, which may be cut short."""
        return self.text.partition("\n")[0].strip()

    @property
    def is_json(self) -> bool:
        """Whether it begins as JSON does."""
        return self.text.startswith(("{", "["))

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        """The objects of its lines, where it has one a line, those of its beginning that are not cut short."""
        return list(self._objects()) if self.text.startswith("{") else []

    @cached_property
    def all_keys(self) -> frozenset[str]:
        """Keys of its JSON objects, at any depth, whose values are not null; empty when it is not JSON."""
        if self.lines:
            return frozenset(_keys(self.lines))
        return frozenset(re.findall(r'"([^"\\]*)"\s*:', self.text)) if self.is_json else frozenset()

    @cached_property
    def keys(self) -> frozenset[str]:
        """Keys of the objects of its lines; where there is not an object a line, keys at any depth."""
        found = frozenset(key for record in self.lines for key, value in record.items() if value is not None)
        return found or self.all_keys

    @cached_property
    def schemas(self) -> frozenset[str]:
        """What its fields called ``schema`` say."""
        return frozenset(re.findall(r'"schema"\s*:\s*"([^"\\]*)"', self.text)) if self.is_json else frozenset()

    @cached_property
    def columns(self) -> frozenset[str]:
        """Names in the first line, read as a CSV header; empty when it is JSON."""
        return frozenset() if self.is_json else frozenset(map(column_key, column_names(self.first_line)))

    def line_without(self, names: tuple[str, ...]) -> int:
        """Number of the first line whose object has none of these fields, 1 where that cannot be told."""
        for number, line in enumerate(self.text.splitlines(), 1):
            record = _object(line)
            if record is not None and not any(record.get(name) is not None for name in names):
                return number
        return 1

    def _objects(self) -> Iterator[dict[str, Any]]:
        for line in self.text.splitlines():
            if line.strip():
                record = _object(line)
                if record is None:
                    return
                yield record


@dataclass(frozen=True)
class Signature:
    """What the fields of a format are, as far as formats are told apart by them.

    Attributes
    ----------
    needs : tuple of tuples of str
        Fields that there must be, each with the names it may have.
    refuses : tuple of str
        Fields that there must not be: another format has them.
    hints : tuple of str
        Fields that there may be.
    csv : bool
        Whether the fields are the columns of a CSV file; otherwise of JSON objects.
    deep : bool
        Whether fields count at any depth.
    """

    needs: tuple[tuple[str, ...], ...]
    refuses: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    csv: bool = False
    deep: bool = False

    def missing(self, head: Head) -> list[tuple[str, ...]]:
        """The fields that a file needs and does not have."""
        present = self._present(head)
        return [names for names in self.needs if not present & self._named(names)]

    def refused(self, head: Head) -> frozenset[str]:
        """The fields that it has, at any depth, and must not have."""
        return (head.columns if self.csv else head.all_keys) & self._named(self.refuses)

    def fits(self, head: Head) -> bool:
        """Whether a file that begins like this has the fields of the format."""
        return head.is_json != self.csv and not self.missing(head) and not self.refused(head)

    def likeness(self, head: Head) -> tuple[float, int, int]:
        """How much a file is like it, for comparing.

        Returns
        -------
        share : float
            Of the needed fields that it has.
        refused : int
            Less one for each field that it must not have.
        hints : int
            Number of the other fields that it may have.
        """
        if head.is_json == self.csv or not self.needs:
            return (0.0, 0, 0)
        share = 1 - len(self.missing(head)) / len(self.needs)
        return (share, -len(self.refused(head)), len(self._present(head) & self._named(self.hints)))

    def _present(self, head: Head) -> frozenset[str]:
        return head.columns if self.csv else head.all_keys if self.deep else head.keys

    def _named(self, names: tuple[str, ...]) -> frozenset[str]:
        return frozenset(map(column_key, names) if self.csv else names)


def read_head(path: str | Path) -> Head:
    """The beginning of a file.

    Raises
    ------
    InputError
        When it cannot be read or is empty.
    """
    try:
        with open_plain(path) as file:
            data = file.read(HEAD_BYTES)
    except UNREADABLE as error:
        raise unreadable(error, path) from None
    text = data.decode("utf-8", errors="replace").removeprefix("\ufeff").lstrip()
    if not text:
        raise InputError("the file is empty", path)
    return Head(text)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if item is not None:
                yield key
                yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, (dict, list)):
                yield from _keys(item)


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return None
    return value if isinstance(value, dict) else None
