"""Request files of Vidur (github microsoft/vidur, MIT) and of the simulators that follow it."""

from __future__ import annotations

from collections.abc import Iterator

from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.head import Signature, read_head
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.records import column_key, column_names
from hexsched.workloads.importers.parts.tables import Columns, Meaning, note_unused, table_arrivals
from hexsched.workloads.importers.parts.times import Unit
from hexsched.workloads.importers.parts.trace import Trace

PROMPT, OUTPUT = "num_prefill_tokens", "num_decode_tokens"
OPTIONAL = {"time": "arrived_at", "session": "session_id", "cached": "num_cached_tokens"}


class VidurOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``vidur`` format.

    Attributes
    ----------
    time_unit : {"s", "ms", "us", "ns"}
        Of ``arrived_at``.
    sessions : bool
        Make one workflow of the rows that share a ``session_id``; False keeps every row apart.
    deltas : bool
        ``num_prefill_tokens`` of a session hold only what is new.
    """

    time_unit: Unit = "s"
    sessions: bool = True
    deltas: bool = False


SAMPLE = """\
arrived_at,num_prefill_tokens,num_decode_tokens
0.0,374,44
4.314579,396,109
"""


class VidurImporter(Importer[VidurOptions]):
    """A request a row. Files of lengths alone, without ``arrived_at``, have all requests arrive at 0."""

    name = "vidur"
    summary = "Vidur request trace, CSV: arrived_at (s), num_prefill_tokens, num_decode_tokens, maybe session_id"
    options_type = VidurOptions
    rank = 8
    numbered = True
    sample = SAMPLE
    signature = Signature(((PROMPT,), (OUTPUT,)), hints=tuple(OPTIONAL.values()), csv=True)

    def arrivals(self, trace: Trace, options: VidurOptions) -> Iterator[Arrival]:
        head = read_head(trace.files[0])
        found = {role: name for role, name in OPTIONAL.items() if column_key(name) in head.columns}
        meaning = Meaning(options.time_unit, sessions=options.sessions, deltas=options.deltas)
        columns = Columns(PROMPT, OUTPUT, **found)
        note_unused(column_names(head.first_line), columns, trace)
        yield from table_arrivals(trace, columns, meaning)


IMPORTER = VidurImporter()
