"""One contract for every metric, and one more metric by one more file."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from extension import extended

from experiments.cli import OK, main
from hexsched.metrics import METRICS, Metrics, summarise
from hexsched.verifier.metrics import Metrics as VerifierMetrics

ARRIVAL, COMPLETED, HORIZON = np.array([0.0, 1.0, 3.0]), np.array([4.0, 3.0, 9.0]), np.array([2.0, 2.0, 4.0])

SLOWEST = """
from hexsched.metrics.parts.metric import Metric

METRIC = Metric("max_latency", "max latency", lambda run: float(run.latency.max()), unit="s")
"""


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_is_a_number_of_its_sort(metric):
    value = getattr(summarise(ARRIVAL, COMPLETED, HORIZON, 5), metric.name)
    assert type(value) is (int if metric.whole else float)
    assert metric.name.isidentifier()
    assert metric.heading
    assert metric.unit in ("", "s")


def test_the_verifier_computes_the_same_metrics_by_itself():
    assert {*METRICS} == {*VerifierMetrics.__struct_fields__} - {"per_workflow"}


def test_metrics_by_hand():
    metrics = summarise(ARRIVAL, COMPLETED, HORIZON, 5)
    assert metrics == Metrics(
        {"workflows": 3, "calls": 5, "req50": 1.5, "req95": 2.0, "req99": 2.0, "max_ratio": 2.0}
        | {"mean_ratio": 1.5, "mean_latency": 4.0, "makespan": 9.0}
    )
    assert (metrics.req50, metrics["req50"]) == (1.5, 1.5)
    assert "req50=1.5" in repr(metrics)
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
