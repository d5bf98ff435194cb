"""The library as a data set that can be published: instances, bounds, checksums, citation and metadata for a DOI."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping

from experiments.library.archive import Entry, Key, csv_bytes
from experiments.library.families import FAMILIES
from experiments.library.names import VERSION, digest, family_of, instance, names, split_of
from hexsched import __version__

TITLE = "hexsched instance library: scheduling agentic LLM workflows on prefill-decode disaggregated clusters"
SUMMARY = (
    "{instances} seeded instances of an offline scheduling problem, a two-stage hybrid flow shop with release dates, "
    "precedence with delays, unary machines of stage 1 and doubly cumulative machines of stage 2 (slots and memory), "
    "with the best lower bounds and schedules known on five objectives, who found them and when."
)
LICENCE = "Apache-2.0"
AUTHORS = ("The hexsched maintainers",)
SUMS = "SHA256SUMS"


def files(entries: Mapping[Key, Entry]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all files, the checksums last; the same bytes for the same archive.

    Parameters
    ----------
    entries : dict of (str, str) to Entry
        The archive.
    """
    sums = []
    for name, data in _contents(entries):
        sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
        yield name, data
    yield SUMS, "".join(sums).encode()


def _contents(entries: Mapping[Key, Entry]) -> Iterator[tuple[str, bytes]]:
    yield "README.md", _readme().encode()
    yield "CITATION.cff", _citation().encode()
    yield ".zenodo.json", _zenodo()
    yield "instances.csv", _instances()
    yield "best_known.csv", csv_bytes(entries)
    for name in names():
        yield f"instances/{name}.json", instance(name).to_bytes()


def _instances() -> bytes:
    """A row an instance: what it is, in which split, and its features."""
    from solvers.problem.features import Features, features
    from solvers.problem.offline import fixed_problem

    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("instance", "family", "since", "split", "sha256", *Features._fields))
    for name in names():
        problem = instance(name)
        measured = [round(value, 6) for value in features(fixed_problem(problem))]
        family = FAMILIES[family_of(name)]
        writer.writerow((name, family.name, family.version, split_of(name), digest(problem), *measured))
    return text.getvalue().encode()


def _summary() -> str:
    return SUMMARY.format(instances=len(names()))


def _readme() -> str:
    families = "\n".join(f"| {f.name} | {f.summary} | {f.version} |" for f in FAMILIES.values())
    return f"""# {TITLE}

Version {VERSION}. {_summary()}

- `instances/`: an instance a file, JSON with every number explicit (`hexsched schema instance` says what the keys are).
  Models for solvers of others: `hexsched library export`.
- `instances.csv`: family, split and features of each. Tuning is for `train` alone: an instance is in `test` if the
  SHA-256 of its name, as a number, is divisible by three.
- `best_known.csv`: bounds and schedules, a schedule as the queue of each machine. `hexsched library check` verifies
  them anew, `hexsched library submit` takes better ones.
- `{SUMS}`: `sha256sum -c {SUMS}`.

Instances and names never change; a later version has more of them, or better bounds.

| family | | since version |
|---|---|---|
{families}

Licence: {LICENCE}. Made by hexsched {__version__}.
"""


def _citation() -> str:
    authors = "\n".join(f"  - name: {author}" for author in AUTHORS)
    return f"""cff-version: 1.2.0
message: If you use these instances, please cite them with their version.
title: "{TITLE}"
type: dataset
authors:
{authors}
version: {VERSION}
license: {LICENCE}
"""


def _zenodo() -> bytes:
    """Metadata as Zenodo's deposits take them (https://developers.zenodo.org); DataCite's are made from these."""
    record = {
        "title": TITLE,
        "upload_type": "dataset",
        "description": _summary(),
        "creators": [{"name": author} for author in AUTHORS],
        "version": VERSION,
        "license": LICENCE.lower(),
        "access_right": "open",
        "language": "eng",
        "keywords": ["scheduling", "hybrid flow shop", "benchmark", "LLM serving", "constraint programming", "MILP"],
    }
    return (json.dumps(record, indent=2) + "\n").encode()
