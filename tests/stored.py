"""Small stores made by real simulations, in the way that ``hexsched grid run`` stores them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from experiments.load import at_rate
from experiments.store import CellFiles, Store
from experiments.store.schema import encode, tables
from hexsched.clusters import read_cluster
from hexsched.simulator import Run, simulate
from hexsched.workloads.families import generate

Row = Mapping[str, object]
POLICIES = ("fcfs", "workflow-fcfs", "workflow-llf", "atlas", "hexagent")
MODELS = {"qwen235b": "qwen3-235b-a22b", "llama70b": "llama-3.1-70b", "demo": "llama-3.1-8b"}
VERSION = "0" * 8


def rows_of(table: str, rows: Iterable[Row]) -> bytes:
    """A table's file; columns that a row does not have are null, those that the table does not have are left out.

    NaN is how pandas reads null, so it is null again.
    """
    columns = tables()[table].columns
    return encode(table, [{name: _or_null(row.get(name)) for name in columns} for row in rows])


def _or_null(value: object) -> object:
    return None if value != value else value


def write_cell(store: Path, key: str, marker: str, tables: Mapping[str, Iterable[Row]], **files: bytes) -> None:
    """Put one cell into a store, which is made where there is none."""
    with Store.writing(store) as opened:
        data = {**{table: rows_of(table, rows) for table, rows in tables.items()}, **files}
        opened.write([CellFiles(f"{VERSION}-{key}", marker, data)])


def write_runs(
    store: Path,
    *,
    cluster: str = "demo",
    workload: str = "bfcl",
    workflows: int = 12,
    load: str = "rate:2",
    rate: float = 2.0,
    policies: Sequence[str] = POLICIES,
    estimators: Sequence[str] = ("exact",),
    seeds: Sequence[int] = (0, 1, 2),
    schedules: bool = False,
    slo: str = "",
    named: Mapping[str, object] | None = None,
) -> None:
    """Simulate and store runs; ``named`` overwrites what they are filed under (cluster, model, pool, ...)."""
    spec = read_cluster(cluster)
    for seed in seeds:
        instance = at_rate(spec, generate(workload, workflows, seed), rate)
        for policy in policies:
            for estimator in estimators:
                run = simulate(instance, policy, estimator=estimator, seed=seed)
                case = {
                    "cluster": cluster,
                    "model": MODELS.get(cluster.split("-")[0], "a model"),
                    "pool": cluster.partition("-")[2] or cluster,
                    "workload": workload,
                    "workflows": workflows,
                    "load": load,
                    "rate": rate,
                    "policy": policy,
                    "estimator": estimator,
                    "seed": seed,
                    "instance_sha256": f"{cluster}-{workload}-{workflows}-{rate}-{seed}",
                    "prefill_instances": len(instance.prefill),
                    "decode_instances": len(instance.decode),
                    "left_out": 0,
                    **({"slo": slo, **run.goodput(slo)} if slo else {}),
                    **(named or {}),
                }
                write_run(store, case, run, schedules)


def write_run(store: Path, case: Row, run: Run, schedules: bool = False) -> None:
    """Store one run under what it is filed under."""
    names = ("cluster", "workload", "workflows", "load", "estimator", "policy", "seed")
    key = "-".join(str(case[name]).replace("/", "_") for name in names)
    metrics = {"calls": run.instance.call_count, **run.metrics, "verified": True}
    busy = {"prefill_utilisation": 0.5, "decode_utilisation": 0.9, "kv_peak": 0.3}
    timing = {"kind": "runs", "decisions": run.decisions, "decision_mean_us": 1e6 * run.decision_latency}
    timing["decision_p99_us"] = 1e6 * run.decision_latency_p99
    whole_key = f"{VERSION}-{key}"
    tables = {
        "runs": [{"key": whole_key, **case, **metrics, **busy, "workflows": case["workflows"]}],
        "workflows": [{"key": whole_key, **case, **row} for row in run.to_frame().to_dict("records")],
        "timings": [{"key": whole_key, **timing}],
    }
    files = {"schedules": run.schedule, "instances": run.instance} if schedules else {}
    write_cell(store, key, "runs", tables, **{name: gzip.compress(x.to_bytes(), mtime=0) for name, x in files.items()})
