"""Where a command's data goes: a file, or standard output in place of the summary."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from experiments.cli.output import Table, emit, write_stdout
from hexsched.errors import InputError

STDOUT = "-"


def check_destination(output: str | None, inputs: Iterable[str | Path], as_json: bool) -> None:
    """Refuse a hopeless or harmful ``-o`` before any work is done.

    Raises
    ------
    InputError
        When it is one of the ``inputs``, is a directory, cannot be written, or is standard output though ``--json``
        prints there.
    """
    if output is None:
        return
    if output == STDOUT:
        if as_json:
            raise InputError("--json prints on standard output; give -o FILE for the data")
        return
    if os.path.isdir(output):
        raise InputError("cannot write the file: it is a directory", output)
    check_writable(output, inputs)


def check_writable(output: str | Path, inputs: Iterable[str | Path]) -> None:
    """As ``check_destination``, for a path that will be written whatever it is now."""
    if os.path.exists(output):
        for path in inputs:
            if os.path.exists(path) and os.path.samefile(output, path):
                raise InputError("the output would overwrite this input; give another name", path)
    folder = Path(output).absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        what = "no files can be made in" if folder.is_dir() else "not a directory:"
        raise InputError(f"cannot write the file: {what} {folder}", output)


def deliver(
    output: str | None,
    data: Callable[[], bytes | Iterable[bytes]],
    record: object,
    tables: Sequence[Table],
    as_json: bool,
) -> None:
    """Write the data, whole or in pieces, to ``output``; print the summary, unless that is standard output."""
    from hexsched.model.files import write_chunks

    if output is not None:
        content = data()
        chunks = (content,) if isinstance(content, bytes) else content
        if output == STDOUT:
            for chunk in chunks:
                write_stdout(chunk)
            return
        write_chunks(output, chunks)
    emit(record, tables, as_json)
