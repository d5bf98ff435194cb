"""The beginning of a file: what formats are told apart by."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from hexsched.errors import InputError

HEAD_BYTES = 256 * 2**10  # of a file, read to tell its format


class Head(NamedTuple):
    """The first ``HEAD_BYTES`` of a file.

    Attributes
    ----------
    text : str
        Without a byte order mark; bytes that are not UTF-8 are replaced, since reading proper reports them.
    first_line : str
        Its first line that is not blank, which may be cut short.
    """

    text: str
    first_line: str

    @property
    def json_keys(self) -> frozenset[str]:
        """Keys of the JSON objects in the first line, nested ones included; empty when it is not JSON."""
        if not self.first_line.startswith("{"):
            return frozenset()
        return frozenset(re.findall(r'"([^"\\]*)"\s*:', self.first_line))

    @property
    def columns(self) -> frozenset[str]:
        """Names in the first line, read as a CSV header."""
        return frozenset(column_key(name) for name in self.first_line.split(","))


def read_head(path: str | Path) -> Head:
    """The beginning of a file.

    Raises
    ------
    InputError
        When it cannot be read (a directory, say) or is empty.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(f"cannot read the file: {error.strerror or error}", path) from None
    text = data.decode("utf-8", errors="replace").removeprefix("\ufeff").lstrip()
    if not text:
        raise InputError("the file is empty", path)
    return Head(text=text, first_line=text.partition("\n")[0].strip())


def column_key(name: str) -> str:
    """A column name without case, spaces, underscores and quotes: ``"Session ID"`` and ``SessionID`` are one."""
    return re.sub(r"[\s_\"]", "", name).lower()
