"""What the tables of a store hold. To add a table: an entry here."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from hexsched.metrics import METRICS

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


TABLES: dict[str, TableSchema] = {
    "loads": TableSchema(
        {
            "key": TEXT,
            **CASE,
            "seed": WHOLE,
            "rule": TEXT,
            "rate": REAL,
            "req95": REAL,
            "baseline": TEXT,
            "reached": TRUTH,
            "decode_model": TEXT,
        },
        marks=True,
    ),
    "runs": TableSchema(
        {
            "key": TEXT,
            "cluster": TEXT,
            "model": TEXT,
            "pool": TEXT,
            "prefill_instances": WHOLE,
            "decode_instances": WHOLE,
            "workload": TEXT,
            "workflows": WHOLE,
            "load": TEXT,
            "rate": REAL,
            "policy": TEXT,
            "estimator": TEXT,
            "seed": WHOLE,
            "instance_sha256": TEXT,
            **{name: WHOLE if metric.whole else REAL for name, metric in METRICS.items() if name != "workflows"},
            "verified": TRUTH,
            "prefill_utilisation": REAL,
            "decode_utilisation": REAL,
            "kv_peak": REAL,
        },
        marks=True,
    ),
    "workflows": TableSchema(
        {
            "key": TEXT,
            **CASE,
            "load": TEXT,
            "policy": TEXT,
            "estimator": TEXT,
            "seed": WHOLE,
            "workflow_id": TEXT,
            "calls": WHOLE,
            "arrival": REAL,
            "latency": REAL,
            "horizon": REAL,
            "ratio": REAL,
        }
    ),
    "timings": TableSchema(
        {
            "key": TEXT,
            "kind": TEXT,
            "wall_seconds": REAL,  # of the cell, its instance included where that was not in memory yet
            "cpu_seconds": REAL,
            "decisions": WHOLE,
            "decision_mean_us": REAL,
            "decision_p99_us": REAL,
            "solve_seconds": REAL,
            "hexsched_version": TEXT,
            "host": TEXT,
        }
    ),
    "gaps": TableSchema(
        {
            "key": TEXT,
            **CASE,
            "load": TEXT,
            "decode_model": TEXT,
            "seed": WHOLE,
            "objective": TEXT,
            "policy": TEXT,
            "value": REAL,
            "lower_bound": REAL,
            "bound_source": TEXT,
            "upper_bound": REAL,
            "upper_source": TEXT,
            "gap": REAL,
            "gap_to_upper": REAL,
            "time_limit": REAL,
        },
        marks=True,
    ),
    "gap_series": TableSchema(
        {"key": TEXT, "objective": TEXT, "seconds": REAL, "lower_bound": REAL, "upper_bound": REAL}
    ),
    "gap_binding": TableSchema({"key": TEXT, "objective": TEXT, "resource": TEXT, "share": REAL}),
    "solves": TableSchema(
        {
            "key": TEXT,
            "instance": TEXT,
            "calls": WHOLE,
            "formulation": TEXT,
            "objective": TEXT,
            "seed": WHOLE,
            "status": TEXT,
            "value": REAL,
            "lower_bound": REAL,
            "root_bound": REAL,
            "variables": WHOLE,
            "constraints": WHOLE,
            "nonzeros": WHOLE,
            "time_limit": REAL,
            "message": TEXT,
        },
        marks=True,
    ),
    "errors": TableSchema(
        {"key": TEXT, "kind": TEXT, "description": TEXT, "error": TEXT, "attempts": WHOLE},
    ),
}

ERRORS = "errors"
# Folders beside the tables, filled on request: <key>.json.gz, as in model.md section 8
SCHEDULES = "schedules"
INSTANCES = "instances"  # what the schedule of the same key is a schedule of


@cache
def arrow_schema(table: str) -> pa.Schema:
    """The columns of a table as Arrow knows them."""
    import pyarrow as pa

    types = {TEXT: pa.string(), REAL: pa.float64(), WHOLE: pa.int64(), TRUTH: pa.bool_()}
    return pa.schema([(name, types[kind]) for name, kind in TABLES[table].columns.items()])


def encode(table: str, rows: Sequence[Mapping[str, object]]) -> bytes:
    """Rows as a Parquet file; the same rows make the same bytes.

    Every row must have exactly the table's columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = TABLES[table].columns
    for row in rows:
        if row.keys() != columns.keys():
            raise ValueError(f"table {table}: columns {sorted(row.keys() ^ columns.keys())} are missing or too many")
    data = pa.table({name: [row[name] for row in rows] for name in columns}, schema=arrow_schema(table))
    buffer = io.BytesIO()
    # Most files have one row: statistics and a copy of the schema would be half of each.
    pq.write_table(
        data, buffer, compression="zstd", use_dictionary=len(rows) > 1, write_statistics=False, store_schema=False
    )
    return buffer.getvalue()
