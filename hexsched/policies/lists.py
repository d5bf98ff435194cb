"""Policies from whatever stands for them: names with options, lists of these, objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hexsched.baselines import ALL, BASELINES
from hexsched.errors import InputError
from hexsched.policies.registry import Policy, as_policy, policies, read_policy

GROUPS = {"baselines": BASELINES}


def read_policies(chosen: Any) -> list[Policy]:
    """The policies of a list, in its order and each once.

    Parameters
    ----------
    chosen : str, Policy, function, class or object, or iterable of these, or mapping to these
        Each is what ``as_policy`` takes. Text may have several, with commas between them, and groups: ``all`` is every
        registered policy, ``baselines`` those of the paper. The keys of a mapping are the names that results have.

    Raises
    ------
    InputError
        For an empty or unknown name, for options that do not exist, and when there are none.
    """
    if isinstance(chosen, Mapping):
        chosen = [replace(as_policy(thing), name=str(name)) for name, thing in chosen.items()]
    items = chosen if isinstance(chosen, Iterable) and not isinstance(chosen, str) else [chosen]
    by_name: dict[str, Policy] = {}
    for item in items:
        for each in _listed(item) if isinstance(item, str) else [as_policy(item)]:
            if not _alike(by_name.setdefault(each.name, each), each):
                raise InputError(
                    f"two different policies are called {each.name!r}; name one of them, with hexsched.order('NAME')"
                )
    if not by_name:
        raise InputError("there are no policies; a list needs at least one policy")
    return list(by_name.values())


def _alike(one: Policy, other: Policy) -> bool:
    """Whether both are the same, though perhaps made of the same thing twice."""
    things = [None if each.own is None else each.own.thing for each in (one, other)]
    return one == other or (things[0] is things[1] is not None and one.options == other.options)


def _listed(text: str) -> list[Policy]:
    found: list[Policy] = []
    for name in split_top_level(text):
        if not name:
            raise InputError(f"policy list {text!r}: a name is missing; expected names with a comma between them")
        found += policies() if name == ALL else [read_policy(each) for each in GROUPS.get(name, (name,))]
    return found


def split_top_level(text: str) -> list[str]:
    """Split at the commas outside parentheses."""
    parts, start, depth = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]
