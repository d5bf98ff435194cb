"""Rows of a long measurement in a file, so that it goes on where it was interrupted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from experiments.bench.growth import Row
from hexsched.errors import InputError
from hexsched.model.files import read_bytes


class RowFile:
    """A file of rows, one JSON object a line, each with what it was measured under.

    Parameters
    ----------
    path : Path, optional
        Where rows go; nowhere when absent.
    under : mapping
        Seed and versions. Rows that were measured under others are kept in the file and are not in ``known``.

    Attributes
    ----------
    known : list of Row

    Raises
    ------
    InputError
        For a line that is no row; the last one may be cut short, as by a kill.
    """

    def __init__(self, path: Path | None, under: Mapping[str, object]) -> None:
        self._path, self._under = path, under
        self.known: list[Row] = []
        if path is None or not path.exists():
            return
        text = read_bytes(path)
        whole, _, rest = text.rpartition(b"\n")
        if rest:
            os.truncate(path, len(text) - len(rest))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                found = msgspec.json.decode(line)
                row = msgspec.convert({name: found[name] for name in Row.__struct_fields__}, Row)
            except (msgspec.MsgspecError, KeyError, TypeError) as error:
                raise InputError(f"line {number} is no row of 'hexsched bench growth': {error}", path) from None
            if all(found.get(name) == value for name, value in under.items()):
                self.known.append(row)

    def add(self, row: Row) -> None:
        """Write a row, unless it is there."""
        if self._path is None or row in self.known:
            return
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode({**msgspec.structs.asdict(row), **self._under}) + b"\n")
