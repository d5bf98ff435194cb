"""Results of runs as CSV files that pandas, spreadsheets and the figures read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hexsched.printable import cell

if TYPE_CHECKING:
    from hexsched.model import Instance
    from hexsched.simulator import Run

WORKFLOWS_CSV = "workflows.csv"
SUMMARY_CSV = "summary.csv"
PROVENANCE_CSV = "provenance.csv"
FILES = (WORKFLOWS_CSV, SUMMARY_CSV, PROVENANCE_CSV)
WORKFLOW_COLUMNS = ("instance", "policy", "workflow_id", "arrival", "latency", "horizon", "ratio")


class Result(NamedTuple):
    """A run and what it is filed under.

    Attributes
    ----------
    instance : str
        Name of the instance.
    run : Run
    values : dict
        What stands in the summary: metrics and the like.
    """

    instance: str
    run: Run
    values: dict[str, object]


def write_results(folder: str | Path, results: Sequence[Result], **given: object) -> None:
    """Write ``workflows.csv``, a row a workflow and policy, without warm-up; ``summary.csv`` and ``provenance.csv``, a
    row a run.

    Parameters
    ----------
    folder : str or Path
    results : sequence of Result
    **given
        What else ``provenance.csv`` is to say: seed, estimator, digests of what the policies come from.
    """
    from experiments.environment import versions
    from hexsched.model.files import write_bytes

    keys = list(results[0].values)
    summary = ((r.instance, r.run.policy, *(r.values[key] for key in keys)) for r in results)
    write_bytes(Path(folder) / SUMMARY_CSV, _csv(("instance", "policy", *keys), summary))
    origin = {**given, **versions()}
    columns = ("instance", "policy", "instance_sha256", *origin)
    instances = {id(result.run.instance): result.run.instance for result in results}  # several runs of each
    digests = {name: _digest(instance) for name, instance in instances.items()}
    origins = ((r.instance, r.run.policy, digests[id(r.run.instance)], *origin.values()) for r in results)
    write_bytes(Path(folder) / PROVENANCE_CSV, _csv(columns, origins))
    rows = (row for result in results for row in _workflow_rows(result))
    write_bytes(Path(folder) / WORKFLOWS_CSV, _csv(WORKFLOW_COLUMNS, rows))


def _digest(instance: Instance) -> str:
    """As ``instance_sha256`` of a store: without where its numbers come from."""
    import msgspec

    return hashlib.sha256(msgspec.structs.replace(instance, sources=()).to_bytes()).hexdigest()


def _workflow_rows(result: Result) -> Iterable[tuple[object, ...]]:
    run = result.run
    columns = (run.arrival, run.completed - run.arrival, run.horizon, run.ratio)
    rows = zip(run.instance.workflows, *(c.tolist() for c in columns), strict=True)
    for workflow, *numbers in islice(rows, run.warm_up, None):
        yield (result.instance, run.policy, workflow.workflow_id, *numbers)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Floats with all their digits, as ``repr`` writes them."""
    import csv
    import io

    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode()
