"""CP-SAT: its model as the text of a protocol buffer, which OR-tools reads in all its languages."""

from __future__ import annotations

from experiments.exports.parts.export import Export, Request
from experiments.exports.parts.model_file import written

ENDING = ".pbtxt"  # OR-tools writes text where a name ends in "txt"
UNITS = {
    "max_ratio": "hundred-thousandths, rounded up",
    "req": "hundred-thousandths, rounded up",
    "mean_ratio": "latencies in ticks, weighted",
    "mean_latency": "latencies in ticks, weighted",
    "misses": "workflows",
}


def write(request: Request) -> dict[str, bytes]:
    """The model, under comments."""
    about, data = written(
        request, "cpsat", ENDING, f"counts {UNITS[request.objective.kind]}; durations are rounded down"
    )
    return {f"{request.name}{ENDING}": "".join(f"# {line}\n" for line in about).encode() + data}


EXPORT = Export(
    name="cpsat",
    summary="the model of CP-SAT, as the text of a protocol buffer",
    kind="model",
    files=lambda name: (f"{name}{ENDING}",),
    write=write,
    formulations=lambda: ("cpsat",),
)
