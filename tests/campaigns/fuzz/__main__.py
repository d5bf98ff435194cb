"""Run a campaign: ``cd tests && ../.venv/bin/python -m campaigns.fuzz --inputs 1000000 -o DIR``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from campaigns.fuzz.watch import campaign
from campaigns.fuzz.worker import Job, Report


class Table:
    """What has happened, a row a reader."""

    HEAD = ("reader", "inputs", "accepted", "kept", "branches", "CPU s", "us/input", "findings")

    def __init__(self, names: Sequence[str]) -> None:
        self.rows = {name: Report(name) for name in names}
        self._told = time.monotonic()

    def hear(self, report: Report) -> None:
        """Add what a worker says."""
        row = self.rows[report.reader]
        row.inputs += report.inputs
        row.accepted += report.accepted
        row.cpu += report.cpu
        row.findings += report.findings
        row.kept, row.branches = max(row.kept, report.kept), max(row.branches, report.branches)
        if report.done:
            print(f"{self._line(row)}", flush=True)

    @property
    def findings(self) -> Counter[str]:
        """Inputs by the name of what they found."""
        return sum((row.findings for row in self.rows.values()), Counter())

    def print(self) -> None:
        """All of it."""
        print("\n| " + " | ".join(self.HEAD) + " |")
        print("|" + "---|" * len(self.HEAD))
        for row in self.rows.values():
            print(self._line(row))
        total = Report("all", inputs=sum(row.inputs for row in self.rows.values()))
        total.accepted = sum(row.accepted for row in self.rows.values())
        total.cpu, total.findings = sum(row.cpu for row in self.rows.values()), self.findings
        print(self._line(total))

    def _line(self, row: Report) -> str:
        each = f"{1e6 * row.cpu / row.inputs:,.0f}" if row.inputs else "-"
        cells = (row.reader, f"{row.inputs:,}", f"{row.accepted:,}", f"{row.kept:,}", f"{row.branches:,}")
        return "| " + " | ".join((*cells, f"{row.cpu:,.0f}", each, f"{len(row.findings)}")) + " |"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 where there are findings."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="of each reader")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of CPU of each reader, where that is less")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--readers", default="", help="names with commas between them, * at the end for all that begin so; all"
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="a folder with further examples, in a folder a reader")
    parser.add_argument("--blind", action="store_true", help="do not look at branches, which takes 2 s to begin with")
    parser.add_argument("--self-check", action="store_true", help="run readers with planted faults; 0 if all are found")
    parser.add_argument("-o", "--out", type=Path, help="where findings and kept inputs go; a new folder")
    options = parser.parse_args(arguments)
    names = _planted() if options.self_check else _names(options.readers)
    out = Path(tempfile.mkdtemp(prefix="fuzz-")) if options.out is None else options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    corpus = None if options.corpus is None else options.corpus.resolve()
    jobs = [Job(name, options.seed, 0, options.inputs, options.seconds, out, corpus) for name in names]
    table = Table(names)
    with tempfile.TemporaryDirectory() as folder:
        try:
            campaign(jobs, options.workers, Path(folder), table.hear, not options.blind)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
    table.print()
    for name, count in sorted(table.findings.items()):
        print(f"{out / 'findings' / name}: {count:,} inputs")
    if options.self_check:
        return 0 if all(row.findings for row in table.rows.values()) else 1
    return 1 if table.findings else 0


def _planted() -> list[str]:
    from campaigns.fuzz.planted import planted

    return list(planted())


def _names(wanted: str) -> list[str]:
    from campaigns.fuzz.readers import readers

    known = list(readers())
    if not wanted:
        return known
    found = []
    for name in wanted.split(","):
        chosen = [each for each in known if each == name or (name.endswith("*") and each.startswith(name[:-1]))]
        if not chosen:
            raise SystemExit(f"no reader {name!r}; they are {', '.join(known)}")
        found += chosen
    return found


if __name__ == "__main__":
    sys.exit(main())
