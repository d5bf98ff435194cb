"""What another installed package brings along by entry points: found, run, drawn, and no trouble when it is broken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from extension import recipe

POLICIES = '''
import hexsched as hx

@hx.order
def briefest(call, now, *, weight=1.0):
    """The shortest prompt first."""
    return weight * call.prompt_tokens

@hx.placement
class First:
    """The first that can hold the call."""
    def prefill(self, call, view):
        return view.prefill[0]
    def decode(self, call, view):
        return next(one for one in view.decode if one.can_hold(call))
'''
ENTRY_POINTS = """
[hexsched.policies]
mine = brought.policies
latest-first = brought.lone:latest_first
broken = brought.broken
[hexsched.importers]
pairs = brought.pairs
broken = brought.broken:nothing
[hexsched.figures]
counts = brought.counts:FIGURE
"""
GRID = """
clusters: demo
workloads: pairs.csv
workflows: 2
loads: at-once
policies: ["briefest(weight=-1)@first", latest-first, fcfs@first, fcfs]
"""


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    """A folder with a package, installed as far as Python can tell."""
    code, info = tmp_path / "site" / "brought", tmp_path / "site" / "brought-1.0.dist-info"
    code.mkdir(parents=True)
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    for name, text in {
        "__init__": "",
        "policies": POLICIES,
        "lone": "def latest_first(call, now):\n    return -now\n",
        "broken": "raise SystemExit('not today')\n",
        "pairs": recipe("A trace format"),
        "counts": recipe("A figure"),
    }.items():
        (code / f"{name}.py").write_text(text)
    (tmp_path / "pairs.csv").write_text("in,out\n100,50\n200,70\n")
    (tmp_path / "grid.yaml").write_text(GRID)
    return tmp_path


def hexsched(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    command = [sys.executable, "-c", "import sys; from experiments.cli import main; sys.exit(main())", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_second_package_in_a_grid_its_figures_and_its_report(packaged):
    ran = hexsched(packaged, "grid", "run", "grid.yaml", "--store", "runs", "--workers", "1")
    assert ran.returncode == 0, ran.stderr
    runs = pq.read_table(packaged / "runs" / "runs").to_pandas()
    assert set(runs["policy"]) == {"briefest(weight=-1)@first", "latest-first", "fcfs@first", "fcfs"}
    assert set(runs["workload"]) == {"pairs"}
    assert runs["verified"].all()
    planned = hexsched(packaged, "grid", "plan", "grid.yaml", "--store", "runs", "--json")
    assert '"to_do":0' in planned.stdout, planned.stdout

    # another version of the package makes other results
    (packaged / "site" / "brought" / "lone.py").write_text("def latest_first(call, now):\n    return now\n")
    planned = hexsched(packaged, "grid", "plan", "grid.yaml", "--store", "runs", "--json")
    assert '"to_do":3' in planned.stdout, planned.stdout

    drawn = hexsched(packaged, "figures", "run-counts", "--store", "runs", "-o", "figures")
    assert drawn.returncode == 0, drawn.stderr
    assert (packaged / "figures" / "run-counts.png").exists()
    reported = hexsched(packaged, "report", "--store", "runs", "-o", "report")
    assert reported.returncode == 0, reported.stderr
    page = next((packaged / "report").glob("*.html")).read_text()
    assert "How many runs each policy has" in page
    assert "latest-first" in page


@pytest.mark.quick
def test_a_broken_package_is_told_in_a_line_and_the_others_are_there(packaged):
    listed = hexsched(packaged, "policies")
    assert listed.returncode == 0
    assert "briefest" in listed.stdout
    assert "The first that can hold the call" in listed.stdout
    assert listed.stderr.splitlines() == [
        "hexsched: policy 'broken' of package 'brought' (brought.broken) is not available: SystemExit: not today"
    ]
    unknown = hexsched(packaged, "simulate", "no.json", "--policy", "briefst")
    assert unknown.returncode == 2
    assert "did you mean 'briefest'?" in unknown.stderr


@pytest.mark.quick
def test_nothing_is_loaded_for_a_shipped_name(packaged):
    code = "import sys, hexsched.policies as p; p.read_policy('fcfs@jsq'); assert 'brought' not in sys.modules; "
    code += "p.read_policy('briefest'); assert 'brought' in sys.modules"
    environment = {**os.environ, "PYTHONPATH": str(packaged / "site")}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
