"""Names of instances: ``FAMILY-CALLS-SEED``, such as ``contended-dag-20-0``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from experiments.library.families import FAMILIES, SEEDS, SIZES
from experiments.library.generate import generate
from hexsched.errors import InputError
from hexsched.model import Instance
from hexsched.registry import suggest

LARGEST_SIZE = 1000  # calls of an instance


def names() -> tuple[str, ...]:
    """The archived instances, small ones first."""
    return tuple(f"{family}-{size}-{seed}" for size in SIZES for family in FAMILIES for seed in SEEDS)


def family_of(name: str) -> str:
    """The family in the name of an instance."""
    return _split(name)[0]


def instance(name: str) -> Instance:
    """The instance of that name, archived or of another size or seed.

    Raises
    ------
    InputError
        When there is no such family, or the size is not from 2 to ``LARGEST_SIZE``.
    """
    family, size, seed = _split(name)
    return generate(FAMILIES[family], size, seed)


def digest(problem: Instance) -> str:
    """SHA-256 of the instance file."""
    return hashlib.sha256(problem.to_bytes()).hexdigest()


def expand(texts: Iterable[str]) -> list[str]:
    """Names in the order given, without repetition; the name of a family stands for its archived instances.

    Raises
    ------
    InputError
        As ``instance``.
    """
    instances: dict[str, None] = {}
    for text in texts:
        if text in FAMILIES:
            instances |= dict.fromkeys(name for name in names() if family_of(name) == text)
        else:
            family, size, seed = _split(text)
            instances[f"{family}-{size}-{seed}"] = None
    return list(instances)


def _split(name: str) -> tuple[str, int, int]:
    family, *numbers = name.rsplit("-", 2)
    if family not in FAMILIES or len(numbers) != 2 or not all(n.isascii() and n.isdigit() for n in numbers):
        hint = suggest(name, FAMILIES)
        raise InputError(f"no instance of the library: {name!r}{hint}; expected FAMILY or FAMILY-CALLS-SEED")
    size = int(numbers[0])
    if not 2 <= size <= LARGEST_SIZE:
        raise InputError(f"instance {name!r}: the number of calls must be from 2 to {LARGEST_SIZE}")
    return family, size, int(numbers[1])
