"""Every family by name, and workloads made from them."""

from __future__ import annotations

from functools import cache
from zlib import crc32

import numpy as np

from hexsched.errors import InputError
from hexsched.model import Workflow
from hexsched.workloads.families.bfcl import Bfcl
from hexsched.workloads.families.coding_agent import CodingAgent
from hexsched.workloads.families.family import Family, FittedFamily
from hexsched.workloads.families.lats import Lats
from hexsched.workloads.families.mixed import Mixed
from hexsched.workloads.families.react import ReAct
from hexsched.workloads.families.sharegpt import ShareGPT
from hexsched.workloads.families.text2sql import Text2Sql
from hexsched.workloads.families.tree_of_thoughts import TreeOfThoughts

MAX_WORKFLOWS = 1_000_000


@cache
def _registry() -> dict[str, Family]:
    members: tuple[Family, ...] = (
        ShareGPT(),
        Bfcl(),
        Lats(),
        Mixed(),
        Text2Sql(),
        TreeOfThoughts(),
        ReAct(),
        CodingAgent(),
    )
    return {member.name: member for member in members}


def families() -> list[Family]:
    """Every family, the paper's four first."""
    return list(_registry().values())


def family(name: str) -> Family:
    """The family of that name.

    Raises
    ------
    InputError
        When there is none; the message lists those there are.
    """
    try:
        return _registry()[name]
    except KeyError:
        raise InputError(f"unknown workload family {name!r}; known are {', '.join(sorted(_registry()))}") from None


def fitted_family(name: str) -> FittedFamily:
    """``family(name)`` if it was fitted to real data itself; else an ``InputError``."""
    found = family(name)
    if not isinstance(found, FittedFamily):
        raise InputError(f"family {name!r} has no real data of its own; it is made from {found.source}")
    return found


def generate(name: str | Family, workflows: int, seed: int) -> tuple[Workflow, ...]:
    """Draw a workload; every workflow arrives at 0.

    Parameters
    ----------
    name : str or Family
        A registered name, or a family with parameters of your own.
    workflows : int
        How many, from 1 to ``MAX_WORKFLOWS``.
    seed : int
        At least 0. Workflow k has a generator of its own, from (seed, family, k): the first 100 of 400 workflows are
        the 100 workflows of the same seed.

    Returns
    -------
    tuple of Workflow
        With ids such as ``sharegpt-0007``, in string order (wider from 10,000 workflows on).

    Raises
    ------
    InputError
        For an unknown family, or a number out of range.
    """
    source = family(name) if isinstance(name, str) else name
    if not 1 <= workflows <= MAX_WORKFLOWS:
        raise InputError(f"workflows must be from 1 to {MAX_WORKFLOWS}, got {workflows}")
    if seed < 0:
        raise InputError(f"seed must be a whole number >= 0, got {seed}")
    key = crc32(source.name.encode())
    width = max(4, len(str(workflows - 1)))
    return tuple(
        source.sample(np.random.default_rng(np.random.SeedSequence([seed, key, k])), f"{source.name}-{k:0{width}d}")
        for k in range(workflows)
    )
