"""LP: the file format of CPLEX, which most MILP solvers read."""

from __future__ import annotations

from experiments.exports.parts.export import Export, Request
from experiments.exports.parts.model_file import writers, written

ENDING = ".lp"


def write(request: Request) -> dict[str, bytes]:
    """The model, under comments."""
    about, data = written(request, request.formulation or writers(ENDING)[0], ENDING)
    return {f"{request.name}{ENDING}": "".join(f"\\ {line}\n" for line in about).encode() + data}


EXPORT = Export(
    name="lp",
    summary="a MILP formulation's model, for MILP solvers",
    kind="model",
    files=lambda name: (f"{name}{ENDING}",),
    write=write,
    formulations=lambda: writers(ENDING),
)
