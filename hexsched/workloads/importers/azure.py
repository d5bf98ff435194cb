"""Azure LLM inference traces (github Azure/AzurePublicDataset, 2023 and 2024 files, CC-BY-4.0)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hexsched.workloads.importers.parts.arrival import Arrival, single_call
from hexsched.workloads.importers.parts.head import Signature
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.records import whole_number
from hexsched.workloads.importers.parts.times import Clock, nanoseconds
from hexsched.workloads.importers.parts.trace import Trace

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")

SAMPLE = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
"""


class AzureImporter(Importer[ImportOptions]):
    """A request a row: wall-clock time (UTC unless it says otherwise), prompt and output tokens."""

    name = "azure-2023"
    summary = "Azure LLM inference trace, CSV: TIMESTAMP, ContextTokens, GeneratedTokens"
    options_type = ImportOptions
    rank = 1
    numbered = True
    sample = SAMPLE
    signature = Signature(tuple((name,) for name in COLUMNS), csv=True)

    def arrivals(self, trace: Trace, options: ImportOptions) -> Iterator[Arrival]:
        clock = Clock("ns")
        for row, (where, (time, prompt, output)) in enumerate(trace.csv_rows(COLUMNS, (), _parse)):
            if not trace.drop_empty(prompt, output):
                yield Arrival(clock.seconds(time), single_call(f"r{row}", prompt, output, 0, "", where))


def _parse(where: str, values: Sequence[str]) -> tuple[int, int, int]:
    time, prompt, output = values
    return (
        nanoseconds(time, COLUMNS[0], where),
        whole_number(prompt, COLUMNS[1], where),
        whole_number(output, COLUMNS[2], where),
    )


IMPORTER = AzureImporter()
