"""Changed input for every reader: a share of the campaign, and changes that hypothesis makes and makes smaller."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import yaml
from campaigns.fuzz import documents, watch
from campaigns.fuzz.__main__ import main
from campaigns.fuzz.findings import smaller
from campaigns.fuzz.planted import FAULTS
from campaigns.fuzz.readers import Reader, forms_once, readers, warm
from campaigns.fuzz.slot import Slot
from campaigns.fuzz.values import NUMBERS, TEXTS, again, dump, raw
from campaigns.fuzz.worker import Inputs, Job, Report, attempt, run, scratch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.grid.spec import Forms

pytestmark = pytest.mark.filterwarnings("ignore::hexsched.errors.InputWarning")

READERS = readers()
INPUTS = 120  # of each reader
STRUCTURED = (documents.json_document, documents.json_lines, documents.yaml_document)
OF_DOCUMENTS = sorted(name for name, reader in READERS.items() if reader.change in STRUCTURED)


class Heard:
    """Stands where a worker's connection would."""

    def __init__(self) -> None:
        self.inputs = 0
        self.accepted = 0
        self.findings: Counter[str] = Counter()

    def send(self, report: Report) -> None:
        self.inputs += report.inputs
        self.accepted += report.accepted
        self.findings += report.findings


@pytest.fixture(scope="module", autouse=True)
def forms_as_found() -> Iterator[None]:
    """The reader of grids makes the forms of grid files once; other tests add kinds of cells to them."""
    before = Forms.__dict__["of_vocabulary"]
    yield
    Forms.of_vocabulary = before  # type: ignore[method-assign]
    forms_once.cache_clear()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with scratch() as made:
        warm()
        yield made


@pytest.mark.parametrize("name", READERS)
def test_a_share_of_the_campaign_finds_nothing(name: str, folder: Path, tmp_path: Path) -> None:
    heard: Any = Heard()
    job = Job(name, seed=16, start=0, inputs=INPUTS, seconds=float("inf"), out=tmp_path)
    run(job, READERS[name], Slot(tmp_path / "slot"), folder, heard)
    found = {str(path): json.loads(path.read_text()) for path in tmp_path.glob("findings/*/finding.json")}
    assert not found
    assert not heard.findings
    assert heard.inputs == INPUTS
    assert 0 < heard.accepted < INPUTS


def test_an_input_hangs_by_the_cpu_it_takes_or_when_it_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that gives it little time makes no finding of it."""
    now, number, cpu = [0.0], [7], [1.0]
    worker = watch.Worker.__new__(watch.Worker)
    worker.slot = SimpleNamespace(number=lambda: number[0])  # type: ignore[assignment]
    worker._at, worker._moved = (None, 0.0), (-1.0, 0.0)
    monkeypatch.setattr(worker, "_cpu", lambda: cpu[0])
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: now[0]))
    for _ in range(10):
        assert worker.hangs() == ""
        now[0], cpu[0] = now[0] + watch.STUCK, cpu[0] + 0.1
    now[0] += 1.0 + watch.STUCK
    assert worker.hangs() == ""  # it was seen to move
    now[0] += 1.0 + watch.STUCK
    assert worker.hangs() == "no end, and no CPU for 61 s"
    number[0] = 8
    cpu[0] += 0.1
    assert worker.hangs() == ""
    cpu[0] += 4.1
    assert worker.hangs() == "more than 4.1 s of CPU"


# ---- changes by hypothesis


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything inside a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *(found for key, item in inside for found in places(item, (*path, key)))]


def with_changes(document: Any, changes: list[tuple[int, str, Any]]) -> Any:
    """The document with changes made one after another: at a place a value, a key once more, or nothing any more."""
    for number, how, value in changes:
        found = places(document)
        if not found:
            break
        *above, key = found[number % len(found)]
        holder = document
        for step in above:
            holder = holder[step]
        if how == "value":
            holder[key] = value
        elif how == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[again(key, Random(0))] = value
        else:
            holder.insert(key, value)
    return document


SCALARS = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.sampled_from((None, True, False, raw("NaN"), raw("1e400"), raw("1" * 400), raw('"\\ud800"'))),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u27e6\u27e7"), max_size=8),
)
VALUES = st.recursive(
    SCALARS, lambda some: st.lists(some, max_size=2) | st.dictionaries(st.just("k"), some), max_leaves=3
)
CHANGES = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from(("value", "value", "remove", "again")), VALUES),
    min_size=1,
    max_size=4,
)


def documents_of(reader: Reader, folder: Path) -> list[Any]:
    """The examples of a reader as data."""
    examples = [data for data in reader.examples(folder) if len(data) < 4000]
    if reader.change is documents.json_lines:
        return [[msgspec.json.decode(line) for line in data.splitlines() if line.strip()] for data in examples]
    load = yaml.safe_load if reader.change is documents.yaml_document else msgspec.json.decode
    return [load(data) for data in examples]


@pytest.mark.parametrize("name", OF_DOCUMENTS)
def test_a_document_with_changes_is_read_or_refused(name: str, folder: Path) -> None:
    reader = READERS[name]
    originals = documents_of(reader, folder) or documents_of(READERS["instance"], folder)

    @settings(max_examples=40, database=None)
    @given(which=st.sampled_from(range(len(originals))), changes=CHANGES)
    def is_read_or_refused(which: int, changes: list[tuple[int, str, Any]]) -> None:
        document = with_changes(msgspec.json.decode(msgspec.json.encode(originals[which])), changes)
        lines = document if reader.change is documents.json_lines else [document]
        error, _ = attempt(reader, b"\n".join(map(dump, lines)), folder)
        if error is not None:
            raise error

    is_read_or_refused()


# ---- the campaign itself


def test_inputs_follow_from_the_seed(folder: Path) -> None:
    def made(seed: int) -> list[bytes]:
        inputs = Inputs(READERS["trace-mooncake"], seed, folder, [])
        return [inputs.make(number, []) for number in range(50)]

    assert made(3) == made(3)
    assert made(3) != made(4)


def test_what_shows_the_same_is_made_as_small_as_it_can_be() -> None:
    data = bytes(range(256)) * 4 + b"needle" + bytes(range(256))
    assert smaller(data, lambda less: b"needle" in less, attempts=10_000) == b"needle"


@pytest.mark.campaign
def test_every_planted_fault_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--self-check", "--inputs", "20", "-o", str(tmp_path)]) == 0
    found = {json.loads(path.read_text())["what"] for path in tmp_path.glob("findings/*/finding.json")}
    assert found == {*FAULTS} - {"slow"}
    assert all(b"wrong" in path.read_bytes() for path in tmp_path.glob("findings/*/smallest"))
