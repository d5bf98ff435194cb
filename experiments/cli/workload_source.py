"""Workflows from a file, with arrival times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli.output import note
from hexsched.errors import InputError

if TYPE_CHECKING:
    from hexsched.model import Workflow
    from hexsched.workloads.importers import ImportResult


def read_workflows(
    path: Path, format: str | None, *, limit: int | None = None, options: Mapping[str, str] | None = None
) -> ImportResult:
    """Import a file of any known format, told from its beginning unless ``format`` names it.

    Requests that the importer leaves out are noted on standard error.

    Raises
    ------
    InputError
        Naming file, line and field, or the option that the format does not have.
    """
    from hexsched.workloads.importers import IMPORTERS, sniff_format

    importer = IMPORTERS.find(sniff_format(path) if format is None else format)
    known = importer.options_type.__struct_fields__
    for name in options or {}:
        if name not in known:
            has = ", ".join(known) or "none"
            raise InputError(f"format {importer.name} has no option {name!r}; its options are: {has}")
    result = importer.read(path, limit, **(options or {}))
    for reason, count in result.dropped.items():
        note(f"{path}: {count:,} requests left out: {reason}")
    return result


def set_arrivals(workflows: Sequence[Workflow], spec: str | None, seed: int) -> tuple[Workflow, ...]:
    """The workflows with arrivals from ``spec``, as they are without one."""
    from hexsched.workloads.arrivals import apply_arrivals, read_arrivals

    return tuple(workflows) if spec is None else apply_arrivals(workflows, read_arrivals(spec), seed)
