"""JSON with plain arrays of whole numbers, for whoever writes a model of their own (docs/formats.md has an example)."""

from __future__ import annotations

import msgspec

from experiments.exports.parts.export import Export, Request
from experiments.exports.parts.flat import flatten

ENDING = ".flat.json"


def write(request: Request) -> dict[str, bytes]:
    """The flat instance, a key a line."""
    data = msgspec.structs.asdict(flatten(request, request.tick))
    lines = [f'  "{key}": {msgspec.json.encode(value).decode()}' for key, value in data.items()]
    return {f"{request.name}{ENDING}": ("{\n" + ",\n".join(lines) + "\n}\n").encode()}


EXPORT = Export(
    name="json-flat",
    summary="plain arrays in whole ticks, for a model of your own",
    kind="flat",
    files=lambda name: (f"{name}{ENDING}",),
    write=write,
    in_ticks=True,
)
