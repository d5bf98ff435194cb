"""What the tables of a store hold: kinds of cells say it of those that they fill (``experiments.grid.kinds``)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.environment import NAMES
from experiments.store import seal

if TYPE_CHECKING:
    import pyarrow as pa

TEXT, REAL, WHOLE, TRUTH = "string", "double", "int64", "bool"

CASE = {"cluster": TEXT, "workload": TEXT, "workflows": WHOLE}  # what the tables of simulated cells begin with


@dataclass(frozen=True)
class TableSchema:
    """A table.

    Attributes
    ----------
    columns : dict of str to str
        Name and Arrow type; any value but the key may be null.
    marks : bool
        Whether a file of this table says that the cell of its key is done. It is written after the cell's others.
    """

    columns: Mapping[str, str]
    marks: bool = False


DIGESTS = ("cluster_sha256", "workload_sha256", "policy_sha256")  # of a policy: of the files that it needs
ERRORS = "errors"
TIMINGS = "timings"
PROVENANCE = "provenance"
# Folders beside the tables, filled on request: <key>.json.gz, as in model M33 and M34
SCHEDULES = "schedules"
INSTANCES = "instances"  # what the schedule of the same key is a schedule of


def tables() -> dict[str, TableSchema]:
    """Every table by name: what the kinds of cells say that they fill, and those that cells of any kind fill."""
    from experiments.grid.kinds import KINDS

    by_name: dict[str, TableSchema] = {}
    timing: dict[str, str] = {}
    for kind in KINDS.values():
        for name, columns in kind.tables.items():
            if name in (*by_name, TIMINGS, PROVENANCE, ERRORS, SCHEDULES, INSTANCES):
                raise TypeError(f"kind {kind.name!r} has a table {name!r}, which something else has already")
            by_name[name] = TableSchema({"key": TEXT, **columns}, marks=name == kind.marker)
        timing |= kind.timing
    by_name[TIMINGS] = TableSchema(
        {
            "key": TEXT,
            "kind": TEXT,
            "wall_seconds": REAL,  # of the cell, its instance included where that was not in memory yet
            "cpu_seconds": REAL,
            **timing,
            "hexsched_version": TEXT,
            "host": TEXT,
            "folder": TEXT,  # what paths in the column ``grid`` of ``provenance`` are relative to
        }
    )
    by_name[PROVENANCE] = TableSchema(
        {
            "key": TEXT,
            "kind": TEXT,
            "seed": WHOLE,
            **dict.fromkeys(DIGESTS, TEXT),  # of contents; null where there is no such input
            "inputs": TEXT,  # all that the key stands for, as JSON
            "grid": TEXT,  # the grid that has this cell alone, as JSON
            **dict.fromkeys(NAMES, TEXT),  # versions; null for what is not installed
        }
    )
    by_name[ERRORS] = TableSchema({"key": TEXT, "kind": TEXT, "description": TEXT, "error": TEXT, "attempts": WHOLE})
    return by_name


def markers() -> list[str]:
    """The tables whose rows mean that a cell is done."""
    return [name for name, table in tables().items() if table.marks]


def arrow_schema(table: str) -> pa.Schema:
    """The columns of a table as Arrow knows them."""
    import pyarrow as pa

    types = {TEXT: pa.string(), REAL: pa.float64(), WHOLE: pa.int64(), TRUTH: pa.bool_()}
    return pa.schema([(name, types[kind]) for name, kind in tables()[table].columns.items()])


def as_arrow(table: str, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Rows with the table's types; every row must have exactly its columns."""
    import pyarrow as pa

    columns = tables()[table].columns
    for row in rows:
        if row.keys() != columns.keys():
            raise ValueError(f"table {table}: columns {sorted(row.keys() ^ columns.keys())} are missing or too many")
    return pa.table({name: [row[name] for row in rows] for name in columns}, schema=arrow_schema(table))


def encode(table: str, rows: Sequence[Mapping[str, object]]) -> bytes:
    """Rows as a Parquet file with a digest of itself and the cell that it is of; the same rows make the same bytes.

    Every row must have exactly the table's columns.
    """
    import pyarrow.parquet as pq

    data = as_arrow(table, rows)
    buffer = io.BytesIO()
    # Most files have one row: statistics and a copy of the schema would be half of each.
    options = {"compression": "zstd", "write_statistics": False, "store_schema": False}
    with pq.ParquetWriter(buffer, data.schema, use_dictionary=len(rows) > 1, **options) as writer:
        writer.write_table(data)
        writer.add_key_value_metadata(seal.metadata({str(row["key"]) for row in rows}))
    return seal.sealed(buffer.getvalue())
