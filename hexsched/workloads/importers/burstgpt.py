"""BurstGPT traces (github HPMLL/BurstGPT, CC-BY-4.0)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hexsched.workloads.importers.parts.arrival import Arrival, single_call
from hexsched.workloads.importers.parts.graph import Draft
from hexsched.workloads.importers.parts.head import Signature
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.records import number, whole_number
from hexsched.workloads.importers.parts.sessions import Turn, chains, stopped
from hexsched.workloads.importers.parts.times import Clock, Unit, time_number
from hexsched.workloads.importers.parts.trace import Trace

COLUMNS = ("Timestamp", "Request tokens", "Response tokens")
OPTIONAL_COLUMNS = ("Session ID", "Elapsed time", "Log Type")

_ABSENT = frozenset({"", "nan", "none", "null", "-1"})


class BurstGptOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``burstgpt`` format.

    Attributes
    ----------
    time_unit : {"s", "ms", "us", "ns"}
        Of ``Timestamp`` and ``Elapsed time``.
    sessions : bool
        Make one workflow of the rows that share a ``Session ID`` (release v2.0 on); False keeps every row apart.
    deltas : bool
        ``Request tokens`` of a session hold only what is new.
    """

    time_unit: Unit = "s"
    sessions: bool = True
    deltas: bool = False


class _Row(NamedTuple):
    time: float
    prompt: int
    output: int
    session: str
    elapsed: float | None
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
    Only rows of sessions are held in memory.
    """

    name = "burstgpt"
    summary = "BurstGPT trace, CSV: Timestamp (s), Request tokens, Response tokens, maybe Session ID, Elapsed time"
    options_type = BurstGptOptions
    rank = 3
    numbered = True  # or named after sessions, each once
    sample = SAMPLE
    signature = Signature(tuple((name,) for name in COLUMNS), hints=OPTIONAL_COLUMNS, csv=True)

    def arrivals(self, trace: Trace, options: BurstGptOptions) -> Iterator[Arrival]:
        clock = Clock(options.time_unit)
        held: dict[str, list[Turn]] = {}
        begun = 0
        for index, (where, row) in enumerate(trace.csv_rows(COLUMNS, OPTIONAL_COLUMNS, _parse)):
            if trace.drop_empty(row.prompt, row.output):
                continue
            in_session = options.sessions and row.session not in _ABSENT
            if begun == trace.limit and not (in_session and row.session in held):
                stopped(where, trace, bool(held))
                break
            at = clock.seconds(row.time)
            if not in_session:
                begun += 1
                yield Arrival(at, single_call(f"r{index}", row.prompt, row.output, 0, row.kind.strip(), where))
                continue
            begun += row.session not in held
            turns = held.setdefault(row.session, [])
            draft = Draft(f"c{len(turns)}", where, row.prompt, row.output, kind=row.kind.strip())
            turns.append(Turn(draft, at, service=None if row.elapsed is None else clock.span(row.elapsed)))
        yield from chains(((f"s{name}", turns) for name, turns in held.items()), options.deltas, trace)


def _parse(where: str, values: Sequence[str]) -> _Row:
    time, prompt, output, session, elapsed, kind = values
    taken = number(elapsed, "Elapsed time", where) if elapsed and elapsed.strip().lower() not in _ABSENT else None
    return _Row(
        time_number(time, "Timestamp", where),
        whole_number(prompt, "Request tokens", where),
        whole_number(output, "Response tokens", where),
        session and session.strip().lower(),
        taken,
        kind,
    )


IMPORTER = BurstGptImporter()
