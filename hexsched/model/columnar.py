"""Instances and schedules as Parquet files: the rows of their JSON as a table, the rest as JSON beside it (M33, M34).

A file of somebody else is data: it has no code, its pages are checked against their sums, and what it would take in
memory is looked at before it is read. Whatever is unusual is read row by row, as JSON is, and refused in its words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from hexsched.errors import InputError
from hexsched.model.columns import WorkloadColumns, offsets, pieces
from hexsched.model.files import convert, decode_json, unreadable
from hexsched.model.freed import hand_back
from hexsched.model.hint import FIELDS, Hints, hints_at
from hexsched.model.instance import HEAD as INSTANCE_HEAD
from hexsched.model.instance import Instance, instance_of
from hexsched.model.parquet_footer import column_sizes
from hexsched.model.quick_json import InDoubtError
from hexsched.model.rows import Integers, Texts, TextsBuilder, joined
from hexsched.model.schedule import COLUMNS, TEXTS, Schedule, ScheduleColumns, ScheduledCall, schedule_of
from hexsched.model.schedule import HEAD as SCHEDULE_HEAD
from hexsched.model.table_files import DIGEST_KEY, HEAD_KEY
from hexsched.model.workload import Workflow

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

T = TypeVar("T")

MOST_VALUES = 2**29  # numbers and texts of a file, about 60 million calls: 4 GiB once they are in memory
MOST_BYTES = 2**32  # of a file once it is unpacked, and of all its texts
ROWS_OF_A_GROUP = 1 << 16  # workflows, or calls of a schedule sixteen times as many
INTEGERS = {"prompt_tokens": "prompt", "output_tokens": "output", "cached_tokens": "cached"}
WORKFLOW = ("workflow_id", "arrival", "calls")
CALL = ("call_id", *INTEGERS, "parents", "delay", "kind")
HINT = "hint"  # a further column, and a further field of calls, in files that have hints
WORKFLOW_HINT, CALL_HINT = "hint of workflow", "hint of call"


def instance_bytes(instance: Instance) -> bytes:
    """The instance as Parquet: a row a workflow, its calls a list."""
    import pyarrow as pa

    columns = instance.columns
    codes = columns.call_id.codes[columns.parent]
    fields = [
        _coded(columns.call_id),
        pa.array(columns.prompt),
        pa.array(columns.output),
        pa.array(columns.cached),
        _listed(columns.first_parent, _coded(Texts(codes, columns.call_id.distinct))),
        pa.array(columns.delay),
        _coded(columns.kind),
    ]
    hinted = [HINT] if len(columns.call_hints.of) else []
    fields += [_hinted(columns.call_hints, columns.calls) for _ in hinted]
    calls = pa.StructArray.from_arrays(fields, [*CALL, *hinted])
    table = {
        "workflow_id": pa.array(columns.workflow_id, pa.string()),
        "arrival": pa.array(columns.arrival),
        "calls": _listed(columns.first, calls),
    }
    if len(columns.hints.of):
        table[HINT] = _hinted(columns.hints, len(columns.workflow_id))
    return _written(table, instance.head_bytes(), ROWS_OF_A_GROUP)


def schedule_bytes(schedule: Schedule) -> bytes:
    """The schedule as Parquet: a row a call."""
    import pyarrow as pa

    values = {name: getattr(schedule.columns, name) for name in COLUMNS}
    table = {name: _coded(one) if name in TEXTS else pa.array(one) for name, one in values.items()}
    head = msgspec.json.encode({"format": schedule.format, "policy": schedule.policy, "calls": []})
    times = [name for name in COLUMNS if name not in TEXTS]  # hardly two are the same, so their bytes are split
    return _written(table, head, 16 * ROWS_OF_A_GROUP, times)


def _coded(texts: Texts) -> pa.DictionaryArray:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(texts.codes.astype(np.int32)), pa.array(texts.distinct, pa.string()))


def _hinted(hints: Hints, length: int) -> pa.StructArray:
    import pyarrow as pa

    absent, values = np.ones(length, bool), np.zeros((length, len(FIELDS)))
    absent[hints.of], values[hints.of] = False, hints.values
    return pa.StructArray.from_arrays([pa.array(column) for column in values.T.copy()], FIELDS, mask=pa.array(absent))


def _listed(first: Integers, values: pa.Array) -> pa.ListArray:
    import pyarrow as pa

    if first[-1] >= 2**31:
        raise InputError("more than two billion calls do not go into one Parquet file")
    return pa.ListArray.from_arrays(pa.array(first.astype(np.int32)), values)


def _written(columns: dict[str, pa.Array], head: bytes, rows_of_a_group: int, split: Sequence[str] = ()) -> bytes:
    """A file; to split a column byte by byte, not to list its values, takes half the time where few come twice."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    beside = {HEAD_KEY: head, DIGEST_KEY: hashlib.sha256(head).hexdigest()}  # the sums of pages do not cover these
    table = pa.table(columns).replace_schema_metadata(beside)
    coded = [name for name in columns if name not in split] if split else True
    pq.write_table(
        table,
        sink,
        compression="zstd",
        write_page_checksum=True,
        row_group_size=rows_of_a_group,
        use_dictionary=coded,
        use_byte_stream_split=list(split),
    )
    return sink.getvalue().to_pybytes()


def read_instance_table(path: str | Path) -> Instance:
    """Read an instance in Parquet; raises ``InputError`` naming file, row and field."""
    instance = _read(path, _instance_quickly, _instance_row_by_row)
    hand_back(instance.call_count)
    return instance


def read_schedule_table(path: str | Path) -> Schedule:
    """Read a schedule in Parquet; raises ``InputError`` naming file, row and field."""
    schedule = _read(path, _schedule_quickly, _schedule_row_by_row)
    hand_back(len(schedule.calls))
    return schedule


def _read(
    path: str | Path,
    quickly: Callable[[pq.ParquetFile, bytes, str], T],
    row_by_row: Callable[[pq.ParquetFile, bytes, str], T],
) -> T:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open(path, "rb") as stream:
            metadata = pq.read_metadata(stream)
            leaves = [metadata.schema.column(k) for k in range(metadata.num_columns)]
            texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]  # each text is read once
            file = pq.ParquetFile(
                stream, metadata=metadata, read_dictionary=texts, page_checksum_verification=True, pre_buffer=False
            )
            head = (metadata.metadata or {}).get(HEAD_KEY)
            if head is None:
                raise InputError(f"the metadata of this Parquet file have no {HEAD_KEY.decode()!r}", path)
            digest = metadata.metadata.get(DIGEST_KEY)  # which a file of another program need not have
            if digest is not None and digest != hashlib.sha256(head).hexdigest().encode():
                raise InputError("the metadata of this Parquet file are damaged or were changed", path)
            _check_size(path)
            try:
                return quickly(file, head, str(path))
            except (InDoubtError, UnicodeDecodeError, pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
                return row_by_row(file, head, str(path))
    except (pa.ArrowException, UnicodeDecodeError) as error:  # the latter of names of columns
        raise unreadable(OSError(f"{error}"), path) from None
    except OSError as error:
        raise unreadable(error, path) from None


def _check_size(path: str | Path) -> None:
    """Refuse what would not fit into memory, from what the file says of itself; no reader goes beyond that."""
    values, size = column_sizes(path)
    if values > MOST_VALUES or size > MOST_BYTES:
        raise InputError(
            f"the file holds {values:,} values in {size:,} bytes once unpacked; at most {MOST_VALUES:,} in "
            f"{MOST_BYTES:,} are read",
            path,
        )


class _Groups:
    """The columns of a file, a group of rows at a time, joined."""

    def __init__(self) -> None:
        self._texts: dict[str, TextsBuilder] = {}
        self._arrays: dict[str, list[Any]] = {}

    def texts(self, name: str, column: pa.Array) -> None:
        """The next texts of a column."""
        import pyarrow as pa

        if column.null_count or not pa.types.is_dictionary(column.type):
            raise InDoubtError
        distinct = column.dictionary
        if distinct.null_count or not (pa.types.is_string(distinct.type) or pa.types.is_large_string(distinct.type)):
            raise InDoubtError
        codes = column.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        self._texts.setdefault(name, TextsBuilder()).add_coded(distinct.to_pylist(), codes)

    def numbers(self, name: str, column: pa.Array, whole: bool) -> None:
        """The next numbers of a column."""
        import pyarrow as pa

        kind = column.type
        if column.null_count or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise InDoubtError
        cast = column.cast(pa.int64() if whole else pa.float64())  # a half, or a number too large, is an error
        self._arrays.setdefault(name, []).append(cast.to_numpy(zero_copy_only=False))

    def sizes(self, name: str, column: pa.ListArray) -> pa.Array:
        """The next lengths of the lists of a column; what is in them, together."""
        import pyarrow as pa

        if column.null_count or not pa.types.is_list(column.type):
            raise InDoubtError
        self._arrays.setdefault(name, []).append(np.diff(column.offsets.to_numpy()).astype(np.int64))
        return column.flatten()

    def hints(self, name: str, column: pa.StructArray) -> None:
        """The next hints of a column, absent ones included."""
        import pyarrow as pa

        if not pa.types.is_struct(column.type) or sorted(column.type.names) != sorted(FIELDS):
            raise InDoubtError
        is_there = column.is_valid()
        self._arrays.setdefault(f"{name} there", []).append(is_there.to_numpy(zero_copy_only=False))
        for field in FIELDS:
            self.numbers(f"{name} {field}", column.field(field).filter(is_there), whole=False)

    def all_hints(self, name: str) -> Hints:
        """All hints of a column; none where there is no such column."""
        places = np.flatnonzero(joined(self._arrays.get(f"{name} there", []), np.bool_))
        values = [joined(self._arrays.get(f"{name} {field}", []), np.float64) for field in FIELDS]
        return hints_at(places, np.stack(values, axis=1))

    def __getitem__(self, name: str) -> Any:
        """All of a column."""
        if name in self._texts:
            return self._texts[name].texts()
        return joined(self._arrays.pop(name), np.float64)


def _batches(file: pq.ParquetFile, where: str) -> Iterator[pa.RecordBatch]:
    """The rows of the file, a group at a time; refused where its texts, written out, are too long, or rows are lost."""
    length = rows = 0
    for g in range(file.metadata.num_row_groups):
        table = file.read_row_group(g, use_threads=False)
        table.validate(full=True)
        for batch in table.to_batches():
            length += sum(map(_length_of_texts, batch.columns))
            if length > MOST_BYTES:
                raise InputError(f"the texts of the file are longer than {MOST_BYTES:,} bytes together", where)
            rows += len(batch)
            yield batch
    if rows != file.metadata.num_rows:
        raise InputError(f"the file has {rows:,} rows, and says that it has {file.metadata.num_rows:,}", where)


def _length_of_texts(column: pa.Array) -> int:
    """Bytes of all texts in a column, each as often as it comes: a short file can name a long one a million times."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        lengths = pc.binary_length(column.dictionary).to_numpy(zero_copy_only=False)
        return int(lengths[column.indices.drop_null().to_numpy()].sum()) if len(lengths) else 0
    if pa.types.is_list(column.type):
        return _length_of_texts(column.flatten())
    if pa.types.is_struct(column.type):
        return sum(map(_length_of_texts, column.flatten()))
    return int(column.nbytes)


def _columns(
    file: pq.ParquetFile, names: Collection[str], where: str, maybe: Collection[str] = ()
) -> Iterator[dict[str, pa.Array]]:
    """The columns, some rows at a time; in doubt unless they are those of these names, and perhaps one of ``maybe``."""
    for batch in _batches(file, where):
        if not _are(batch.schema.names, names, maybe):
            raise InDoubtError
        yield dict(zip(batch.schema.names, batch.columns, strict=True))


def _are(found: Collection[str], names: Collection[str], maybe: Collection[str]) -> bool:
    """Whether these are the names, in any order and each once, with those of ``maybe`` or without."""
    return len(set(found)) == len(found) and set(names) <= set(found) <= {*names, *maybe}


def _instance_quickly(file: pq.ParquetFile, head: bytes, where: str) -> Instance:
    import pyarrow as pa

    groups = _Groups()
    for columns in _columns(file, WORKFLOW, where, maybe=(HINT,)):
        groups.texts("workflow_id", columns["workflow_id"])
        groups.numbers("arrival", columns["arrival"], whole=False)
        calls = groups.sizes("calls", columns["calls"])
        if not pa.types.is_struct(calls.type) or calls.null_count or not _are(calls.type.names, CALL, (HINT,)):
            raise InDoubtError
        fields = dict(zip(calls.type.names, calls.flatten(), strict=True))
        for name in ("call_id", "kind"):
            groups.texts(name, fields[name])
        for name, short in INTEGERS.items():
            groups.numbers(short, fields[name], whole=True)
        groups.numbers("delay", fields["delay"], whole=False)
        groups.texts("parent", groups.sizes("parents", fields["parents"]))
        for name, columns_of_hints in ((WORKFLOW_HINT, columns), (CALL_HINT, fields)):
            if HINT in columns_of_hints:
                groups.hints(name, columns_of_hints[HINT])
    if not file.metadata.num_rows:
        raise InDoubtError
    workflow_id = groups["workflow_id"]
    first, first_parent = offsets(groups["calls"]), offsets(groups["parents"])
    columns_made = WorkloadColumns(
        workflow_id=tuple(workflow_id.tolist()),
        arrival=groups["arrival"],
        first=first,
        call_id=groups["call_id"],
        kind=groups["kind"],
        prompt=groups["prompt"],
        output=groups["output"],
        cached=groups["cached"],
        delay=groups["delay"],
        parent=_positions(groups["parent"], groups["call_id"], first, first_parent),
        first_parent=first_parent,
        hints=groups.all_hints(WORKFLOW_HINT),
        call_hints=groups.all_hints(CALL_HINT),
    )
    try:
        return instance_of(_head(head, INSTANCE_HEAD, "workflows", where), columns_made)
    except ValueError:
        raise InDoubtError from None


def _positions(parents: Texts, call_ids: Texts, first: Integers, first_parent: Integers) -> Integers:
    """The call that each parent is, looked for in its own workflow."""
    names = len(call_ids.distinct)
    workflow = np.repeat(np.arange(len(first) - 1), np.diff(first))
    keys = workflow * names + call_ids.codes
    order = np.argsort(keys, kind="stable")
    place = {text: k for k, text in enumerate(call_ids.distinct)}
    codes = np.array([place.get(text, -1) for text in parents.distinct], np.int64)[parents.codes]
    wanted = np.repeat(workflow, np.diff(first_parent)) * names + codes
    found = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)] if len(keys) else codes
    if (codes < 0).any() or (keys[found] != wanted).any():
        raise InDoubtError
    found.flags.writeable = False
    return found


def _schedule_quickly(file: pq.ParquetFile, head: bytes, where: str) -> Schedule:
    groups = _Groups()
    for columns in _columns(file, COLUMNS, where):
        for name in COLUMNS:
            if name in TEXTS:
                groups.texts(name, columns[name])
            else:
                groups.numbers(name, columns[name], whole=False)
    if not file.metadata.num_rows:
        raise InDoubtError
    beside = _head(head, SCHEDULE_HEAD, "calls", where)
    try:
        made = schedule_of(beside["policy"], ScheduleColumns(**{name: groups[name] for name in COLUMNS}))
        return msgspec.structs.replace(made, format=beside["format"])
    except ValueError as error:
        raise InputError(str(error), where) from None


def _head(data: bytes, kind: Any, rows: str, where: str) -> dict[str, Any]:
    """What the metadata say, by field; the field of the rows is there, and empty."""
    found = decode_json(data, kind, f"{where}: metadata")
    if getattr(found, rows):
        raise InputError(f"{rows} of the metadata must be empty, they are the rows of the table", where)
    return {name: getattr(found, name) for name in found.__struct_fields__ if name != rows}


def _rows(file: pq.ParquetFile, kind: type[T], where: str) -> tuple[T, ...]:
    """The rows as objects, checked as those of JSON are."""
    made: list[T] = []
    for batch in _batches(file, where):
        for first, last in pieces(batch.num_rows):
            for row in batch.slice(first, last - first).to_pylist():
                made.append(convert(row, kind, f"{where}: row {len(made) + 1}"))
    return tuple(made)


def _instance_row_by_row(file: pq.ParquetFile, head: bytes, where: str) -> Instance:
    beside = _head(head, INSTANCE_HEAD, "workflows", where)
    try:
        return Instance(**beside, workflows=_rows(file, Workflow, where))
    except ValueError as error:
        raise InputError(str(error), where) from None


def _schedule_row_by_row(file: pq.ParquetFile, head: bytes, where: str) -> Schedule:
    beside = _head(head, SCHEDULE_HEAD, "calls", where)
    try:
        return Schedule(**beside, calls=_rows(file, ScheduledCall, where))
    except ValueError as error:
        raise InputError(str(error), where) from None
