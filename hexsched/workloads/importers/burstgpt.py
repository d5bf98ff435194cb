"""BurstGPT traces (github HPMLL/BurstGPT, CC-BY-4.0)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hexsched.errors import InputError
from hexsched.model import Call, Workflow
from hexsched.workloads.importers.parts.head import Head, column_key
from hexsched.workloads.importers.parts.importer import Arrival, Importer, ImportOptions, is_empty
from hexsched.workloads.importers.parts.records import csv_rows, number, whole_number

COLUMNS = ("Timestamp", "Request tokens", "Response tokens")
OPTIONAL_COLUMNS = ("Session ID", "Elapsed time", "Log Type")

_ABSENT = frozenset({"", "nan", "none", "null", "-1"})


class BurstGptOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``burstgpt`` format.

    Attributes
    ----------
    sessions : bool
        Make one workflow of the rows that share a ``Session ID`` (release v2.0 on); False keeps every row apart.
    """

    sessions: bool = True


class _Row(NamedTuple):
    row: int
    where: str
    at: float
    prompt: int
    output: int
    session: str
    elapsed: float
    kind: str


SAMPLE = """\
Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,GPT-4,1087,230,1317,API log
"""


class BurstGptImporter(Importer[BurstGptOptions]):
    """A request a row; columns are read by name, since later releases insert some.

    Rows with 0 tokens are failed requests and are dropped. Where a session column is present, the rows of a session
    become a chain: each turn waits for the one before, and its delay is the user's think time, that is the time
    between the two submissions less the ``Elapsed time`` of the first (nothing less where that is not recorded).
    """

    name = "burstgpt"
    summary = "BurstGPT trace, CSV: Timestamp (s), Request tokens, Response tokens, maybe Session ID, Elapsed time"
    options_type = BurstGptOptions
    rank = 3
    sample = SAMPLE

    def sniff(self, head: Head) -> bool:
        return {column_key(name) for name in COLUMNS} <= head.columns

    def arrivals(self, path: Path, options: BurstGptOptions, dropped: Counter[str]) -> Iterator[Arrival]:
        held: dict[str, list[_Row]] = {}  # from the first session on, so that workflows stay in file order
        for row in _rows(path):
            if is_empty(row.prompt, row.output, dropped):
                continue
            in_session = options.sessions and row.session not in _ABSENT
            if in_session or held:
                held.setdefault(f"s{row.session}" if in_session else f"r{row.row}", []).append(row)
            else:
                yield _chain(f"r{row.row}", [row])
        for workflow_id, rows in held.items():
            yield _chain(workflow_id, rows)


def _rows(path: Path) -> Iterator[_Row]:
    for index, (where, values) in enumerate(csv_rows(path, COLUMNS, OPTIONAL_COLUMNS)):
        time, prompt, output, session, elapsed, kind = values
        yield _Row(
            row=index,
            where=where,
            at=number(time, "Timestamp", where),
            prompt=whole_number(prompt, "Request tokens", where),
            output=whole_number(output, "Response tokens", where),
            session=session.strip().lower(),
            elapsed=number(elapsed, "Elapsed time", where) if elapsed.strip().lower() not in _ABSENT else 0.0,
            kind=kind.strip(),
        )


def _chain(workflow_id: str, rows: list[_Row]) -> Arrival:
    rows.sort(key=lambda row: row.at)
    calls: list[Call] = []
    for turn, row in enumerate(rows):
        before = rows[turn - 1] if turn else None
        try:
            call = Call(
                call_id=f"c{turn}",
                prompt_tokens=row.prompt,
                output_tokens=row.output,
                parents=(calls[-1].call_id,) if calls else (),
                delay=max(0.0, row.at - before.at - before.elapsed) if before else 0.0,
                kind=row.kind,
            )
        except ValueError as error:
            raise InputError(str(error), row.where) from None
        calls.append(call)
    return Arrival(rows[0].at, Workflow(workflow_id=workflow_id, arrival=0.0, calls=tuple(calls)))


IMPORTER = BurstGptImporter()
