"""Policies from whatever stands for them: names with options, lists of these, objects."""

from __future__ import annotations

from collections.abc import Iterable

from hexsched.baselines import ALL, BASELINES
from hexsched.errors import InputError
from hexsched.policies.registry import Policy, policies, read_policy

GROUPS = {"baselines": BASELINES}


def as_policy(policy: str | Policy) -> Policy:
    """The policy that is meant: by name, with options and placement, or as it is.

    Raises
    ------
    InputError
        For an unknown name, option or placement, with what would be right; for what is no policy.
    """
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, str):
        return read_policy(policy)
    raise InputError(f"a policy is a name such as 'hexagent(kv=off)@plan' or a Policy, not {policy!r:.60}")


def read_policies(chosen: str | Policy | Iterable[str | Policy]) -> list[Policy]:
    """The policies of a list, in its order and each once.

    Parameters
    ----------
    chosen : str, Policy, or iterable of these
        Text may have several, with commas between them, and groups: ``all`` is every registered policy, ``baselines``
        those of the paper.

    Raises
    ------
    InputError
        For an empty or unknown name, for options that do not exist, and when there are none.
    """
    items = chosen if isinstance(chosen, Iterable) and not isinstance(chosen, str) else [chosen]
    by_name: dict[str, Policy] = {}
    for item in items:
        for each in _listed(item) if isinstance(item, str) else [as_policy(item)]:
            if by_name.setdefault(each.name, each) != each:
                raise InputError(f"two different policies are called {each.name!r}; name one of them otherwise")
    if not by_name:
        raise InputError("there are no policies; a list needs at least one policy")
    return list(by_name.values())


def _listed(text: str) -> list[Policy]:
    found: list[Policy] = []
    for name in split_top_level(text):
        if not name:
            raise InputError(f"policy list {text!r}: a name is missing; expected names with a comma between them")
        found += policies() if name == ALL else [read_policy(each) for each in GROUPS.get(name, (name,))]
    return found


def split_top_level(text: str) -> list[str]:
    """Split at the commas outside parentheses."""
    parts = [""]
    depth = 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]
