"""Azure LLM inference traces (github Azure/AzurePublicDataset, 2023 and 2024 files, CC-BY-4.0)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from hexsched.errors import InputError
from hexsched.workloads.importers.parts.head import Head, column_key
from hexsched.workloads.importers.parts.importer import Arrival, Importer, ImportOptions, is_empty, single_call
from hexsched.workloads.importers.parts.records import csv_rows, whole_number

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", flags=re.ASCII)


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
    sample = SAMPLE

    def sniff(self, head: Head) -> bool:
        return {column_key(name) for name in COLUMNS} <= head.columns

    def arrivals(self, path: Path, options: ImportOptions, dropped: Counter[str]) -> Iterator[Arrival]:
        start: int | None = None
        for row, (where, (time, prompt_text, output_text)) in enumerate(csv_rows(path, COLUMNS)):
            at = _nanoseconds(time, where)
            prompt = whole_number(prompt_text, COLUMNS[1], where)
            output = whole_number(output_text, COLUMNS[2], where)
            if is_empty(prompt, output, dropped):
                continue
            # Subtracted as integers: seconds since 1970 in a double are only good to 0.2 microseconds.
            start = at if start is None else start
            yield Arrival((at - start) / 1e9, single_call(f"r{row}", prompt, output, 0, "", where))


def _nanoseconds(text: str, where: str) -> int:
    """Nanoseconds since 1970; the files have seven digits after the second, one more than ``datetime`` keeps."""
    match = _TIMESTAMP.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError
        day, clock, fraction, zone = match.groups()
        moment = datetime.fromisoformat(f"{day}T{clock}{zone or '+00:00'}")
    except ValueError:
        raise InputError(
            f"TIMESTAMP: expected a time such as 2023-11-16 18:15:46.6805900, got {text.strip()[:40]!r}", where
        ) from None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + int((fraction or "0").ljust(9, "0"))


IMPORTER = AzureImporter()
