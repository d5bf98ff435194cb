"""A schedule from outside: verified, compared with the best known, and filed where it is better.

The verifier has the only word on whether it is a schedule and on its value. What is filed are its decisions
(``experiments.library.decisions``), re-timed and verified once more, so a schedule that idles may come out better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from experiments.library.archive import OBJECTIVES, Entry, Finder, Key
from experiments.library.check import critical_path, prepared, verified_value
from experiments.library.filing import Bound, Upper, first_entry, is_better, with_schedule
from experiments.library.names import instance, names
from hexsched.errors import InputError, warn
from hexsched.registry import suggest

if TYPE_CHECKING:
    from hexsched.model import Schedule


class NotValidError(Exception):
    """What was submitted breaks a rule; the message says which, and where."""


class Verdict(NamedTuple):
    """A submitted schedule by one objective.

    Attributes
    ----------
    objective : str
    value : float
        Of its decisions, re-timed.
    lower_bound : float
    known : float or None
        The best value known before; None where nothing was.
    better : bool
        Whether it is the best now.
    """

    objective: str
    value: float
    lower_bound: float
    known: float | None
    better: bool


class Submission(NamedTuple):
    """A schedule of an instance of the library, valid by the verifier.

    Attributes
    ----------
    name : str
        Of the instance.
    source : str
        Whose it is: the schedule's ``policy``, ``by`` of a flat solution.
    schedule : Schedule
        Its decisions, re-timed.
    by : str or None
        Who found it, where the file says so.
    """

    name: str
    source: str
    schedule: Schedule
    by: str | None = None


def read_submission(path: str | Path, name: str | None = None) -> Submission:
    """A submitted file: a schedule, or the solution of a flat instance.

    Parameters
    ----------
    path : str or Path
    name : str, optional
        Of the instance; by default the one that a flat solution names, or the name of the file up to a dot.

    Raises
    ------
    InputError
        For a file that is neither, and an instance that is not archived.
    NotValidError
        When it is no schedule of the instance.
    """
    from experiments.exports.parts.flat import as_schedule, read_solution
    from hexsched.model import read_schedule
    from hexsched.model.file_kind import kind_of
    from hexsched.simulator import retime

    by = None
    if kind_of(path) == "flat-solution":
        solution = read_solution(path)
        if name not in (None, solution.name):
            warn(f"{path}: taken for a solution of {name}, as --instance says; the file says {solution.name}")
        name = _archived(name or solution.name, path)
        try:
            schedule, by = as_schedule(solution, instance(name)), solution.by
        except InputError as error:
            raise InputError(str(error), path) from None
    else:
        schedule = read_schedule(path)
        name = _archived(name or Path(path).name.split(".")[0], path)
        _refuse_invalid(name, schedule, path)
    try:
        again = retime(instance(name), schedule)
    except InputError as error:
        raise NotValidError(f"{path}: {error}") from None
    _refuse_invalid(name, again, path)
    return Submission(name, schedule.policy, again, by or None)


def submit(
    submission: Submission, entries: Mapping[Key, Entry], finder: Finder, ours: Finder, keep: Callable[[Entry], None]
) -> list[Verdict]:
    """Compare a schedule with the best known by every archived objective, and file it where it is better.

    Parameters
    ----------
    submission : Submission
    entries : dict of (str, str) to Entry
        The archive.
    finder : Finder
        Of the schedule.
    ours : Finder
        Of the bound by the critical path, where none is archived.
    keep : callable
        Called with each entry that is better than it was.

    Raises
    ------
    ContradictionError
        When it is below an archived lower bound: one of the two is wrong.
    """
    from hexsched.verifier import verify

    problem, sha256 = prepared(submission.name)
    metrics = verify(problem.instance, submission.schedule).metrics
    assert metrics is not None, "a submission is valid"
    verdicts = []
    for objective in OBJECTIVES:
        key = (submission.name, objective)
        known = entries.get(key)
        if known is not None and known.sha256 != sha256:
            raise InputError(f"the archive's {key[0]}, {key[1]} is of another instance than the generator makes")
        value = verified_value(metrics, objective)
        entry = known or first_entry(key, sha256, Bound(critical_path(metrics, objective), "critical-path", ours))
        better = is_better(entry, value)
        if better:
            entry = with_schedule(entry, problem, Upper(value, submission.schedule, submission.source, finder))
            keep(entry)
        verdicts.append(Verdict(objective, value, entry.lower_bound, known.upper_bound if known else None, better))
    return verdicts


def _archived(name: str, path: str | Path) -> str:
    if name not in names():
        raise InputError(
            f"no archived instance is called {name!r}{suggest(name, names())}; give it as --instance NAME", path
        )
    return name


def _refuse_invalid(name: str, schedule: Schedule, path: str | Path) -> None:
    from hexsched.verifier import verify

    report = verify(instance(name), schedule)
    if not report.ok:
        more = f", and {len(report.violations) - 1} more" if len(report.violations) > 1 else ""
        raise NotValidError(f"{path}: not a schedule of {name}: {report.violations[0]}{more}")
