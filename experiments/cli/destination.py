"""Where a command's data goes: a file, or standard output in place of the summary."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from experiments.cli.output import Table, emit, note, write_stdout
from hexsched.errors import InputError

STDOUT = "-"


def check_destination(
    output: str | None, inputs: Iterable[str | Path], as_json: bool, kind: str, force: bool = False
) -> None:
    """Refuse a hopeless or harmful ``-o`` before any work is done.

    Parameters
    ----------
    output : str or None
    inputs : iterable of str or Path
        Files that the command reads.
    as_json : bool
        Whether the command prints a record on standard output.
    kind : str
        What is written, of ``hexsched.model.file_kind.KINDS``.
    force : bool
        Whether a file of another kind may be overwritten.

    Raises
    ------
    InputError
        When it is one of the ``inputs``, a directory or a file of another kind, cannot be written, or is standard
        output though ``--json`` prints there.
    """
    if output is None:
        return
    if output == STDOUT:
        if as_json:
            raise InputError("--json prints on standard output; give -o FILE for the data")
        return
    if os.path.isdir(output):
        raise InputError("cannot write the file: it is a directory", output)
    check_writable(output, inputs, kind, force)


def check_writable(output: str | Path, inputs: Iterable[str | Path], kind: str, force: bool = False) -> None:
    """As ``check_destination``, for a path that will be written whatever it is now."""
    from hexsched.model.file_kind import KINDS, kind_of

    if os.path.exists(output):
        for path in inputs:
            if os.path.exists(path) and os.path.samefile(output, path):
                raise InputError("the output would overwrite this input; give another name", path)
    folder = Path(output).absolute().parent
    nearest = next(each for each in (folder, *folder.parents) if os.path.exists(each))
    if nearest != folder and os.path.isdir(nearest):
        raise InputError(f"cannot write the file: there is no folder {folder}; make it, or give another name", output)
    _check_folder(nearest, output)
    if not force and os.path.isfile(output) and os.path.getsize(output) and (found := kind_of(output)) != kind:
        what = "a file of another kind" if found is None else KINDS[found][0]
        raise InputError(f"{what} stands there, and {KINDS[kind][0]} would overwrite it; --force does so", output)


def check_directory(
    output: str | Path, names: Iterable[str], inputs: Sequence[str | Path], kind: str = "table", force: bool = False
) -> None:
    """As ``check_writable``, for a directory that is made where there is none, and files of these names in it."""
    folder = Path(output)
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise InputError("expected a directory to write to, this is a file", output)
    if os.path.exists(folder):
        _check_folder(folder, output)
        for name in names:
            check_writable(folder / name, inputs, kind, force)
        return
    above = folder.absolute().parent
    if not os.path.exists(above):
        raise InputError(f"there is no folder {above} to make it in; make that, or give another name", output)
    _check_folder(above, output)


def _check_folder(folder: Path, output: str | Path) -> None:
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        what = "no files can be made in" if os.path.isdir(folder) else "not a directory:"
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

    if output == STDOUT and sys.stdout is not None and sys.stdout.isatty():
        note("the data is not printed on a terminal; -o FILE writes it, and '| cat' prints it")
    elif output is not None:
        content = data()
        chunks = (content,) if isinstance(content, bytes) else content
        if output == STDOUT:
            for chunk in chunks:
                write_stdout(chunk)
            return
        write_chunks(output, chunks)
    emit(record, tables, as_json)
