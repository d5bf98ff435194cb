"""What is compared, ``FORMULATION[/SOLVER][:SWITCH=on+SWITCH=off]``: a formulation, maybe with a solver and switches.

A part may stand for several: ``exact`` and ``all`` for formulations, ``/all`` for each solver that a formulation can
use, installed or not, and ``:each`` for the formulation with one of its switches changed at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hexsched.errors import InputError
from hexsched.registry import choices
from solvers.brackets.choice import Arm, read_arm
from solvers.defaults import AUTO
from solvers.exact import FORMULATIONS
from solvers.exact.parts.formulation import Formulation

ALL, EXACT, EACH = "all", "exact", "each"


def expand_arms(texts: Iterable[str]) -> list[Arm]:
    """The arms that texts stand for, each once: without the solver and the switches that are the default anyway.

    Raises
    ------
    InputError
        For an unknown formulation, solver or switch, with what may have been meant.
    """
    return list(dict.fromkeys(arm for text in texts for arm in _arms(text)))


def resolved_solver(arm: Arm) -> str:
    """The solver that an arm asks for; empty for ``auto``."""
    if arm.formulation == AUTO:
        return ""
    usable = FORMULATIONS.find(arm.formulation).solvers
    return arm.solver or (usable[0] if usable else "")


def _arms(text: str) -> Iterator[Arm]:
    head, _, tail = text.partition(":")
    one_by_one = tail == EACH
    asked = read_arm(head if one_by_one else text)
    if asked.formulation == AUTO:
        if asked != Arm(AUTO) or one_by_one:
            raise InputError(f"{AUTO!r} chooses solver and switches itself, got {text!r}")
        yield asked
        return
    groups = {ALL: list(FORMULATIONS), EXACT: [name for name, one in FORMULATIONS.items() if one.exact]}
    for name in groups.get(asked.formulation, [asked.formulation]):
        one = FORMULATIONS.find(name)
        changes = [((switch, not one.defaults.get(switch, False)),) for switch in one.switches]
        for solver in _solvers(one, asked.solver):
            for switches in changes if one_by_one else [_changed(one, asked.switches)]:
                yield Arm(name, solver, switches)


def _solvers(one: Formulation, asked: str | None) -> list[str | None]:
    """The solvers to use, None for the default."""
    if asked is not None and asked != ALL and one.as_spelt(asked) not in one.solvers:
        raise InputError(f"{one.name} cannot use solver {asked!r}; {choices(asked, one.solvers, 'it can use')}")
    named = one.solvers if asked == ALL else [one.as_spelt(asked)] if asked else [None]
    return [None if name in one.solvers[:1] else name for name in named]


def _changed(one: Formulation, switches: Iterable[tuple[str, bool]]) -> tuple[tuple[str, bool], ...]:
    """The switches that are not as they are anyway, in the order of the formulation."""
    asked = dict(switches)
    for switch in asked:
        if switch not in one.switches:
            has = choices(switch, one.switches, "it has") if one.switches else "it has none"
            raise InputError(f"formulation {one.name!r} has no switch {switch!r}; {has}")
    return tuple(
        (key, asked[key])
        for key in one.switches
        if asked.get(key, one.defaults.get(key, False)) != one.defaults.get(key, False)
    )
