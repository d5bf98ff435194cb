"""Workflows and their calls (model M1 to M3), and the JSON Lines file that holds them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hexsched.display import MOST_ROWS, Summary, displayed
from hexsched.errors import InputError
from hexsched.model.files import decode_json, read_lines, write_bytes
from hexsched.model.frames import calls_frame
from hexsched.model.hint import Given
from hexsched.plotting import Accessor

if TYPE_CHECKING:
    import pandas as pd

MAX_TOKENS = 1_000_000_000  # n**2 must stay exact in a double and every sum in 64 bits


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One LLM call of a workflow.

    Attributes
    ----------
    call_id : str
        Unique within its workflow.
    prompt_tokens : int
        n_c, at least 1.
    output_tokens : int
        m_c, at least 1.
    cached_tokens : int
        h_c, prompt tokens whose KV is already in the shared prefix store; less than ``prompt_tokens``.
    parents : tuple of str
        Calls of the same workflow that must complete first.
    delay : float
        delta_c, seconds of tool, retrieval or think time after the last parent.
    kind : str
        A free label (``"plan"``, ``"vote"``); the ``class_mean`` estimator groups by it.
    hint : Hint, optional
        What its application expects to come after it, declared with it (model M40).
    """

    call_id: str
    prompt_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    parents: tuple[str, ...] = ()
    delay: float = 0.0
    kind: str = ""
    hint: Given = msgspec.UNSET

    def __post_init__(self) -> None:
        if self.hint is None:
            msgspec.structs.force_setattr(self, "hint", msgspec.UNSET)
        if (
            self.call_id
            and 0 <= self.cached_tokens < self.prompt_tokens <= MAX_TOKENS
            and 0 < self.output_tokens <= MAX_TOKENS
            and 0 <= self.delay < math.inf
        ):
            return
        if not self.call_id:
            raise ValueError("call_id must not be empty")
        _check_tokens("prompt_tokens", self.prompt_tokens, 1)
        _check_tokens("output_tokens", self.output_tokens, 1)
        _check_tokens("cached_tokens", self.cached_tokens, 0)
        if self.cached_tokens >= self.prompt_tokens:
            raise ValueError(
                f"cached_tokens must be less than prompt_tokens ({self.prompt_tokens}), got {self.cached_tokens}"
            )
        if not (math.isfinite(self.delay) and self.delay >= 0):
            raise ValueError(f"delay must be a finite number of seconds >= 0, got {self.delay}")


@displayed
class Workflow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One user request: an arrival time and a DAG of calls.

    Attributes
    ----------
    workflow_id : str
        Unique within its workload.
    arrival : float
        a_w, seconds, at least 0.
    calls : tuple of Call
        In any order; parents are named by ``call_id``.
    hint : Hint, optional
        What its application expects of the whole, declared at its arrival (model M40).
    """

    workflow_id: str
    arrival: float
    calls: tuple[Call, ...]
    hint: Given = msgspec.UNSET

    def __post_init__(self) -> None:
        if self.hint is None:
            msgspec.structs.force_setattr(self, "hint", msgspec.UNSET)
        if not self.workflow_id:
            raise ValueError("workflow_id must not be empty")
        if not (math.isfinite(self.arrival) and self.arrival >= 0):
            raise ValueError(f"arrival must be a finite number of seconds >= 0, got {self.arrival}")
        if not self.calls:
            raise ValueError(f"workflow {self.workflow_id!r} needs at least one call")
        self.topological_order()

    @property
    def plot(self) -> Accessor:
        """Its plots: ``workflow.plot.NAME(ax=None)``; ``workflow.plot`` itself lists them."""
        return Accessor(self)

    def to_frame(self) -> pd.DataFrame:
        """A row a call: the id of its workflow, then the fields of ``Call``."""
        return calls_frame([self])

    def _summary(self) -> Summary:
        row = row_of(self)
        calls = [
            {
                "call": call.call_id,
                "kind": call.kind or None,
                "parents": ", ".join(call.parents) or None,
                "prompt": call.prompt_tokens,
                "cached": call.cached_tokens,
                "output": call.output_tokens,
                "delay s": call.delay,
            }
            for call in self.calls[:MOST_ROWS]
        ]
        return Summary(str(row.pop("workflow")), row, calls, len(self.calls))

    def topological_order(self) -> list[int]:
        """Positions in ``calls``, every parent before its children (Kahn's algorithm, stable).

        Raises
        ------
        ValueError
            For a duplicate ``call_id``, an unknown or repeated parent, or a cycle.
        """
        if len(self.calls) == 1 and not self.calls[0].parents:
            return [0]  # most traces are millions of these
        position = {call.call_id: k for k, call in enumerate(self.calls)}
        if len(position) < len(self.calls):
            twice = _first_duplicate(call.call_id for call in self.calls)
            raise ValueError(f"duplicate call_id {twice!r} in workflow {self.workflow_id!r}")
        children: list[list[int]] = [[] for _ in self.calls]
        missing = [0] * len(self.calls)
        for k, call in enumerate(self.calls):
            if len(set(call.parents)) < len(call.parents):
                raise ValueError(f"call {call.call_id!r} of workflow {self.workflow_id!r} names a parent twice")
            for parent in call.parents:
                if parent not in position:
                    raise ValueError(
                        f"unknown parent {parent!r} of call {call.call_id!r} in workflow {self.workflow_id!r}"
                    )
                children[position[parent]].append(k)
            missing[k] = len(call.parents)
        order = [k for k, count in enumerate(missing) if count == 0]
        for k in order:
            for child in children[k]:
                missing[child] -= 1
                if missing[child] == 0:
                    order.append(child)
        if len(order) < len(self.calls):
            stuck = sorted(self.calls[k].call_id for k, count in enumerate(missing) if count > 0)
            raise ValueError(f"the parents of workflow {self.workflow_id!r} form a cycle through call {stuck[0]!r}")
        return order


def row_of(workflow: Workflow) -> dict[str, object]:
    """A workflow in a table for people."""
    return {
        "workflow": workflow.workflow_id,
        "arrival s": workflow.arrival,
        "calls": len(workflow.calls),
        "prompt tokens": sum(call.prompt_tokens for call in workflow.calls),
        "output tokens": sum(call.output_tokens for call in workflow.calls),
    }


def check_unique_ids(workflow_ids: Sequence[str]) -> None:
    """Raise ``ValueError`` when two workflows share an id."""
    if len(set(workflow_ids)) < len(workflow_ids):
        raise ValueError(f"duplicate workflow_id {_first_duplicate(workflow_ids)!r}")


def read_workload(path: str | Path) -> tuple[Workflow, ...]:
    """Read a workload in hexsched JSON Lines, one workflow a line.

    Raises
    ------
    InputError
        Naming file, line and field.
    """
    workflows = []
    line_of: dict[str, int] = {}
    for number, line in read_lines(path):
        workflow = decode_json(line, Workflow, f"{path}:{number}")
        first = line_of.setdefault(workflow.workflow_id, number)
        if first != number:
            raise InputError(
                f"duplicate workflow_id {workflow.workflow_id!r}, first used on line {first}", f"{path}:{number}"
            )
        workflows.append(workflow)
    if not workflows:
        raise InputError("the file is empty; expected one workflow a line", path)
    return tuple(workflows)


def workload_bytes(workflows: Iterable[Workflow]) -> bytes:
    """The workload as hexsched JSON Lines."""
    return b"".join(msgspec.json.encode(w) + b"\n" for w in workflows)


def write_workload(path: str | Path, workflows: Iterable[Workflow]) -> None:
    """Write a workload as hexsched JSON Lines."""
    write_bytes(path, workload_bytes(workflows))


def _check_tokens(name: str, value: int, least: int) -> None:
    if not least <= value <= MAX_TOKENS:
        raise ValueError(f"{name} must be a whole number from {least} to {MAX_TOKENS}, got {value}")


def _first_duplicate(ids: Iterator[str] | Iterable[str]) -> str:
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            return name
        seen.add(name)
    raise AssertionError("no duplicate")
