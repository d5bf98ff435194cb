"""What commands print: a table for people or one JSON object on standard output, notes on standard error."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hexsched.errors import InputError, InputWarning
from hexsched.printable import printable

if TYPE_CHECKING:
    import pandas as pd

UNBOUNDED = 10_000  # columns; lines are folded for terminals only
_NARROW = re.compile("[ -\u02ff\u2026]*")  # text of letters that are as wide as any on a terminal, for certain


class Table(NamedTuple):
    """Rows for people to read.

    Attributes
    ----------
    columns : sequence of str
        Headings; all empty for a table without a heading line.
    rows : sequence of sequences
        Text as it is; numbers are rounded and aligned; None reads "-".
    title : str
        A line above it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""


def facts(*rows: tuple[str, object], title: str = "") -> Table:
    """A table of one thing: a name and a value a row."""
    return Table(("", ""), rows, title)


def percent(fraction: float) -> str:
    """A fraction as people read it."""
    return f"{100 * fraction:.2f} %"


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """A data frame as JSON can hold it: what is NaN becomes None."""
    return [
        {str(name): None if value != value else value for name, value in row.items()}
        for row in frame.to_dict(orient="records")
    ]


def emit(record: object, tables: Sequence[Table], as_json: bool) -> None:
    """Print ``record`` as one JSON object, or else ``tables``.

    Parameters
    ----------
    record : dict or msgspec struct
        Floats are written at full precision, NaN and infinities as null.
    tables : sequence of Table
        Empty ones are left out.
    as_json : bool
    """
    if as_json:
        import msgspec

        write_stdout(msgspec.json.encode(record) + b"\n")
    else:
        text = "\n".join(_rendered(table) for table in tables if table.rows)
        encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
        write_stdout(text.encode(encoding, errors="backslashreplace"))


def write_stdout(data: bytes) -> None:
    """Write to standard output; a reader that has left (``| head``) ends the output quietly, not the command.

    Raises
    ------
    InputError
        When standard output is closed or its disk is full.
    """
    if sys.stdout is None:  # closed by the shell, with >&-
        raise InputError("cannot write to standard output: it is closed")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        discard_stdout()
    except OSError as error:
        discard_stdout()
        raise InputError(f"cannot write to standard output: {error.strerror or error}") from None


def discard_stdout() -> None:
    """Send what is still buffered, and all that follows, to nowhere: the interpreter flushes once more at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def note(text: str) -> None:
    """One line on standard error."""
    print(f"hexsched: {printable(' '.join(text.split()))}", file=sys.stderr)


@contextlib.contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Print each ``InputWarning`` raised inside once, as a note."""
    told: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if not issubclass(category, InputWarning):
            show_other(message, category, *place, **more)
        elif str(message) not in told:
            told.add(str(message))
            note(str(message))

    with warnings.catch_warnings():
        show_other = warnings.showwarning
        warnings.showwarning = show
        warnings.simplefilter("always", InputWarning)
        yield


def _rendered(table: Table) -> str:
    numeric = [
        all(isinstance(row[k], (int, float)) or row[k] is None for row in table.rows) for k in range(len(table.columns))
    ]
    body = [list(map(_cell, row)) for row in table.rows]
    lines = [list(table.columns), *body] if any(table.columns) else body
    title = "\n".join(map(printable, table.title.splitlines()))
    drawn = None if sys.stdout.isatty() else _aligned(lines, numeric)
    if drawn is None:
        drawn = _folded(title, table.columns, body, numeric)
    elif title:
        drawn = [*title.splitlines(), *drawn]
    return "".join(f"{line.rstrip()}\n" for line in drawn)


def _aligned(lines: Sequence[Sequence[str]], numeric: Sequence[bool]) -> list[str] | None:
    """Lines of columns; None where a letter may be wider than others, or a line longer than any that is not folded."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if not all(_NARROW.fullmatch(text) for line in lines for text in line) or sum(widths) + 2 * len(widths) > UNBOUNDED:
        return None
    return [
        "  ".join(
            f"{text:{'>' if right else '<'}{width}}" for text, right, width in zip(line, numeric, widths, strict=True)
        ).rstrip()
        for line in lines
    ]


def _folded(title: str, columns: Sequence[str], body: Sequence[Sequence[str]], numeric: Sequence[bool]) -> list[str]:
    """The same by rich, which folds what is too wide for a terminal, and takes a tenth of a second to load."""
    import io

    from rich import table as rich_table
    from rich.console import Console

    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else UNBOUNDED
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=width, markup=False, emoji=False, highlight=False)
    grid = rich_table.Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(columns))
    for name, right in zip(columns, numeric, strict=True):
        grid.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in body:
        grid.add_row(*row)
    if title:
        console.print(title)
    console.print(grid)
    return text.getvalue().splitlines()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and abs(value) >= 1e4):
        return f"{value:,.0f}"
    if isinstance(value, float):
        return f"{value:#,.4g}".rstrip(".")
    return printable(str(value))
