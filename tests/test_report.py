"""The report: what it says follows from the store, and says so when the store does not carry it."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from stored import write_cell, write_runs

from experiments.cli import main
from experiments.pages import table
from hexsched.errors import InputError
from paper_figs.figures import FIGURES
from paper_figs.reading import paper_numbers as paper
from paper_figs.reading.claims import DISAGREES, NOT_TESTED, WITHIN, read_claims
from paper_figs.reading.reductions import load_choice, main_load
from paper_figs.reading.store import read_runs, read_stored
from paper_figs.report.build import write_report
from paper_figs.report.sections import sections

mpl.use("Agg")

# filed under the paper's names, so that its claims apply; the runs are small
QWEN = {"cluster": "qwen235b-hetero-1", "model": "qwen3-235b-a22b", "pool": "hetero-1", "workflows": 100}
QWEN |= {"prefill_instances": 8, "decode_instances": 8}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two of the paper's settings at three seeds."""
    folder = tmp_path_factory.mktemp("report") / "store"
    for workload in ("bfcl", "mixed"):
        write_runs(folder, workload=workload, named=QWEN)
    return folder


@pytest.fixture
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each figure is tested by itself; some will do for what surrounds them."""
    shown = {name: FIGURES[name] for name in ("reductions", "summary", "ablation", "gantt")}
    monkeypatch.setattr("paper_figs.report.build.FIGURES", shown)


def doctored(store: Path, copy: Path, change: Callable[[dict], dict]) -> Path:
    """A copy of the store in which every run is what ``change`` makes of it."""
    shutil.copytree(store, copy)
    for run in read_stored(copy, "runs", "paper").to_dict("records"):
        write_cell(copy, run["key"].partition("-")[2], "runs", {"runs": [change(run)]})
    return copy


def verdicts(store: Path) -> dict[str, str]:
    claims = read_claims(store)
    claims = claims[claims["main"]]
    return dict(zip(claims["claim"], claims["verdict"], strict=True))


def text_of(store: Path) -> str:
    return "\n\n".join(sections(store, read_claims(store), [], {}))


def with_reduction(share: float) -> Callable[[dict], dict]:
    """HexAGenT needs that share less than any baseline, up to a little that differs by seed."""

    def change(run: dict) -> dict:
        factor = 1 - share - 0.001 * run["seed"] if run["policy"] == "hexagent" else 1.0
        return {**run, "req95": 5.0 * factor, "req99": 5.0 * factor}

    return change


@pytest.mark.usefixtures("few_figures")
def test_report_is_written_and_repeats(store, tmp_path):
    first = write_report(store, tmp_path / "a")
    again = write_report(store, tmp_path / "b")
    assert [path.name for path in first.files[:2]] == ["report.md", "report.html"]
    assert [path.read_bytes() for path in first.files] == [path.read_bytes() for path in again.files]
    markdown, page = (path.read_text() for path in first.files[:2])
    for row in first.claims.to_dict("records"):
        assert row["text"] in markdown
    pictures = re.findall(r"\]\((figures/[^)]*)\)", markdown)
    assert pictures
    assert all((tmp_path / "a" / picture).is_file() for picture in pictures)
    assert 'src="figures/' not in page  # the page holds its pictures
    held = re.findall(r'src="data:image/png;base64,([^"]*)"', page)
    assert [base64.b64decode(data) for data in held] == [
        (tmp_path / "a" / picture).read_bytes() for picture in pictures
    ]
    assert "<table>" in page
    assert '<meta name="viewport"' in page
    links = re.findall(r'<a href="#([^"]*)">', page)
    assert len(links) == len(set(links)) > 5
    assert all(f'id="{link}"' in page for link in links)
    assert "| caveat |" in markdown
    assert set(first.left_out) == {"ablation", "gantt"}
    assert all(f"`{name}` not drawn" in markdown for name in first.left_out)


def test_settings_have_intervals_and_say_over_how_many_seeds(store):
    said = text_of(store)
    rows = [line for line in said.splitlines() if line.startswith("| Qwen3-235B, Hetero-1, ")]
    assert len(rows) >= 4  # two settings, Req95 and Req99
    for row in rows[:4]:
        assert re.search(r"-?\d+\.\d \[-?\d+\.\d, -?\d+\.\d\] % \| 3 \|$", row), row


@pytest.mark.parametrize(("share", "expected"), [(0.13, WITHIN), (-0.2, DISAGREES)])
def test_a_doctored_store_changes_the_verdict(share, expected, store, tmp_path):
    copy = doctored(store, tmp_path / "copy", with_reduction(share - 0.001))  # in the mean over seeds 0, 1, 2
    assert verdicts(copy)["hetero-req95"] == expected
    assert f"**{expected}**" in text_of(copy)


def test_the_numbers_beside_the_paper_s_are_those_of_the_store(store, tmp_path):
    copy = doctored(store, tmp_path / "copy", with_reduction(0.3))
    claims = read_claims(copy).set_index("claim")
    assert claims.loc["mean-req95", "ours"] == pytest.approx(0.301)
    assert claims.loc["mean-req95", "paper"] == paper.MEAN_REDUCTION["req95"]
    assert claims.loc["largest-req99", "ours"] == pytest.approx(0.301)
    assert claims.loc["qwen-req95", "paper"] == pytest.approx(0.2, abs=0.001)
    assert claims.loc["qwen-mixed-req99", "paper"] == pytest.approx(0.56, abs=0.001)
    assert claims.loc["qwen-mixed-req99", "n"] == 3


def test_a_single_seed_is_no_result(tmp_path):
    write_runs(tmp_path / "s", seeds=(0,), named=QWEN)
    assert set(verdicts(tmp_path / "s").values()) == {NOT_TESTED}
    said = text_of(tmp_path / "s")
    assert "a single seed" in said
    rows = [line for line in said.splitlines() if line.startswith("| Qwen3-235B, Hetero-1, ")]
    assert rows
    assert not any("[" in row for row in rows)


def test_settings_that_are_not_the_paper_s_test_no_claim(tmp_path):
    write_runs(tmp_path / "s", seeds=(0, 1))
    assert set(verdicts(tmp_path / "s").values()) == {NOT_TESTED}
    said = text_of(tmp_path / "s")
    assert "no runs in the paper's set-up" in said
    assert "hexsched grid run paper" in said
    assert re.search(r"\[-?\d+\.\d, -?\d+\.\d\] % \| 2 \|", said)  # the settings it has are shown all the same


def test_rejected_schedules_are_said_loudly(store, tmp_path):
    copy = doctored(store, tmp_path / "copy", lambda run: {**run, "verified": run["policy"] != "fcfs"})
    assert "**6 of 30 schedules were rejected by the verifier" in text_of(copy)
    assert "All 30 schedules passed" in text_of(store)


def test_loads_that_were_not_reached_are_said(store, tmp_path):
    shutil.copytree(store, tmp_path / "copy")
    for seed, workload in enumerate(("lats", "bfcl")):
        load = {
            "key": f"00000000-load{seed}",
            "workload": workload,
            "rule": "stress:5.6",
            "reached": workload == "bfcl",
        }
        write_cell(tmp_path / "copy", f"load{seed}", "loads", {"loads": [load]})
    write_cell(tmp_path / "copy", "other", "loads", {"loads": [{"key": "00000000-other", "rule": "saturation:1"}]})
    said = text_of(tmp_path / "copy")
    assert "The load search ran for 2 combinations" in said
    assert "In 1 of them (lats)" in said


def test_what_failed_is_listed(store, tmp_path):
    shutil.copytree(store, tmp_path / "copy")
    failed = {"key": "00000000-failed", "kind": "gap", "description": "gap of x", "error": "solver died", "attempts": 2}
    write_cell(tmp_path / "copy", "failed", "errors", {"errors": [failed]})
    assert "Failed: gap of x (solver died)." in text_of(tmp_path / "copy")


@pytest.mark.usefixtures("few_figures")
def test_command(store, tmp_path, capsys):
    assert main(["report", "--store", str(store), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "Mean reduction of Req95, all settings" in said
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.parametrize("make", [True, False])
def test_an_empty_store_is_told_in_a_line(make, tmp_path, capsys):
    if make:
        (tmp_path / "s").mkdir()
    assert main(["report", "--store", str(tmp_path / "s"), "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError):
        write_report(tmp_path / "s", tmp_path / "out")


def test_cells_of_tables_may_hold_bars():
    assert table(("a", "b"), [("x|y", 1)]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |"


@pytest.fixture(scope="module")
def incomplete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of which a grid was interrupted: of the first setting two runs are absent, of the second a policy."""
    folder = tmp_path_factory.mktemp("incomplete") / "store"
    rest = ("fcfs", "atlas", "hexagent")
    write_runs(folder, policies=rest)
    write_runs(folder, policies=("workflow-llf",), seeds=(0,))
    write_runs(folder, policies=rest, workload="mixed")
    return folder


def test_runs_that_an_interrupted_grid_left_out_are_said(incomplete, store):
    said = text_of(incomplete)
    assert "**Missing runs: 2**" in said.partition("## ")[0]
    expected = (
        "2 beside 19 stored, in 1 of 2 settings, where a policy has fewer seeds than others: demo, bfcl, 12, rate:2"
    )
    assert f"- Missing runs: {expected} (Workflow-LLF 1 of 3)" in said
    assert "- Policies that not all 2 settings have: Workflow-LLF in 1." in said
    assert "Seeds that not all" not in said
    complete = text_of(store)
    assert "Missing runs" not in complete
    assert "that not all" not in complete


def test_tables_of_a_setting_have_one_value_for_one_quantity(incomplete):
    said = text_of(incomplete)
    _, _, first = said.partition("## Setting by setting")
    one, _, every = first.partition("### Every policy")
    runs = read_runs(incomplete)
    runs = runs[(runs["workload"] == "bfcl") & (runs["seed"] == 0)]  # the seed that HexAGenT and all baselines have
    needed = runs.set_index("policy")["req95"]
    (row,) = [line for line in one.partition("### Req99")[0].splitlines() if "BFCL" in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == f"{needed['hexagent']:.2f}"
    assert cells[3] == f"{needed.drop('hexagent').min():.2f}"
    assert cells[5] == "1"
    row = next(line for line in every.splitlines() if "BFCL" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    order = ("fcfs", "workflow-llf", "atlas", "hexagent")
    assert cells[1:] == [*(f"{needed[name]:.2f}" for name in order), "1"]


def test_a_policy_with_fewer_seeds_than_its_row_says_so(tmp_path):
    write_runs(tmp_path / "s", policies=("fcfs", "hexagent"), seeds=(0, 1))
    write_runs(tmp_path / "s", policies=("triage",), seeds=(1,))
    row = next(line for line in text_of(tmp_path / "s").partition("### Every policy")[2].splitlines() if "BFCL" in line)
    assert re.search(r"\] \| \d+\.\d\d \(1 seed\) \| 2 \|$", row), row


def test_at_a_tie_a_stress_is_shown_and_the_report_says_why(store):
    runs = read_runs(store)
    loads = ["saturation:0.9 gamma,cv=3", "stress:5.6", "rate:2"]
    frame = pd.concat([runs.assign(load=load) for load in loads], ignore_index=True)
    assert main_load(frame) == "stress:5.6"
    said = load_choice(frame)
    assert said.startswith("As many settings (2) have load rate:2, saturation:0.9 gamma,cv=3; stress:5.6 is shown")
    one_less = frame[~((frame["load"] == "stress:5.6") & (frame["workload"] == "mixed"))]
    assert main_load(one_less) == "rate:2"
    assert load_choice(one_less).endswith("rate:2 is shown: the first by name.")
    rest = one_less[one_less["load"] != "rate:2"]
    assert load_choice(rest) == ("Of 2 loads, saturation:0.9 gamma,cv=3 is shown since most settings have it (2).")
    assert load_choice(runs) == ""


@pytest.mark.usefixtures("few_figures")
def test_a_store_of_files_alone_begins_with_them(tmp_path, capsys):
    write_runs(tmp_path / "s", policies=("fcfs", "hexagent"), seeds=(0, 1), named={"workload": "my-calls"})
    assert main(["report", "--store", str(tmp_path / "s"), "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "no runs in the paper's set-up" in printed
    assert "Mean reduction" not in printed
    said = (tmp_path / "out" / "report.md").read_text()
    first = ["In short", "Workloads of files", "The paper's claims, one by one"]
    assert re.findall(r"^## (.*)$", said, re.MULTILINE)[:3] == first
    assert said.count("## Workloads of files") == 1
    assert "No runs in the paper's set-up" in said
    assert "None of the 11 claims is tested: no runs in the paper's set-up." in said
    assert "No runs." not in said


def test_means_above_the_quantile_are_explained(store, tmp_path):
    shutil.copytree(store, tmp_path / "copy")
    timings = read_stored(store, "timings", "paper").assign(decision_mean_us=2.0, decision_p99_us=3.0)
    for k, row in enumerate(timings.to_dict("records")):
        stalled = row if k else {**row, "decision_mean_us": 90.0}
        write_cell(tmp_path / "copy", row["key"].partition("-")[2], "runs", {"timings": [stalled]})
    said = text_of(tmp_path / "copy").partition("## What a decision costs")[2].partition("## ")[0]
    assert "In 1 of 30 runs the mean is above the 99 % quantile" in said
    assert "(2.00, 90.00)" in said
    assert said.count("| 3.00 (3.00, 3.00) |") == 5
    for row in timings.to_dict("records"):
        write_cell(tmp_path / "copy", row["key"].partition("-")[2], "runs", {"timings": [row]})
    assert "above the 99 % quantile" not in text_of(tmp_path / "copy")
