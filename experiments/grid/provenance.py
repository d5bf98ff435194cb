"""Where the rows of a cell come from: inputs by their digests, the grid that has the cell, versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from experiments.environment import versions
from experiments.store.schema import DIGESTS

if TYPE_CHECKING:
    from experiments.grid.cell import Cell


def provenance(cell: Cell) -> dict[str, object]:
    """The row of a cell in the table ``provenance``, without its key; the same whoever computes the cell."""
    inputs = cell.inputs
    plugins = inputs.get("plugins")
    digests = (
        _digest(inputs.get("cluster")),
        _digest(inputs.get("workload")),
        " ".join(map(str, plugins)) if isinstance(plugins, list) else None,
    )
    return {
        "kind": cell.kind.name,
        "seed": inputs.get("seed"),
        **dict(zip(DIGESTS, digests, strict=True)),
        "inputs": cell.identity.decode(),
        "grid": msgspec.json.encode(cell.grid).decode() if cell.grid else None,
        **versions(),
    }


def _digest(content: object) -> object:
    return content.get("sha256") if isinstance(content, Mapping) else None
