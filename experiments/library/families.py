"""The families of the library. To add one: an entry here, and ``hexsched library improve NAME``.

Those of version 1 were chosen by hand, one for each way in which an instance can be hard. Those of version 2 are an
experiment by design, so that what makes an instance hard can be told apart: four factors at three levels each,

    contention   sparse, steady, burst    how far apart workflows arrive
    precedence   star, fan, chain         how much of a workflow has an order: least, some, all
    memory       roomy, snug, full        what the KV caches hold: the slots bind, both, the KV binds
    pool         alike, mixed, wide       machines that are all the same, two kinds, and more machines of three

in the 27 runs of an orthogonal array (Taguchi's L27): the level of the fourth is the sum of the other three, modulo 3.
So all levels of any two factors, and of the first three, come up equally often. A family is named by its levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

SIZES = (
    4,
    6,
    8,
    10,
    12,
    15,
    17,
    20,
    25,
    31,
    37,
    46,
    60,
)  # calls of the archived instances of each family chosen by hand
DESIGN_SIZES = (5, 9, 14, 20, 28, 42)  # and of each family of the design
SEEDS = (0,)


Shape = Literal["chain", "dag", "star"]


@dataclass(frozen=True)
class Family:
    """What the instances of a family have in common.

    Attributes
    ----------
    name, summary : str
    shape : {"chain", "dag", "star"}
        Calls of a workflow one after another, fanned out and joined again, or all others after the first.
    calls : tuple of int
        Mean and largest number of calls of a workflow.
    spread : float
        Arrivals are spread evenly at random over this share of the seconds that all calls take one after another.
    prefill, decode : tuple of str
        GPU of each instance.
    max_batch : int
        Bmax of every decode instance; 1 makes decode machines unary.
    room : float
        KV capacity of the largest decode instance over the reservation of the largest call.
    sizes : tuple of int
        Calls of the archived instances.
    version : int
        Of the library, the first that has the family.
    """

    name: str
    summary: str
    shape: Shape
    calls: tuple[int, int]
    spread: float
    prefill: tuple[str, ...]
    decode: tuple[str, ...]
    max_batch: int
    room: float
    sizes: tuple[int, ...] = SIZES
    version: int = 1

    def workflows(self, size: int) -> int:
        """How many workflows an instance of so many calls has: at least two, so that they compete."""
        return max(2, round(size / self.calls[0]))


class Pool(NamedTuple):
    """GPU of each instance."""

    prefill: tuple[str, ...]
    decode: tuple[str, ...]


CONTENTION = {"sparse": 0.4, "steady": 0.15, "burst": 0.0}  # ``Family.spread``
PRECEDENCE: dict[str, Shape] = {"star": "star", "fan": "dag", "chain": "chain"}  # ``Family.shape``
MEMORY = {"roomy": 8.0, "snug": 2.0, "full": 1.25}  # ``Family.room``
POOLS = {
    "alike": Pool(("H100", "H100"), ("H100", "H100")),
    "mixed": Pool(("H100", "A100"), ("H200", "A100")),
    "wide": Pool(("H100", "H100", "A100"), ("H200", "H100", "A100")),
}
SLOTS = 4  # ``Family.max_batch`` of the design


def _design() -> tuple[Family, ...]:
    """The families of version 2, one for each run of the orthogonal array."""
    families = []
    for levels in product(enumerate(CONTENTION), enumerate(PRECEDENCE), enumerate(MEMORY)):
        contention, precedence, memory = (level for _, level in levels)
        pool = list(POOLS)[sum(number for number, _ in levels) % len(POOLS)]
        families.append(
            Family(
                name=f"{contention}-{precedence}-{memory}-{pool}",
                summary=f"arrivals {contention}, precedence {precedence}, KV caches {memory}, machines {pool}",
                shape=PRECEDENCE[precedence],
                calls=(4, 7),
                spread=CONTENTION[contention],
                prefill=POOLS[pool].prefill,
                decode=POOLS[pool].decode,
                max_batch=SLOTS,
                room=MEMORY[memory],
                sizes=DESIGN_SIZES,
                version=2,
            )
        )
    return tuple(families)


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="loose-chain",
            summary="chains that arrive far apart, room for all",
            shape="chain",
            calls=(3, 5),
            spread=0.3,
            prefill=("H100", "A100"),
            decode=("H200", "A100"),
            max_batch=8,
            room=16.0,
        ),
        Family(
            name="contended-chain",
            summary="chains that arrive almost together, two slots on each decode instance",
            shape="chain",
            calls=(2, 4),
            spread=0.02,
            prefill=("H100", "A100"),
            decode=("H200", "A100"),
            max_batch=2,
            room=8.0,
        ),
        Family(
            name="contended-dag",
            summary="fan-outs and fan-ins that arrive almost together, two slots on each decode instance",
            shape="dag",
            calls=(3, 6),
            spread=0.02,
            prefill=("H100", "A100"),
            decode=("H200", "H100"),
            max_batch=2,
            room=8.0,
        ),
        Family(
            name="unary-chain",
            summary="chains, decode one call at a time",
            shape="chain",
            calls=(2, 4),
            spread=0.1,
            prefill=("H100", "A100"),
            decode=("H200", "H100", "A100"),
            max_batch=1,
            room=4.0,
        ),
        Family(
            name="unary-dag",
            summary="fan-outs and fan-ins, decode one call at a time, two instances identical",
            shape="dag",
            calls=(3, 6),
            spread=0.1,
            prefill=("H100", "H100", "A100"),
            decode=("H100", "H100", "A100"),
            max_batch=1,
            room=4.0,
        ),
        Family(
            name="kv-tight-dag",
            summary="fan-outs and fan-ins, KV caches full with a few calls, the smaller too small for some calls",
            shape="dag",
            calls=(3, 6),
            spread=0.05,
            prefill=("H100", "A100"),
            decode=("H200", "A100"),
            max_batch=8,
            room=1.25,
        ),
        *_design(),
    )
}
