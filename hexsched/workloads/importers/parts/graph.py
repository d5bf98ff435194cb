"""From requests that name each other to the calls of one workflow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hexsched.errors import InputError
from hexsched.model import Call, Workflow
from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.trace import Trace


@dataclass(slots=True)
class Draft:
    """A request on its way to becoming a call.

    Attributes
    ----------
    call_id : str
    where : str
        ``"file:line"``, for errors.
    prompt_tokens, output_tokens, cached_tokens : int
        May be 0, unlike a call's.
    parents : list of str
        Call ids.
    delay : float
        Seconds after the last parent.
    kind : str
    """

    call_id: str
    where: str
    prompt_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    parents: list[str] = field(default_factory=list)
    delay: float = 0.0
    kind: str = ""


def causal_order(drafts: Sequence[Draft]) -> list[Draft]:
    """The drafts, every parent before its children, otherwise as given.

    Raises
    ------
    InputError
        At the line of a duplicate id, an unknown parent, or a cycle.
    """
    by_id: dict[str, Draft] = {}
    for draft in drafts:
        first = by_id.setdefault(draft.call_id, draft)
        if first is not draft:
            raise InputError(f"duplicate id {draft.call_id!r}, first used at {first.where}", draft.where)
    children: dict[str, list[Draft]] = {call_id: [] for call_id in by_id}
    waiting: dict[str, int] = {}
    for draft in drafts:
        parents = set(draft.parents)
        waiting[draft.call_id] = len(parents)
        for parent in sorted(parents):
            if parent not in by_id:
                raise InputError(f"request {draft.call_id!r} depends on unknown request {parent!r}", draft.where)
            children[parent].append(draft)
    order = [draft for draft in drafts if not waiting[draft.call_id]]
    for draft in order:
        for child in children[draft.call_id]:
            waiting[child.call_id] -= 1
            if not waiting[child.call_id]:
                order.append(child)
    if len(order) < len(drafts):
        stuck = next(draft for draft in drafts if waiting[draft.call_id])
        raise InputError(f"the dependencies of request {stuck.call_id!r} form a cycle", stuck.where)
    return order


def build_workflow(workflow_id: str, at: float, drafts: Sequence[Draft], trace: Trace) -> Arrival | None:
    """The workflow of these drafts, or None when none of them has tokens.

    A draft without prompt or output tokens is taken out and counted: its children inherit its parents and wait its
    delay as well as their own (too long for a child that has other, later parents). The workflow arrives when its
    first call is released, so some call without parents has no delay.

    Parameters
    ----------
    workflow_id : str
    at : float
        When the conversation began, seconds; the delays of drafts without parents count from here.
    drafts : sequence of Draft
        Changed in place.
    trace : Trace
        Counts what is taken out.
    """
    removed: dict[str, Draft] = {}
    drafts_by_id: dict[str, Draft] = {}
    for draft in causal_order(drafts):
        gone = [removed[parent] for parent in draft.parents if parent in removed]
        if gone:
            draft.delay += max(parent.delay for parent in gone)
            inherited = [removed[p].parents if p in removed else [p] for p in draft.parents]
            draft.parents = [parent for group in inherited for parent in group]
        draft.parents = list(dict.fromkeys(draft.parents))
        empty = trace.drop_empty(draft.prompt_tokens, draft.output_tokens)
        (removed if empty else drafts_by_id)[draft.call_id] = draft
    if not drafts_by_id:
        return None
    roots = [draft for draft in drafts_by_id.values() if not draft.parents]
    idle = min(draft.delay for draft in roots)
    for draft in roots:
        draft.delay -= idle
    calls = tuple(_call(draft) for draft in drafts if draft.call_id in drafts_by_id)
    try:
        return Arrival(at + idle, Workflow(workflow_id=workflow_id, arrival=0.0, calls=calls))
    except ValueError as error:
        raise InputError(str(error), drafts[0].where) from None


def components(ids: Iterable[str], links: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Connected components, each in the order of ``ids``, by their first member."""
    root = {name: name for name in ids}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for one, other in links:
        root[find(one)] = find(other)
    groups: dict[str, list[str]] = {}
    for name in root:
        groups.setdefault(find(name), []).append(name)
    return list(groups.values())


def _call(draft: Draft) -> Call:
    try:
        return Call(
            call_id=draft.call_id,
            prompt_tokens=draft.prompt_tokens,
            output_tokens=draft.output_tokens,
            cached_tokens=draft.cached_tokens,
            parents=tuple(draft.parents),
            delay=draft.delay,
            kind=draft.kind,
        )
    except ValueError as error:
        raise InputError(str(error), draft.where) from None
