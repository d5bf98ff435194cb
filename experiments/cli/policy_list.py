"""Lists of policies as they are typed: ``hexagent(kv=off,transfer=off),fcfs@jsq``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexsched.errors import InputError

if TYPE_CHECKING:
    from hexsched.policies import Policy

ALL = "all"


def read_policies(text: str) -> list[Policy]:
    """The policies of a list, in its order and each once; ``all`` stands for every registered one.

    Raises
    ------
    InputError
        For an empty or unknown name, and for options that do not exist.
    """
    from hexsched.policies import policies, read_policy

    by_name: dict[str, Policy] = {}
    for name in split_top_level(text):
        if not name:
            raise InputError(f"policy list {text!r}: a name is missing; expected names with a comma between them")
        for each in policies() if name == ALL else [read_policy(name)]:
            by_name.setdefault(each.name, each)
    return list(by_name.values())


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
