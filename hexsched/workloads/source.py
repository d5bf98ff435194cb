"""Workflows from whatever stands for them: a family, a file of any known format, workflows at hand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from hexsched.errors import InputError, warn
from hexsched.model.context import find_oversize
from hexsched.model.file_kind import check_kind
from hexsched.model.workload import Workflow
from hexsched.registry import meant
from hexsched.workloads.arrivals import ArrivalProcess, apply_arrivals, read_arrivals
from hexsched.workloads.families import FAMILIES, Family, generate
from hexsched.workloads.importers import ImportResult, Reading, choose, split_spec
from hexsched.workloads.workload import Workload

DRAWN = 200  # workflows of a family where nobody says how many


def workload(
    source: str | Path | Family | Iterable[Workflow],
    *,
    workflows: int | None = None,
    arrivals: str | ArrivalProcess | None = None,
    seed: int = 0,
    format: str | None = None,
    **options: object,
) -> Workload:
    """A workload: drawn from a family, read from a file, or workflows that you have.

    Parameters
    ----------
    source : str, Path, Family or iterable of Workflow
        A family (``hexsched.names("workloads")``), a workload file, a trace of any format that ``hexsched formats``
        lists, or a folder of such. Options may stand behind a path: ``"t.jsonl,time_unit=s"``.
    workflows : int, optional
        How many: drawn, or the first of the file. By default 200 of a family, all of anything else.
    arrivals : str or ArrivalProcess, optional
        New arrival times, such as ``"poisson:2.0"``, in workflows a second. By default those of the file, and 0 for
        workflows of a family.
    seed : int
        Of the family and of the arrivals.
    format : str, optional
        Of a trace; by default told from its beginning.
    **options
        Of the trace's format. For a table of your own ``map``, which names its columns:
        ``map="session=session_id,prompt=usage.prompt_tokens,output=usage.completion_tokens"``, or a dict.

    Returns
    -------
    Workload
        A tuple of ``Workflow``.

    Raises
    ------
    InputError
        For an unknown family, with the one that may be meant; for a file, naming line and field; when it has fewer
        workflows than are asked for.

    Warns
    -----
    InputWarning
        For what a trace's importer leaves out or changes.

    Examples
    --------
    >>> import hexsched as hx
    >>> drawn = hx.workload("bfcl", workflows=3, arrivals="fixed:2")
    >>> [workflow.arrival for workflow in drawn]
    [0.0, 0.5, 1.0]
    """
    found = _found(source, workflows, seed, format, options)
    if workflows is not None and len(found) < workflows:
        where = source if isinstance(source, str | Path) else "workload"
        raise InputError(f"{workflows} workflows are asked for, there are {len(found)}", where)
    return set_arrivals(found, arrivals, seed)


def _found(
    source: object, workflows: int | None, seed: int, format: str | None, options: dict[str, object]
) -> Workload:
    """The workflows of a source with the arrivals that they have."""
    if isinstance(source, str) and names_a_family(source):
        source = FAMILIES.find(source)
    if isinstance(source, str | Path):
        path, stated_in_path = split_spec(str(source))
        stated: dict[str, object] = dict(stated_in_path)
        stated.update(options)
        format = format or stated_in_path.get("format")
        stated.pop("format", None)
        imported = read_workflows(Path(path), format, limit=workflows, options=stated)
        return Workload(imported.workflows, Path(path).name.partition(".")[0])
    if format is not None or options:
        which = ", ".join(options) or "format"
        arguments = ("workflows", "arrivals", "seed", "format")
        if options and (near := meant(next(iter(options)), arguments)):
            raise InputError(f"no option {next(iter(options))!r}; did you mean {near!r}?", "workload")
        raise InputError(f"{which}: only traces have a format and its options", "workload")
    if isinstance(source, Family):
        return Workload(generate(source, DRAWN if workflows is None else workflows, seed), source.name)
    if isinstance(source, Iterable) and not isinstance(source, Mapping):
        given = list(source)
        if all(isinstance(each, Workflow) for each in given):
            if workflows is not None and workflows < 1:
                raise InputError(f"workflows must be at least 1, got {workflows}")
            return Workload(given[:workflows], getattr(source, "name", ""))
    raise InputError(
        f"a workload is a family, a file, or workflows; this is {type(source).__name__} {source!r:.40}; "
        f"families are {', '.join(FAMILIES)}"
    )


def names_a_family(text: str, folder: Path = Path()) -> bool:
    """Whether this is a family rather than a file: a family's name, or no such file and nothing that looks like one."""
    path = folder / split_spec(text)[0]
    return text in FAMILIES or not (path.suffix or len(Path(text).parts) > 1 or os.path.exists(path))


def open_workflows(
    path: Path, format: str | None, *, limit: int | None = None, options: Mapping[str, object] | None = None
) -> Reading:
    """A file of any known format, to be read workflow by workflow; see ``read_workflows``."""
    if format is None:
        check_kind(path, "workload", but=("table",))  # traces come as tables
    importer, chosen = choose(path, format, options or {})
    return importer.open(path, limit, **chosen)


def read_workflows(
    path: Path, format: str | None, *, limit: int | None = None, options: Mapping[str, object] | None = None
) -> ImportResult:
    """Import a file or folder of any known format, told from its beginning unless ``format`` names it.

    Raises
    ------
    InputError
        Naming file, line and field, or the option that the format does not have.

    Warns
    -----
    InputWarning
        For what the importer leaves out or changes.
    """
    reading = open_workflows(path, format, limit=limit, options=options)
    result = reading.collect()
    warn_of_findings(path, reading)
    return result


def warn_of_findings(path: Path, reading: Reading) -> None:
    """Say what was left out and noticed in a trace that was read."""
    for reason, count in reading.trace.dropped.items():
        warn(f"{path}: {count:,} requests left out: {reason}")
    for text in reading.trace.notes:
        warn(f"{path}: {text}")


def select_fitting(
    workflows: Workload, largest_kv_cache: int, max_context: int | None, leave_out_oversize: bool, where: str
) -> tuple[Workload, dict[str, int]]:
    """The workflows that are to run on a cluster; those left out are told in a warning.

    Parameters
    ----------
    workflows : Workload
    largest_kv_cache : int
        Tokens: a call must fit into the largest KV cache of the cluster.
    max_context : int or None
        Workflows with a call of more tokens are left out.
    leave_out_oversize : bool
        Whether those with a call that fits nowhere are too; they are an error otherwise.
    where : str
        Where the workflows come from, for messages.

    Returns
    -------
    kept : Workload
    left_out : dict of str to int
        How many workflows were left out, by the parameter that did it.

    Raises
    ------
    InputError
        When a call fits nowhere and ``leave_out_oversize`` is not asked for, and when nothing is left.
    """
    left_out = {}
    kept = tuple(workflows)
    if max_context is not None:
        longer = find_oversize(kept, max_context)
        if longer.workflows:
            left_out["max_context"] = longer.workflows
            warn(f"{where}: {longer.share} left out (--max-context): {longer.reason}")
        kept = longer.kept
    oversize = find_oversize(kept, largest_kv_cache)
    if oversize.workflows and not leave_out_oversize:
        way_out = "--leave-out-oversize (in Python: leave_out_oversize=True) leaves such workflows out"
        raise InputError(f"{oversize.share} do not fit any KV cache: {oversize.reason}; {way_out}", where)
    if oversize.workflows:
        left_out["leave_out_oversize"] = oversize.workflows
        warn(f"{where}: {oversize.share} left out (--leave-out-oversize): {oversize.reason}")
    if workflows and not oversize.kept:
        raise InputError("every workflow has a call that is too large; none is left", where)
    return Workload(oversize.kept, workflows.name), left_out


def set_arrivals(workflows: Workload, arrivals: str | ArrivalProcess | None, seed: int) -> Workload:
    """The workflows with new arrivals, as they are without any; what is odd about these is told in a warning."""
    if arrivals is None:
        return workflows
    process = arrivals if isinstance(arrivals, ArrivalProcess) else read_arrivals(str(arrivals))
    timed = apply_arrivals(workflows, process, seed)
    for text in process.notes:
        warn(text)
    return Workload(timed, workflows.name)
