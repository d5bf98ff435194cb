"""Reading a store: whole tables as data frames."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from experiments.store.schema import INSTANCES, SCHEDULES, arrow_schema, tables
from experiments.store.seal import is_of, is_whole
from experiments.store.store import Store, fingerprint, version_of
from hexsched.errors import InputError
from hexsched.registry import choices

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from hexsched.model import Instance, Schedule

T = TypeVar("T")
Stamp = tuple[int, int]  # of a file: when it was written, in ns, and its number

AGAIN = "'hexsched grid run' computes it again"


def read_table(store: str | Path, table: str) -> pd.DataFrame:
    """A table of a store, sorted by key and, within a key, as it was written.

    Parameters
    ----------
    store : str or Path
        The store's folder.
    table : str
        One of ``experiments.store.schema.tables``.

    Returns
    -------
    DataFrame
        Empty, but with its columns, where no cell has written to the table. Where the same cell is there from several
        versions of the code, that of the code as it is counts, else the newest file; the files themselves hold all.

    Raises
    ------
    InputError
        When the folder is no store, there is no such table, or a file cannot be read.
    """
    import os

    if table not in tables():
        raise InputError(f"a store has no table {table!r}; {choices(table, tables(), 'its tables are')}")
    opened = Store.open(store)
    stamps = tuple(sorted((name, (stat.st_mtime_ns, stat.st_ino)) for name, stat in opened.stats(table)))
    frame = _frame(os.fspath(opened.path), table, stamps)
    return frame.copy()


def read_schedule_of(store: str | Path, key: str) -> Schedule:
    """The schedule that was stored with a run.

    Raises
    ------
    InputError
        When there is none: schedules are stored on request only.
    """
    from hexsched.model import Schedule

    return _decoded(Path(store) / SCHEDULES / f"{key}.json.gz", Schedule)


def read_instance_of(store: str | Path, key: str) -> Instance:
    """The instance of a run whose schedule was stored.

    Raises
    ------
    InputError
        When there is none.
    """
    from hexsched.model import Instance

    return _decoded(Path(store) / INSTANCES / f"{key}.json.gz", Instance)


def _decoded(path: Path, kind: type[T]) -> T:
    from hexsched.model.files import decode_json

    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read the file: {getattr(error, 'strerror', None) or error}", path) from None
    return decode_json(data, kind, str(path))


def read_cells(store: Store, table: str, keys: Iterable[str]) -> pa.Table:
    """The rows of some cells, in the order of the keys; raises ``InputError`` when a file cannot be read."""
    import pyarrow as pa

    schema = arrow_schema(table)
    parts = [_read(store.path / table / f"{key}.parquet", schema) for key in keys]
    return pa.concat_tables(parts) if parts else schema.empty_table()


@lru_cache(maxsize=16)  # figures read the same tables again and again, and a store has thousands of files
def _frame(store: str, table: str, stamps: tuple[tuple[str, Stamp], ...]) -> pd.DataFrame:
    frame: pd.DataFrame = read_cells(Store(store), table, newest(stamps)).to_pandas()
    return frame


def newest(stamps: tuple[tuple[str, Stamp], ...]) -> list[str]:
    """Keys in order; of those with the same inputs only the one of the code as it is, else the one written last.

    The time of a file says little where a clock was set back.
    """
    of_inputs: dict[str, list[tuple[Stamp, str]]] = {}
    for key, stamp in stamps:
        of_inputs.setdefault(fingerprint(key), []).append((stamp, key))
    several = any(len(found) > 1 for found in of_inputs.values())
    current = _versions() if several else frozenset()
    chosen = (max(found, key=lambda each: (version_of(each[1]) in current, *each)) for found in of_inputs.values())
    return sorted(key for _, key in chosen)


@cache
def _versions() -> frozenset[str]:
    """Of the code as it is, of every kind of cell."""
    from experiments.grid.code import code_version
    from experiments.grid.kinds import KINDS

    return frozenset(code_version(kind) for kind in KINDS)


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        data = path.read_bytes()
        if not is_whole(data):
            raise InputError(f"the file was changed after it was written; {AGAIN}", path)
        if not is_of(path.stem, data):
            raise InputError(f"the file is a copy of that of another cell; {AGAIN}", path)
        with pa.BufferReader(data) as source:
            table = pq.ParquetFile(source, pre_buffer=False).read(columns=schema.names, use_threads=False)
            for name in schema.names:
                if name not in table.column_names:  # written before the table had it, a new metric say
                    table = table.append_column(name, pa.nulls(len(table)))
            return table.select(schema.names).cast(schema)
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        what = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"cannot read the file: {what}; {AGAIN}", path) from None
