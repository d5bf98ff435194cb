"""Export to solvers of others: what is written is the instance, whoever reads it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extension import extended, recipe
from ortools.sat.python import cp_model

from experiments.cli import BAD_INPUT, OK, main
from experiments.exports import EXPORTS
from experiments.exports.minizinc import MODEL
from experiments.exports.parts.export import Request
from experiments.exports.parts.flat import FlatInstance, flatten
from experiments.library.archive import read_archive
from experiments.library.improve import is_closed
from experiments.library.names import instance
from hexsched.errors import InputError
from hexsched.model import write_instance
from hexsched.simulator import simulate
from solvers.exact import FORMULATIONS
from solvers.problem.objective import read_objective

SMALL = "unary-chain-4-0"
UNITS = 1_000_000  # of a ratio in the model of this test
WEIGHT = 10**12  # what is shared out among ideal times
KNOWN = read_archive()


def request(name: str, objective: str = "max_ratio", **more: Any) -> Request:
    return Request(name, instance(name), read_objective(objective), **more)


def flat_json(name: str, objective: str) -> dict[str, Any]:
    return json.loads(EXPORTS["json-flat"].write(request(name, objective))[f"{name}.flat.json"])


def solve_flat(flat: dict[str, Any]) -> tuple[float, dict[str, list[int]]]:
    """The optimum of a flat instance and a solution, by a model written from docs/formats.md alone."""
    m = cp_model.CpModel()
    tasks, jobs, end = range(flat["tasks"]), range(flat["jobs"]), flat["horizon"]
    first, second = range(flat["stage1_machines"]), range(flat["stage2_machines"])
    s, S, E = ([m.new_int_var(0, end, f"{x}{t}") for t in tasks] for x in "sSE")
    on1 = [[m.new_bool_var(f"a{t}_{i}") for i in first] for t in tasks]
    on2 = [[m.new_bool_var(f"b{t}_{j}") for j in second] for t in tasks]
    stage1: list[list[Any]] = [[] for _ in first]
    stage2: list[list[tuple[Any, int]]] = [[] for _ in second]
    for t in tasks:
        m.add_exactly_one(on1[t])
        m.add_exactly_one(on2[t])
        m.add(s[t] >= flat["job_release"][flat["task_job"][t]] + flat["task_lag"][t])
        for p in flat["task_predecessors"][t]:
            m.add(s[t] >= E[p] + flat["task_lag"][t])
        for i in first:
            length = flat["stage1_ticks"][t][i]
            m.add(S[t] >= s[t] + length).only_enforce_if(on1[t][i])
            stage1[i].append(m.new_optional_fixed_size_interval_var(s[t], length, on1[t][i], f"p{t}_{i}"))
            for j in second:
                length = flat["stage2_ticks"][t][i][j]
                if length < 0:
                    m.add_bool_or(on1[t][i].negated(), on2[t][j].negated())
                else:
                    m.add(E[t] == S[t] + length).only_enforce_if(on1[t][i], on2[t][j])
        for j in second:
            length = m.new_int_var(0, end, f"l{t}_{j}")
            stay = m.new_optional_interval_var(S[t], length, E[t], on2[t][j], f"d{t}_{j}")
            stage2[j].append((stay, flat["task_memory"][t]))
    for i in first:
        m.add_no_overlap(stage1[i])
    for j in second:
        stays, memory = zip(*stage2[j], strict=True)
        m.add_cumulative(stays, memory, flat["stage2_memory"][j])
        m.add_cumulative(stays, [1] * len(stays), flat["stage2_slots"][j])
    late = [m.new_bool_var(f"late{j}") for j in jobs]
    latency = [m.new_int_var(0, end, f"latency{j}") for j in jobs]
    for t in tasks:
        j = flat["task_job"][t]
        m.add(latency[j] >= E[t] - flat["job_release"][j])
        if flat["objective"] == "misses":
            m.add(E[t] <= flat["job_due"][j]).only_enforce_if(late[j].negated())
    kind = flat["objective"]
    if kind in ("max_ratio", "req"):
        value = m.new_int_var(0, 100 * UNITS, "value")
        m.add(sum(late) <= flat["jobs_left_out"])
        for j in jobs:
            m.add(value * flat["job_ideal"][j] >= latency[j] * UNITS).only_enforce_if(late[j].negated())
        m.minimize(value)
        unit = UNITS
    elif kind == "misses":
        m.minimize(sum(late))
        unit = 1
    else:
        weights = [WEIGHT // flat["job_ideal"][j] if kind == "mean_ratio" else 1 for j in jobs]
        m.minimize(sum(w * x for w, x in zip(weights, latency, strict=True)))
        unit = flat["jobs"] * (WEIGHT if kind == "mean_ratio" else 1 / flat["tick_seconds"])
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_time_in_seconds = 60.0
    assert solver.solve(m) == cp_model.OPTIMAL
    solution = {
        "stage1_machine": [[solver.boolean_value(x) for x in on1[t]].index(True) for t in tasks],
        "stage1_start": [solver.value(x) for x in s],
        "stage2_machine": [[solver.boolean_value(x) for x in on2[t]].index(True) for t in tasks],
        "stage2_start": [solver.value(x) for x in S],
    }
    return solver.objective_value / unit, solution


PROVEN = [
    *((SMALL, objective) for objective in ("max_ratio", "req(0.75)", "mean_ratio", "mean_latency", "misses(1.5)")),
    ("contended-dag-8-0", "max_ratio"),
    ("kv-tight-dag-8-0", "mean_ratio"),
    ("loose-chain-12-0", "max_ratio"),
    ("unary-dag-8-0", "req(0.75)"),
]


@pytest.mark.parametrize(("name", "objective"), PROVEN)
def test_whoever_solves_the_flat_instance_finds_the_archived_optimum(name, objective):
    known = KNOWN[name, objective]
    assert is_closed(known)
    value, _ = solve_flat(flat_json(name, objective))
    assert value == pytest.approx(known.upper_bound, rel=1e-4)
    assert value <= known.upper_bound * (1 + 1e-5)


def on_time(flat: FlatInstance, schedule: Any) -> tuple[Any, ...]:
    """Machines and rounded times of a schedule, by task."""
    rows = {(row.workflow_id, row.call_id): row for row in schedule.calls}
    tasks = [rows[flat.job_name[j], name] for j, name in zip(flat.task_job, flat.task_name, strict=True)]
    floors = [
        [int(np.floor(getattr(row, field) / flat.tick_seconds * (1 + 1e-12))) for row in tasks]
        for field in ("prefill_start", "admitted", "decode_end")
    ]
    first = [flat.stage1_name.index(row.prefill_instance) for row in tasks]
    second = [flat.stage2_name.index(row.decode_instance) for row in tasks]
    return (first, second, *floors)


@pytest.mark.parametrize("name", ["kv-tight-dag-31-0", "contended-chain-25-3", "burst-star-full-mixed-28-0"])
@pytest.mark.parametrize("tick", [None, 0.01])
def test_rounded_times_of_any_schedule_are_a_solution_that_is_no_worse(name, tick):
    problem = instance(name)
    flat = flatten(request(name), tick)
    for policy in ("hexagent", "fcfs@round-robin"):
        run = simulate(problem, policy)
        first, second, start, admitted, over = on_time(flat, run.schedule)
        tasks = range(flat.tasks)
        for t in tasks:
            ready = [flat.job_release[flat.task_job[t]], *(over[p] for p in flat.task_predecessors[t])]
            assert start[t] >= max(ready) + flat.task_lag[t]
            assert admitted[t] >= start[t] + flat.stage1_ticks[t][first[t]]
            assert 0 <= flat.stage2_ticks[t][first[t]][second[t]] <= over[t] - admitted[t]
        for t in tasks:
            ahead = [u for u in tasks if u != t and first[u] == first[t] and start[u] <= start[t]]
            assert all(start[u] + flat.stage1_ticks[u][first[u]] <= start[t] for u in ahead if start[u] < start[t])
            there = [u for u in tasks if second[u] == second[t] and admitted[u] <= admitted[t]]
            there = [u for u in there if admitted[u] + flat.stage2_ticks[u][first[u]][second[u]] > admitted[t]]
            assert len(there) <= flat.stage2_slots[second[t]]
            assert sum(flat.task_memory[u] for u in there) <= flat.stage2_memory[second[t]]
        latency = [max(over[t] for t in tasks if flat.task_job[t] == j) - flat.job_release[j] for j in range(flat.jobs)]
        ratio = np.array(latency) / np.array(flat.job_ideal)
        assert np.all(ratio <= run.ratio * (1 + 1e-12))


def test_the_example_of_the_documentation_is_what_is_written():
    page = (Path(__file__).parents[1] / "docs" / "formats.md").read_text()
    examples = re.findall(r"```json\n(\{\n  \"format\": \"hexsched-flat/1\".*?)```", page, re.DOTALL)
    known = KNOWN[SMALL, "max_ratio"]
    asked = request(SMALL, known=(known.lower_bound, known.upper_bound))
    assert [text.encode() for text in examples] == list(EXPORTS["json-flat"].write(asked).values())


def optimum_by_highs(data: bytes, path: Path) -> float:
    """Of a model file, by nothing but HiGHS."""
    import highspy

    path.write_bytes(data)
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("presolve", "off")  # as solvers.exact.milp.highs, which says why
    assert highs.readModel(str(path)) == highspy.HighsStatus.kOk
    highs.run()
    assert highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(highs.getInfo().objective_function_value)


MILPS = [(f, name) for f in ("lp", "mps") for name in EXPORTS[f].formulations()]


@pytest.mark.parametrize(("format", "formulation"), MILPS)
def test_a_milp_that_is_read_back_has_the_archived_optimum(format, formulation, tmp_path):
    known = KNOWN[SMALL, "mean_ratio"]
    ((name, data),) = EXPORTS[format].write(request(SMALL, "mean_ratio", formulation=formulation)).items()
    value = optimum_by_highs(data, tmp_path / name)
    if FORMULATIONS[formulation].relaxes:
        assert 1 - 1e-6 <= value <= known.upper_bound * (1 + 1e-6)
    else:
        assert value == pytest.approx(known.upper_bound, rel=1e-5)
    assert b"best schedule" in data or b"no schedule is below it" in data


@pytest.mark.parametrize("objective", ["max_ratio", "req(0.75)", "mean_latency", "misses(1.5)"])
def test_a_milp_has_every_objective(objective, tmp_path):
    data = EXPORTS["mps"].write(request(SMALL, objective))[f"{SMALL}.mps"]
    assert optimum_by_highs(data, tmp_path / "model.mps") == pytest.approx(
        KNOWN[SMALL, objective].upper_bound, rel=1e-5
    )


def test_the_model_of_cpsat_is_read_back_as_text():
    data = EXPORTS["cpsat"].write(request("contended-dag-6-0"))["contended-dag-6-0.pbtxt"]
    model = cp_model.CpModel()
    assert model.proto.parse_text_format(data.decode())
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.presolve_inclusion_work_limit = 0  # as solvers.exact.cp.run, which says why
    assert solver.solve(model) == cp_model.OPTIMAL
    known = KNOWN["contended-dag-6-0", "max_ratio"]
    assert solver.objective_value / 1e5 == pytest.approx(known.upper_bound, rel=1e-4)


def test_a_formulation_that_writes_models_can_end_there(tmp_path):
    """Each that names an ending in the registry, so that new ones come along."""
    from solvers.problem.bracket import Bracket
    from solvers.problem.offline import fixed_problem
    from solvers.problem.result import Options

    writing = {name: one for name, one in FORMULATIONS.items() if one.model_formats and one.exact}
    assert len(writing) >= 4
    for name, one in writing.items():
        bracket, path = Bracket(read_objective("mean_ratio")), tmp_path / f"{name}{one.model_formats[0]}"
        one.solve(fixed_problem(instance(SMALL)), bracket, Options(write_model=path, only_write=True, workers=1))
        assert path.stat().st_size > 0
        assert bracket.source in ("", "list-schedule")  # nothing was solved


def declared(model: str) -> set[str]:
    """Parameters of a MiniZinc model: declared without ``var`` and without a value."""
    plain = re.sub(r"%.*", "", model)
    found = re.findall(
        r"^\s*(?:array\[[^\]]*\] of )?(?:int|float|string|JOBS|set of TASKS): (\w+)$", plain, re.MULTILINE
    )
    return set(found)


def test_minizinc_data_is_the_flat_instance_and_all_that_the_model_asks_for():
    files = EXPORTS["minizinc"].write(request("kv-tight-dag-8-0", "misses(1.5)", tick=1e-4))
    text = files["kv-tight-dag-8-0.dzn"].decode()
    flat = flatten(request("kv-tight-dag-8-0", "misses(1.5)"), 1e-4)
    data = dict(line.split(" = ", 1) for line in text.replace(";\n", "\n").splitlines())
    assert files[MODEL.name] == MODEL.read_bytes()
    statements = MODEL.read_text().replace("; ", ";\n").replace(";", "")
    assert declared(statements) == set(data)
    numbers = [int(n) for n in re.findall(r"-?\d+", data["stage2_ticks"].split("[", 1)[1])]
    assert numbers == [x for task in flat.stage2_ticks for row in task for x in row]
    assert data["stage2_ticks"].startswith(f"array3d(0..7, 0..{flat.stage1_machines - 1}, 0..")
    assert data["task_predecessors"].count("{") == flat.tasks
    assert json.loads(data["job_due"].split(", ", 1)[1].rstrip(")")) == flat.job_due
    asked = flatten(request("kv-tight-dag-60-0"), None).horizon
    default = EXPORTS["minizinc"].write(request("kv-tight-dag-60-0"))["kv-tight-dag-60-0.dzn"].decode()
    coarser = int(re.search(r"^horizon = (\d+);", default, re.MULTILINE)[1])
    assert coarser < asked
    assert coarser * 1000 < 2**31


@pytest.mark.skipif(shutil.which("minizinc") is None, reason="MiniZinc is not installed")
def test_minizinc_solves_it(tmp_path):
    assert main(["library", "export", SMALL, "--format", "minizinc", "--tick", "0.001", "-o", str(tmp_path)]) == OK
    command = ["minizinc", "--solver", "gecode", "--soln-sep", "", "--search-complete-msg", ""]
    done = subprocess.run(
        [*command, str(tmp_path / MODEL.name), str(tmp_path / f"{SMALL}.dzn")], capture_output=True, check=True
    )
    assert json.loads(done.stdout)["name"] == SMALL


def test_instances_of_ones_own_are_exported(tmp_path, capsys):
    write_instance(tmp_path / "mine.json", instance(SMALL))
    out = tmp_path / "flat"
    asked = ["library", "export", str(tmp_path / "mine.json"), "contended-dag-6-0", "--format", "json-flat"]
    assert main([*asked, "-o", str(out), "--json"]) == OK
    assert set(json.loads(capsys.readouterr().out)["instances"]) == {"mine", "contended-dag-6-0"}
    mine, theirs = (json.loads((out / f"{n}.flat.json").read_text()) for n in ("mine", "contended-dag-6-0"))
    assert mine["best_upper"] is None
    assert theirs["best_upper"] == KNOWN["contended-dag-6-0", "max_ratio"].upper_bound
    assert mine | {"name": SMALL} == flat_json(SMALL, "max_ratio")


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([SMALL, "--format", "sat"], "unknown export format 'sat'"),
        ([SMALL, "--format", "lp", "--formulation", "cpsat"], "does not write the model of 'cpsat'; those are milp_"),
        ([SMALL, "--format", "json-flat", "--formulation", "cpsat"], "it writes the problem itself"),
        ([SMALL, "--format", "lp", "--tick", "1"], "no ticks to choose"),
        ([SMALL, "--format", "json-flat", "--tick", "0"], "a tick must be above 0"),
        ([SMALL, "--format", "json-flat", "--tick", "1e-30"], "a tick must be above 0"),
        (["none-4-0", "--format", "lp"], "no instance of the library"),
        (["fluid.json", "--format", "json-flat"], "fluid.json: the exact formulations need decode_model 'fixed'"),
        (["other/mine.json", "mine.json", "--format", "json-flat"], "a second instance called 'mine'"),
    ],
)
def test_bad_input_is_one_line(argv, why, tmp_path, monkeypatch, capsys):
    from msgspec import structs

    monkeypatch.chdir(tmp_path)
    Path("other").mkdir()
    for path in ("mine.json", "other/mine.json"):
        write_instance(path, instance(SMALL))
    write_instance("fluid.json", structs.replace(instance(SMALL), decode_model="fluid"))
    assert main(["library", "export", *argv, "-o", "out"]) == BAD_INPUT
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1


def test_a_format_of_ones_own_is_a_file(tmp_path):
    with extended(EXPORTS, tmp_path, recipe("A format of export")):
        out = tmp_path / "out"
        assert main(["library", "export", SMALL, "--format", "lengths", "-o", str(out)]) == OK
        assert len((out / f"{SMALL}.txt").read_text().splitlines()) == 4
    assert "lengths" not in EXPORTS


def test_an_objective_that_a_formulation_cannot_minimise_is_told(monkeypatch):
    from dataclasses import replace

    one = replace(FORMULATIONS["milp_event"], objectives=("mean_ratio",))
    monkeypatch.setattr(type(FORMULATIONS), "find", lambda self, name: one)
    with pytest.raises(InputError, match="cannot minimise max_ratio"):
        EXPORTS["lp"].write(request(SMALL, formulation="milp_event"))
