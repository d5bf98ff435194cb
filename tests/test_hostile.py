"""Input that is out to break things: numbers at the ends of doubles, names that no file can have, deep nesting."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import tiny_flow_shop

import experiments
import hexsched as hx
from experiments.cli import BAD_INPUT, main
from experiments.formulations.rows import FORMULATIONS_CSV, Row, read_rows
from experiments.grid.axes import canonical_estimator
from experiments.grid.loads import read_load
from experiments.grid.plan import make_plan
from experiments.grid.spec import read_grid
from experiments.library.archive import read_archive
from experiments.store import Store, read_schedule_of
from hexsched.clusters import compile_instance, read_cluster
from hexsched.clusters.yaml_lines import MAX_DEPTH, read_yaml
from hexsched.errors import InputError
from hexsched.metrics.parts.thresholds import read_thresholds
from hexsched.model import Instance, read_instance
from hexsched.model.digits import written
from hexsched.model.json_keys import check_keys
from hexsched.model.schedule import read_schedule
from hexsched.model.workload import read_workload
from hexsched.policies import policies, read_policy
from hexsched.policies.estimators import read_estimator
from hexsched.policies.lists import read_policies
from hexsched.printable import cell, csv_bytes
from hexsched.profiles.table import read_table
from hexsched.simulator import simulate
from hexsched.verifier import verify
from hexsched.workloads.arrivals import read_arrivals
from hexsched.workloads.importers import IMPORTERS, read_trace
from hexsched.workloads.importers.parts import trace
from solvers.brackets.solve import solve_with
from solvers.problem.objective import read_objective
from solvers.problem.result import Options

pytestmark = pytest.mark.quick

GRID = "clusters: demo\nworkloads: bfcl\nworkflows: 2\nloads: at-once\npolicies: fcfs\n"

# ---- numbers


def an_instance(calls: int = 3) -> dict[str, Any]:
    """Two and two machines, two workflows; plain data, to be bent."""
    return {
        "format": "hexsched-instance/1",
        "decode_model": "fluid",
        "kv_bytes_per_token": 1000,
        "prefill": [{"id": f"p{k}", "gpu": "X", "prefill_coeffs": [0.01, 1e-5, 1e-9]} for k in range(2)],
        "decode": [
            {
                "id": f"d{k}",
                "gpu": "X",
                "decode_coeffs": [0.01, 1e-4, 1e-8],
                "fixed_iteration_time": 0.02,
                "kv_capacity_tokens": 300,
                "max_batch": 2,
                "batch_curve": [[1, 0.01], [2, 0.02]],
            }
            for k in range(2)
        ],
        "links": [
            {"from": f"p{i}", "to": f"d{j}", "latency": 0.001, "bandwidth": 1e9} for i in range(2) for j in range(2)
        ],
        "workflows": [
            {
                "workflow_id": f"w{k}",
                "arrival": float(k),
                "calls": [
                    {
                        "call_id": f"c{c}",
                        "prompt_tokens": 50,
                        "output_tokens": 20,
                        "cached_tokens": 5,
                        "parents": [f"c{c - 1}"] if c else [],
                        "delay": 0.1,
                    }
                    for c in range(calls)
                ],
            }
            for k in range(2)
        ],
    }


NUMBERS = (
    *(0, 5e-324, 1e-300, 1e-20, 1e-12, 1e-9, 1e-3, 1, 7, 1e3, 1e6, 1e9, 1e12, 1e15, 1e16, 1e18, 1e100, 1e308),
    *(-1, -1e308, 2**31, 2**53, 2**62, 2**63, 2**64, 10**30, 10**400),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every number in plain data."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in places(item, (*path, key))]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in places(item, (*path, index))]
    return [] if isinstance(value, str) else [path]


PLACES = places(an_instance())


def bent(changes: list[tuple[tuple[Any, ...], Any]], decode_model: str) -> bytes:
    data = an_instance()
    data["decode_model"] = decode_model
    for path, number in changes:
        inside = data
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = number
    return json.dumps(data).encode()


@settings(max_examples=150, deadline=None)
@given(
    changes=st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(NUMBERS)), min_size=1, max_size=4),
    decode_model=st.sampled_from(("fluid", "fixed")),
    policy=st.sampled_from([policy.name for policy in policies()]),
)
def test_numbers_at_the_ends_are_refused_or_run_to_a_valid_schedule(changes, decode_model, policy):
    refusal = ""
    try:
        instance = Instance.from_bytes(bent(changes, decode_model))
        run = simulate(instance, policy)
    except InputError as error:
        refusal = str(error)
    assert "unserved" not in refusal  # the policy is not to blame
    if refusal:
        return
    report = verify(instance, run.schedule)
    assert report.ok, report
    assert (run.ratio >= 1 - 1e-6).all()


@pytest.mark.parametrize(
    ("path", "number", "told"),
    [
        (("decode", 0, "fixed_iteration_time"), 1e17, "'d0' (fixed_iteration_time) may take 2e+18 s"),
        (("decode", 0, "decode_coeffs", 0), 1e308, "decode_coeffs d0 must be at most 1e+18"),
        (("links", 0, "bandwidth"), 5e-324, "from 'p0' to 'd0' (latency, bandwidth) may take inf s"),
        (("links", 3, "latency"), 1e308, "latency must be at most 1e+18"),
        (("prefill", 1, "prefill_coeffs", 2), 1e17, "a prefill of 50 tokens on 'p1' (prefill_coeffs) may take 2.5e+20"),
        (("prefill", 0, "prefill_coeffs"), [1e-300, 0, 0], "a prefill of one token on 'p0' (prefill_coeffs) takes"),
        (("decode", 1, "batch_curve"), [[1, 1], [2**64, 2]], "must end at batch 1000000 or before"),
        (("decode", 1, "batch_curve"), [[1, 1], [2, 10**30]], "batch_curve seconds must be at most 1e+18"),
        (("kv_bytes_per_token",), 10**400, "number"),
        (("workflows", 0, "arrival"), 1e16, "too coarse"),
        (("workflows", 0, "calls", 1, "delay"), 1e13, "delay of call 'c1' of workflow 'w0' must be at most 1e+12 s"),
    ],
)
def test_a_number_too_large_is_told_with_its_place(tmp_path, path, number, told):
    (tmp_path / "i.json").write_bytes(bent([(path, number)], "fluid"))
    with pytest.raises(InputError) as caught:
        simulate(read_instance(tmp_path / "i.json"), "fcfs")
    assert told in str(caught.value)
    assert str(caught.value).count("\n") == 0
    assert len(str(caught.value)) < 1000


def test_a_number_of_more_digits_than_python_prints():
    data = bent([], "fluid").replace(b'"kv_bytes_per_token": 1000', b'"kv_bytes_per_token": 1' + b"0" * 5000)
    with pytest.raises(InputError) as caught:
        Instance.from_bytes(data)
    assert len(str(caught.value)) < 1000


def test_scales_and_numbers_of_threads_have_limits(tmp_path, capsys):
    """Beyond them, due dates in ticks and the solvers' own whole numbers overflow."""
    instance = tiny_flow_shop(3)
    for text in ("misses(1e15)", "misses(1e308)", "misses(1.0000001e9)"):
        with pytest.raises(InputError, match="at most 1e"):
            read_objective(text)
    for formulation in ("cpsat", "milp_disjunctive"):
        found = solve_with(instance, formulation, "misses(1e9)", options=Options(time_limit=5.0, isolate=False))
        assert (found.status, found.objective) == ("optimal", 0)
    for option in ("--workers", "--seed"):
        for command in ("solve", "gap", "compare-formulations"):
            assert main([command, "i.json", option, "9" * 400]) == BAD_INPUT
            assert option in capsys.readouterr().err


# ---- every digit that was written


@settings(max_examples=200, deadline=None)
@given(value=st.floats(min_value=1e-300, max_value=1e9))
def test_what_names_a_number_reads_back_as_the_same(value):
    assert float(written(value)) == value
    objective = read_objective(f"misses({value!r})")
    assert read_objective(str(objective)) == objective
    assert objective.parameter == value
    if value <= 1:
        assert read_objective(str(read_objective(f"req({value!r})"))).parameter == value
    if value <= 10:
        assert float(canonical_estimator(f"noise({value!r})")[6:-1]) == value
    if 1 < value <= 1e6:
        assert read_load(str(read_load(f"stress:{value!r}"))).value == value
    thresholds = read_thresholds(f"ttft={value!r}s,ratio={value!r}")
    assert read_thresholds(str(thresholds)) == thresholds


def test_objectives_of_a_grid_keep_their_digits(tmp_path):
    text = GRID + "kind: gap\nobjectives: [misses(1.2345678), misses(1.2345679), req(0.9999999), req(0.95)]\n"
    (tmp_path / "g.yaml").write_text(text)
    plan = make_plan(read_grid(str(tmp_path / "g.yaml")))
    found = [cell.inputs["objective"] for cell in plan.cells.values()]
    assert found == ["misses(1.2345678)", "misses(1.2345679)", "req(0.9999999)", "req(0.95)"]


# ---- YAML


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('a: "x\\0y"', "1: text must not have the character U+0000"),
        ('a: 1\n"b\\ud800": 2', r"f.yaml:2: "),
        ('a: ["\\u001b[31m"]', "1: text must not have the character U+001B"),
        ("a: " + "[" * 3000, f"1: nested more than {MAX_DEPTH} deep"),
        ("a: " + '{"b": [' * 3000, f"1: nested more than {MAX_DEPTH} deep"),
        ("\n".join(" " * k + "a:" for k in range(100)), f"nested more than {MAX_DEPTH} deep"),
    ],
)
def test_yaml_that_is_no_configuration(text, told):
    with pytest.raises(InputError) as caught:
        read_yaml(text, "f.yaml")
    assert told in str(caught.value)


def test_a_name_that_no_file_can_have():
    for name in ("a\0b.yaml", "a\ud800.yaml"):
        with pytest.raises(InputError, match=r"no file can have the name|cannot read"):
            read_cluster(name)


# ---- sizes


@pytest.mark.parametrize(
    "text",
    [
        GRID + "seeds: 300000000\n",
        GRID + "seeds: 9223372036854775808\n",
        GRID.replace("workflows: 2", f"workflows: [{', '.join(map(str, range(1, 401)))}]") + "seeds: 300\n",
        GRID + "overrides:\n  - match: {policy: fcfs}\n    set: {seeds: 100001}\n",
    ],
)
def test_a_grid_of_too_many_cells_names_the_limit_and_what_lifts_it(tmp_path, text):
    (tmp_path / "g.yaml").write_text(text)
    with pytest.raises(InputError, match=r"cells; a grid has at most 100,000 unless --most-cells says more"):
        make_plan(read_grid(str(tmp_path / "g.yaml")))


def test_the_limit_of_cells_can_be_moved(tmp_path):
    (tmp_path / "g.yaml").write_text(GRID + "seeds: 3\n")
    arguments = ["grid", "plan", str(tmp_path / "g.yaml"), "--store", str(tmp_path / "s"), "--most-cells"]
    assert main([*arguments, "3"]) == 0
    assert main([*arguments, "2"]) == 2


# ---- terminals and spreadsheets

EVIL = ("\x1b[31mred\x07", '=HYPERLINK("http://a","b")', "@SUM(1)", "+1+2", "-1", "a\u202eb", "a,\r\nb")


def evil_instance() -> dict[str, Any]:
    data = an_instance(calls=1)
    flow = data["workflows"][0]
    data["workflows"] = [{**flow, "workflow_id": name} for name in EVIL]
    return data


def test_no_escape_reaches_the_terminal_and_no_formula_the_csv(tmp_path, capfd):
    path, out = tmp_path / "i.json", tmp_path / "out"
    path.write_text(json.dumps(evil_instance()))
    schedule = tmp_path / "s.json"
    assert main(["simulate", str(path), "--policy", "fcfs", "-o", str(schedule)]) == 0
    broken = json.loads(schedule.read_text())
    for row in broken["calls"]:
        row["decode_end"] += 1.0
    schedule.write_text(json.dumps(broken))
    assert main(["verify", str(path), str(schedule)]) == 1
    assert main(["compare", str(path), "--policies", "fcfs", "-o", str(out)]) == 0
    text = "".join(capfd.readouterr())
    assert "\\x1b[31mred\\x07" in text
    assert not any((ord(c) < 32 and c != "\n") or c == "\u202e" for c in text)
    rows = list(csv.DictReader((out / "workflows.csv").open(newline="")))
    assert [row["workflow_id"] for row in rows] == [cell(name) for name in EVIL]
    assert [cell(name) for name in EVIL[1:5]] == ["'" + EVIL[1], "'@SUM(1)", "'+1+2", "-1"]
    assert {name: str(shown) for name, shown in csv_of(pd.DataFrame({"=a": EVIL, "b": -1.5})).items()} == {
        "'=a": str([cell(name) for name in EVIL]),
        "b": str(["-1.5"] * len(EVIL)),
    }


def csv_of(frame: pd.DataFrame) -> dict[str, list[str]]:
    rows = list(csv.DictReader(io.StringIO(csv_bytes(frame).decode(), newline="")))
    return {name: [row[name] for row in rows] for name in rows[0]}


# ---- files that are programs

OWN = """
import hexsched as hx, pathlib
pathlib.Path(__file__).with_suffix(".ran").touch()

@hx.order
def longest_first(call, now, *, weight=1.0):
    return -weight * call.prompt_tokens
"""


@pytest.mark.parametrize("command", ["plan", "status", "export", "prune", "run"])
def test_nothing_that_a_grid_names_is_executed_unless_it_is_allowed(tmp_path, capfd, command):
    grid, store = tmp_path / "poly.yaml", tmp_path / "s"
    grid.write_text(f'plugins: "poly.yaml"\n{GRID}description: __import__("os").system("touch {tmp_path}/PWNED")\n')
    (tmp_path / "own.py").write_text(OWN)
    own = tmp_path / "own.yaml"
    own.write_text(f"plugins: own.py\n{GRID.replace('fcfs', '[fcfs, longest-first( weight = 2.0)]')}")
    with Store.writing(store):
        pass
    for file in (grid, own):
        more = ["-o", str(tmp_path / "out.csv")] if command == "export" else []
        code = main(["grid", command, str(file), "--store", str(store), *more])
        err = capfd.readouterr().err
        if command == "run":
            assert code == 2
            assert "--allow-plugins" in err
    assert not (tmp_path / "PWNED").exists()
    assert not (tmp_path / "own.ran").exists()


def test_a_plan_is_the_same_whether_plugins_are_loaded_or_not(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    names = "[fcfs, 'longest-first( weight = 2.0)@jsq', longest-first]"
    (tmp_path / "own.yaml").write_text(f"plugins: own.py\n{GRID.replace('fcfs', names)}")
    path = str(tmp_path / "own.yaml")
    cold = list(make_plan(read_grid(path)).cells)
    assert not (tmp_path / "own.ran").exists()
    run = experiments.run_grid(path, tmp_path / "s", workers=1, allow_plugins=True)
    assert [len(cold), run.outcome.done] == [3, 3]
    assert list(make_plan(read_grid(path, load_plugins=True)).cells) == cold
    assert set(experiments.read_table(tmp_path / "s", "runs")["key"]) == set(cold)
    (tmp_path / "own.yaml").write_text(f"plugins: own.py\n{GRID.replace('fcfs', 'longest-frist')}")
    with pytest.raises(InputError, match="did you mean 'longest-first'"):
        read_grid(path, load_plugins=True)


# ---- a key twice


@pytest.mark.parametrize("indent", [None, 1])
def test_a_key_that_comes_twice_is_refused_with_its_line(tmp_path, indent):
    text = json.dumps(an_instance(), indent=indent)
    twice = text.replace('"delay": 0.1', '"delay": 0.1, "cached_tokens": 3', 1)
    path = tmp_path / "i.json"
    path.write_text(twice)
    with pytest.raises(InputError, match=f"{'line [0-9]+: ' if indent else ''}the key 'cached_tokens' comes twice"):
        read_instance(path)
    canonical = Instance.from_bytes(text.encode()).to_bytes()
    path.write_bytes(canonical.replace(b'"d1"', b'"d0", "id": "d1"', 1))
    line = (
        canonical.decode().splitlines().index('   "id": "d1",')
    )  # the object begins a line before, lines count from 1
    with pytest.raises(InputError, match=rf"line {line}: the key 'id' comes twice in one object"):
        read_instance(path)
    flow = json.dumps(an_instance()["workflows"][0])
    second = flow.replace("w0", "w1").replace("{", '{"arrival": 0, ', 1)
    (tmp_path / "w.jsonl").write_text(f"{flow}\n{second}\n")
    with pytest.raises(InputError, match=r"w.jsonl:2: the key 'arrival' comes twice in one object"):
        read_workload(tmp_path / "w.jsonl")
    long = flow.replace('"delay": 0.1', '"delay": 0.1, "delay": ' + "1" * 5000, 1)
    (tmp_path / "w.jsonl").write_text(f"{long}\n")
    with pytest.raises(InputError, match=r"w.jsonl:1: "):
        read_workload(tmp_path / "w.jsonl")
    with pytest.raises(InputError, match=r"the key 'a' comes twice"):
        check_keys(b'{"n": ' + b"1" * 5000 + b', "a": 1, "a": 2}', "f.json")
    row = '{"timestamp": 0, "input_length": 5, "output_length": 7, "hash_ids": [1]}\n'
    (tmp_path / "m.jsonl").write_text(row + row.replace('"output', '"input_length": 6, "output'))
    with pytest.raises(InputError, match=r"m.jsonl:2: the key 'input_length' comes twice in one object"):
        hx.workload(tmp_path / "m.jsonl")


# ---- long texts


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (read_policy, "fcfs" + " " * 50_000 + "!"),
        (read_policy, "fcfs(" + " " * 50_000 + "@"),
        (read_policies, "fcfs(" * 50_000),
        (read_policies, "a" * 50_000),
        (read_objective, "req" + " " * 50_000 + "("),
        (read_objective, "req(" + " " * 50_000 + "1"),
        (read_estimator, "noise(" + " " * 50_000 + "x"),
        (read_estimator, "noise(0.2\x1f)"),
        (read_load, "rate:" + "9" * 50_000 + "x"),
        (read_thresholds, "ttft=" + "1e" * 20_000),
        (read_arrivals, "poisson:" + "1" * 50_000 + "x"),
        (read_arrivals, "gamma:5e-324,cv=3"),
        (read_arrivals, "fixed:1e300"),
    ],
)
def test_a_text_that_is_out_to_take_long_is_refused_in_a_short_line(read, text):
    """That it is refused is tested; work of the square of the length, 10^9 steps, would be seen as minutes of tests."""
    with pytest.raises(InputError) as caught:
        read(text)
    assert len(str(caught.value)) <= 2100


def test_a_measurement_that_is_no_time_is_told_with_its_line(tmp_path):
    rows = "".join(f"llama-3.1-8b,H200,1,prefill,1,{n},{ms}\n" for n, ms in ((512, 11), (1024, "5e-324"), (2048, 43)))
    (tmp_path / "t.csv").write_text(f"model,system,tp,phase,batch_size,context_tokens,ms\n{rows}")
    with pytest.raises(InputError, match=r"t.csv:3: column 'ms' must be from 1e-06 to 1e\+12, got '5e-324'"):
        read_table(tmp_path / "t.csv")


# ---- what a campaign of changed inputs found


def test_a_clock_too_coarse_for_short_stages_is_refused():
    """A slow link makes H_w so long that steps of seconds pass beside it, in which a prefill of 0.1 s is lost."""
    slow = [(("links", k, "bandwidth"), 1e-2) for k in range(4)]
    late = [*slow, (("workflows", 0, "arrival"), 2.0**53)]
    with pytest.raises(InputError, match="too coarse"):
        simulate(Instance.from_bytes(bent(late, "fluid")), "fcfs")
    together = [(("links", k, "latency"), 9e9) for k in range(4)]
    with pytest.raises(InputError, match=r"may take 5.4\d*e\+10 s one after another, each stage at its slowest"):
        Instance.from_bytes(bent(together, "fluid"))
    instance = Instance.from_bytes(bent([(path, 5e9) for path, _ in together], "fluid"))
    assert verify(instance, simulate(instance, "fcfs").schedule).ok


@pytest.mark.parametrize(
    ("read", "text", "told"),
    [
        (read_table, "\ufeff", "the file is empty"),
        (read_table, "model," + "1" * 200_000, "not valid CSV: field larger than field limit"),
        (read_archive, "1" * 200_000, "not valid CSV: field larger than field limit"),
        (read_archive, "\ufeff", "the file is empty"),
    ],
)
def test_a_table_that_is_no_csv(tmp_path, read, text, told):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=told):
        read(tmp_path / "t.csv")


def test_rows_of_formulations_hold_numbers_that_a_column_holds(tmp_path):
    given = {
        "calls": "6",
        "time_limit": "10",
        "workers": "1",
        "seed": "0",
        "seconds": "1",
        "variables": "1" + "0" * 400,
    }
    cells = [given.get(column, "") for column in Row._fields]
    (tmp_path / FORMULATIONS_CSV).write_text(f"{','.join(Row._fields)}\n{','.join(cells)}\n")
    with pytest.raises(InputError, match=r"csv:2: variables must be a number"):
        read_rows(tmp_path)


def test_half_of_a_surrogate_pair_in_a_schedule(tmp_path):
    (tmp_path / "s.json").write_text('{"format": "hexsched-schedule/1", "policy": "\\udc00", "calls": []}')
    with pytest.raises(InputError, match="half of a surrogate pair"):
        read_schedule(tmp_path / "s.json")


def test_options_and_stored_files_that_are_no_text(tmp_path):
    (tmp_path / "t").write_text(IMPORTERS["qwen-bailian"].sample)
    with pytest.raises(InputError, match="half of a surrogate pair"):
        read_trace(tmp_path / "t", "qwen-bailian", conversations="\udced")
    for data in (b'{"format": "\xff"}', b'{"format": 1, "policy": "\xff"}'):
        with pytest.raises(InputError):
            Instance.from_bytes(data)
    (tmp_path / "schedules").mkdir()
    (tmp_path / "schedules/k.json.gz").write_bytes(gzip.compress(b'{"\xff": 0}'))
    with pytest.raises(InputError, match="not UTF-8"):
        read_schedule_of(tmp_path, "k")


@pytest.mark.parametrize("number", ["1" * 5000, "1" + "0" * 308])
@pytest.mark.parametrize("format", ["vidur", "burstgpt", "ragpulse", "otel-genai"])
def test_times_of_more_digits_than_a_time_has(tmp_path, format, number):
    text = {
        "vidur": f"arrived_at,num_prefill_tokens,num_decode_tokens\n{number},3,4\n1,3,4\n",
        "burstgpt": "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        f"{number},m,3,4,7,a\n1,m,3,4,7,a\n",
        "ragpulse": "".join(
            f'{{"timestamp": "{time}", "input_length": 9, "output_length": 3, "hash_ids": {{"s": [1]}}}}\n'
            for time in (1, number)
        ),
        "otel-genai": json.dumps({"name": "chat", "start_time_unix_nano": 0}).replace(": 0}", f": {number}}}") + "\n",
    }[format]
    (tmp_path / "t").write_text(text)
    with pytest.raises(InputError) as caught:
        simulate(compile_instance(read_cluster("demo"), read_trace(tmp_path / "t", format).workflows), "fcfs")
    assert len(str(caught.value)) <= 2100


@pytest.mark.parametrize("format", ["mooncake", "agentic-mooncake", "qwen-bailian", "llmservingsim"])
def test_whole_times_that_no_double_holds(tmp_path, format):
    sample = IMPORTERS[format].sample
    *_, last = re.finditer(r'"(?:timestamp|arrival_time_ns)": [\d.]+', sample)
    name = last[0].partition(":")[0]
    (tmp_path / "t").write_text(f"{sample[: last.start()]}{name}: {10**320}{sample[last.end() :]}")
    with pytest.raises(InputError, match="Expected 'int' <= "):
        read_trace(tmp_path / "t", format)


def test_digits_that_are_no_number(tmp_path):
    tokens = {"gen_ai.usage.output_tokens": "\u00b2", "gen_ai.usage.input_tokens": 5}
    (tmp_path / "t").write_text(json.dumps({"name": "chat", "attributes": tokens}, ensure_ascii=False))
    with pytest.raises(InputError, match="tokens: expected a whole number"):
        read_trace(tmp_path / "t", "otel-genai")


def arrow_file(path: Any) -> bytes:
    table = pa.table({"timestamp": [0, 1], "input_length": [5, 6], "output_length": [7, 8], "name": ["abcd", "efgh"]})
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    return path.read_bytes()


def test_bytes_of_a_binary_table_that_point_outside_it(tmp_path):
    """Offsets of texts are places in memory: one that is too large reads whatever is there."""
    path = tmp_path / "t.arrow"
    data = arrow_file(path)
    offsets = np.array([0, 4, 8], np.int32).tobytes()
    assert data.count(offsets) == 1
    for wrong in (np.array([0, -4, 8], np.int32), np.array([0, 4, 2**30], np.int32)):
        path.write_bytes(data.replace(offsets, wrong.tobytes()))
        with pytest.raises(InputError, match="it may be damaged"):
            read_trace(path, "mooncake")
    for name in (b"\xff\x80cd", b"input_\xffength"):
        path.write_bytes(data.replace(b"abcd" if len(name) == 4 else b"input_length", name))
        with pytest.raises(InputError, match="it may be damaged"):
            read_trace(path, "mooncake")
    parquet = tmp_path / "t.parquet"
    pq.write_table(pa.table({"input_length": [5], "output_length": [7]}), parquet, store_schema=False)
    parquet.write_bytes(parquet.read_bytes().replace(b"input_length", b"input_\xffength"))
    with pytest.raises(InputError, match="it may be damaged"):
        read_trace(parquet, "mooncake")


@pytest.mark.parametrize("read", [read_trace, hx.workload, read_grid, Store.open, read_rows])
def test_a_name_longer_than_names_can_be(read):
    with pytest.raises(InputError):
        read("x" * 5000)


def test_a_folder_of_far_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(trace, "MOST_FILES", 5)
    for k in range(6):
        (tmp_path / "below" / str(k)).mkdir(parents=True)
        (tmp_path / "below" / str(k) / "t.jsonl").write_text(IMPORTERS["mooncake"].sample)
    with pytest.raises(InputError, match="more than 5 files are below this folder"):
        hx.workload(tmp_path)
    (tmp_path / "below" / "0").rename(tmp_path / "below" / ".0")
    assert len(hx.workload(tmp_path)) == 10
    (tmp_path / "t").symlink_to("/proc/1/cwd/t")  # which not everybody may look at
    assert len(hx.workload(tmp_path)) == 10


def test_a_manifest_that_is_no_text(tmp_path):
    (tmp_path / "store.json").write_bytes(b'{"format": "\xff"}')
    with pytest.raises(InputError, match="not UTF-8"):
        Store.open(tmp_path)
