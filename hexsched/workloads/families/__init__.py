"""Workload families, a module each: structural generators fitted to real agent runs; ``parts`` holds what they share.

To add one: a module here with a ``FAMILY`` in it.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

from hexsched.errors import InputError
from hexsched.model import Workflow
from hexsched.registry import Registry
from hexsched.workloads.families.parts.family import Family, FittedFamily

MAX_WORKFLOWS = 1_000_000  # drawn at a time: they are all held in memory

FAMILIES: Registry[Family] = Registry(__name__, "FAMILY", "workload family", rank=lambda family: family.rank)


def fitted_family(name: str) -> FittedFamily:
    """The family of that name, which was fitted to real data itself; else an ``InputError``."""
    family = FAMILIES.find(name)
    if not isinstance(family, FittedFamily):
        raise InputError(f"family {name!r} has no real data of its own; it is made from {family.source}")
    return family


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
    family = FAMILIES.find(name) if isinstance(name, str) else name
    if not 1 <= workflows <= MAX_WORKFLOWS:
        raise InputError(f"workflows must be from 1 to {MAX_WORKFLOWS}, got {workflows}")
    if seed < 0:
        raise InputError(f"seed must be a whole number >= 0, got {seed}")
    key = crc32(family.name.encode())
    width = max(4, len(str(workflows - 1)))
    return tuple(
        family.sample(np.random.default_rng(np.random.SeedSequence([seed, key, k])), f"{family.name}-{k:0{width}d}")
        for k in range(workflows)
    )


__all__ = ["FAMILIES", "Family", "FittedFamily", "fitted_family", "generate"]
