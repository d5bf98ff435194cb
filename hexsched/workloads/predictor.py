"""Hints learned from workflows of the past: how much at least comes after a call, from its kind and depth.

A mean of what comes would not do: the SLO scale is set by workflows that end sooner than others of their sort, and
these suffer from whatever was expected of them in vain. So what is learned is a lower limit that few fall below. Where
n past workflows were in a state, the k-th smallest of what came after it is more than what comes for the next workflow
with a probability of at most k / (n + 1), as long as workflows are exchangeable (conformal prediction: Vovk, Gammerman
and Shafer 2005); k is the largest for which that is at most ``share``, and a state of too few workflows says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from hexsched.errors import InputError
from hexsched.model.files import decode_json, read_bytes, write_bytes
from hexsched.model.hint import MOST, MOST_DELAY, Hint
from hexsched.model.workload import Workflow

FORMAT: Literal["hexsched-predictor/1"] = "hexsched-predictor/1"
SHARE = 0.02  # of calls, that may be promised more than comes after them
ANY = 0  # as a depth: whatever the depth is
DEEPEST = 64  # calls deeper than this count as this deep


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What comes at least after calls of one kind at one depth.

    Attributes
    ----------
    kind : str
        As in ``Call``.
    depth : int
        Calls on the longest chain that ends with it, itself included; 0 for any depth.
    workflows : int
        How many it was learned from.
    rounds : number
        Calls on the longest chain after it.
    growth : number
        By how many tokens that have to be computed the prompts of these are longer than its own, on average.
    output_tokens, delay : number
        Output tokens of one of these, and seconds before it, on average.
    """

    kind: str
    depth: int
    workflows: int
    rounds: float
    growth: float = 0.0
    output_tokens: float = 1.0
    delay: float = 0.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("depth", ANY, DEEPEST),
            ("workflows", 1, MOST),
            ("rounds", 0, MOST),
            ("growth", -MOST, MOST),
            ("output_tokens", 1, MOST),
            ("delay", 0, MOST_DELAY),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be from {low:g} to {high:g}, got {getattr(self, name):g}")

    def after(self, new_tokens: int) -> Hint:
        """The hint of a call of which so many prompt tokens have to be computed."""
        if not self.rounds:
            return Hint(rounds=0)
        prompt = min(max(new_tokens + self.growth, 1.0), MOST)
        return Hint(rounds=self.rounds, prompt_tokens=prompt, output_tokens=self.output_tokens, delay=self.delay)


class Predictor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was learned, and from what.

    Attributes
    ----------
    format : str
        Always ``"hexsched-predictor/1"``.
    share : number
        Of calls, that may be promised more than comes after them; above 0 and below 1.
    workflows : int
        How many it was learned from.
    sources : list of str
        Names of the files.
    states : list of State
        Each kind and depth once. A call is in that of its kind and depth, else in that of its kind and any depth.
    """

    format: Literal["hexsched-predictor/1"]
    share: float
    workflows: int
    sources: tuple[str, ...]
    states: tuple[State, ...]

    def __post_init__(self) -> None:
        check_share(self.share)
        seen: set[tuple[str, int]] = set()
        for state in self.states:
            if (state.kind, state.depth) in seen:
                raise ValueError(f"states: kind {state.kind!r} at depth {state.depth} appears twice")
            seen.add((state.kind, state.depth))

    def hinted(self, workflows: Iterable[Workflow]) -> tuple[Workflow, ...]:
        """The workflows with a hint on each call that has none and is in a known state.

        A hint depends on the kind and the prompt of its call and on how many calls were above it, all of which is known
        when the call is released.
        """
        states = {(state.kind, state.depth): state for state in self.states}
        return tuple(_hinted(workflow, states) for workflow in workflows)

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


class Rest(NamedTuple):
    """The longest chain after a call: how many calls, and tokens and seconds of all of them together."""

    rounds: int
    prompt: int
    output: int
    delay: float


def learn(workflows: Sequence[Workflow], share: float = SHARE, sources: Sequence[str] = ()) -> Predictor:
    """A predictor from workflows of the past.

    Parameters
    ----------
    workflows : sequence of Workflow
    share : float
        Of calls, that may be promised more than comes after them.
    sources : sequence of str
        Where they come from, for people.

    Raises
    ------
    InputError
        When ``share`` is not between 0 and 1, or there are no workflows.
    """
    try:
        check_share(share)
    except ValueError as error:
        raise InputError(str(error)) from None
    if not workflows:
        raise InputError("there are no workflows to learn from")
    cases: dict[tuple[str, int], list[list[tuple[float, ...]]]] = {}
    for workflow in workflows:
        of_one: dict[tuple[str, int], list[tuple[float, ...]]] = {}
        for k, depth, rest in rests(workflow):
            call, calls = workflow.calls[k], max(rest.rounds, 1)
            growth = rest.prompt / calls - (call.prompt_tokens - call.cached_tokens)
            numbers = (rest.rounds, growth, rest.output / calls, rest.delay / calls)
            for state in ((call.kind, min(depth, DEEPEST)), (call.kind, ANY)):
                of_one.setdefault(state, []).append(numbers)
        for state, found in of_one.items():
            cases.setdefault(state, []).append(found)
    states = (_state(kind, depth, found, share) for (kind, depth), found in sorted(cases.items()))
    return Predictor(
        format=FORMAT,
        share=share,
        workflows=len(workflows),
        sources=tuple(sources),
        states=tuple(state for state in states if state is not None),
    )


def rests(workflow: Workflow) -> Iterator[tuple[int, int, Rest]]:
    """Position, depth and rest of every call."""
    order, calls = workflow.topological_order(), workflow.calls
    place = {call.call_id: k for k, call in enumerate(calls)}
    depth, after = [1] * len(calls), [Rest(0, 0, 0, 0.0)] * len(calls)
    for k in order:
        depth[k] = 1 + max((depth[place[name]] for name in calls[k].parents), default=0)
    for k in reversed(order):
        call, rest = calls[k], after[k]
        with_it = Rest(
            rest.rounds + 1,
            rest.prompt + call.prompt_tokens - call.cached_tokens,
            rest.output + call.output_tokens,
            rest.delay + call.delay,
        )
        for name in call.parents:
            after[place[name]] = max(after[place[name]], with_it)
    yield from zip(range(len(calls)), depth, after, strict=True)


def _state(kind: str, depth: int, cases: list[list[tuple[float, ...]]], share: float) -> State | None:
    """What comes at least, from what came in each workflow that was there; None from too few."""
    k = int(share * (len(cases) + 1))
    if k == 0:
        return None
    # a workflow counts once in each number, by the least that came after any of its calls
    rounds = sorted(min(numbers[0] for numbers in found) for found in cases)[k - 1]
    if rounds == 0:
        return State(kind=kind, depth=depth, workflows=len(cases), rounds=0)
    going_on = [[numbers for numbers in found if numbers[0] > 0] for found in cases]
    growth, output, delay = (
        sorted(min(numbers[place] for numbers in found) for found in going_on if found)[k - 1] for place in (1, 2, 3)
    )
    return State(
        kind=kind,
        depth=depth,
        workflows=len(cases),
        rounds=rounds,
        growth=growth,
        output_tokens=max(output, 1.0),
        delay=delay,
    )


def _hinted(workflow: Workflow, states: dict[tuple[str, int], State]) -> Workflow:
    calls = list(workflow.calls)
    for k, depth, _ in rests(workflow):
        call = calls[k]
        state = states.get((call.kind, min(depth, DEEPEST))) or states.get((call.kind, ANY))
        if state is not None and not call.hint:
            calls[k] = msgspec.structs.replace(call, hint=state.after(call.prompt_tokens - call.cached_tokens))
    return msgspec.structs.replace(workflow, calls=tuple(calls))


class Check(NamedTuple):
    """How a predictor does on workflows that it was not learned from.

    Attributes
    ----------
    calls, workflows : float
        Shares of calls that are promised more rounds than come after them, and of workflows with such a call.
    promised : float
        Rounds that are promised, as a share of those that come, over all calls; 0 where none come.
    """

    calls: float
    workflows: float
    promised: float


def check_halves(workflows: Sequence[Workflow], share: float = SHARE) -> Check:
    """Each second workflow promised what the others teach, and the other way round."""
    calls = too_much = flows_too_much = 0
    promised = came = 0.0
    for first in (0, 1):
        others = workflows[1 - first :: 2]
        predictor = learn(others, share) if others else None
        for workflow in () if predictor is None else predictor.hinted(map(_bare, workflows[first::2])):
            hints = [(workflow.calls[k].hint, rest.rounds) for k, _, rest in rests(workflow)]
            told = [(hint.rounds if isinstance(hint, Hint) else 0.0, rounds) for hint, rounds in hints]
            wrong = sum(rounds < said for said, rounds in told)
            calls, too_much, flows_too_much = calls + len(told), too_much + wrong, flows_too_much + (wrong > 0)
            promised, came = promised + sum(said for said, _ in told), came + sum(rounds for _, rounds in told)
    return Check(too_much / max(calls, 1), flows_too_much / len(workflows), promised / came if came else 0.0)


def _bare(workflow: Workflow) -> Workflow:
    """Without the hints that calls have."""
    calls = tuple(msgspec.structs.replace(call, hint=None) for call in workflow.calls)
    return msgspec.structs.replace(workflow, calls=calls)


def check_share(share: float) -> None:
    """Raise ``ValueError`` unless it is between 0 and 1."""
    if not 0 < share < 1:
        raise ValueError(f"share must be above 0 and below 1, got {share:g}")


def read_predictor(path: str | Path) -> Predictor:
    """Read a predictor; raises ``InputError`` naming file and field."""
    return decode_json(read_bytes(path), Predictor, str(path))


def write_predictor(path: str | Path, predictor: Predictor) -> None:
    """Write a predictor in canonical form."""
    write_bytes(path, predictor.to_bytes())
