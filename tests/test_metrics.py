"""One contract for every metric, and one more metric by one more file."""

from __future__ import annotations

import csv
import json
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from extension import environment, extended, recipe
from tiny_grid import Inline, write_grid

from experiments.cli import OK, main
from experiments.grid.plan import make_plan
from experiments.grid.run import run_plan
from experiments.grid.spec import read_grid
from experiments.store import Store
from hexsched.metrics import METRICS, Metrics, summarise
from hexsched.metrics.parts.call_times import CallTimes
from hexsched.metrics.parts.completions import Completions
from hexsched.verifier.metrics import Metrics as VerifierMetrics

pytestmark = pytest.mark.quick

# five calls of three workflows; the last one has a single output token
CALLS = CallTimes(
    workflow=np.array([0, 0, 1, 2, 2]),
    output=np.array([3, 5, 2, 11, 1]),
    released=np.array([0.0, 1.0, 1.0, 3.0, 3.0]),
    prefill_start=np.array([0.5, 1.0, 1.0, 3.0, 4.0]),
    prefill_end=np.array([1.0, 1.25, 1.5, 3.5, 5.0]),
    admitted=np.array([1.0, 1.25, 1.5, 3.5, 6.0]),
    decode_start=np.array([1.0, 1.5, 1.5, 4.0, 6.0]),
    first_token=np.array([1.5, 2.0, 2.0, 5.0, 9.0]),
    decode_end=np.array([2.5, 4.0, 3.0, 8.0, 9.0]),
)
RUN = Completions(np.array([0.0, 1.0, 3.0]), np.array([4.0, 3.0, 9.0]), np.array([2.0, 2.0, 4.0]), CALLS)

SLOWEST = recipe("A metric")


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_is_a_number_of_its_sort(metric):
    value = getattr(summarise(RUN), metric.name)
    assert type(value) is (int if metric.whole else float)
    assert metric.name.isidentifier()
    assert metric.heading
    assert metric.unit in ("", "s")


def test_the_verifier_computes_the_same_metrics_by_itself():
    assert {*METRICS} == {*VerifierMetrics.__struct_fields__} - {"per_workflow", "per_call", "span"}


def test_metrics_by_hand():
    metrics = summarise(RUN)
    assert metrics == Metrics(
        {"workflows": 3, "calls": 5, "req50": 1.5, "req95": 2.0, "req99": 2.0, "max_ratio": 2.0}
        | {"mean_ratio": 1.5, "mean_latency": 4.0, "makespan": 9.0}
        | {"ttft_p50": 1.5, "ttft_p95": 6.0, "ttft_p99": 6.0, "tpot_p50": 0.5, "tpot_p95": 1.0, "tpot_p99": 1.0}
        | {"mean_queueing": 0.3, "mean_admission": 0.2, "mean_transfer": 0.15}
    )
    assert (metrics.req50, metrics["req50"]) == (1.5, 1.5)
    assert pickle.loads(pickle.dumps(metrics)).req50 == 1.5
    with pytest.raises(AttributeError, match="no metric is called 'req42'"):
        _ = metrics.req42


def test_one_more_file_is_one_more_metric_everywhere(tmp_path, capsys):
    work = tmp_path / "work"
    work.mkdir()
    with extended(METRICS, tmp_path, SLOWEST):
        workload, instance = str(work / "w.jsonl"), str(work / "i.json")
        assert main(["workload", "generate", "react", "--workflows", "4", "-o", workload]) == OK
        assert main(["compile", "demo", workload, "-o", instance]) == OK
        capsys.readouterr()
        assert main(["simulate", instance, "--policy", "fcfs", "--json"]) == OK
        record = json.loads(capsys.readouterr().out)
        assert record["max_latency"] >= record["mean_latency"]

        assert main(["compare", instance, "--policies", "fcfs", "--sort", "max_latency", "-o", str(work / "r")]) == OK
        assert "max latency s" in capsys.readouterr().out
        with (work / "r" / "summary.csv").open() as file:
            (row,) = csv.DictReader(file)
        assert float(row["max_latency"]) == record["max_latency"]
    assert "max_latency" not in METRICS


GRID = """
import sys
import experiments.grid.local
from experiments.cli import main
from tiny_grid import Inline

experiments.grid.local.LocalBackend = lambda workers: Inline()
sys.exit(main(["grid", *sys.argv[1:]]))
"""


def test_one_more_file_is_one_more_column_of_a_store(tmp_path):
    """Stores of a grid: one with the metric, and one from before it, whose rows have no value of it."""
    text = "clusters: demo\nworkloads: react\nworkflows: 4\nloads: at-once\npolicies: [fcfs, hexagent]\n"
    grid, store = write_grid(tmp_path, text), tmp_path / "s"
    before = write_grid(tmp_path, text + "only: [{policy: fcfs}]", "before.yaml")
    with Store.writing(store) as opened:
        run_plan(make_plan(read_grid(str(before))), opened, Inline())
    env = environment(METRICS, tmp_path, SLOWEST)
    argv = [sys.executable, "-c", GRID, "run", str(grid), "--store", str(store), "--json"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["computed"] == 1
    export = ["-c", GRID, "export", str(grid), "--store", str(store), "-o", str(tmp_path / "r.csv")]
    subprocess.run([sys.executable, *export], env=env, capture_output=True, check=True)
    rows = pd.read_csv(tmp_path / "r.csv").set_index("policy")
    assert np.isnan(rows.loc["fcfs", "max_latency"])
    assert rows.loc["hexagent", "max_latency"] >= rows.loc["hexagent", "mean_latency"]
