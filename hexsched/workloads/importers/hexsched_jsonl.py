"""hexsched's own workload files, with or without arrivals."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hexsched.errors import InputError
from hexsched.model import Call, Workflow
from hexsched.model.hint import Given
from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.head import Signature
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.records import Duration
from hexsched.workloads.importers.parts.trace import Trace


class WorkloadLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A workflow, one line of a workload file (model M32).

    Attributes
    ----------
    workflow_id : str
        Unique within the file.
    calls : tuple of Call
        In any order; parents are named by ``call_id``.
    arrival : float
        a_w, seconds, at least 0; 0 where it is absent.
    hint : Hint, optional
        What its application expects of the whole, declared at its arrival (model M40).
    """

    workflow_id: str
    calls: tuple[Call, ...]
    arrival: Duration = 0.0
    hint: Given = msgspec.UNSET


SAMPLE = """\
{"workflow_id": "a", "calls": [{"call_id": "c0", "prompt_tokens": 10, "output_tokens": 5}]}
{"workflow_id": "b", "arrival": 2.5, "calls": [{"call_id": "c0", "prompt_tokens": 10, "output_tokens": 5}]}
"""


class HexschedImporter(Importer[ImportOptions]):
    """A workflow a line, as ``hexsched.model.read_workload`` reads it, but ``arrival`` may be absent (then 0)."""

    name = "hexsched"
    doubted = False
    summary = "hexsched workload, JSON Lines, a workflow a line; arrival optional"
    options_type = ImportOptions
    rank = 0
    sample = SAMPLE
    signature = Signature((("workflow_id",), ("calls",)))

    def arrivals(self, trace: Trace, options: ImportOptions) -> Iterator[Arrival]:
        for where, line in trace.json_lines(WorkloadLine):
            try:
                workflow = Workflow(workflow_id=line.workflow_id, arrival=0.0, calls=line.calls, hint=line.hint)
            except ValueError as error:
                raise InputError(str(error), where) from None
            yield Arrival(line.arrival, workflow)


IMPORTER = HexschedImporter()
