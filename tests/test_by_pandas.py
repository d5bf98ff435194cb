"""Metrics in files against a computation that shares nothing with hexsched: a share of ``campaigns.metrics``."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns.metrics import GRID, SLOS, Compared, compare_store, fixed_runs, names, run_grid
from reference import by_pandas
from test_architecture import LAYERS, imported

from hexsched.metrics import METRICS
from hexsched.metrics.parts.goodput import COLUMNS


def test_it_shares_no_code() -> None:
    assert not [name for name in imported(Path(by_pandas.__file__)) if name.split(".")[0] in LAYERS]


@pytest.mark.parametrize(
    ("cluster", "workload", "loads", "slo"),
    [("demo", "text2sql", "'stress:3', 'closed-loop:2'", SLOS[0]), ("qwen235b-hetero-2", "react", "'rate:4'", SLOS[1])],
)
def test_every_metric_of_a_store(tmp_path: Path, cluster: str, workload: str, loads: str, slo: str) -> None:
    text = GRID.format(
        clusters=cluster,
        workloads=workload,
        workflows=6,
        loads=loads,
        policies=", ".join(f"'{name}'" for name in names(placements=False)),
        seeds=1,
        warm_up=1,
        slo=slo,
    )
    compared = Compared()
    compare_store(run_grid(tmp_path, text.replace("exact, ", "")), compared)
    assert compared.wrong == []
    assert {*METRICS, *COLUMNS, "workflows.ratio", "kv_peak"} <= set(compared.values)


def test_every_metric_of_files_in_the_fixed_model(tmp_path: Path) -> None:
    compared = Compared()
    fixed_runs(tmp_path, 1, compared)
    assert compared.wrong == []
    assert set(METRICS) <= set(compared.values)
