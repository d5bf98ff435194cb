"""Importers of public trace formats, a module a format; ``parts`` holds what they share.

To add one: a module here with an ``IMPORTER`` in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from hexsched.errors import InputError
from hexsched.model import Workflow
from hexsched.registry import Registry, suggest
from hexsched.workloads.importers.parts.head import Head, read_head
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions, ImportResult, Reading
from hexsched.workloads.importers.parts.records import column_names
from hexsched.workloads.importers.parts.tables import Columns
from hexsched.workloads.importers.parts.trace import open_trace_files

IMPORTERS: Registry[Importer[Any]] = Registry(__name__, "IMPORTER", "trace format", rank=lambda one: one.rank)

ROLES = tuple(each.name for each in fields(Columns))  # of the columns of a table
COLUMNS = "columns"  # the format that a map is of
SHOWN = 12  # columns of an unknown table that a message names
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
    importer, chosen = choose(path, format, options)
    return importer.open(path, limit, **chosen)


def read_trace(
    path: str | Path, format: str | None = None, limit: int | None = None, **options: object
) -> ImportResult:
    """Read a trace file, or a folder of them.

    Parameters
    ----------
    path : str or Path
        Packed with gzip, bzip2, xz or Zstandard, or not; CSV, JSON, or a table in Parquet or Arrow.
    format : str, optional
        Name of an importer; by default told from the file's beginning.
    limit : int, optional
        At most this many workflows, the first in file order.
    **options
        Of the format: see the ``options_type`` of its importer. ``map``: columns of a table by role, see ``choose``.

    Returns
    -------
    ImportResult
        Workflows by arrival, the first at 0, how many requests were dropped, and what else was noticed.

    Raises
    ------
    InputError
        Naming file, line and field.
    """
    importer, chosen = choose(path, format, options)
    return importer.read(path, limit, **chosen)


def import_trace(
    path: str | Path, format: str | None = None, limit: int | None = None, **options: object
) -> tuple[Workflow, ...]:
    """The workflows of ``read_trace``, for when nobody asks what was dropped."""
    return read_trace(path, format, limit, **options).workflows


def choose(
    path: str | Path, format: str | None, options: Mapping[str, object]
) -> tuple[Importer[Any], dict[str, object]]:
    """The importer of a trace, and the options that it is to have.

    ``map`` in the options (``"session=session_id,prompt=usage.prompt_tokens"``, or a mapping of role to column) stands
    for an option a role, of the format ``columns``; so do prompt and output among them where no format is named.

    Raises
    ------
    InputError
        For an unknown format or role, or an option that the format does not have, with what may be meant.
    """
    chosen = dict(options)
    mapping = chosen.pop("map", None)
    if mapping is not None:
        if format not in (None, COLUMNS):
            raise InputError(f"a map names the columns of a table; format {format} has fields of its own", path)
        for role, column in (read_map(mapping) if isinstance(mapping, str) else dict(mapping)).items():  # type: ignore
            if role not in ROLES:
                raise InputError(f"no role {role!r} for a column{suggest(str(role), ROLES)}", "map")
            if chosen.setdefault(role, column) != column:
                raise InputError(f"{role} is given twice, as {chosen[role]!r} and {column!r}", "map")
    if mapping is not None or (format is None and {"prompt", "output"} <= set(chosen)):
        format = COLUMNS
    importer = IMPORTERS.find(sniff_format(path) if format is None else format)
    for name in chosen:
        if name not in importer.options_type.__struct_fields__:
            known = importer.options_type.__struct_fields__
            near = suggest(name, known)
            near = near.partition("?")[0] + "?" if "did you mean" in near else ""
            has = f"{' The' if near else '; the'} options of format {importer.name} are: {', '.join(known)}"
            raise InputError(f"format {importer.name} has no option {name!r}{near}{has}")
    return importer, chosen


def read_map(text: str) -> dict[str, str]:
    """Role to column: ``"prompt=usage.prompt_tokens,session=session id"``; a column's name may have commas in it.

    Raises
    ------
    InputError
        For what is no ``ROLE=COLUMN``, or a role that is given twice.
    """
    found: dict[str, str] = {}
    last = ""
    for part in text.split(","):
        role, equals, column = part.partition("=")
        if not equals and last:
            found[last] += f",{part}"
            continue
        last = role.strip()
        if not equals or not last or not column.strip() or last in found:
            problem = "is given twice" if last in found else "is not ROLE=COLUMN"
            raise InputError(f"{part!r} {problem}; roles are {', '.join(ROLES)}", "map")
        found[last] = column.strip()
    return found


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
        columns = sorted(head.keys) if head.is_json else _csv_columns(head)
        if len(columns) > 1:
            more = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
            return (
                f"fits no known trace format: a table with columns {', '.join(columns[:SHOWN])}{more}; say which is "
                f"what: --map prompt=NAME,output=NAME,session=NAME (in Python map=...), or {_name_one()}"
            )
        return f"the beginning fits no known trace format; {_name_one()}"
    lacking = closest.signature.missing(head)
    if not lacking:
        extra = ", ".join(sorted(closest.signature.refused(head)))
        return (
            f"this looks like {closest.name} but has {extra}; name the fields with --map prompt=…,output=…, or "
            f"{_name_one()}"
        )
    names = " and no ".join(" or ".join(one) for one in lacking)
    what = "column " if closest.signature.csv else ""
    return (
        f"this looks like {closest.name} but has no {what}{names} (line {head.line_without(lacking[0])}); "
        f"name the fields with --map prompt=…,output=…, or {_name_one()}"
    )


def _csv_columns(head: Head) -> list[str]:
    """The columns of a CSV header; none where the line after it has another number of them, as in prose."""
    lines = [line for line in head.text.splitlines() if line.strip()][:2]
    rows = [column_names(line) for line in lines]
    return rows[0] if len(rows) == 2 and len(rows[0]) == len(rows[1]) else []


def _name_one() -> str:
    return f"name one of the formats: {', '.join(IMPORTERS)}"


__all__ = [
    "IMPORTERS",
    "ImportOptions",
    "ImportResult",
    "Importer",
    "Reading",
    "choose",
    "fitting_formats",
    "import_trace",
    "open_trace",
    "read_trace",
    "sniff_format",
    "split_spec",
]
