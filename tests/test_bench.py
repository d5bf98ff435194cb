"""Benchmarks: what they count is what happened; how long anything takes is not tested."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from experiments.bench import growth, peers
from experiments.bench.simulator import bench_cluster, bench_workload, measure, timed_run
from experiments.cli import BAD_INPUT, OK, main
from hexsched.errors import InputError
from hexsched.policies import read_policy

SMALL = {name: replace(growth.CASES[name], quick=(2, 4)) for name in ("cluster", "burst")}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases that take no time."""
    monkeypatch.setattr(growth, "CASES", SMALL)
    monkeypatch.setattr(growth, "SECONDS", 0.0)
    monkeypatch.setattr(growth, "RUNS", 1)
    monkeypatch.setattr(growth, "HEAP_OPERATIONS", 1_000)


@pytest.mark.parametrize("chain", [1, 4])
def test_every_call_is_served_at_the_load_asked_for(chain):
    throughput = measure("workflow-fcfs", 2000, 4, load=0.7, calls_per_workflow=chain)
    assert throughput.calls == 2000
    assert 0.5 < throughput.utilisation < 0.9
    assert throughput.decisions > throughput.calls


def test_workloads_are_chains():
    workload = bench_workload(bench_cluster(2), 5, 3, 0.9, 0)
    assert workload.edges.tolist() == [[c - 1, c] for c in range(15) if c % 3]
    assert (workload.arrival[1:] > workload.arrival[:-1]).all()


@pytest.mark.parametrize(("calls", "instances", "load"), [(0, 2, 0.9), (10, 3, 0.9), (10, 0, 0.9), (10, 2, 0.0)])
def test_nonsense_is_refused(calls, instances, load):
    with pytest.raises(InputError):
        measure("fcfs", calls, instances, load=load)


def test_waiting_calls_are_counted_as_one_looks_at_each():
    cluster = bench_cluster(2)
    run = timed_run(read_policy("fcfs"), cluster, bench_workload(cluster, 60, 2, 1.5, 0))
    moments = np.unique(np.concatenate([run.calls.released, run.calls.prefill_end, run.calls.decode_end]))
    counted = growth.waiting_calls(run, moments)
    for moment, count in zip(moments, counted, strict=True):
        looked_at = sum(
            one.released <= moment < one.prefill_start or one.prefill_end <= moment < one.admitted for one in run.calls
        )
        assert count == looked_at
    assert counted.max() > 10
    assert counted[-1] == 0


@pytest.mark.parametrize(
    ("waiting", "growing"),
    [
        ((100, 200, 400), True),  # a queue that cannot be served
        ((1000, 1300, 1700), True),
        ((3, 5, 9), False),  # chance
        ((100, 120, 140), False),
        ((400, 200, 400), False),
        ((0, 0, 0), False),
    ],
)
def test_a_queue_that_grows_is_told_from_chance(waiting, growing):
    assert growth.is_growing(waiting) == growing


@pytest.mark.usefixtures("small")
def test_rows_say_what_was_run():
    rows = list(growth.measure_growth(["cluster", "burst"], [read_policy("fcfs")]))
    assert [(row.case, row.size, row.calls, row.instances) for row in rows] == [
        ("cluster", 2, 400, 2),
        ("cluster", 4, 800, 4),
        ("burst", 2, 2, 16),
        ("burst", 4, 4, 16),
    ]
    for row in rows:
        first = next(one for one in rows if one.case == row.case)
        assert row.growth == pytest.approx(row.us_per_call / first.us_per_call)
        assert row.us_per_call == pytest.approx(row.seconds / row.calls * 1e6)
        assert row.over_floor == pytest.approx(row.us_per_call / row.floor_us)
        assert (row.growing is None) == (row.case == "burst")
        assert row.most_waiting >= max(row.waiting)


def test_only_cases_and_compiled_policies_are_measured():
    with pytest.raises(InputError, match="unknown case 'clusters'; did you mean cluster\\? cases are"):
        next(growth.measure_growth(["clusters"], [read_policy("fcfs")]))


@pytest.mark.usefixtures("small")
def test_the_command_goes_on_from_its_rows_and_writes_a_page(tmp_path, capsys):
    rows, page = tmp_path / "rows.jsonl", tmp_path / "page.md"
    page.write_text("Before.\n<!-- bench-growth -->\nold\n<!-- /bench-growth -->\nAfter.\n")
    argv = ["bench", "growth", "--cases", "cluster", "--policies", "fcfs,atlas", "--rows", str(rows), "--json"]
    assert main([*argv, "--into", str(page)]) == OK
    first = json.loads(capsys.readouterr().out)
    assert [(row["policy"], row["size"]) for row in first["rows"]] == [
        (p, k) for p in ("fcfs", "atlas") for k in (2, 4)
    ]
    text = page.read_text()
    assert text.startswith("Before.\n<!-- bench-growth -->\n\n**cluster: ")
    assert text.endswith("<!-- /bench-growth -->\nAfter.\n")
    assert "old" not in text
    assert f"| fcfs | {first['rows'][0]['us_per_call']:.3g} (×1) |" in text

    # cut short in the third row, as by a kill
    lines = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join(lines[:2]) + lines[2][:50])
    assert main(argv) == OK
    again = json.loads(capsys.readouterr().out)
    assert again["rows"][:2] == first["rows"][:2]
    assert again["rows"][2:] != first["rows"][2:]
    assert len(rows.read_bytes().splitlines()) == 4

    rows.write_text("no row\n")
    assert main(argv) == BAD_INPUT
    assert "line 1 is no row of 'hexsched bench growth'" in capsys.readouterr().err


def test_a_peer_is_run_where_it_is_and_missed_where_it_is_not(tmp_path, monkeypatch, capsys):
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho 0.5\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(InputError, match="npm install @doublewordai/inference-lab"):
        peers.measure_inference_lab(tmp_path)
    package = tmp_path / peers.PACKAGE
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"version": "9.9"}')
    (row,) = peers.measure_inference_lab(tmp_path, (100,))
    assert msgspec.to_builtins(row) == {"peer": "inference-lab 9.9", "requests": 100, "us_per_call": 5000.0}
    node.write_text("#!/bin/sh\necho no such thing >&2; exit 1\n")
    with pytest.raises(InputError, match="inference-lab failed: no such thing"):
        peers.measure_inference_lab(tmp_path)
    assert main(["bench", "growth", "--peer", str(Path("nowhere"))]) == BAD_INPUT
    assert "Traceback" not in capsys.readouterr().err
