"""A mistyped name of any kind is answered with the one that is meant, whatever its case and punctuation."""

from __future__ import annotations

import json

import pytest

from experiments.cli import BAD_INPUT, main
from experiments.grid.loads import read_load
from experiments.grid.spec import read_grid
from experiments.library.names import instance
from experiments.store import read_table
from hexsched.clusters import read_cluster
from hexsched.clusters.source import cluster
from hexsched.errors import InputError
from hexsched.metrics.parts.thresholds import read_thresholds
from hexsched.policies import read_policy
from hexsched.policies.estimators import read_estimator
from hexsched.profiles import find_gpu, find_model
from hexsched.registry import meant
from hexsched.simulator.comparison import compare
from hexsched.simulator.warm_up import tiny_instance
from hexsched.workloads.arrivals import read_arrivals
from hexsched.workloads.families import generate
from hexsched.workloads.importers import IMPORTERS
from hexsched.workloads.source import workload
from paper_figs.figures import FIGURES
from solvers.bounds import BOUNDS
from solvers.exact import FORMULATIONS
from solvers.exact.milp.backends import backend
from solvers.problem.objective import read_objective

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("read", "name", "wanted"),
    [
        (read_policy, "HexAGenT", "hexagent"),
        (read_policy, "llf", "workflow-llf"),
        (read_policy, "critical_path", "critical-path"),
        (read_policy, "fcfs@JSQ", "jsq"),
        (read_policy, "hexagent(KV=off)", "kv"),
        (read_estimator, "classmean", "class_mean"),
        (read_estimator, "nois(0.2)", "noise(SIGMA)"),
        (read_arrivals, "Poisson:2", "poisson"),
        (read_arrivals, "fixd:3", "fixed"),
        (lambda name: generate(name, 1, 0), "bflc", "bfcl"),
        (IMPORTERS.find, "azure", "azure-2023"),
        (read_load, "Stres:5", "stress"),
        (read_cluster, "Qwen235", "qwen235b-hetero-1"),
        (find_gpu, "H10O", "H100"),
        (find_model, "lama-3.1-70b", "llama-3.1-70b"),
        (read_grid, "Paper", "paper"),
        (instance, "Contended-dag-20-0", "contended-dag-20-0"),
        (FIGURES.find, "Atainment", "attainment"),
        (BOUNDS.find, "prices", "capacity-prices"),
        (FORMULATIONS.find, "CP-SAT", "cpsat"),
        (backend, "higs", "HiGHS"),
        (read_objective, "req95", "req(0.95)"),
        (read_objective, "MaxRatio", "max_ratio"),
        (read_thresholds, "TTFT=2s", "ttft"),
        (lambda name: read_table("anywhere", name), "run", "runs"),
    ],
)
def test_what_is_meant_is_said(read, name, wanted):
    with pytest.raises(InputError) as caught:
        read(name)
    assert f"did you mean {wanted}?" in str(caught.value).replace("'", "")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["simulat"], "simulate"),
        (["Gap"], "gap"),
        (["workload", "genrate"], "generate"),
        (["simulate", "x.json", "--polcy", "fcfs"], "--policy"),
        (["compare", "x.json", "--sort", "Req95"], "req95"),
        (["compile", "demo", "x.jsonl", "--decode-model", "Fluid"], "fluid"),
    ],
)
def test_the_command_line_says_what_is_meant(arguments, wanted, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = {"call_id": "c", "prompt_tokens": 9, "output_tokens": 9}
    (tmp_path / "x.jsonl").write_text(json.dumps({"workflow_id": "w", "arrival": 0, "calls": [call]}))
    assert main(arguments) == BAD_INPUT
    assert f"did you mean {wanted}?" in capsys.readouterr().err.replace("'", "").replace("Did", "did")


def test_nothing_near_is_nothing_meant():
    assert meant("zzz", ["alpha", "beta"]) is None
    assert meant("", ["alpha"]) is None


def test_a_file_in_place_of_a_policy_leads_to_plugin():
    with pytest.raises(InputError, match=r"--plugin pol\.py --policy mix"):
        read_policy("pol.py:mix")


def test_an_option_of_a_workload_that_is_meant():
    with pytest.raises(InputError, match="no option 'workflow'; did you mean 'workflows'"):
        workload("bfcl", workflow=10)


def test_runs_say_what_there_is():
    runs = compare(tiny_instance(), "hexagent", verify=False)
    with pytest.raises(KeyError, match="no run of 'hexagnet'; did you mean 'hexagent'"):
        runs["hexagnet"]


def test_a_key_of_a_cluster_that_is_no_file():
    with pytest.raises(InputError, match="did you mean prefill"):
        cluster({"name": "mine", "model": "llama-3.1-70b", "prefil": [], "decode": []})
