"""Every trace format, and the way from a file to workflows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hexsched.errors import InputError
from hexsched.model import Workflow
from hexsched.workloads.importers.agentic_mooncake import AgenticMooncakeImporter
from hexsched.workloads.importers.azure import AzureImporter
from hexsched.workloads.importers.bailian import BailianImporter
from hexsched.workloads.importers.base import Importer, ImportResult
from hexsched.workloads.importers.burstgpt import BurstGptImporter
from hexsched.workloads.importers.head import read_head
from hexsched.workloads.importers.hexgen_flow import HexGenFlowImporter
from hexsched.workloads.importers.hexsched_jsonl import HexschedImporter
from hexsched.workloads.importers.mooncake import MooncakeImporter
from hexsched.workloads.importers.weka import WekaImporter

_IMPORTERS: tuple[Importer[Any], ...] = (
    HexschedImporter(),
    AzureImporter(),
    MooncakeImporter(),
    BurstGptImporter(),
    BailianImporter(),
    AgenticMooncakeImporter(),
    HexGenFlowImporter(),
    WekaImporter(),
)


def importers() -> tuple[Importer[Any], ...]:
    """Every importer."""
    return _IMPORTERS


def importer(name: str) -> Importer[Any]:
    """The importer of format ``name``; ``InputError`` listing the formats when there is none."""
    for candidate in _IMPORTERS:
        if candidate.name == name:
            return candidate
    raise InputError(f"unknown trace format {name!r}; the formats are: {_names()}")


def sniff_format(path: str | Path) -> str:
    """Name of the one format that the file's beginning fits.

    Raises
    ------
    InputError
        When it fits none, or more than one.
    """
    head = read_head(path)
    fitting = [candidate.name for candidate in _IMPORTERS if candidate.sniff(head)]
    if len(fitting) == 1:
        return fitting[0]
    problem = f"the beginning fits {', '.join(fitting)}" if fitting else "the beginning fits no known trace format"
    raise InputError(f"{problem}; name one of the formats: {_names()}", path)


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
    chosen = importer(format) if format is not None else importer(sniff_format(path))
    return chosen.read(path, limit, **options)


def import_trace(
    path: str | Path, format: str | None = None, limit: int | None = None, **options: object
) -> tuple[Workflow, ...]:
    """The workflows of ``read_trace``, for when nobody asks what was dropped."""
    return read_trace(path, format, limit, **options).workflows


def _names() -> str:
    return ", ".join(candidate.name for candidate in _IMPORTERS)
