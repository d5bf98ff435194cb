"""Grids: what a file may say, which cells come of it, and what computing them leaves in a store."""

from __future__ import annotations

import gzip
import json
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_grid import RUNS, SEARCHES, TINY, Inline, contents, plan_of, write_grid

from experiments.cli import BAD_INPUT, CHECK_FAILED, OK, main
from experiments.grid import code
from experiments.grid.axes import canonical_estimator, canonical_policy
from experiments.grid.backend import Loss
from experiments.grid.estimate import BASIS_STORE, estimate_seconds
from experiments.grid.kinds.simulate import RunCell, utilisation
from experiments.grid.loads import read_load
from experiments.grid.plan import Plan, make_plan
from experiments.grid.run import Outcome, run_plan
from experiments.grid.saturation import _busy_seconds, saturation_rate
from experiments.grid.shipped import list_grids, shipped_grid
from experiments.grid.sources import read_workload_content
from experiments.grid.spec import NoWorkloadsError, read_grid
from experiments.load import at_rate, stress_load
from experiments.store import CellFiles, Store, read_schedule_of, read_table
from hexsched.baselines import BASELINES
from hexsched.clusters import read_cluster
from hexsched.errors import InputError
from hexsched.model import Call, Workflow
from hexsched.model.workload import workload_bytes
from hexsched.simulator import simulate
from hexsched.verifier import verify
from hexsched.workloads.families import generate

FAULTY = """
from hexsched.policies import order

@order("faulty", summary="raises")
def faulty(call, now):
    raise RuntimeError("no\\nidea")
"""


def compute(plan: Plan, store: Path, backend: Any = None, **options: bool) -> Outcome:
    with Store.writing(store) as opened:
        return run_plan(plan, opened, backend or Inline(), **options)


# ---- the file


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("cluster: demo", 1, "unknown field 'cluster'; did you mean clusters? known:"),
        (TINY + "kind: simulated", 7, "kind: unknown kind 'simulated'; did you mean simulate? known: simulate, gap"),
        (TINY.replace("clusters: demo\n", ""), 1, "clusters is missing; a grid of kind simulate needs it"),
        (TINY.replace("demo", "dem"), 1, "clusters: unknown cluster 'dem'; did you mean demo?"),
        (TINY.replace("[react, bfcl]", "\n  - react\n  - bfc"), 4, "workloads: unknown workload family 'bfc'"),
        (TINY.replace("workflows: 5", "workflows: five"), 3, "workflows: Expected 'int | array'"),
        (TINY.replace("workflows: 5", "workflows: [5, 0]"), 3, "workflows: expected a whole number from 1, got 0"),
        (TINY.replace("stress:1.5", "stres:1.5"), 4, "loads: unknown load rule 'stres'; did you mean 'stress'?"),
        (TINY.replace("stress:1.5", "stress:1"), 4, "expected stress:NUMBER with a number above 1"),
        (TINY.replace("fcfs", "fcsf"), 5, "policies: unknown policy 'fcsf'; did you mean 'fcfs'?"),
        (TINY.replace("hexagent", "hexagent(kv=no)"), 5, "option 'kv' of policy 'hexagent' must be on or off"),
        (TINY.replace("seeds: 2", "seeds: 0"), 6, "seeds: expected how many, or a list of seeds; got 0"),
        (TINY.replace("seeds: 2", "seeds: [-1]"), 6, "seeds: expected a whole number from 0, got -1"),
        (TINY.replace("seeds: 2", "seeds: []"), 6, "seeds: the list is empty"),
        (TINY + "estimators: noise(x)", 7, "estimators: estimator 'noise(x)': SIGMA must be"),
        (TINY + "formulations: all", 7, "formulations: a grid of kind simulate has no such key; it has clusters"),
        (TINY + "exclude:\n  - {workload: bfcl, polic: fcfs}", 8, "unknown field 'polic'; did you mean policy?"),
        (TINY + "exclude:\n  - workload: bfcl\n  - {}", 9, "an empty match"),
        (TINY + "exclude:\n  - formulation: cpsat", 8, "formulation: a grid of kind simulate has no such axis"),
        (TINY + "only:\n  - workload: bfcl\n    seed: 7", 8, "seed: no cell has 7; there are 0, 1"),
        (TINY + "only:\n  - policy: hexagant", 8, "policy: no cell has 'hexagant'; did you mean hexagent?"),
        (TINY + "overrides:\n  - match: {workload: bfcl}\n    set: {wrkflows: 3}", 9, "did you mean workflows?"),
        (TINY + "overrides:\n  - set: {workflows: 3}", 8, "missing required field 'match'"),
        (TINY + "grids:\n  a:\n    policys: fcfs", 9, "unknown field 'policys'; did you mean policies?"),
        (TINY + "grids:\n  a:\n    seeds: 1\n  b:\n    loads: [at-once, rate]", 11, "load rule 'rate': expected rate:"),
        (TINY + "plugins: nowhere.py", 7, "plugins: "),
        (TINY + "seeds: 3", 7, "duplicate key 'seeds', first on line 6"),
        (TINY + "kind: gap\nobjectives: max\n", 8, "unknown objective 'max'"),
        ("kind: solve\ninstances: x-4-0\nformulations: cpsat\nobjectives: max_ratio", 2, "instances: no instance"),
        (TINY + "exclude:\n  - {workload: '*'}", None, "no cell is left"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_file_and_line(tmp_path, text, line, told):
    path = write_grid(tmp_path, text)
    with pytest.raises(InputError) as caught:
        make_plan(read_grid(str(path)))
    message = str(caught.value)
    assert told in message
    if line is not None:
        assert f"{path}:{line}: " in message


def test_unknown_grids_are_told_with_a_suggestion(tmp_path):
    with pytest.raises(InputError, match="unknown grid 'papre'; did you mean paper"):
        read_grid("papre")
    path = write_grid(tmp_path, TINY + "grids:\n  first: {seeds: 1}\n  second: {seeds: 1}")
    with pytest.raises(InputError, match="no grid 'frst' in this file; did you mean first"):
        read_grid(str(path), "frst")


def test_two_things_of_one_name_are_refused(tmp_path):
    for folder, count in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        pools = f"[{{gpu: H100, count: {count}, tensor_parallel: 1}}]"
        (tmp_path / folder / "c.yaml").write_text(f"name: c\nmodel: llama-3.1-8b\nprefill: {pools}\ndecode: {pools}\n")
    text = TINY.replace("demo", "[a/c.yaml, b/c.yaml]")
    with pytest.raises(InputError, match=r"tiny\.yaml:1: clusters: two different clusters are called 'c'"):
        plan_of(tmp_path, text)


# ---- the plan


def count(plan: Plan) -> dict[str, int]:
    cells: dict[str, int] = {}
    for cell in plan.cells.values():
        cells[cell.kind.name] = cells.get(cell.kind.name, 0) + 1
    return cells


def runs_of(plan: Plan) -> list[RunCell]:
    return [cell for cell in plan.cells.values() if isinstance(cell, RunCell)]


def test_a_plan_is_the_product_with_one_search_for_all_policies(tmp_path):
    plan = plan_of(tmp_path)
    assert count(plan) == {"simulate": RUNS, "load": SEARCHES}
    assert RUNS == 2 * 2 * 2 * 2
    seen: set[str] = set()
    for key, cell in plan.cells.items():
        assert cell.needs is None or cell.needs.key in seen
        seen.add(key)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("exclude: [{workload: bfcl}]", {"simulate": 8, "load": 2}),
        ("exclude: [{workload: bfcl, load: 'stress:*'}]", {"simulate": 12, "load": 2}),
        ("only: [{policy: fcfs, seed: [0, 1]}]", {"simulate": 8, "load": 4}),
        ("only: [{workload: bfcl}, {seed: 1}]", {"simulate": 12, "load": 3}),
        ("only: [{workload: bfcl}]\nexclude: [{seed: 1}]", {"simulate": 4, "load": 1}),
        ("estimators: [exact, noise(0.1), noise(.10)]", {"simulate": 32, "load": 4}),
        ("overrides: [{match: {workload: bfcl}, set: {workflows: [3, 4, 5]}}]", {"simulate": 32, "load": 8}),
        ("overrides: [{match: {workload: bfcl}, set: {loads: at-once}}]", {"simulate": 12, "load": 2}),
        ("grids: {a: {seeds: [0]}, b: {seeds: [0, 1, 2]}}", {"simulate": 24, "load": 6}),
    ],
)
def test_filters_overrides_and_named_grids(tmp_path, more, expected):
    assert count(plan_of(tmp_path, TINY + more)) == expected


def test_overrides_reach_the_cells_they_name_and_no_other(tmp_path):
    more = "overrides: [{match: {workload: bfcl, seed: 1}, set: {workflows: 3, schedules: true}}]"
    for cell in runs_of(plan_of(tmp_path, TINY + more)):
        named = cell.scene.workload.name == "bfcl" and cell.scene.seed == 1
        assert (cell.scene.workflows, cell.stored) == ((3, True) if named else (5, False))


def test_filters_above_named_grids_hold_in_each(tmp_path):
    more = "exclude: [{workload: lats}]\ngrids: {a: {}, b: {workloads: [lats, bfcl]}}"
    plan = plan_of(tmp_path, TINY + more)
    assert {cell.scene.workload.name for cell in runs_of(plan)} == {"react", "bfcl"}


def test_named_grids_one_at_a_time(tmp_path):
    path = write_grid(tmp_path, TINY + "grids: {a: {seeds: [0]}, b: {seeds: [0, 1, 2]}}")
    assert count(make_plan(read_grid(str(path), "a"))) == {"simulate": 8, "load": 2}


def test_shorthands(tmp_path):
    plan = plan_of(tmp_path, TINY.replace("[fcfs, hexagent]", "baselines"))
    assert list(dict.fromkeys(cell.policy for cell in runs_of(plan))) == list(BASELINES)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("hexagent( kv = on , risk=off)", "hexagent(risk=off)"),
        ("hexagent(transfer=off,risk=off)", "hexagent(risk=off,transfer=off)"),
        ("workflow-llf(slo_scale=4.0)@plan", "workflow-llf"),
        ("workflow-llf(slo_scale=2.50)@jsq", "workflow-llf(slo_scale=2.5)@jsq"),
        ("atlas(levels=8, beta=8)", "atlas(beta=8)"),
    ],
)
def test_policies_have_one_name(text, canonical):
    assert canonical_policy(text) == canonical
    assert canonical_policy(canonical) == canonical


def test_names_of_estimators_and_loads():
    assert canonical_estimator("noise( 0.20 )") == "noise(0.2)"
    assert [str(read_load(text)) for text in ("rate:2.0", "saturation:.9", "at-once")] == [
        "rate:2", "saturation:0.9", "at-once",
    ]  # fmt: skip
    with pytest.raises(InputError, match="takes no number"):
        read_load("at-once:3")


def only_key(tmp_path: Path, *changes: tuple[str, str]) -> str:
    text = "clusters: demo\nworkloads: react\nworkflows: 5\nloads: at-once\npolicies: fcfs\nseeds: [0]\n"
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (cell,) = plan_of(tmp_path, text).cells.values()
    return cell.key


def test_a_key_stands_for_the_inputs_and_nothing_else(tmp_path):
    keys = [
        only_key(tmp_path),
        only_key(tmp_path, ("demo", "llama70b-hetero-1")),
        only_key(tmp_path, ("react", "bfcl")),
        only_key(tmp_path, ("workflows: 5", "workflows: 6")),
        only_key(tmp_path, ("at-once", "rate:1")),
        only_key(tmp_path, ("fcfs", "hexagent")),
        only_key(tmp_path, ("[0]", "[1]")),
        only_key(tmp_path, ("seeds", "estimators: class_mean\nseeds")),
    ]
    assert len(set(keys)) == len(keys)
    assert only_key(tmp_path, ("fcfs", "fcfs@plan"), ("seeds", "schedules: true\nseeds")) == keys[0]


def test_a_key_follows_the_content_of_files(tmp_path):
    cluster = "name: mine\nmodel: llama-3.1-8b\nprefill: [{gpu: H100, count: 1, tensor_parallel: 1}]\n"
    keys = []
    for memory in (0.8, 0.9):
        pool = f"decode: [{{gpu: H100, count: 1, tensor_parallel: 1, kv_memory_fraction: {memory}}}]\n"
        (tmp_path / "mine.yaml").write_text(cluster + pool)
        keys.append(only_key(tmp_path, ("demo", "mine.yaml")))
    for seed in (0, 1):
        (tmp_path / "w.jsonl").write_bytes(workload_bytes(generate("react", 5, seed)))
        keys.append(only_key(tmp_path, ("react", "w.jsonl")))
    assert len(set(keys)) == 4


def test_a_key_follows_the_code(tmp_path, monkeypatch):
    before = only_key(tmp_path)
    source = tmp_path / "hexsched" / "engine.py"
    source.parent.mkdir()
    versions = []
    for text in ("a = 1", "a = 2"):
        source.write_text(text)
        monkeypatch.setattr(code, "ROOT", tmp_path)
        code.code_version.cache_clear()
        versions.append(code.code_version("simulate"))
    monkeypatch.undo()
    code.code_version.cache_clear()
    assert len(set(versions)) == 2
    assert only_key(tmp_path) == before


@pytest.mark.parametrize("name", list_grids())
def test_shipped_grids_can_be_planned(name):
    try:
        read = read_grid(name)
    except NoWorkloadsError:
        read = read_grid(name, workloads=["bfcl"])
    assert make_plan(read).cells


def test_the_paper_s_grid_is_the_paper_s():
    cells = runs_of(make_plan(read_grid("paper")))
    assert {len({getattr(cell.scene, field) for cell in cells}) for field in ("cluster", "workload")} == {10, 4}
    assert {cell.scene.workflows for cell in cells} == {100, 200, 400}
    assert {cell.policy for cell in cells} == {"hexagent", *BASELINES}
    assert len({cell.scene.seed for cell in cells}) >= 5
    assert sum(cell.stored for cell in cells) == 2


# ---- load rules


def test_a_load_cell_finds_what_the_load_command_finds(tmp_path):
    compute(plan_of(tmp_path, TINY + "only: [{workload: bfcl, load: 'stress:1.5', seed: 1}]"), tmp_path / "s")
    expected = stress_load(read_cluster("demo"), generate("bfcl", 5, 1), BASELINES, 1.5)
    row = read_table(tmp_path / "s", "loads").iloc[0]
    assert (row["rate"], row["req95"], row["baseline"], row["reached"]) == (
        expected.rate, expected.req95, expected.baseline, expected.reached,
    )  # fmt: skip
    runs = read_table(tmp_path / "s", "runs").set_index("policy")
    assert (runs["rate"] == expected.rate).all()


def test_saturation_on_identical_instances_is_work_over_capacity():
    cluster, workflows = read_cluster("llama70b-homo-h100"), generate("bfcl", 20, 0)
    instance = at_rate(cluster, workflows, 1.0)
    calls = [call for workflow in workflows for call in workflow.calls]
    prefill = sum(instance.prefill[0].prefill_seconds(c.prompt_tokens, c.cached_tokens) for c in calls)
    machine = instance.decode[0]
    held = sum(c.output_tokens * (c.prompt_tokens + c.output_tokens) for c in calls)
    mean = held / sum(c.output_tokens for c in calls)
    batch = min(machine.max_batch, int(machine.kv_capacity_tokens / mean))
    decode = sum(
        c.output_tokens * machine.batch_seconds(batch) / batch
        + machine.decode_coeffs[2] * (c.prompt_tokens * c.output_tokens + c.output_tokens**2 / 2)
        for c in calls
    )
    busiest = max(prefill / len(instance.prefill), decode / len(instance.decode))
    assert saturation_rate(instance) == pytest.approx(20 / busiest)


def test_saturation_on_unequal_instances_divides_the_work_as_well_as_can_be():
    """Two prefill kinds, the slower three times as slow for every call: capacity 1 + 1/3 of the faster."""
    import msgspec

    instance = at_rate(read_cluster("demo"), generate("bfcl", 20, 0), 1.0)
    first = instance.prefill[0]
    slow = msgspec.structs.replace(instance.prefill[1], prefill_coeffs=tuple(3 * c for c in first.prefill_coeffs))
    decode = tuple(
        msgspec.structs.replace(d, decode_coeffs=(1e-9, 0, 0), batch_curve=None, fixed_iteration_time=1e-9)
        for d in instance.decode
    )
    changed = msgspec.structs.replace(instance, prefill=(first, slow), decode=decode)
    seconds = sum(first.prefill_seconds(c.prompt_tokens, c.cached_tokens) for w in changed.workflows for c in w.calls)
    assert saturation_rate(changed) == pytest.approx(20 / seconds * 4 / 3)


def test_the_division_of_calls_is_that_of_the_linear_program():
    """Random seconds on five kinds of instances, some calls impossible on some."""
    from scipy.optimize import linprog

    rng = np.random.default_rng(5)
    for _ in range(5):
        kinds, calls = 5, 12
        seconds = rng.lognormal(size=(kinds, calls))
        seconds[1:, :][rng.random((kinds - 1, calls)) < 0.2] = np.inf
        count = rng.integers(1, 4, kinds)
        cost = np.where(np.isfinite(seconds), seconds, 1e6)
        machine = np.kron(np.eye(kinds), np.ones(calls)) * cost.ravel()
        solved = linprog(
            np.append(np.zeros(kinds * calls), 1.0),
            A_ub=np.column_stack([machine, -count]),
            b_ub=np.zeros(kinds),
            A_eq=np.column_stack([np.tile(np.eye(calls), kinds), np.zeros(calls)]),
            b_eq=np.ones(calls),
        )
        assert _busy_seconds(np.repeat(seconds, count, axis=0)) == pytest.approx(solved.fun, rel=1e-6)


def test_beyond_saturation_queues_grow():
    cluster, workflows = read_cluster("demo"), generate("bfcl", 60, 0)
    limit = saturation_rate(at_rate(cluster, workflows, 1.0))
    mean = {share: simulate(at_rate(cluster, workflows, share * limit)).metrics.mean_ratio for share in (0.3, 3.0)}
    assert mean[3.0] > 1.5 * mean[0.3]


def test_recorded_arrivals_are_those_of_the_file(tmp_path):
    from hexsched.workloads.arrivals import apply_arrivals, read_arrivals

    workflows = apply_arrivals(generate("react", 5, 0), read_arrivals("poisson:2"), 0)
    (tmp_path / "trace.jsonl").write_bytes(workload_bytes(workflows))
    text = "clusters: demo\nworkloads: trace.jsonl\nworkflows: 4\nloads: recorded\npolicies: fcfs\n"
    compute(plan_of(tmp_path, text), tmp_path / "s")
    rows = read_table(tmp_path / "s", "workflows")
    assert rows["arrival"].tolist() == [workflow.arrival for workflow in workflows[:4]]


def test_raw_traces_with_options_are_workloads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"timestamp": 700 * k, "input_length": 500 + k, "output_length": 20} for k in range(4)]
    with gzip.open(tmp_path / "t.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    names = ["t.jsonl.gz", "t.jsonl.gz,time_unit=us,format=mooncake"]
    plain, scaled = (read_workload_content(name, tmp_path) for name in names)
    assert [workflow.arrival for workflow in plain.take(4, 0)] == [0, 0.7, 1.4, 2.1]
    assert [workflow.arrival for workflow in scaled.take(4, 0)] == pytest.approx([0, 7e-4, 14e-4, 21e-4])
    assert (plain.name, scaled.name) == ("t", "t,time_unit=us")
    (tmp_path / "t.jsonl").write_text('{"timestamp": 0, "input_length": 9}\n')
    with pytest.raises(InputError, match="looks like mooncake but has no output_length"):
        read_workload_content("t.jsonl", tmp_path)
    with pytest.raises(InputError, match="unknown workload family"):
        read_workload_content("no-such-family", tmp_path)


def test_recorded_arrivals_of_a_family_are_failures(tmp_path):
    (tmp_path / "trace.jsonl").write_bytes(workload_bytes(generate("react", 5, 0)))
    text = "clusters: demo\nworkloads: [react, trace.jsonl]\nworkflows: [4, 5]\nloads: recorded\npolicies: fcfs\n"
    outcome = compute(plan_of(tmp_path, text), tmp_path / "s")
    assert (outcome.done, outcome.failed) == (2, 2)
    errors = read_table(tmp_path / "s", "errors")["error"].tolist()
    assert all("has no recorded arrivals" in error for error in errors)


def test_too_short_a_file_is_seen_in_the_plan(tmp_path):
    (tmp_path / "trace.jsonl").write_bytes(workload_bytes(generate("react", 5, 0)))
    text = "clusters: demo\nworkloads: [react, trace.jsonl]\nworkflows: [5, 6]\nloads: at-once\npolicies: fcfs\n"
    with pytest.raises(InputError, match="workload trace has 5 workflows, 6 are asked for"):
        plan_of(tmp_path, text)


# ---- results


def test_a_run_is_what_simulate_gives(tmp_path):
    text = "clusters: demo\nworkloads: bfcl\nworkflows: 6\nloads: rate:2\npolicies: hexagent\nseeds: [3]\n"
    plan = plan_of(tmp_path, text + "estimators: noise(0.3)\nschedules: true\n")
    compute(plan, tmp_path / "s")
    instance = at_rate(read_cluster("demo"), generate("bfcl", 6, 3), 2.0)
    run = simulate(instance, "hexagent", estimator="noise(0.3)", seed=3)
    row = read_table(tmp_path / "s", "runs").iloc[0]
    for name in run.metrics:
        assert row[name] == getattr(run.metrics, name)
    assert (row["model"], row["pool"], row["rate"], row["verified"]) == ("llama-3.1-8b", "demo", 2.0, True)
    assert (row["prefill_instances"], row["decode_instances"]) == (2, 2)
    assert read_schedule_of(tmp_path / "s", row["key"]).to_bytes() == run.schedule.to_bytes()
    frame = run.to_frame()
    rows = read_table(tmp_path / "s", "workflows")
    for name in ("workflow_id", "calls", "arrival", "latency", "horizon", "ratio"):
        assert rows[name].tolist() == frame[name].tolist()
    timing = read_table(tmp_path / "s", "timings").iloc[0]
    assert timing["decisions"] == run.decisions
    assert timing["wall_seconds"] > 0


def test_utilisation_against_looking_at_many_moments():
    instance = at_rate(read_cluster("demo"), generate("bfcl", 25, 0), 50.0)
    schedule = simulate(instance, "fcfs@jsq").schedule
    measured = utilisation(instance, schedule)
    rows = schedule.to_frame()
    tokens = {
        (w.workflow_id, c.call_id): c.prompt_tokens + c.output_tokens for w in instance.workflows for c in w.calls
    }
    rows["tokens"] = [tokens[key] for key in zip(rows["workflow_id"], rows["call_id"], strict=True)]
    moments = (np.arange(20_000) + 0.5) / 20_000 * rows["decode_end"].max()

    def share_busy(start: str, end: str, place: str, machine: str) -> float:
        here = rows[rows[place] == machine]
        busy = (here[start].to_numpy() <= moments[:, None]) & (moments[:, None] < here[end].to_numpy())
        return float(busy.any(axis=1).mean())

    prefill = [share_busy("prefill_start", "prefill_end", "prefill_instance", m.id) for m in instance.prefill]
    decode = [share_busy("decode_start", "decode_end", "decode_instance", m.id) for m in instance.decode]
    assert measured["prefill_utilisation"] == pytest.approx(np.mean(prefill), abs=2e-3)
    assert measured["decode_utilisation"] == pytest.approx(np.mean(decode), abs=2e-3)
    peaks = []
    for machine in instance.decode:
        here = rows[rows["decode_instance"] == machine.id]
        held = [here[(here["admitted"] <= t) & (here["decode_end"] > t)]["tokens"].sum() for t in here["admitted"]]
        peaks.append(max(held) / machine.kv_capacity_tokens)
    assert measured["kv_peak"] == pytest.approx(max(peaks), rel=1e-12)


def test_gap_and_solve_cells(tmp_path):
    text = """
        grids:
          gap:
            {kind: gap, clusters: demo, workloads: react, workflows: 2, loads: at-once, decode_models: fixed,
             objectives: mean_ratio, policies: [fcfs, hexagent], time_limit: 2, cpu_time: true}
          solve:
            {kind: solve, instances: [contended-chain-4-0], formulations: cpsat, objectives: max_ratio, time_limit: 5}
    """
    plan = plan_of(tmp_path, textwrap.dedent(text))
    outcome = compute(plan, tmp_path / "s")
    assert outcome.errors == []
    gaps = read_table(tmp_path / "s", "gaps")
    assert gaps["policy"].tolist() == ["fcfs", "hexagent"]
    assert (gaps["lower_bound"] <= gaps["upper_bound"]).all()
    assert (gaps["upper_bound"] <= gaps["value"]).all()
    assert set(gaps["decode_model"]) == {"fixed"}
    series = read_table(tmp_path / "s", "gap_series")
    assert series["lower_bound"].iloc[-1] == pytest.approx(gaps["lower_bound"].iloc[0])
    solved = read_table(tmp_path / "s", "solves").iloc[0]
    assert (solved["calls"], solved["status"]) == (4, "optimal")
    assert solved["lower_bound"] <= solved["value"] * (1 + 1e-9)
    assert set(read_table(tmp_path / "s", "timings")["kind"]) == {"gap", "solve"}


# ---- the runner


def test_nothing_is_computed_twice(tmp_path):
    plan, first, second = plan_of(tmp_path), Inline(), Inline()
    assert compute(plan, tmp_path / "s", first).done == RUNS + SEARCHES
    assert len(set(first.computed)) == len(first.computed) == len(plan.cells)
    assert compute(plan, tmp_path / "s", second).done == 0
    assert second.computed == []
    assert first.closed
    assert second.closed


def test_a_grid_that_grew_computes_what_is_new(tmp_path):
    compute(plan_of(tmp_path), tmp_path / "s")
    more = Inline()
    assert compute(plan_of(tmp_path, TINY.replace("hexagent", "hexagent, edf")), tmp_path / "s", more).done == 8
    assert set(read_table(tmp_path / "s", "runs")["policy"]) == {"fcfs", "hexagent", "edf"}


def test_schedules_asked_for_later_change_no_other_file(tmp_path):
    compute(plan_of(tmp_path), tmp_path / "s")
    before = contents(tmp_path / "s")
    plan = plan_of(tmp_path, TINY, schedules=True)
    assert compute(plan, tmp_path / "s").done == RUNS
    after = contents(tmp_path / "s")
    assert {name for name in after if name not in before} == {f"schedules/{c.key}.json.gz" for c in runs_of(plan)}
    assert {name: after[name] for name in before} == before


def faulty_plan(tmp_path: Path) -> Plan:
    (tmp_path / "faulty.py").write_text(FAULTY)
    return plan_of(tmp_path, TINY.replace("hexagent", "faulty") + "plugins: faulty.py")


def test_a_policy_that_raises_is_a_row_and_the_others_go_on(tmp_path):
    plan = faulty_plan(tmp_path)
    outcome = compute(plan, tmp_path / "s")
    assert (outcome.done, outcome.failed) == (RUNS // 2 + SEARCHES, RUNS // 2)
    errors = read_table(tmp_path / "s", "errors")
    assert len(errors) == RUNS // 2
    assert set(errors["error"]) == {"RuntimeError: no idea"}
    assert set(errors["attempts"]) == {1}
    assert errors["description"].str.startswith("faulty on demo, 5 ").all()
    assert set(read_table(tmp_path / "s", "runs")["policy"]) == {"fcfs"}


def test_failures_are_tried_again_on_request_only(tmp_path):
    plan = faulty_plan(tmp_path)
    compute(plan, tmp_path / "s")
    idle = Inline()
    outcome = compute(plan, tmp_path / "s", idle)
    assert (outcome.done, outcome.failed, outcome.skipped, idle.computed) == (0, 0, RUNS // 2, [])
    outcome = compute(plan, tmp_path / "s", retry_failed=True)
    assert (outcome.failed, outcome.skipped) == (RUNS // 2, 0)
    assert set(read_table(tmp_path / "s", "errors")["attempts"]) == {2}


def test_a_mended_plugin_has_other_keys(tmp_path):
    compute(faulty_plan(tmp_path), tmp_path / "s")
    from hexsched.policies import unregister

    unregister("faulty")
    mended = FAULTY.replace(FAULTY[FAULTY.index("raise Run") :].strip(), "return -call.prompt_tokens")
    assert "return" in mended
    (tmp_path / "faulty.py").write_text(mended)
    plan = plan_of(tmp_path, TINY.replace("hexagent", "faulty") + "plugins: faulty.py")
    assert compute(plan, tmp_path / "s").done == RUNS // 2
    assert set(read_table(tmp_path / "s", "runs")["policy"]) == {"fcfs", "faulty"}


def test_what_needs_a_failed_search_fails_with_it(tmp_path, monkeypatch):
    import experiments.load

    def broken(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    plan = plan_of(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(experiments.load, "find_stress", broken)
        outcome = compute(plan, tmp_path / "s")
    assert (outcome.done, outcome.failed) == (RUNS // 2, SEARCHES + RUNS // 2)
    errors = read_table(tmp_path / "s", "errors").set_index("kind")
    assert set(errors.loc["load", "error"]) == {"ZeroDivisionError: by zero"}
    assert set(errors.loc["simulate", "error"]) == {"its load search failed: ZeroDivisionError: by zero"}
    outcome = compute(plan, tmp_path / "s", retry_failed=True)
    assert (outcome.done, outcome.failed) == (SEARCHES + RUNS // 2, 0)
    assert read_table(tmp_path / "s", "errors").empty


class Deadly(Inline):
    """Loses every task with a cell of one policy; says over which cell it died, or does not know."""

    def __init__(self, policy: str, deaths: int, knows: bool) -> None:
        super().__init__()
        self.policy, self.deaths, self.knows = policy, deaths, knows

    def wait(self, seconds: float) -> list[Any]:
        task = self.tasks[0]
        culprits = [cell for cell in task.cells if getattr(cell, "policy", None) == self.policy]
        if not culprits or self.deaths == 0:
            return super().wait(seconds)
        self.tasks.pop()
        self.deaths -= 1
        known = culprits[0] if self.knows or len(task.cells) == 1 else None
        return [Loss(task.cells, known, task.rate, "the process died")]


@pytest.mark.parametrize("knows", [True, False])
def test_a_cell_whose_process_dies_twice_is_a_row_and_takes_no_other_with_it(tmp_path, knows):
    outcome = compute(plan_of(tmp_path), tmp_path / "s", Deadly("hexagent", 1_000, knows))
    assert (outcome.done, outcome.failed) == (RUNS // 2 + SEARCHES, RUNS // 2)
    errors = read_table(tmp_path / "s", "errors")
    assert set(errors["error"]) == {"the process died, 2 times"}
    assert set(errors["attempts"]) == {2}


@pytest.mark.parametrize("knows", [True, False])
def test_a_process_that_dies_once_costs_nothing(tmp_path, knows):
    compute(plan_of(tmp_path), tmp_path / "plain")
    outcome = compute(plan_of(tmp_path), tmp_path / "s", Deadly("hexagent", 1, knows))
    assert outcome.failed == 0
    assert contents(tmp_path / "s") == contents(tmp_path / "plain")


def test_estimates_rest_on_the_store(tmp_path):
    plan = plan_of(tmp_path)
    default, basis = estimate_seconds(plan.cells.values(), None, 1)
    assert basis == "stated defaults"
    assert default > 0
    compute(plan, tmp_path / "s")
    with Store.writing(tmp_path / "s") as store:
        timings = read_table(store.path, "timings").set_index("key")["wall_seconds"]
        seconds, basis = estimate_seconds(plan.cells.values(), store, 2)
    assert basis == BASIS_STORE
    assert seconds == pytest.approx((timings.sum() + 0.02 * len(plan.cells)) / 2)


# ---- the commands


@pytest.fixture
def cli(capsys):
    def run(*argv: object) -> tuple[int, Any, str]:
        capsys.readouterr()
        code = main([*map(str, argv), "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out else None, err

    return run


@pytest.fixture
def inline(monkeypatch):
    monkeypatch.setattr("experiments.grid.local.LocalBackend", lambda workers: Inline())


def test_list(cli):
    exit_code, record, _ = cli("grid", "list")
    assert exit_code == OK
    names = {grid["name"] for grid in record["grids"]}
    assert names >= {"smoke", "paper", "ablation", "estimates", "load", "scale", "formulations", "gap"}


def test_show_prints_the_file_of_a_grid(capsys):
    assert main(["grid", "show", "real"]) == OK
    assert capsys.readouterr().out == shipped_grid("real").read_text()
    assert main(["grid", "show", "reel"]) == BAD_INPUT
    assert "no grid 'reel' comes with hexsched; did you mean real?" in capsys.readouterr().err


def test_plan_run_status_export_prune(tmp_path, cli, inline):
    grid, store = write_grid(tmp_path), tmp_path / "s"
    exit_code, record, _ = cli("grid", "plan", grid, "--store", store)
    assert exit_code == OK
    assert (record["done"], record["to_do"], record["failed"]) == (0, RUNS + SEARCHES, 0)
    assert record["kinds"]["load"] == {"cells": SEARCHES, "done": 0, "to_do": SEARCHES, "failed": 0}
    assert record["estimated_seconds"] > 0
    exit_code, record, err = cli("grid", "run", grid, "--store", store)
    assert (exit_code, record["computed"], record["failed"]) == (OK, RUNS + SEARCHES, 0)
    assert f"{RUNS + SEARCHES} of {RUNS + SEARCHES} cells" in err
    exit_code, record, _ = cli("grid", "status", grid, "--store", store)
    assert (record["done"], record["other_versions"], record["errors"]) == (RUNS + SEARCHES, 0, [])
    exit_code, record, _ = cli("grid", "status", "--store", store)
    assert record["tables"]["runs"] == RUNS

    small = write_grid(tmp_path, TINY + "only: [{policy: fcfs, load: 'rate:1'}]", "small.yaml")
    out = tmp_path / "runs.csv"
    exit_code, record, _ = cli("grid", "export", small, "--store", store, "-o", out)
    rows = pd.read_csv(out)
    assert (exit_code, record["rows"], len(rows)) == (OK, 4, 4)
    assert rows["workload"].tolist() == ["react", "react", "bfcl", "bfcl"]  # as in the grid, not by key
    stored = read_table(store, "runs").set_index("key")
    assert rows["req99"].tolist() == stored.loc[rows["key"], "req99"].tolist()
    exit_code, record, _ = cli("grid", "export", small, "--store", store, "-o", out, "--table", "workflows")
    assert record["rows"] == 20

    exit_code, record, err = cli("grid", "prune", small, "--store", store)
    assert (exit_code, record["cells"], record["removed"]) == (OK, RUNS - 4 + SEARCHES, False)
    assert len(read_table(store, "runs")) == RUNS
    exit_code, record, _ = cli("grid", "prune", small, "--store", store, "--yes")
    assert record["removed"]
    assert len(read_table(store, "runs")) == 4
    assert cli("grid", "prune", small, "--store", store)[1]["cells"] == 0


def test_what_was_damaged_is_told_and_computed_again(tmp_path, cli, inline):
    text = "clusters: demo\nworkloads: react\nworkflows: 3\nloads: at-once\npolicies: [fcfs, atlas]\n"
    grid, store = write_grid(tmp_path, text), tmp_path / "s"
    assert cli("grid", "run", grid, "--store", store)[0] == OK
    before = contents(store)
    path = next((store / "workflows").glob("*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(bytes(data))
    _, record, err = cli("grid", "status", grid, "--store", store)
    assert (record["to_do"], record["damaged"]) == (1, [path.stem])
    assert "1 cells have a file that was changed or damaged" in err
    exit_code, record, _ = cli("grid", "run", grid, "--store", store)
    assert (exit_code, record["computed"]) == (OK, 1)
    assert contents(store) == before


@pytest.mark.parametrize("what", [".", "runs"])
def test_a_store_that_vanishes_meanwhile_is_told(tmp_path, monkeypatch, what):
    plan = plan_of(tmp_path, TINY)
    write = Store.write
    written = []

    def vanish(store: Store, cells: Sequence[CellFiles]) -> None:
        write(store, cells)
        written.append(cells)
        if len(written) == 2:
            shutil.rmtree(tmp_path / "s" / what)

    monkeypatch.setattr(Store, "write", vanish)
    with (
        Store.writing(tmp_path / "s") as store,
        pytest.raises(InputError, match=r"was removed or replaced|finished cells are not in the store any more"),
    ):
        run_plan(plan, store, Inline())


def test_cells_of_other_code_are_counted_and_pruned(tmp_path, cli, inline, monkeypatch):
    text = "clusters: demo\nworkloads: react\nworkflows: 3\nloads: at-once\npolicies: fcfs\n"
    grid, store = write_grid(tmp_path, text), tmp_path / "s"
    with monkeypatch.context() as patch:
        for module in ("code", "cell", "work"):
            patch.setattr(f"experiments.grid.{module}.code_version", lambda kind: "0ld")
        assert cli("grid", "run", grid, "--store", store)[0] == OK
    exit_code, record, err = cli("grid", "run", grid, "--store", store)
    assert (exit_code, record["computed"]) == (OK, 1)
    assert "1 cells here are of another version of the code" in err
    assert cli("grid", "status", "--store", store)[1]["other_versions"] == 1
    assert len(read_table(store, "runs")) == 1
    exit_code, record, _ = cli("grid", "prune", "--store", store, "--yes")
    assert record["cells"] == 1
    assert record["keys"][0].startswith("0ld-")
    assert cli("grid", "status", grid, "--store", store)[1]["done"] == 1


def test_failures_end_with_exit_code_1(tmp_path, cli, inline):
    faulty_plan(tmp_path)
    grid, store = tmp_path / "tiny.yaml", tmp_path / "s"
    exit_code, record, err = cli("grid", "run", grid, "--store", store, "--allow-plugins")
    assert (exit_code, record["failed"]) == (CHECK_FAILED, RUNS // 2)
    assert "failed: RuntimeError: no idea" in err
    assert "check failed: not every cell is done" in err
    exit_code, record, _ = cli("grid", "status", grid, "--store", store)
    assert record["failed"] == len(record["errors"]) == RUNS // 2
    exit_code, record, _ = cli("grid", "run", grid, "--store", store, "--allow-plugins")
    assert (exit_code, record["computed"], record["failed_before"]) == (CHECK_FAILED, 0, RUNS // 2)


def test_a_schedule_that_breaks_a_rule_is_stored_and_told(tmp_path, cli, inline, monkeypatch):
    import hexsched.verifier

    def verdict(instance: Any, schedule: Any) -> Any:
        late = [*schedule.calls]
        late[0] = type(late[0])(**{f: getattr(late[0], f) for f in late[0].__struct_fields__} | {"prefill_start": -1.0})
        return verify(instance, type(schedule)(format=schedule.format, policy="x", calls=tuple(late)))

    monkeypatch.setattr(hexsched.verifier, "verify", verdict)
    text = "clusters: demo\nworkloads: react\nworkflows: 3\nloads: at-once\npolicies: fcfs\n"
    exit_code, record, _ = cli("grid", "run", write_grid(tmp_path, text), "--store", tmp_path / "s")
    assert exit_code == CHECK_FAILED
    assert record["faults"][0]["fault"].startswith("the schedule breaks")
    assert not read_table(tmp_path / "s", "runs")["verified"].any()


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["plan", "papr"], "unknown grid 'papr'; did you mean paper?"),
        (["run", "GRID", "--only", "x"], "no grid 'x' in this file"),
        (["run", "GRID", "--store", "GRID"], "this is no store"),
        (["run", "GRID", "--store", "/proc/s"], "cannot write to the store"),
        (["run", "GRID", "--workers", "0"], "--workers"),
        (["run", "GRID", "--store", "NEW", "--dask", "tcp://127.0.0.1:1"], "cannot reach a Dask scheduler"),
        (["status", "--store", "NEW"], "there is no such store"),
        (["export", "GRID", "--store", "EMPTY", "-o", "x.csv"], "no cell of this grid has rows in table runs"),
        (["export", "GRID", "--store", "EMPTY", "-o", "x.csv", "--table", "run"], "a store has no table 'run'"),
        (["prune", "--store", "NEW", "--yes"], "this is no store"),
    ],
)
def test_bad_input_is_a_line(tmp_path, cli, inline, monkeypatch, argv, told):
    if "--dask" in argv:
        pytest.importorskip("distributed")
        monkeypatch.setattr("experiments.grid.dask.CONNECT_SECONDS", 1)
    grid = write_grid(tmp_path)
    with Store.writing(tmp_path / "empty"):
        pass
    places = {"GRID": grid, "NEW": tmp_path / "new", "EMPTY": tmp_path / "empty"}
    exit_code, _, err = cli("grid", *(places.get(word, word) for word in argv))
    assert exit_code == BAD_INPUT
    assert told in err
    assert err.count("\n") == 1


def test_dask_is_optional(tmp_path, cli, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    exit_code, _, err = cli("grid", "run", write_grid(tmp_path), "--store", tmp_path / "s", "--dask", "x")
    assert exit_code == BAD_INPUT
    assert "pip install 'hexsched[dask]'" in err


# ---- calls that are too large

LARGE = "clusters: demo\nworkloads: large.jsonl\nworkflows: 4\nloads: [recorded, 'saturation:0.5']\npolicies: fcfs\n"


def test_workflows_that_do_not_fit(tmp_path: Path) -> None:
    """An error that counts them; with a setting they are left out, and a column says how many."""
    calls = [Call(call_id="c", prompt_tokens=n, output_tokens=10) for n in (100, 2_000_000, 5_000, 10)]
    workflows = [Workflow(workflow_id=f"w{k}", arrival=0.0, calls=(call,)) for k, call in enumerate(calls)]
    (tmp_path / "large.jsonl").write_bytes(workload_bytes(workflows))
    refused = compute(plan_of(tmp_path, LARGE), tmp_path / "refused")
    assert refused.failed == 3  # the search for the load among them
    told = read_table(tmp_path / "refused", "errors")["error"].iloc[0]
    assert "1 of 4 workflows do not fit any KV cache: a call may have 885,228 tokens" in told
    assert told.endswith("'leave_out_oversize: true' in the grid leaves such workflows out")

    for setting, left in (("leave_out_oversize: true", 1), ("max_context: 1000", 2)):
        store = tmp_path / setting[:3]
        assert not compute(plan_of(tmp_path, LARGE + setting), store).failed
        runs = read_table(store, "runs")
        assert set(zip(runs["workflows"], runs["left_out"], runs["calls"], strict=True)) == {(4, left, 4 - left)}


# ---- thresholds


def test_shares_within_thresholds_are_columns(tmp_path: Path) -> None:
    text = TINY.replace('["rate:1", "stress:1.5"]', "rate:1").replace("seeds: 2", "seeds: 1")
    slo = "slo: ratio=1.5,ttft=0.03s"
    plan = plan_of(tmp_path, text + slo)
    assert {cell.inputs["slo"] for cell in plan.cells.values()} == {"ttft=30ms,ratio=1.5"}
    assert not plan.cells.keys() & plan_of(tmp_path, text).cells.keys()
    assert not compute(plan, tmp_path / "s").failed
    runs = read_table(tmp_path / "s", "runs")
    assert set(runs["slo"]) == {"ttft=30ms,ratio=1.5"}
    for row in runs.to_dict("records"):
        run = simulate(at_rate(read_cluster("demo"), generate(row["workload"], 5, 0), 1.0), row["policy"])
        assert {name: row[name] for name in run.goodput("ttft=30ms")} == run.goodput("ttft=30ms,ratio=1.5")
    with pytest.raises(InputError, match=r"tiny.yaml:6: slo: expected thresholds such as ttft=2s.*, got ttft=2"):
        plan_of(tmp_path, text.replace("seeds: 1", "slo: ttft=2"))
    compute(plan_of(tmp_path, text), tmp_path / "without")
    assert read_table(tmp_path / "without", "runs")["calls_within"].isna().all()


@pytest.mark.parametrize("table", ["runs", "workflows", "provenance", "timings"])
def test_a_file_that_was_removed_is_computed_again(tmp_path, table):
    plan = plan_of(tmp_path, TINY.replace("seeds: 2", "seeds: 1"))
    with Store.writing(tmp_path / "s") as store:
        run_plan(plan, store, Inline())
    before = contents(tmp_path / "s")
    key = next(key for key, cell in plan.cells.items() if cell.kind.name == "simulate")
    (tmp_path / "s" / table / f"{key}.parquet").unlink()
    with Store.writing(tmp_path / "s") as store:
        assert plan.progress(store).to_do == {key}
        assert run_plan(plan, store, Inline()).done == 1
    assert contents(tmp_path / "s") == before
