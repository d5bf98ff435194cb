"""Importers of public trace formats, a module a format; ``parts`` holds what they share.

To add one: a module here with an ``IMPORTER`` in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hexsched.errors import InputError
from hexsched.model import Workflow
from hexsched.registry import Registry
from hexsched.workloads.importers.parts.head import read_head
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions, ImportResult

IMPORTERS: Registry[Importer[Any]] = Registry(__name__, "IMPORTER", "trace format", rank=lambda one: one.rank)


def sniff_format(path: str | Path) -> str:
    """Name of the one format that the file's beginning fits.

    Raises
    ------
    InputError
        When it fits none, or more than one.
    """
    head = read_head(path)
    fitting = [name for name, importer in IMPORTERS.items() if importer.sniff(head)]
    if len(fitting) == 1:
        return fitting[0]
    problem = f"the beginning fits {', '.join(fitting)}" if fitting else "the beginning fits no known trace format"
    raise InputError(f"{problem}; name one of the formats: {', '.join(IMPORTERS)}", path)


def read_trace(
    path: str | Path, format: str | None = None, limit: int | None = None, **options: object
) -> ImportResult:
    """Read a trace file.

    Parameters
    ----------
    path : str or Path
    format : str, optional
        Name of an importer; by default told from the file's beginning.
    limit : int, optional
        At most this many workflows, the first in file order.
    **options
        Of the format: see the ``options_type`` of its importer.

    Returns
    -------
    ImportResult
        Workflows by arrival, the first at 0, and how many requests were dropped.

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


__all__ = ["IMPORTERS", "ImportOptions", "ImportResult", "Importer", "import_trace", "read_trace", "sniff_format"]
