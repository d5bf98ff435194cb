"""Workflows from a file, with arrival times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli.output import note
from hexsched.errors import InputError

if TYPE_CHECKING:
    from hexsched.clusters import Machines
    from hexsched.model import Workflow
    from hexsched.workloads.importers import ImportResult, Reading
    from hexsched.workloads.importers.parts.spool import Spool

OWN = "hexsched"  # the format that is not a trace
FAST = 1000.0  # workflows a second from which on a wrong unit of time is likelier than such a trace


def open_workflows(
    path: Path, format: str | None, *, limit: int | None = None, options: Mapping[str, str] | None = None
) -> Reading:
    """A file of any known format, to be read workflow by workflow; see ``read_workflows``."""
    from hexsched.workloads.importers import IMPORTERS, sniff_format

    importer = IMPORTERS.find(sniff_format(path) if format is None else format)
    known = importer.options_type.__struct_fields__
    for name in options or {}:
        if name not in known:
            has = ", ".join(known) or "none"
            raise InputError(f"format {importer.name} has no option {name!r}; its options are: {has}")
    return importer.open(path, limit, **(options or {}))


def read_workflows(
    path: Path, format: str | None, *, limit: int | None = None, options: Mapping[str, str] | None = None
) -> ImportResult:
    """Import a file or folder of any known format, told from its beginning unless ``format`` names it.

    What the importer leaves out or changes is noted on standard error.

    Raises
    ------
    InputError
        Naming file, line and field, or the option that the format does not have.
    """
    reading = open_workflows(path, format, limit=limit, options=options)
    result = reading.collect()
    note_findings(path, reading)
    return result


def note_findings(path: Path, reading: Reading) -> None:
    """Say what was left out and noticed in a trace that was read."""
    for reason, count in reading.trace.dropped.items():
        note(f"{path}: {count:,} requests left out: {reason}")
    for text in reading.trace.notes:
        note(f"{path}: {text}")


def note_span(path: Path, reading: Reading, found: Spool) -> None:
    """Say how much a trace is, over what time, and how much a second that is."""
    count = f"{path}: {reading.format}, {found.workflows:,} workflows, {found.calls:,} calls"
    if not found.span:
        note(f"{count}, all at one time")
        return
    rate = (found.workflows - 1) / found.span
    doubt = "; if that is too many, time_unit is another" if rate > FAST else ""
    note(f"{count} over {found.span:,.6g} s: {rate:,.4g} workflows a second{doubt}")


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


def select_fitting(
    workflows: Sequence[Workflow], machines: Machines, max_context: int | None, leave_out: bool, where: str | Path
) -> tuple[tuple[Workflow, ...], dict[str, int]]:
    """The workflows that are to run on a cluster; those left out are noted on standard error.

    Parameters
    ----------
    workflows : sequence of Workflow
    machines : Machines
        The compiled cluster: a call must fit into its largest KV cache.
    max_context : int or None
        Workflows with a call of more tokens are left out.
    leave_out : bool
        Whether those with a call that fits nowhere are too; they are an error otherwise.
    where : str or Path
        Where the workflows come from, for messages.

    Returns
    -------
    kept : tuple of Workflow
    left_out : dict of str to int
        How many workflows were left out, by the option that did it.

    Raises
    ------
    InputError
        When a call fits nowhere and ``leave_out`` is not asked for, and when nothing is left.
    """
    from hexsched.model import find_oversize

    left_out = {}
    kept = tuple(workflows)
    if max_context is not None:
        longer = find_oversize(kept, max_context)
        if longer.workflows:
            left_out["--max-context"] = longer.workflows
            note(f"{where}: {longer.share} left out (--max-context): {longer.reason}")
        kept = longer.kept
    oversize = find_oversize(kept, machines.largest_kv_cache)
    if oversize.workflows and not leave_out:
        way_out = "--leave-out-oversize leaves such workflows out"
        raise InputError(f"{oversize.share} do not fit any KV cache: {oversize.reason}; {way_out}", where)
    if oversize.workflows:
        left_out["--leave-out-oversize"] = oversize.workflows
        note(f"{where}: {oversize.share} left out (--leave-out-oversize): {oversize.reason}")
    if workflows and not oversize.kept:
        raise InputError("every workflow has a call that is too large; none is left", where)
    return oversize.kept, left_out


def set_arrivals(workflows: Sequence[Workflow], spec: str | None, seed: int) -> tuple[Workflow, ...]:
    """The workflows with arrivals from ``spec``, as they are without one; what is odd about these is noted."""
    from hexsched.workloads.arrivals import apply_arrivals, read_arrivals

    if spec is None:
        return tuple(workflows)
    process = read_arrivals(spec)
    timed = apply_arrivals(workflows, process, seed)
    for text in process.notes:
        note(text)
    return timed
