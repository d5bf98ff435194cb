"""Every reader: examples to begin with, how they are changed, and what is done with an input."""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

from campaigns.fuzz import documents, tables, texts
from campaigns.fuzz.findings import BreachError
from campaigns.fuzz.packing import PACKERS, columnar, packer

Change = Callable[[bytes, bytes, Random, list[str]], bytes]
ROOT = Path(__file__).parents[3]
MOST_CELLS = 100  # of an example of a grid, and of most inputs: making cells is most of the time
MOST_CALLS = 400  # of an accepted input that is simulated and verified
SHARE = 8  # of so many accepted workloads one is simulated and verified


@dataclass(frozen=True)
class Reader:
    """Something that reads what strangers write.

    Attributes
    ----------
    name : str
    examples : callable
        Inputs that are right; from a folder that files can be made in.
    change : callable
        From an input, another one, a source of randomness and words to a changed input.
    read : callable
        From an input and a folder of its own; an ``InputError`` is a refusal, any other exception a finding.
    """

    name: str
    examples: Callable[[Path], Sequence[bytes]]
    change: Change
    read: Callable[[bytes, Path], None]


def readers() -> dict[str, Reader]:
    """All of them by name."""
    from hexsched.workloads.importers import IMPORTERS

    found = [
        Reader("cluster", _clusters, documents.yaml_document, _read_cluster),
        Reader("workload", _workloads, documents.json_lines, _read_workload),
        Reader("instance", _instances, documents.json_document, _read_instance),
        Reader("schedule", _schedules, documents.json_document, _read_schedule),
        Reader("instance-parquet", _instance_tables, columnar, _read_instance),
        Reader("schedule-parquet", _schedule_tables, columnar, _read_schedule),
        Reader("profile", _profiles, documents.json_document, _read_profile),
        Reader("calibration", _measurements, tables.csv_table, _read_measurements),
        Reader("grid", _grids, documents.yaml_document, _read_grid),
        Reader("archive", _archives, tables.csv_table, _read_archive),
        Reader("formulations", _formulations, tables.csv_table, _read_formulations),
        Reader("submission", _submissions, documents.json_document, _read_submission),
        Reader("earlier-bracket", _brackets, documents.json_document, _read_bracket),
        Reader("solve-times", _solve_times, tables.csv_table, _read_solve_times),
        Reader("fit-table", _workloads, documents.json_lines, _read_fit_table),
        *(
            Reader(f"trace-{name}", partial(_sample, name), _change_of(importer.sample), partial(_read_trace, name))
            for name, importer in IMPORTERS.items()
        ),
        Reader("trace", _all_samples, _as_it_looks, partial(_read_trace, None)),
        Reader("trace-options", _trace_options, texts.spec, _read_trace_options),
        *(
            Reader(f"packed-{kind}", partial(_packed, kind), packer(kind), partial(_read_trace, None))
            for kind in PACKERS
        ),
        Reader("store-table", _store_tables, packer("parquet"), _read_store_table),
        Reader("store-manifest", _manifests, documents.json_document, _read_manifest),
        Reader("store-schedule", _stored_schedules, packer("gzip"), _read_stored_schedule),
        *(Reader(f"text-{name}", partial(_typed, name), texts.spec, partial(_read_text, name)) for name in _texts()),
    ]
    return {reader.name: reader for reader in found}


def warm() -> None:
    """Compile the simulator and load large modules, so that no input pays for it."""
    import pandas
    import pyarrow.parquet

    del pandas, pyarrow
    _scheduled()


def _put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    with open(path, "wb") as file:
        file.write(data)
    return path


def _need(holds: bool, what: str, details: object = "") -> None:
    if not holds:
        raise BreachError(f"{what}: {details}")


# ---- clusters, workloads, instances, schedules


def _blocks(page: str, language: str) -> list[bytes]:
    """What a page of the documentation shows of a language."""
    text = (ROOT / "docs" / page).read_text()
    return [found[1].encode() for found in re.finditer(rf"```{language}[^\n]*\n(.*?)```", text, re.DOTALL)]


def _clusters(folder: Path) -> list[bytes]:
    files = [
        *(ROOT / "hexsched/clusters/library").glob("*.yaml"),
        *(ROOT / "experiments/grids/clusters").glob("*.yaml"),
    ]
    return [*(file.read_bytes() for file in sorted(files)), *_blocks("clusters.md", "yaml")]


def _read_cluster(data: bytes, folder: Path) -> None:
    from hexsched.clusters import read_cluster, write_cluster

    cluster = read_cluster(_put(folder, "cluster.yaml", data))
    if zlib.crc32(data) % SHARE == 0:
        write_cluster(folder / "again.yaml", cluster)
        _need(read_cluster(folder / "again.yaml") == cluster, "a cluster that was written is read as another one")
        _run(_on(cluster, _some_workflows()), data)


@cache
def _some_workflows() -> Any:
    from hexsched.workloads.families import generate

    return generate("react", 3, 0)


def _on(cluster: Any, workflows: Any) -> Any:
    """The instance of workflows on a cluster, those left out that do not fit."""
    from hexsched.clusters import compile_instance
    from hexsched.clusters.compile import compile_cluster
    from hexsched.workloads.source import select_fitting
    from hexsched.workloads.workload import Workload

    largest = _largest() if cluster is _demo() else compile_cluster(cluster).largest_kv_cache
    kept, _ = select_fitting(Workload(tuple(workflows), "x"), largest, None, True, "workload")
    return compile_instance(cluster, kept)


@cache
def _policies() -> list[tuple[str, str]]:
    """Policies and estimators that instances are run with."""
    from hexsched.policies import PLACEMENTS, policies

    plain = [policy.name for policy in policies()]
    placed = [f"{name}@{placement}" for name in plain[:3] for placement in PLACEMENTS]
    return [(name, ("exact", "noise(0.3)", "class_mean")[k % 3]) for k, name in enumerate((*plain, *placed))]


def _run(instance: Any, data: bytes) -> None:
    """Simulate what was accepted, and verify: the policy and the estimator follow from the input."""
    from hexsched.simulator import simulate
    from hexsched.verifier import verify

    if instance.call_count > MOST_CALLS:
        return
    policy, estimator = _policies()[zlib.crc32(data) // SHARE % len(_policies())]
    run = simulate(instance, policy, estimator=estimator, progress=False)
    report = verify(instance, run.schedule)
    _need(report.ok, "what simulate made, verify rejects", report)
    _need(bool((run.ratio >= 1 - 1e-6).all()), "a workflow is faster than possible", run.ratio)


def _workloads(folder: Path) -> list[bytes]:
    from hexsched.model.workload import workload_bytes
    from hexsched.workloads.families import FAMILIES, generate

    drawn = [workload_bytes(generate(name, 2, 0)) for name in FAMILIES]
    return [*(data for data in drawn if len(data) < 5000), *_blocks("traces.md", "jsonl")]


def _read_workload(data: bytes, folder: Path) -> None:
    from hexsched.model.workload import read_workload, workload_bytes

    workflows = read_workload(_put(folder, "workload.jsonl", data))
    if zlib.crc32(data) % SHARE == 0:
        again = read_workload(_put(folder, "again.jsonl", workload_bytes(workflows)))
        _need(again == workflows, "a workload that was written is read as another one")
        _simulate_workload(workflows, data)


def _simulate_workload(workflows: Any, data: bytes) -> None:
    if sum(len(workflow.calls) for workflow in workflows) <= MOST_CALLS:
        _run(_on(_demo(), workflows), data)


@cache
def _demo() -> Any:
    from hexsched.clusters import read_cluster

    return read_cluster("demo")


@cache
def _largest() -> int:
    """The largest KV cache of the demo cluster, tokens."""
    from hexsched.clusters.compile import compile_cluster

    return compile_cluster(_demo()).largest_kv_cache


def _instances(folder: Path) -> list[bytes]:
    import numpy as np
    from instances import corner_instance

    from hexsched.workloads.arrivals import at_once

    cases = [path.read_bytes() for path in sorted((ROOT / "tests/cases").glob("tiny-*.json"))]
    made = [corner_instance(np.random.default_rng(seed)) for seed in range(12)]
    closed = [_closed(instance, at_once(instance.workflows)) for instance in made[:3]]
    return [*cases, *(instance.to_bytes() for instance in (*made, *closed)), _on(_demo(), _some_workflows()).to_bytes()]


def _closed(instance: Any, workflows: Any) -> Any:
    import msgspec

    from hexsched.model.instance import ClosedLoop

    return msgspec.structs.replace(instance, workflows=tuple(workflows), closed_loop=ClosedLoop(sessions=1, warm_up=0))


def _read_instance(data: bytes, folder: Path) -> None:
    from hexsched.model.instance import Instance, read_instance

    instance = read_instance(_put(folder, "instance.json", data))
    if zlib.crc32(data) % SHARE == 0:
        _need(Instance.from_bytes(instance.to_bytes()) == instance, "an instance that was written is read as another")
    _run(instance, data)


@cache
def _scheduled() -> tuple[Any, list[Any]]:
    from hexsched.model.instance import Instance
    from hexsched.simulator import simulate

    instance = Instance.from_bytes((ROOT / "tests/cases/tiny-02.json").read_bytes())
    return instance, [simulate(instance, name, progress=False).schedule for name in ("fcfs", "hexagent", "atlas")]


def _schedules(folder: Path) -> list[bytes]:
    return [schedule.to_bytes() for schedule in _scheduled()[1]]


def _read_schedule(data: bytes, folder: Path) -> None:
    from hexsched.model.schedule import read_schedule
    from hexsched.verifier import verify

    schedule = read_schedule(_put(folder, "schedule.json", data))
    report = verify(_scheduled()[0], schedule)
    _need((report.metrics is None) == (not report.ok), "metrics of a broken schedule, or none of a right one")
    str(report)


def _instance_tables(folder: Path) -> list[bytes]:
    from hexsched.model.columnar import instance_bytes
    from hexsched.model.instance import Instance

    return [instance_bytes(Instance.from_bytes(data)) for data in _instances(folder)]


def _schedule_tables(folder: Path) -> list[bytes]:
    from hexsched.model.columnar import schedule_bytes

    return [schedule_bytes(schedule) for schedule in _scheduled()[1]]


# ---- service times


def _measurements(folder: Path) -> list[bytes]:
    table = (ROOT / "hexsched/profiles/data/kernel_sums_vllm_bf16.csv").read_bytes().splitlines(keepends=True)
    return [*_blocks("clusters.md", "csv"), b"".join(table[:40]), b"".join([table[0], *table[-40:]])]


def _read_measurements(data: bytes, folder: Path) -> None:
    from hexsched.profiles.fit import calibrate
    from hexsched.profiles.profile import read_profile, write_profile

    profile = calibrate(_put(folder, "table.csv", data))
    write_profile(folder / "again.json", profile)
    _need(read_profile(folder / "again.json") == profile, "a profile that was written is read as another one")


def _profiles(folder: Path) -> list[bytes]:
    from hexsched.profiles.fit import calibrate
    from hexsched.profiles.profile import shipped_profile

    made = [calibrate(_put(folder, "t.csv", data)).to_bytes() for data in _measurements(folder)[:2]]
    shipped = json.loads(shipped_profile().to_bytes())
    return [*made, json.dumps({**shipped, "fits": shipped["fits"][:3]}).encode()]


def _read_profile(data: bytes, folder: Path) -> None:
    from hexsched.clusters import compile_instance, read_cluster
    from hexsched.profiles.profile import read_profile

    read_profile(_put(folder, "profile.json", data))
    _put(
        folder,
        "of-profile.yaml",
        b"profile: profile.json\n" + (ROOT / "hexsched/clusters/library/demo.yaml").read_bytes(),
    )
    cluster = read_cluster(folder / "of-profile.yaml")
    if zlib.crc32(data) % SHARE == 0:
        _run(compile_instance(cluster, _some_workflows()), data)


# ---- tables of results


def _archives(folder: Path) -> list[bytes]:
    lines = (ROOT / "experiments/library/best_known.csv").read_bytes().splitlines(keepends=True)
    return [b"".join(lines[:4]), b"".join([lines[0], *lines[-2:]])]


def _read_archive(data: bytes, folder: Path) -> None:
    from experiments.library.archive import read_archive

    read_archive(_put(folder, "archive.csv", data))


def _formulations(folder: Path) -> list[bytes]:
    from experiments.formulations.rows import Row

    task = ["tiny", "0" * 64, "6", "time-indexed", "max_ratio", "10.0", "1", "0"]
    row = [*task, *["optimal", "0.5", "0.5", "0.4", "1.5", "1.5", "solver", "0.0", "1.2", "0.2", "10", "12", "40"]]
    rows = [row, [*task, "no_solution", "0.5"]]
    cells = [[*each, *[""] * (len(Row._fields) - len(each))] for each in rows]
    return ["\n".join(",".join(each) for each in (Row._fields, *cells, ())).encode()]


def _read_formulations(data: bytes, folder: Path) -> None:
    from experiments.formulations.rows import FORMULATIONS_CSV, as_frame, read_rows

    _put(folder, FORMULATIONS_CSV, data)
    as_frame(read_rows(folder))


def _solve_times(folder: Path) -> list[bytes]:
    from solvers.brackets.choice import DATA

    lines = DATA.read_bytes().splitlines(keepends=True)
    return [b"".join(lines[:4]), b"".join([lines[0], *lines[-2:]])]


def _read_solve_times(data: bytes, folder: Path) -> None:
    from solvers.brackets.choice import read_times

    read_times(_put(folder, "times.csv", data))


def _read_fit_table(data: bytes, folder: Path) -> None:
    from hexsched.workloads.fitting import read_table

    read_table(_put(folder, "table.jsonl", data))


# ---- what is known of an instance

ARCHIVED = "unary-chain-4-0"


def _submissions(folder: Path) -> list[bytes]:
    from experiments.library.names import instance
    from hexsched.simulator import simulate

    (flat,) = (text for text in _blocks("formats.md", "json") if b"hexsched-flat-solution" in text)
    return [flat, simulate(instance(ARCHIVED), "fcfs").schedule.to_bytes()]


def _read_submission(data: bytes, folder: Path) -> None:
    from experiments.library.names import instance
    from experiments.library.submission import NotValidError, read_submission
    from hexsched.errors import InputError
    from hexsched.verifier import verify

    try:
        submission = read_submission(_put(folder, "submitted.json", data), ARCHIVED)
    except NotValidError as error:
        raise InputError(str(error)) from None
    report = verify(instance(ARCHIVED), submission.schedule)
    _need(report.ok, "a submission that was taken is not valid", report.violations[:1])


def _brackets(folder: Path) -> list[bytes]:
    bracket = {
        "instance": "i.json",
        "objective": "req(0.95)",
        "lower_bound": 1.25,
        "bound_source": "load",
        "upper_source": "search",
        "provenance": {"inputs": {"i.json": "0" * 64}},
    }
    return [json.dumps(bracket).encode(), json.dumps({**bracket, "schedule": "none.json"}).encode()]


def _read_bracket(data: bytes, folder: Path) -> None:
    from solvers.brackets.earlier import read_earlier

    earlier = read_earlier(_put(folder, "bracket.json", data), "0" * 64)
    _need(0 <= earlier.lower_bound < float("inf"), "a bound of an earlier bracket is no number of a bracket", earlier)


# ---- grids


def _grids(folder: Path) -> list[bytes]:
    shipped = [path.read_bytes() for path in sorted((ROOT / "experiments/grids").glob("*.yaml"))]
    from tiny_grid import TINY

    given = [TINY.encode(), *_blocks("grids.md", "yaml"), *shipped]
    return [data for data in given if _cells(data, folder) <= MOST_CELLS]


def _cells(data: bytes, folder: Path) -> int:
    """How many cells a grid has; all the more where it names files that are not here."""
    from experiments.grid.plan import make_plan
    from experiments.grid.spec import read_grid
    from hexsched.errors import InputError

    try:
        return len(make_plan(read_grid(str(_put(folder, "grid.yaml", data)))).cells)
    except InputError:
        return MOST_CELLS + 1


def _read_grid(data: bytes, folder: Path) -> None:
    from experiments.grid.plan import make_plan
    from experiments.grid.spec import read_grid

    forms_once()
    most = {"most_cells": MOST_CELLS} if zlib.crc32(data) % SHARE else {}
    make_plan(read_grid(str(_put(folder, "grid.yaml", data)), **most))


@cache
def forms_once() -> None:
    """Make the forms of a grid file once: nothing registers kinds or axes here, and it is most of the time."""
    from experiments.grid import spec

    forms = spec.Forms.of_vocabulary()
    spec.Forms.of_vocabulary = classmethod(lambda cls: forms)  # type: ignore[method-assign,assignment]


# ---- traces


def _change_of(sample: str) -> Change:
    """How a format's files are changed, by what its sample looks like."""
    if sample.lstrip()[:1] in ("{", "["):
        lines = [line for line in sample.split("\n") if line.strip()]
        return documents.json_lines if all(_parses(line) for line in lines) else documents.json_document
    return tables.csv_table


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _sample(name: str, folder: Path) -> list[bytes]:
    from hexsched.workloads.importers import IMPORTERS

    return [IMPORTERS[name].sample.encode()]


def _all_samples(folder: Path) -> list[bytes]:
    from hexsched.workloads.importers import IMPORTERS

    return [importer.sample.encode() for importer in IMPORTERS.values()]


def _as_it_looks(data: bytes, donor: bytes, rng: Random, words: list[str]) -> bytes:
    change = _change_of(data.decode("utf-8", "replace"))
    return change(data, donor, rng, words)


def _read_trace(format: str | None, data: bytes, folder: Path) -> None:
    from hexsched.workloads.importers import read_trace

    trace = read_trace(_put(folder, "trace", data), format)
    for workflow in trace.workflows:
        _need(workflow.arrival >= 0, "a workflow arrives before the first", workflow.arrival)
    if trace.workflows and zlib.crc32(data) % SHARE == 0:
        _simulate_workload(trace.workflows, data)


@cache
def _traces() -> list[tuple[str, bytes]]:
    """Small traces, and the format of each."""
    from hexsched.workloads.importers import IMPORTERS

    return [(name, importer.sample.encode()) for name, importer in IMPORTERS.items()]


def _trace_options(folder: Path) -> list[bytes]:
    """A sample, and what stands behind its path on the command line: every option with its default and some others."""
    import msgspec

    from hexsched.workloads.importers import IMPORTERS

    made = []
    for name, importer in IMPORTERS.items():
        defaults = msgspec.json.decode(msgspec.json.encode(importer.options_type()))
        for option, value in defaults.items():
            text = (
                {True: "true", False: "false", None: "1"}.get(value, value) if not isinstance(value, float) else value
            )
            made.append(f"format={name},{option}={text}".encode())
    return [*made, b"map=prompt=num_prefill_tokens,map=output=num_decode_tokens", b"prompt=a.b,output=c,session=none"]


def _read_trace_options(data: bytes, folder: Path) -> None:
    from hexsched.workloads.importers import read_trace, split_spec

    text = data.decode("utf-8", "surrogateescape")
    samples = dict(_traces())
    named = re.search(r"format=([a-z0-9-]+)", text)
    sample = samples.get(named[1] if named else "columns", samples["columns"])
    path, options = split_spec(f"{_put(folder, 'trace', sample)},{text}")
    read_trace(path, **options)  # type: ignore[arg-type]


def _packed(kind: str, folder: Path) -> list[bytes]:
    """Samples of JSON Lines as they are, to be packed, and the first of them packed."""
    from hexsched.workloads.importers import IMPORTERS

    samples = [importer.sample.encode() for importer in IMPORTERS.values()]
    lines = [sample for sample in samples if all(_parses(line) for line in sample.decode().splitlines())]
    return [*lines, PACKERS[kind](lines[0])]


# ---- stores


@cache
def _store(folder: Path) -> Path:
    """A small store with everything in it that a grid can leave behind."""
    from tiny_grid import Inline, plan_of

    from experiments.grid.run import run_plan
    from experiments.store import Store

    path = folder / "store"
    text = "clusters: demo\nworkloads: bfcl\nworkflows: 2\nloads: [at-once]\npolicies: [fcfs, hexagent]\n"
    with Store.writing(path) as store:
        run_plan(plan_of(folder, text, schedules=True), store, Inline())
    return path


def _files(folder: Path, table: str) -> list[Path]:
    return sorted((_store(folder) / table).iterdir())


def _store_tables(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in _files(folder, "runs")]


def _read_store_table(data: bytes, folder: Path) -> None:
    """A stranger's file in the place of a table's, with a digest of its own."""
    from experiments.store import Store, read_table, seal

    path = _files(folder, "runs")[0]
    whole = path.read_bytes()
    try:
        start = data.rfind(b"blake2b-128:")
        if start >= 0 and zlib.crc32(data) % 2:
            data = seal.sealed(data[:start] + seal.BLANK.encode() + data[start + len(seal.BLANK) :])
        _put(path.parent, path.name, data)
        Store.open(_store(folder)).damaged([path.name.partition(".")[0]])
        _uncached()
        read_table(_store(folder), "runs")
    finally:
        _put(path.parent, path.name, whole)


def _uncached() -> None:
    from experiments.store import reading

    reading._frame.cache_clear()


def _manifests(folder: Path) -> list[bytes]:
    return [(_store(folder) / "store.json").read_bytes()]


def _read_manifest(data: bytes, folder: Path) -> None:
    from experiments.store import Store

    (folder / "other").mkdir(exist_ok=True)
    _put(folder / "other", "store.json", data)
    Store.open(folder / "other")


def _stored_schedules(folder: Path) -> list[bytes]:
    path = _files(folder, "schedules")[0]
    return [path.read_bytes(), gzip.decompress(path.read_bytes())]


def _read_stored_schedule(data: bytes, folder: Path) -> None:
    from experiments.store.reading import read_instance_of, read_schedule_of

    path = _files(folder, "schedules")[0]
    key = path.name.partition(".")[0]
    whole = path.read_bytes()
    try:
        _put(path.parent, path.name, data)
        read_schedule_of(_store(folder), key)
    finally:
        _put(path.parent, path.name, whole)
    read_instance_of(_store(folder), key)


# ---- texts of the command line


def _texts() -> dict[str, tuple[Callable[[str], Any], list[str]]]:
    """What reads each sort of text, and some that are right."""
    from experiments.cli.trace import key_values
    from experiments.grid.axes import canonical_estimator, canonical_policy
    from experiments.grid.loads import read_load
    from hexsched.metrics.parts.thresholds import read_thresholds
    from hexsched.policies import policies
    from hexsched.policies.estimators import read_estimator
    from hexsched.policies.lists import read_policies
    from hexsched.workloads.arrivals import arrival_times, read_arrivals
    from hexsched.workloads.importers import read_map
    from solvers.brackets.portfolio import read_bounds
    from solvers.problem.objective import read_objective

    names = [policy.name for policy in policies()]
    options = [f"{p.name}({key}={value})" for p in policies() for key, value in p.options.items()]
    return {
        "policy": (canonical_policy, [*names, *options, "fcfs@jsq", "hexagent(kv=off)@least-kv"]),
        "policies": (read_policies, [",".join(names), "fcfs,hexagent(kv=off,risk=off)@jsq", "all", "baselines"]),
        "objective": (_twice(read_objective), ["max_ratio", "req(0.95)", "mean_ratio", "mean_latency", "misses(1.5)"]),
        "load": (_twice(read_load), ["rate:2", "stress:1.5", "saturation:0.8", "at-once", "closed-loop:4", "recorded"]),
        "arrivals": (
            lambda text: arrival_times(read_arrivals(text), 5, 0),
            ["fixed:2", "poisson:0.5", "gamma:2,cv=3", "gamma:1,cv=0.2", "file:trace.jsonl,rate=2", "burst:2"],
        ),
        "estimator": (
            lambda text: [read_estimator(text), canonical_estimator(text)],
            ["exact", "noise(0.3)", "noise(0)", "class_mean"],
        ),
        "thresholds": (
            _twice(read_thresholds),
            ["ttft=2s,tpot=50ms,ratio=4", "queueing=1min,latency=3.5s,transfer=5us"],
        ),
        "bounds": (read_bounds, ["all", "critical-path,area"]),
        "map": (read_map, ["prompt=usage.prompt_tokens,output=usage.completion_tokens", "prompt=a,b,session=c d"]),
        "option": (lambda text: key_values([text, "a=1"]), ["time_unit=s", "max_context=100"]),
    }


def _twice(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Read, write and read again: it must be the same."""

    def once_more(text: str) -> None:
        found = read(text)
        _need(read(str(found)) == found, "a text that was written is read as another one", (text, str(found)))

    return once_more


@cache
def _text(name: str) -> tuple[Callable[[str], Any], list[str]]:
    return _texts()[name]


def _typed(name: str, folder: Path) -> list[bytes]:
    return [text.encode() for text in _text(name)[1]]


def _read_text(name: str, data: bytes, folder: Path) -> None:
    _text(name)[0](data.decode("utf-8", "surrogateescape"))


def given(folder: Path | None, reader: str) -> Iterator[bytes]:
    """The files of a corpus for a reader: those in the folder of its name."""
    if folder is not None and (folder / reader).is_dir():
        for path in sorted((folder / reader).rglob("*")):
            if path.is_file() and os.path.getsize(path) <= texts.LONGEST:
                yield path.read_bytes()
