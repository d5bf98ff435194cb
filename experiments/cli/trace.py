"""Traces on the command line: options of their formats, and what is said of one that was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli.output import note
from hexsched.errors import InputError

if TYPE_CHECKING:
    from hexsched.workloads.importers import ImportResult, Reading
    from hexsched.workloads.importers.parts.spool import Spool


def trace_options(option: Sequence[str] | None, map: str | None, time_unit: str | None) -> dict[str, str]:
    """What a trace is to be read with: options, the map of a table's columns, the unit of its times.

    Raises
    ------
    InputError
        As ``key_values``, and for a unit that is given twice.
    """
    options = key_values(option)
    for name, value in (("map", map), ("time_unit", time_unit)):
        if value is None:
            continue
        if name in options:
            raise InputError(f"{name} is given twice", "--option")
        options[name] = value
    return options


def read_workload(
    text: str, workflows: int | None, seed: int, format: str | None, options: Mapping[str, str]
) -> ImportResult:
    """The workflows of a file, or drawn from the family of that name; ``workflows`` of them where it is a number.

    Raises
    ------
    InputError
        As ``hexsched.workload``.
    """
    from hexsched.workloads.importers import ImportResult
    from hexsched.workloads.source import names_a_family, read_workflows
    from hexsched.workloads.source import workload as find_workload

    if names_a_family(text):
        drawn = find_workload(text, workflows=workflows, seed=seed, format=format, **options)
        return ImportResult(format="family", workflows=tuple(drawn), dropped={})
    found = read_workflows(Path(text), format, limit=workflows, options=options)
    if workflows is not None and len(found.workflows) < workflows:
        raise InputError(f"{workflows} workflows are asked for, the file has {len(found.workflows)}", text)
    return found


def key_values(texts: Sequence[str] | None) -> dict[str, str]:
    """Options of a format, each written KEY=VALUE.

    Raises
    ------
    InputError
        For one that is not, or is given twice.
    """
    pairs: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key or key in pairs:
            problem = "is given twice" if key in pairs else "is not KEY=VALUE"
            raise InputError(f"{text!r} {problem}", "--option")
        pairs[key] = value
    return pairs


def note_span(path: Path, reading: Reading, found: Spool) -> None:
    """Say how much a trace is, over what time, and how much a second that is."""
    count = f"{path}: {reading.format}, {found.workflows:,} workflows, {found.calls:,} calls"
    if not found.span:
        note(f"{count}, all at one time")
        return
    rate = (found.workflows - 1) / found.span
    note(f"{count} over {found.span:,.6g} s: {rate:,.4g} workflows a second")


def as_options(left_out: Mapping[str, int]) -> dict[str, int]:
    """What ``select_fitting`` left out, by the option that did it."""
    return {f"--{name.replace('_', '-')}": count for name, count in left_out.items()}
