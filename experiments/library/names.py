"""Names of instances, ``FAMILY-CALLS-SEED`` such as ``contended-dag-20-0``: which there are, and which may be tuned on.

Names, and the instances behind them, never change; a later version of the library has more of them. An instance is one
to *test* on if the SHA-256 of its name, as a number, is divisible by three, else one to *train* on. So a third is for
tests, in every family and size but for chance; and the rule holds for sizes and seeds that are not archived, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from experiments.library.families import FAMILIES, SEEDS, Family
from hexsched.errors import InputError
from hexsched.registry import hint

if TYPE_CHECKING:
    from hexsched.model import Instance

VERSION = "2.0.0"  # of the library: 2 has more instances than 1, the third number counts better bounds
LARGEST_SIZE = 1000  # calls of an instance
TEST_SHARE = 3  # one in so many instances is for tests
SPLITS = ("train", "test")


def names() -> tuple[str, ...]:
    """The archived instances, those of the first version first, small ones first."""
    return tuple(
        f"{family.name}-{size}-{seed}"
        for version in sorted({family.version for family in FAMILIES.values()})
        for size in sorted({size for family in FAMILIES.values() for size in family.sizes})
        for family in FAMILIES.values()
        for seed in SEEDS
        if family.version == version and size in family.sizes
    )


def family_of(name: str) -> str:
    """The family in the name of an instance."""
    return _parts(name)[0]


def shape_of(name: str) -> tuple[Family, int]:
    """The family in the name of an instance, and the number of its calls."""
    family, size, _ = _parts(name)
    return FAMILIES[family], size


def split_of(name: str) -> str:
    """``test`` or ``train``; tuning is for the latter alone."""
    number = int(hashlib.sha256(name.encode()).hexdigest(), 16)
    return "test" if number % TEST_SHARE == 0 else "train"


def instance(name: str) -> Instance:
    """The instance of that name, archived or of another size or seed.

    Raises
    ------
    InputError
        When there is no such family, or the size is not from 2 to ``LARGEST_SIZE``.
    """
    from experiments.library.generate import generate

    family, size, seed = _parts(name)
    return generate(FAMILIES[family], size, seed)


def digest(problem: Instance) -> str:
    """SHA-256 of the instance file."""
    return hashlib.sha256(problem.to_bytes()).hexdigest()


def expand(texts: Iterable[str]) -> list[str]:
    """Names in the order given, without repetition.

    The name of a family stands for its archived instances, ``train`` and ``test`` for those of a split.

    Raises
    ------
    InputError
        As ``instance``.
    """
    instances: dict[str, None] = {}
    for text in texts:
        if text in FAMILIES:
            instances |= dict.fromkeys(name for name in names() if family_of(name) == text)
        elif text in SPLITS:
            instances |= dict.fromkeys(name for name in names() if split_of(name) == text)
        else:
            family, size, seed = _parts(text)
            instances[f"{family}-{size}-{seed}"] = None
    return list(instances)


def _parts(name: str) -> tuple[str, int, int]:
    family, *numbers = name.rsplit("-", 2)
    if family not in FAMILIES or len(numbers) != 2 or not all(n.isascii() and n.isdigit() for n in numbers):
        raise InputError(
            f"no instance of the library: {name!r}; {hint(name, [*FAMILIES, *names()])}expected FAMILY or "
            "FAMILY-CALLS-SEED, see 'hexsched library list'"
        )
    size = int(numbers[0])
    if not 2 <= size <= LARGEST_SIZE:
        raise InputError(f"instance {name!r}: the number of calls must be from 2 to {LARGEST_SIZE}")
    return family, size, int(numbers[1])
