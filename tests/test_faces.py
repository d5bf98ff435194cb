"""The faces of the packages: what ``import hexsched as hx`` gives, and what its results show."""

from __future__ import annotations

import ast
import dataclasses
import doctest
import importlib
import io
import pickle
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

import experiments
import hexsched as hx
import solvers
from hexsched import progress
from hexsched.baselines import BASELINES
from hexsched.clusters import compile_instance, read_cluster
from hexsched.workloads.arrivals import apply_arrivals, read_arrivals
from hexsched.workloads.families import generate

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[1]
FACES = {
    "hexsched": {
        "Call", "ClusterSpec", "Comparison", "InputError", "InputWarning", "Instance", "Policy", "PolicyReport",
        "Run", "Schedule", "Workflow", "Workload", "check_policy", "cluster", "compare", "instance", "names",
        "order", "placement", "policy", "retime", "simulate", "verify", "workload",
    },
    "experiments": {"GridRun", "Load", "Rerun", "find_load", "read_table", "rerun", "run_grid"},
    "solvers": {
        "BoundReport", "ClairvoyanceReport", "GapReport", "Objective", "SearchResult", "SolveResult", "bound",
        "clairvoyance", "futures", "gap", "search", "solve",
    },
}  # fmt: skip
PACKAGES = ("hexsched", "solvers", "experiments", "paper_figs")


@pytest.mark.parametrize("package", FACES)
def test_a_face_has_these_names_and_no_more(package):
    face = importlib.import_module(package)
    assert set(face.__all__) == FACES[package]
    assert set(dir(face)) >= FACES[package]
    for name in face.__all__:
        assert getattr(face, name).__name__ == name
        assert getattr(face, name).__doc__
    with pytest.raises(AttributeError, match="'nothing_of_the_sort'"):
        _ = face.nothing_of_the_sort


@pytest.mark.parametrize("package", FACES)
def test_type_checkers_see_the_same_names(package):
    """They read the imports under ``if TYPE_CHECKING``, Python the table of lazy names."""
    tree = ast.parse((ROOT / package / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {(alias.asname, each.module) for each in block.body for alias in each.names}
    table = next(node for node in ast.walk(tree) if isinstance(node, ast.Dict))
    assert seen == set(ast.literal_eval(table).items())


@pytest.mark.parametrize("package", FACES)
def test_no_name_of_a_face_is_that_of_a_module(package):
    modules = {path.stem for path in (ROOT / package).glob("*.py")} | {path.name for path in (ROOT / package).iterdir()}
    assert not FACES[package] & modules


def test_packages_say_that_they_are_typed():
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").exists()
        assert "py.typed" in shipped[package]


def test_importing_a_face_imports_nothing_heavy():
    code = f"import sys, {', '.join(FACES)}; print(sorted({{'numpy', 'numba', 'pandas', 'rich'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_an_instance_by_strings_is_the_one_by_parts():
    workflows = apply_arrivals(generate("bfcl", 4, seed=1), read_arrivals("poisson:2"), seed=1)
    expected = compile_instance(read_cluster("demo"), workflows, "fixed")
    found = hx.instance("demo", "bfcl", workflows=4, arrivals="poisson:2", seed=1, decode_model="fixed")
    assert found.to_bytes() == expected.to_bytes()
    parts = hx.instance(hx.cluster("demo"), hx.workload("bfcl", workflows=4, seed=1), arrivals="poisson:2", seed=1)
    assert parts.workflows == expected.workflows


def test_files_take_the_place_of_names(tmp_path):
    drawn = hx.workload("bfcl", workflows=3)
    drawn.save(tmp_path / "w.jsonl")
    read = hx.workload(tmp_path / "w.jsonl", arrivals="fixed:2")
    assert [w.calls for w in read] == [w.calls for w in drawn]
    assert [w.arrival for w in read] == [0.0, 0.5, 1.0]
    assert read.name == "w"
    made = hx.instance("demo", str(tmp_path / "w.jsonl"), workflows=2)
    (tmp_path / "i.json").write_bytes(made.to_bytes())
    assert hx.instance(tmp_path / "i.json") == made
    assert hx.simulate(tmp_path / "i.json", "fcfs").schedule == hx.simulate(made, "fcfs").schedule


def test_options_of_compile_are_options_of_instance():
    closed = hx.instance("demo", "bfcl", workflows=4, closed_loop=2, warm_up=1)
    assert (closed.closed_loop.sessions, closed.closed_loop.warm_up) == (2, 1)
    sizes = [max(c.prompt_tokens + c.output_tokens for c in w.calls) for w in hx.workload("lats", workflows=5)]
    with pytest.warns(hx.InputWarning, match="left out") as caught:
        shorter = hx.instance("demo", "lats", workflows=5, max_context=sorted(sizes)[2])
    assert len(shorter.workflows) == 3
    assert {warning.filename for warning in caught} == {__file__}  # the line that asked for it


def test_a_workload_is_a_tuple_with_a_name():
    drawn = hx.workload("react", workflows=3)
    assert drawn == generate("react", 3, 0)
    assert (drawn[:2], drawn[:2].name, drawn[0].workflow_id) == (tuple(drawn)[:2], "react", "react-0000")
    again = pickle.loads(pickle.dumps(drawn))
    assert (again, again.name) == (drawn, "react")
    assert len(drawn.to_frame()) == 3
    assert len(drawn.calls_to_frame()) == drawn.call_count


@pytest.fixture(scope="module")
def small():
    return hx.instance("demo", "bfcl", workflows=4, arrivals="fixed:2")


@pytest.fixture(scope="module")
def compared(small):
    return hx.compare(small)


def test_a_comparison_is_a_mapping_of_runs(small, compared):
    assert list(compared) == ["hexagent", *BASELINES]
    assert compared["fcfs"].schedule == hx.simulate(small, "fcfs").schedule
    frame = compared.to_frame(slo="ratio=2")
    assert list(frame["policy"]) == list(compared)
    assert frame["verified"].all()
    assert list(frame["req95"]) == [run.metrics.req95 for run in compared.values()]
    assert frame["workflows_within"].between(0, 1).all()
    assert len(compared.workflows_to_frame()) == 5 * 4
    assert hx.verify(small, compared["atlas"]).ok


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hx.cluster("nonsens"), "unknown cluster 'nonsens'"),
        (lambda: hx.cluster("qwen235b-hetero"), "did you mean qwen235b-hetero-2?"),
        (lambda: hx.cluster({"name": "x", "modle": "y"}), "modle"),
        (lambda: hx.workload("bflc"), "did you mean 'bfcl'?"),
        (lambda: hx.workload("BFCL"), "did you mean 'bfcl'?"),
        (lambda: hx.workload("bfcl", workflows=0), "from 1 to"),
        (lambda: hx.workload("bfcl", time_unit="s"), "only traces"),
        (lambda: hx.workload([1, 2]), "a workload is a family, a file, or workflows"),
        (lambda: hx.instance(1, 2), "a cluster is a name"),
        (lambda: hx.instance("demo", 2), "families are sharegpt, bfcl"),
        (lambda: hx.instance("demo"), "needs a cluster and a workload"),
        (lambda: hx.simulate("hexagent", "demo"), "hexagent: cannot read"),
        (lambda: hx.simulate(3), "expected an instance"),
        (lambda: hx.names("polices"), "did you mean 'policies'?"),
        (lambda: solvers.gap("demo.json", objective="req95"), "demo.json: cannot read"),
        (lambda: solvers.gap(3), "expected an instance"),
    ],
)
def test_errors_say_what_would_be_right(call, words):
    with pytest.raises(hx.InputError) as error:
        call()
    assert words in str(error.value)
    assert error.value._render_traceback_() == [f"InputError: {error.value}"]


def test_a_mapping_names_what_is_compared(small):
    runs = hx.compare(small, {"light": "sjf", "heavy": lambda call, now: -call.prompt_tokens}, progress=False)
    assert list(runs) == ["light", "heavy"]
    assert (runs["light"].completed == hx.simulate(small, "sjf").completed).all()


def test_a_bound_that_does_not_hold_says_for_what_it_does(small):
    notes = solvers.bound(small, "req(0.95)", bounds="load,preemptive-lp,single-machine", progress=False).table
    assert [row.note for row in notes][1:] == [
        "holds in the decode model fixed only",
        "holds for max_ratio, mean_ratio, mean_latency only",
    ]


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        ("HexAGenT", "did you mean 'hexagent'?"),
        ("llf", "did you mean 'workflow-llf'?"),
        (["fcfs", 3], "expected a policy: a name"),
        ([], "at least one"),
    ],
)
def test_errors_in_policies_say_what_would_be_right(small, policies, words):
    for call in (hx.compare, solvers.gap):
        with pytest.raises(hx.InputError) as error:
            call(small, policies)
        assert words in str(error.value)


@pytest.mark.parametrize(("text", "words"), [("req95", "did you mean req(0.95)?"), ("mean", "did you mean mean_r")])
def test_errors_in_objectives_say_what_would_be_right(small, text, words):
    for call in (solvers.gap, solvers.bound, solvers.search):
        with pytest.raises(hx.InputError) as error:
            call(small, objective=text)
        assert words in str(error.value)


def results(small, compared):
    """One of every type that people look at."""
    run = compared["fcfs"]
    fixed = hx.instance("demo", "react", workflows=2, decode_model="fixed")
    drawn = hx.workload("bfcl", workflows=300)
    return [
        small, run, run.schedule, run.metrics, compared, hx.verify(small, run), hx.verify(fixed, run), drawn, drawn[0],
        hx.cluster("demo"), hx.verify(small, run).metrics, solvers.bound(fixed, bounds="critical-path,load"),
        solvers.gap(fixed, "hexagent,fcfs", time_limit=1, progress=False),
        solvers.clairvoyance(solvers.futures(fixed, workflows=2, calls=1), "fcfs", time_limit=1, progress=False),
        solvers.solve(fixed, "max_ratio", time_limit=5), solvers.search(fixed, evaluations=5),
    ]  # fmt: skip


def test_what_is_shown_is_short_and_every_result_is_a_frame(small, compared):
    for shown in results(small, compared):
        kind = type(shown).__name__
        assert repr(shown).startswith(f"<{kind}"), kind
        assert len(repr(shown).splitlines()) <= 13, kind
        assert len(repr({"a": shown})) < 2500, kind
        assert f"<b>{kind}</b>" in shown._repr_html_()
        assert dict(item for item in shown.__rich_repr__() if isinstance(item, tuple)), kind
        if kind != "Instance":
            assert shown.to_frame() is not None
    assert len(compared["fcfs"].to_frame()) == 4
    assert len(compared["fcfs"].schedule.to_frame()) == small.call_count


def test_above_a_table_facts_are_a_line_and_alone_they_are_a_table(small, compared):
    assert f"<div>policies {len(compared)}, workflows" in compared._repr_html_()
    assert compared._repr_html_().count("<table") == small._repr_html_().count("<table") == 1


def test_equality_hash_and_encoding_are_those_of_the_struct(small):
    again = hx.Instance.from_bytes(small.to_bytes())
    assert (again, again.to_bytes()) == (small, small.to_bytes())
    assert again.workflows[0] == small.workflows[0]


def test_html_is_escaped(small):
    run = dataclasses.replace(hx.simulate(small, "fcfs"), policy="<script>")
    odd = hx.Workflow(workflow_id="<img>", arrival=0.0, calls=(hx.Call(call_id="&", prompt_tokens=1, output_tokens=1),))
    for shown in (run, hx.Comparison(small, [run]), run.schedule, odd, hx.Workload([odd], "<b>x")):
        page = shown._repr_html_()
        assert not {"<script>", "<img>", "<b>x"} & set(re.findall(r"<[^>]*>x?", page))


def test_progress_is_shown_where_somebody_looks_and_once(small, monkeypatch):
    told = []
    hx.compare(small, "fcfs,sjf", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (2, 2)
    seen = []
    monkeypatch.setattr(progress, "SILENT_SECONDS", -1.0)
    monkeypatch.setattr(progress, "is_watched", lambda: True)
    monkeypatch.setattr(progress, "_TerminalLine", lambda label: seen.append(label) or _NoLine())
    hx.compare(small, "fcfs,sjf", progress=False)
    assert not seen
    hx.compare(small, "fcfs,sjf")
    assert seen == ["comparing"]


def test_a_log_gets_a_line_now_and_then_from_the_command_line_alone(small, monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.01)
    monkeypatch.setattr(progress, "SILENT_SECONDS", -1.0)

    def work():
        with progress.Progress("waiting") as shown, progress.Progress("inside"):
            shown.show("found 3", 60.0, 1.0)
            time.sleep(0.1)
        return capsys.readouterr().err

    assert work() == ""
    with progress.in_lines():
        said = work()
    assert set(re.findall(r"hexsched: (\w+), 0 s: (.*)\n", said)) == {("waiting", "found 3")}
    assert "inside" not in said
    assert work() == ""


def test_what_is_too_long_in_a_message_is_cut_and_paths_are_not():
    digits, page, folder = "9" * 400, "a b " * 100, "/tmp/" + "x" * 300
    said = str(hx.InputError(f"'{digits}' or {digits} or '{page}' in \"it's {page}\", not '{folder}'"))
    assert re.findall(r"\((\d+) characters\)", said) == ["402", "400", "402", "407"]
    assert folder in said
    told = f"unknown 'x(1)', expected one of {'red, ' * 60}'blue' or '--green'"
    assert str(hx.InputError(told)) == told


class _NoLine:
    def update(self, *now):
        pass

    def close(self):
        pass


def test_a_grid_is_run_from_a_mapping(tmp_path):
    grid = {"clusters": "demo", "workloads": "react", "workflows": 2, "policies": ["fcfs", "sjf"], "seeds": 1}
    for done, before in ((2, 0), (0, 2)):
        ran = experiments.run_grid({**grid, "loads": "at-once"}, tmp_path / "runs", workers=1, progress=False)
        assert (ran.ok, ran.outcome.done, ran.done_before) == (True, done, before)
    assert sorted(ran.to_frame()["policy"]) == ["fcfs", "sjf"]
    assert len(experiments.read_table(tmp_path / "runs", "runs")) == 2
    assert repr(ran).startswith("<GridRun grid: store")
    again = experiments.rerun(tmp_path / "runs", ran.to_frame()["key"][0])
    assert again.ok
    assert repr(again).startswith(f"<Rerun {again.key}: verdict equal, compared")
    with pytest.raises(hx.InputError, match=r"^grid: .*polices"):
        experiments.run_grid({**grid, "polices": "fcfs"}, tmp_path / "runs")


def test_a_load_is_found_by_strings():
    found = experiments.find_load("demo", "react", 1.5, "fcfs", workflows=3, progress=False)
    assert found.baseline == "fcfs"
    with pytest.raises(hx.InputError, match="target must be at least 1"):
        experiments.find_load("demo", "react", 0.5)


@pytest.mark.parametrize(("package", "name"), [(package, name) for package in FACES for name in sorted(FACES[package])])
def test_examples_in_docstrings_run(package, name):
    thing = getattr(importlib.import_module(package), name)
    finder = doctest.DocTestFinder(recurse=False)
    for test in finder.find(thing, name, globs={}):
        report = io.StringIO()
        assert not doctest.DocTestRunner().run(test, out=report.write).failed, report.getvalue()
