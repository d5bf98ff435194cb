"""MiniZinc: a model for all instances, ``hexsched-flat.mzn``, and the data of each.

The data is that of the flat instance. Its ticks are longer unless asked for, since solvers such as Gecode and Chuffed
have whole numbers of 32 bits: the model multiplies latencies by ``RATIO_UNIT``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from experiments.exports.parts.export import Export, Request
from experiments.exports.parts.flat import flatten

ENDING = ".dzn"
MODEL = Path(__file__).parent / "parts" / "hexsched-flat.mzn"
RATIO_UNIT = 1000  # of a ratio in the model, which is a whole number there
LARGEST = 2**31  # what 32 bits hold


def write(request: Request) -> dict[str, bytes]:
    """The data, and the model."""
    from solvers.problem.offline import fixed_problem

    tick = request.tick
    if tick is None:
        tick = 10.0 ** math.ceil(math.log10(fixed_problem(request.instance).last_end * RATIO_UNIT / LARGEST))
    flat = msgspec.structs.asdict(flatten(request, tick))
    flat |= {"instance": flat.pop("name"), "best_lower": request.known[0] if request.known else -1.0}
    flat |= {"best_upper": request.known[1] if request.known else -1.0}
    lines = [f"{key} = {_value(key, value)};" for key, value in flat.items() if key != "format"]
    return {f"{request.name}{ENDING}": ("\n".join(lines) + "\n").encode(), MODEL.name: MODEL.read_bytes()}


def _value(key: str, value: Any) -> str:
    """As MiniZinc writes it; arrays are numbered from 0."""
    if isinstance(value, list):
        if key == "task_predecessors":
            sets = [f"{{{', '.join(map(str, one))}}}" for one in value]
            return f"array1d(0..{len(value) - 1}, [{', '.join(sets)}])"
        extents, flat = [len(value)], value
        while flat and isinstance(flat[0], list):
            extents.append(len(flat[0]))
            flat = [item for row in flat for item in row]
        ranges = ", ".join(f"0..{n - 1}" for n in extents)
        return f"array{len(extents)}d({ranges}, [{', '.join(map(_value_of_one, flat))}])"
    return _value_of_one(value)


def _value_of_one(value: Any) -> str:
    return msgspec.json.encode(value).decode() if isinstance(value, str | float) else str(value)


EXPORT = Export(
    name="minizinc",
    summary="a MiniZinc model and data for it",
    kind="model",
    files=lambda name: (f"{name}{ENDING}", MODEL.name),
    write=write,
    in_ticks=True,
)
