"""The load search, the demo and the benchmark, on little data."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from experiments.cli import main
from experiments.demo import POLICIES, compare_on
from experiments.load import at_rate, stress_load
from experiments.results import Result, write_results
from hexsched.clusters import read_cluster
from hexsched.simulator import simulate
from hexsched.workloads.families import generate

pytestmark = pytest.mark.quick

BASELINES = ("fcfs", "workflow-llf")


def strongest(cluster, workflows, rate):
    instance = at_rate(cluster, workflows, rate)
    return min(simulate(instance, name).metrics.req95 for name in BASELINES)


def test_the_load_found_is_just_under_the_target():
    cluster, workflows = read_cluster("demo"), generate("bfcl", 30, 0)
    load = stress_load(cluster, workflows, BASELINES, 2.0)
    assert load.reached
    assert load.req95 == strongest(cluster, workflows, load.rate)
    assert load.req95 <= 2.01  # the rate is rounded to four digits
    assert strongest(cluster, workflows, load.rate * 1.1) > load.req95


def test_a_target_out_of_reach_is_said():
    load = stress_load(read_cluster("llama70b-hetero-1"), generate("sharegpt", 5, 0), BASELINES, 50.0)
    assert not load.reached
    assert load.req95 < 50.0


def test_comparison_is_verified_and_stored(tmp_path):
    comparison = compare_on("bfcl", workflows=12, target=1.5, seed=0)
    assert comparison.broken == []
    write_results(tmp_path, comparison.results)
    workflows, summary = pd.read_csv(tmp_path / "workflows.csv"), pd.read_csv(tmp_path / "summary.csv")
    assert set(workflows["policy"]) == set(summary["policy"]) == set(POLICIES)
    assert len(workflows) == 12 * len(POLICIES)
    for row in summary.itertuples():
        ratios = workflows.loc[workflows["policy"] == row.policy, "ratio"]
        assert ratios.max() == row.max_ratio
        assert ratios.mean() == pytest.approx(row.mean_ratio)
    values = summary.set_index("policy")["req99"]
    assert comparison.reduction("req99") == pytest.approx(1 - values["hexagent"] / values.drop("hexagent").min())


def test_results_keep_every_digit(tmp_path):
    run = simulate(at_rate(read_cluster("demo"), generate("react", 3, 0), 1.0), "fcfs")
    write_results(tmp_path, [Result("react", run, {"req95": run.metrics.req95})])
    assert pd.read_csv(tmp_path / "workflows.csv")["ratio"].tolist() == run.ratio.tolist()


def test_commands(tmp_path, capsys):
    assert main(["bench", "simulator", "--calls", "500", "--instances", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calls_per_second"] > 0
    assert main(["demo", "--workflows", "8", "--target", "1.2", "-o", str(tmp_path), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["workloads"]) == {"sharegpt", "bfcl", "lats", "mixed"}
    assert (tmp_path / "workflows.csv").is_file()
    workload = tmp_path / "w.jsonl"
    assert main(["workload", "generate", "react", "--workflows", "10", "-o", str(workload)]) == 0
    capsys.readouterr()
    assert main(["load", "demo", str(workload), "--target", "1.5", "--baselines", "fcfs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["baseline"] == "fcfs"
