"""The families of the library, as one table. To add one: an entry here, and ``hexsched library improve NAME``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SIZES = (4, 6, 8, 10, 12, 15, 17, 20, 25, 31, 37, 46, 60)  # calls of the archived instances of each family
SEEDS = (0,)


@dataclass(frozen=True)
class Family:
    """What the instances of a family have in common.

    Attributes
    ----------
    name, summary : str
    shape : {"chain", "dag"}
        Calls of a workflow one after another, or fanned out and joined again.
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
    """

    name: str
    summary: str
    shape: Literal["chain", "dag"]
    calls: tuple[int, int]
    spread: float
    prefill: tuple[str, ...]
    decode: tuple[str, ...]
    max_batch: int
    room: float


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
    )
}
