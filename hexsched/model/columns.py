"""A workload as columns: the form for a million calls, made of workflows or of a file, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from hexsched.model.hint import NO_HINTS, Given, Hints, hints_of
from hexsched.model.rows import Floats, Integers, Rows, Texts, TextsBuilder, joined
from hexsched.model.workload import MAX_TOKENS, Call, Workflow

AT_A_TIME = 1024  # workflows that are objects at one time, while columns are made of a file


@dataclass(frozen=True, eq=False)
class WorkloadColumns:
    """Workflows and calls in the order of the file; all arrays are read-only.

    Attributes
    ----------
    workflow_id : tuple of str
        W of them.
    arrival : (W,) float array
        a_w, seconds.
    first : (W + 1,) int array
        The calls of workflow w are those from ``first[w]`` to before ``first[w + 1]``.
    call_id, kind : Texts
        N of each.
    prompt, output, cached : (N,) int arrays
        Tokens.
    delay : (N,) float array
        Seconds.
    parent : (E,) int array
        Positions of calls: the parents of each call, one call after the other.
    first_parent : (N + 1,) int array
        Those of call c are from ``first_parent[c]`` to before ``first_parent[c + 1]``.
    hints, call_hints : Hints
        Of workflows, and of calls.
    """

    workflow_id: tuple[str, ...]
    arrival: Floats
    first: Integers
    call_id: Texts
    kind: Texts
    prompt: Integers
    output: Integers
    cached: Integers
    delay: Floats
    parent: Integers
    first_parent: Integers
    hints: Hints = NO_HINTS
    call_hints: Hints = NO_HINTS

    @property
    def calls(self) -> int:
        """N."""
        return len(self.prompt)

    @property
    def workflow(self) -> Integers:
        """The workflow of each call, (N,) positions."""
        return np.repeat(np.arange(len(self.workflow_id)), np.diff(self.first))

    @property
    def child(self) -> Integers:
        """The call that each entry of ``parent`` is a parent of, (E,) positions."""
        return np.repeat(np.arange(self.calls), np.diff(self.first_parent))

    def name(self, call: int) -> tuple[str, str]:
        """Workflow id and call id of a call."""
        w = int(np.searchsorted(self.first, call, side="right")) - 1
        return self.workflow_id[w], self.call_id[call]


class ColumnsBuilder:
    """Makes columns of workflows, or of anything with the same attributes, some workflows at a time.

    What is no workflow (a parent that is no call of it, two calls of one id) raises ``KeyError``.
    """

    def __init__(self) -> None:
        self._workflow_id: list[str] = []
        self._pieces: dict[str, list[Any]] = {
            name: [] for name in ("arrival", "calls", "prompt", "output", "cached", "delay", "parent", "parents")
        }
        self._call_id, self._kind = TextsBuilder(), TextsBuilder()
        self._hints: dict[int, Any] = {}
        self._call_hints: dict[int, Any] = {}
        self._calls = 0

    def add(self, workflows: Sequence[Any]) -> None:
        """The next workflows."""
        calls = [call for workflow in workflows for call in workflow.calls]
        call_ids = [call.call_id for call in calls]
        self._hints |= {k: one.hint for k, one in enumerate(workflows, len(self._workflow_id)) if one.hint}
        self._call_hints |= {k: one.hint for k, one in enumerate(calls, self._calls) if one.hint}
        self._workflow_id += [workflow.workflow_id for workflow in workflows]
        self._call_id.add(call_ids)
        self._kind.add([call.kind for call in calls])
        sizes = [len(workflow.calls) for workflow in workflows]
        parents = [call.parents for call in calls]
        pieces = self._pieces
        pieces["arrival"].append(np.array([workflow.arrival for workflow in workflows], np.float64))
        pieces["calls"].append(np.array(sizes, np.int64))
        pieces["prompt"].append(np.array([call.prompt_tokens for call in calls], np.int64))
        pieces["output"].append(np.array([call.output_tokens for call in calls], np.int64))
        pieces["cached"].append(np.array([call.cached_tokens for call in calls], np.int64))
        pieces["delay"].append(np.array([call.delay for call in calls], np.float64))
        pieces["parents"].append(np.array(list(map(len, parents)), np.int64))
        pieces["parent"].append(np.array(self._positions(sizes, call_ids, parents), np.int64))
        self._calls += len(calls)

    def _positions(self, sizes: list[int], call_ids: list[str], parents: list[Any]) -> list[int]:
        """The position of every parent."""
        found: list[int] = []
        first = 0
        for size in sizes:
            last = first + size
            if size > 1:
                position = dict(zip(call_ids[first:last], range(self._calls + first, self._calls + last), strict=True))
                if len(position) < size:
                    raise KeyError("two calls of one id")
                found += [position[name] for names in parents[first:last] for name in names]
            elif parents[first:last] not in ([()], [[]]):
                raise KeyError("a parent of a workflow's only call")
            first = last
        return found

    def columns(self) -> WorkloadColumns:
        """All that was added."""
        whole = {
            name: joined(pieces, np.float64 if name in ("arrival", "delay") else np.int64)
            for name, pieces in self._pieces.items()
        }
        return WorkloadColumns(
            workflow_id=tuple(self._workflow_id),
            arrival=whole["arrival"],
            first=offsets(whole["calls"]),
            call_id=self._call_id.texts(),
            kind=self._kind.texts(),
            prompt=whole["prompt"],
            output=whole["output"],
            cached=whole["cached"],
            delay=whole["delay"],
            parent=whole["parent"],
            first_parent=offsets(whole["parents"]),
            hints=hints_of(list(self._hints), list(self._hints.values())),
            call_hints=hints_of(list(self._call_hints), list(self._call_hints.values())),
        )


def offsets(sizes: Integers) -> Integers:
    """Where each group begins that has so many members, and where the last one ends; read-only."""
    found = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=found[1:])
    found.flags.writeable = False
    return found


def columns_of(workflows: Sequence[Workflow]) -> WorkloadColumns:
    """The columns of workflows, which are there already where they were made of columns."""
    if isinstance(workflows, Rows):
        columns: WorkloadColumns = workflows.columns
        return columns
    builder = ColumnsBuilder()
    builder.add(workflows)
    return builder.columns()


def workflows_of(columns: WorkloadColumns) -> Rows[Workflow]:
    """The workflows that the columns hold."""
    return Rows(columns, len(columns.workflow_id), _make)


def _make(columns: WorkloadColumns) -> tuple[Workflow, ...]:
    return tuple(
        Workflow(workflow_id=workflow_id, arrival=arrival, calls=tuple(Call(**call) for call in calls), hint=hint)
        for first, last in pieces(len(columns.workflow_id))
        for workflow_id, arrival, calls, hint in records(columns, first, last)
    )


def pieces(length: int, size: int = AT_A_TIME) -> Iterator[tuple[int, int]]:
    """Where pieces of a sequence begin and end."""
    for first in range(0, length, size):
        yield first, min(first + size, length)


def records(
    columns: WorkloadColumns, first: int, last: int
) -> Iterator[tuple[str, float, list[dict[str, Any]], Given]]:
    """Id, arrival, calls and hint of each workflow from ``first`` to before ``last``.

    A call is given as the arguments of ``Call``.
    """
    start, stop = int(columns.first[first]), int(columns.first[last])
    call_id = columns.call_id.tolist(start, stop)
    ends = columns.first_parent[start : stop + 1].tolist()
    above = columns.call_id.distinct
    codes = columns.call_id.codes[columns.parent[ends[0] : ends[-1]]].tolist()
    parents = [above[code] for code in codes]
    base = ends[0]
    calls: list[dict[str, Any]] = [
        {
            "call_id": name,
            "prompt_tokens": prompt,
            "output_tokens": output,
            "cached_tokens": cached,
            "parents": tuple(parents[a - base : b - base]),
            "delay": delay,
            "kind": kind,
        }
        for name, prompt, output, cached, a, b, delay, kind in zip(
            call_id,
            columns.prompt[start:stop].tolist(),
            columns.output[start:stop].tolist(),
            columns.cached[start:stop].tolist(),
            ends[:-1],
            ends[1:],
            columns.delay[start:stop].tolist(),
            columns.kind.tolist(start, stop),
            strict=True,
        )
    ]
    for c, hint in columns.call_hints.between(start, stop).items():
        calls[c - start]["hint"] = hint
    hints: dict[int, Given] = {**columns.hints.between(first, last)}
    at = (columns.first[first : last + 1] - start).tolist()
    arrivals = columns.arrival[first:last].tolist()
    for w, arrival in enumerate(arrivals):
        yield columns.workflow_id[first + w], arrival, calls[at[w] : at[w + 1]], hints.get(first + w, msgspec.UNSET)


def surely_valid(columns: WorkloadColumns) -> bool:
    """Whether every rule of ``Call`` and ``Workflow`` holds (model M1 to M3, M9).

    What is said to be wrong here need not be: whoever has a doubt makes the workflows, which say what it is.
    """
    calls, workflow = columns.calls, columns.workflow
    codes, child, parent = columns.call_id.codes, columns.child, columns.parent
    return bool(
        "" not in columns.call_id.distinct
        and "" not in columns.workflow_id
        and (np.diff(columns.first) > 0).all()
        and ((columns.arrival >= 0) & (columns.arrival < np.inf)).all()
        and ((columns.delay >= 0) & (columns.delay < np.inf)).all()
        and columns.hints.surely_valid
        and columns.call_hints.surely_valid
        and (columns.cached >= 0).all()
        and (columns.cached < columns.prompt).all()
        and (columns.prompt <= MAX_TOKENS).all()
        and ((columns.output >= 1) & (columns.output <= MAX_TOKENS)).all()
        and _all_differ(workflow, codes, len(columns.call_id.distinct))
        and (parent >= 0).all()
        and (workflow[parent] == workflow[child]).all()
        and _all_differ(child, parent, calls)
        and ((parent < child).all() or _is_acyclic(parent, child, calls))
    )


def _is_acyclic(parent: Integers, child: Integers, calls: int) -> bool:
    """Whether all calls can be reached from those without parents, a generation at a time."""
    missing = np.bincount(child, minlength=calls)
    order = np.argsort(parent, kind="stable")
    begin, below = np.searchsorted(parent[order], np.arange(calls + 1)), child[order]
    ready, reached = np.flatnonzero(missing == 0), 0
    while len(ready):
        reached += len(ready)
        counts = begin[ready + 1] - begin[ready]
        edges = np.repeat(begin[ready] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        np.subtract.at(missing, below[edges], 1)
        ready = np.unique(below[edges][missing[below[edges]] == 0])
    return reached == calls


def _all_differ(first: Integers, second: Integers, most: int) -> bool:
    """Whether no pair comes twice; ``second`` is below ``most``."""
    keys = first * most + second
    if (np.diff(keys) > 0).all():
        return True
    keys.sort()
    return bool((np.diff(keys) > 0).all())
