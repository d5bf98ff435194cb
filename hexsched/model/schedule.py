"""The schedule: where and when every call ran (model M34)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from hexsched.display import MOST_ROWS, Summary, displayed, shown
from hexsched.errors import InputError
from hexsched.model import quick_json
from hexsched.model.columns import pieces
from hexsched.model.file_kind import check_kind
from hexsched.model.files import HALF_A_PAIR, convert, read_bytes, write_chunks
from hexsched.model.json_keys import check_keys
from hexsched.model.rows import Floats, Rows, Texts, TextsBuilder, joined
from hexsched.model.table_files import PARQUET_ENDING, is_parquet
from hexsched.plotting import Accessor

if TYPE_CHECKING:
    import pandas as pd

    ScheduledCalls = Sequence["ScheduledCall"]

FORMAT = "hexsched-schedule/1"


class ScheduledCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Placement and times (seconds) of one call.

    A schedule is a claim; it is not checked here. ``hexsched.verifier`` does that.

    Attributes
    ----------
    workflow_id, call_id : str
        The call.
    prefill_instance, decode_instance : str
        Ids of the instances that it runs on.
    prefill_start, prefill_end : float
        Seconds, on the clock of the arrivals.
    admitted : float
        When the decode instance reserves room for it and its KV begins to move.
    decode_start : float
        When its KV is there and it joins the batch.
    decode_end : float
        C_c, when its last token is out.
    """

    workflow_id: str
    call_id: str
    prefill_instance: str
    prefill_start: float
    prefill_end: float
    decode_instance: str
    admitted: float
    decode_start: float
    decode_end: float


@dataclass(frozen=True, eq=False)
class ScheduleColumns:
    """The rows of a schedule as columns, in the order of the file; arrays are read-only.

    Attributes
    ----------
    workflow_id, call_id, prefill_instance, decode_instance : Texts
        N of each.
    prefill_start, prefill_end, admitted, decode_start, decode_end : (N,) float arrays
        Seconds.
    """

    workflow_id: Texts
    call_id: Texts
    prefill_instance: Texts
    prefill_start: Floats
    prefill_end: Floats
    decode_instance: Texts
    admitted: Floats
    decode_start: Floats
    decode_end: Floats

    def __len__(self) -> int:
        return len(self.decode_end)

    def lists(self, first: int, last: int) -> list[list[Any]]:
        """A list a column, of the rows from ``first`` to before ``last``; in the order of the fields of a row."""
        return [
            column.tolist(first, last) if isinstance(column, Texts) else column[first:last].tolist()
            for column in (getattr(self, name) for name in COLUMNS)
        ]


if not TYPE_CHECKING:
    ScheduledCalls = tuple[ScheduledCall, ...]  # what a decoder makes

COLUMNS = ScheduledCall.__struct_fields__
TEXTS = tuple(field.name for field in msgspec.structs.fields(ScheduledCall) if field.type is str)


@displayed
class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """The outcome of a run: one ``ScheduledCall`` for each call, in the instance's order.

    Attributes
    ----------
    format : str
        Always ``"hexsched-schedule/1"``.
    policy : str
        What made it.
    calls : sequence of ScheduledCall
        One for each call of the instance. A tuple, or ``Rows``, which equal one and are made when they are looked at.
    """

    format: str
    policy: str
    calls: ScheduledCalls

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"format must be {FORMAT!r}, got {self.format!r}")

    @cached_property
    def columns(self) -> ScheduleColumns:
        """The rows as columns: what to use in place of them where there may be many."""
        if isinstance(self.calls, Rows):
            columns: ScheduleColumns = self.calls.columns
            return columns
        builder = ScheduleBuilder()
        builder.add(self.calls)
        return builder.columns()

    def to_bytes(self) -> bytes:
        """Canonical JSON, one call a line."""
        return b"".join(self.to_chunks())

    def to_chunks(self) -> Iterator[bytes]:
        """The same in pieces."""
        yield msgspec.json.encode({"format": self.format, "policy": self.policy})[:-1] + b',"calls":[\n'
        encoder, columns = msgspec.json.Encoder(), self.columns
        for first, last in pieces(len(columns), ROWS_AT_A_TIME):
            lines = encoder.encode_lines(list(map(PlainRow, *columns.lists(first, last))))
            yield lines[:-1].replace(b"\n", b",\n") + (b",\n" if last < len(columns) else b"")
        yield b"\n]}\n"

    def to_file(self, path: str | Path) -> Iterable[bytes]:
        """What a file of that name holds: Parquet where it ends so, else JSON."""
        if Path(path).suffix.lower() != PARQUET_ENDING:
            return self.to_chunks()
        from hexsched.model.columnar import schedule_bytes

        return (schedule_bytes(self),)

    def to_frame(self) -> pd.DataFrame:
        """One row a call, columns named as the fields."""
        import pandas as pd

        columns = self.columns
        return pd.DataFrame(dict(zip(COLUMNS, columns.lists(0, len(columns)), strict=True)))

    @property
    def plot(self) -> Accessor:
        """Its plots: ``schedule.plot.NAME(ax=None)``; ``schedule.plot`` itself lists them."""
        return Accessor(self)

    def save(self, path: str | Path) -> None:
        """Write the schedule as a file that the command line reads."""
        write_schedule(path, self)

    def _summary(self) -> Summary:
        rows = [
            {
                "call": f"{call.workflow_id}/{call.call_id}",
                "prefill": call.prefill_instance,
                "prefill s": f"{shown(call.prefill_start)} - {shown(call.prefill_end)}",
                "decode": call.decode_instance,
                "decode s": f"{shown(call.decode_start)} - {shown(call.decode_end)}",
            }
            for call in rows_of(self.columns, 0, min(MOST_ROWS, len(self.calls)))
        ]
        last = float(self.columns.decode_end.max()) if len(self.calls) else None
        facts = {"calls": len(self.calls), "last completion s": last}
        return Summary(f"by {self.policy}", facts, rows, len(self.calls))


def read_schedule(path: str | Path) -> Schedule:
    """Read a schedule file; raises ``InputError`` naming file and field.

    ``NaN`` and ``Infinity`` are let through: it is the verifier that names them.
    """
    check_kind(path, "schedule")
    if is_parquet(path):
        from hexsched.model.columnar import read_schedule_table

        return read_schedule_table(path)
    data = read_bytes(path)
    try:
        return _read_quickly(data)
    except quick_json.InDoubtError:
        return _read_slowly(data, path)


def write_schedule(path: str | Path, schedule: Schedule) -> None:
    """Write a schedule file in canonical form: Parquet where its name ends so, else JSON."""
    write_chunks(path, schedule.to_file(path))


class ScheduleBuilder:
    """Makes columns of rows, some at a time."""

    def __init__(self) -> None:
        self._texts = {name: TextsBuilder() for name in TEXTS}
        self._times: dict[str, list[Floats]] = {name: [] for name in COLUMNS if name not in TEXTS}

    def add(self, rows: Sequence[Any]) -> None:
        """The next rows, of anything that has the attributes of ``ScheduledCall``."""
        for name, builder in self._texts.items():
            builder.add([getattr(row, name) for row in rows])
        for name, arrays in self._times.items():
            arrays.append(np.array([getattr(row, name) for row in rows], np.float64))

    def columns(self) -> ScheduleColumns:
        """All that was added."""
        texts: dict[str, Any] = {name: builder.texts() for name, builder in self._texts.items()}
        times = {name: joined(arrays, np.float64) for name, arrays in self._times.items()}
        return ScheduleColumns(**texts, **times)


def schedule_of(policy: str, columns: ScheduleColumns) -> Schedule:
    """The schedule that the columns hold."""
    return Schedule(format=FORMAT, policy=policy, calls=Rows(columns, len(columns), _make))


def rows_of(columns: ScheduleColumns, first: int, last: int) -> list[ScheduledCall]:
    """The rows from ``first`` to before ``last``."""
    values = zip(*columns.lists(first, last), strict=True)
    return [ScheduledCall(**dict(zip(COLUMNS, row, strict=True))) for row in values]


def _make(columns: ScheduleColumns) -> tuple[ScheduledCall, ...]:
    made = (row for first, last in pieces(len(columns), ROWS_AT_A_TIME) for row in rows_of(columns, first, last))
    return tuple(made)


ROWS_AT_A_TIME = 8192  # that are objects at one time
HEAD = quick_json.head_of(Schedule, "calls")
PlainRow: Any = msgspec.defstruct(
    "PlainRow",
    [(field.name, field.type) for field in msgspec.structs.fields(ScheduledCall)],
    forbid_unknown_fields=True,
    gc=False,
)


def _read_quickly(data: bytes) -> Schedule:
    """A schedule with finite times, spelled as we spell it."""
    head, texts = quick_json.read_head(data, HEAD, "calls")
    builder = ScheduleBuilder()
    for rows in quick_json.read_rows(texts, PlainRow):
        builder.add(rows)
    if head["format"] != FORMAT:
        raise quick_json.InDoubtError
    return schedule_of(head["policy"], builder.columns())


def _read_slowly(data: bytes, path: str | Path) -> Schedule:
    try:
        parsed = json.loads(data)
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}", path) from None
    except RecursionError:
        raise InputError("not valid JSON: nested too deeply", path) from None
    check_keys(data, str(path))
    if b"\\ud" in data.lower():
        _check_pairs(parsed, path)
    return convert(parsed, Schedule, str(path))


def _check_pairs(parsed: object, path: str | Path) -> None:
    try:
        json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError(HALF_A_PAIR, path) from None
