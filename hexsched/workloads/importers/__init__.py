"""Importers of public trace formats, a module a format; ``parts`` holds what they share.

To add one: a module here with an ``IMPORTER`` in it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hexsched.errors import InputError
from hexsched.model import Workflow
from hexsched.registry import Registry
from hexsched.workloads.importers.parts.head import Head, read_head
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions, ImportResult, Reading
from hexsched.workloads.importers.parts.trace import open_trace_files

IMPORTERS: Registry[Importer[Any]] = Registry(__name__, "IMPORTER", "trace format", rank=lambda one: one.rank)

ALIKE = 0.5  # share of a format's needed fields from which on a file is said to look like it


def sniff_format(path: str | Path) -> str:
    """Name of the one format that the file's beginning fits, or that of the first file of a folder that fits one.

    Raises
    ------
    InputError
        When it fits none, saying which it is like and what it lacks, or more than one.
    """
    problem: InputError | None = None
    for file in open_trace_files(path).files:
        try:
            head = read_head(file)
        except InputError as error:
            problem = problem or error
            continue
        fitting = fitting_formats(head)
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise InputError(f"the beginning fits {', '.join(fitting)}; {_name_one()}", file)
        problem = problem or InputError(_near_miss(head), file)
    assert problem is not None
    raise problem


def fitting_formats(head: Head) -> list[str]:
    """Names of the formats that a beginning fits; the general ones only where no other does."""
    fitting = [name for name, importer in IMPORTERS.items() if not importer.fallback and importer.sniff(head)]
    return fitting or [name for name, importer in IMPORTERS.items() if importer.fallback and importer.sniff(head)]


def open_trace(path: str | Path, format: str | None = None, limit: int | None = None, **options: object) -> Reading:
    """A trace to be read workflow by workflow, in constant memory where the format allows; see ``read_trace``."""
    importer = IMPORTERS.find(sniff_format(path) if format is None else format)
    return importer.open(path, limit, **options)


def read_trace(
    path: str | Path, format: str | None = None, limit: int | None = None, **options: object
) -> ImportResult:
    """Read a trace file, or a folder of them.

    Parameters
    ----------
    path : str or Path
        Packed with gzip, bzip2 or xz, or not.
    format : str, optional
        Name of an importer; by default told from the file's beginning.
    limit : int, optional
        At most this many workflows, the first in file order.
    **options
        Of the format: see the ``options_type`` of its importer.

    Returns
    -------
    ImportResult
        Workflows by arrival, the first at 0, how many requests were dropped, and what else was noticed.

    Raises
    ------
    InputError
        Naming file, line and field.
    """
    importer = IMPORTERS.find(sniff_format(path) if format is None else format)
    return importer.read(path, limit, **options)


def import_trace(
    path: str | Path, format: str | None = None, limit: int | None = None, **options: object
) -> tuple[Workflow, ...]:
    """The workflows of ``read_trace``, for when nobody asks what was dropped."""
    return read_trace(path, format, limit, **options).workflows


def split_spec(text: str, others: tuple[str, ...] = ()) -> tuple[str, dict[str, str]]:
    """A path and what follows it: ``"t.jsonl,format=mooncake,time_unit=s"``.

    Only ``format``, options of formats and ``others`` at the very end are taken off, since a path may hold commas and
    equals signs.
    """
    known = {"format", *others}.union(*(each.options_type.__struct_fields__ for each in IMPORTERS.values()))
    found: dict[str, str] = {}
    path = text
    while match := re.fullmatch(rf"(.*),({'|'.join(sorted(known))})=([^,]*)", path, flags=re.DOTALL):
        path = match[1]
        found.setdefault(match[2], match[3])
    return path, dict(sorted(found.items()))


def _near_miss(head: Head) -> str:
    for schema in sorted(head.schemas):
        return f"schema {schema!r} is that of no known trace format; {_name_one()}"
    closest = max(IMPORTERS.values(), key=lambda importer: importer.signature.likeness(head))
    if closest.signature.likeness(head)[0] < ALIKE:
        return f"the beginning fits no known trace format; {_name_one()}"
    lacking = closest.signature.missing(head)
    if not lacking:
        extra = ", ".join(sorted(closest.signature.refused(head)))
        return (
            f"this looks like {closest.name} but has {extra}; name the fields with --format columns, or {_name_one()}"
        )
    names = " and no ".join(" or ".join(one) for one in lacking)
    what = "column " if closest.signature.csv else ""
    return (
        f"this looks like {closest.name} but has no {what}{names} (line {head.line_without(lacking[0])}); "
        f"name the fields with --format columns, or {_name_one()}"
    )


def _name_one() -> str:
    return f"name one of the formats: {', '.join(IMPORTERS)}"


__all__ = [
    "IMPORTERS",
    "ImportOptions",
    "ImportResult",
    "Importer",
    "Reading",
    "fitting_formats",
    "import_trace",
    "open_trace",
    "read_trace",
    "sniff_format",
    "split_spec",
]
