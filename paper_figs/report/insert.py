"""Tables of figures in a page of Markdown, between marks, so that a page about a study is made anew from its store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hexsched.errors import InputError
from hexsched.model.files import read_bytes, write_bytes


def insert(page: Path, tables: Mapping[str, str]) -> None:
    """Replace what stands between the lines ``<!-- NAME -->`` and ``<!-- /NAME -->`` by the table of that name.

    Raises
    ------
    InputError
        When the page cannot be read, or has not both lines once, in this order.
    """
    text = read_bytes(page).decode()
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed or begin in rest:
            raise InputError(f"expected the lines {begin.strip()} and {end.strip()} once, with the table between", page)
        text = f"{before}{begin}\n{table}\n{end}{after}"
    write_bytes(page, text.encode())
