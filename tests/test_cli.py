"""The command line: every command, every exit code, and one line for whatever is wrong."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NamedTuple

import cases
import msgspec
import pytest
import typer
from conftest import compile_steps

import hexsched as hx
from experiments.cli import BAD_INPUT, CHECK_FAILED, INTERRUPTED, OK, main, output
from experiments.cli.app import COMMANDS as APP_COMMANDS
from experiments.cli.app import build_app
from experiments.cli.output import Table
from hexsched import __version__
from hexsched.errors import InputError
from hexsched.model import Call, Workflow, read_instance, read_workload, write_workload
from hexsched.policies.lists import read_policies, split_top_level
from hexsched.registry import modules_of
from solvers.bounds import BOUNDS
from solvers.exact import FORMULATIONS

pytestmark = pytest.mark.quick

IN_PROCESS = "import sys; from experiments.cli import main; sys.exit(main())"
METRICS = ("req50", "req95", "req99", "max_ratio", "mean_ratio", "mean_latency", "makespan")


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON object it must be; NaN and infinities are not JSON."""
        return json.loads(self.out, parse_constant=lambda text: pytest.fail(f"{text} in JSON"))


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*argv: object) -> Outcome:
        capsys.readouterr()
        code = main([str(word) for word in argv])
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workload, its instance on the demo cluster and a schedule of it; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("made")
    workload, instance, schedule = (str(folder / name) for name in ("w.jsonl", "i.json", "s.json"))
    generate = ["workload", "generate", "lats", "--workflows", "4", "--arrivals", "poisson:1", "--seed", "2"]
    assert main([*generate, "-o", workload]) == OK
    assert main(["compile", "demo", workload, "-o", instance]) == OK
    assert main(["simulate", instance, "--policy", "fcfs@jsq", "-o", schedule]) == OK
    compile_steps()  # on a slow machine that writes lines, and some tests count lines
    return folder


@pytest.fixture
def forget() -> Iterator[None]:
    """Take the policies of plugins out of the registry again."""
    from hexsched.policies import policies, unregister

    before = {policy.name for policy in policies()}
    yield
    for policy in policies():
        if policy.name not in before:
            unregister(policy.name)


def error_line(outcome: Outcome) -> str:
    """The one line of an exit with code 2."""
    assert outcome.code == BAD_INPUT, outcome
    assert outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith("hexsched: error: ")
    return line


def subprocess_cli(*argv: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", IN_PROCESS, *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


# --- help, version, assembly -----------------------------------------------------------------------------------------


def leaves(group: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for name, command in group.commands.items():
        inner = leaves(command, (*path, name)) if hasattr(command, "commands") else [((*path, name), command)]
        found += inner
    return found


COMMANDS = leaves(typer.main.get_command(build_app()))


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_every_command_has_help_with_an_example_and_json(path: tuple[str, ...], command: Any, cli: Cli) -> None:
    outcome = cli(*path, "--help")
    assert outcome.code == OK
    text = " ".join(outcome.out.split())
    assert f"Example: hexsched {' '.join(path)}" in text
    assert "--json" in text
    assert all(parameter.help for parameter in command.params)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from experiments.cli import main; main(['--help'])\n"
        "heavy = ('numpy', 'pandas', 'numba', 'scipy', 'rich', 'matplotlib')\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr.strip() == "[]"


LISTINGS = (
    *(["clusters"], ["gpus"], ["models"], ["families"], ["formats"], ["notebooks"], ["schema", "cluster"]),
    *(["grid", "list"], ["grid", "kinds"], ["grid", "show", "smoke"], ["library", "list"]),
)


def test_listings_and_wrong_names_load_nothing_that_computes(made: Path) -> None:
    """All in one process: what one of them loads is there at the end."""
    instance = str(made / "i.json")
    wrong = [
        *(["bound", instance, "--bounds", "laod"], ["bound", instance, "--objective", "x"]),
        *(["solve", instance, "--formulation", "cpsta"], ["simulate", instance, "--policy", "hexagnet"]),
    ]
    code = f"""
import sys
from experiments.cli import main
heavy = ("numba", "scipy", "pandas", "pyarrow", "ortools", "matplotlib", "rich.table")
print("codes", main(["policies"]), "numpy" in sys.modules)
print("codes", [main(argv) for argv in {[*wrong, *LISTINGS]}], [name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    codes = [*[BAD_INPUT] * len(wrong), *[OK] * len(LISTINGS)]
    told = [line for line in done.stdout.splitlines() if line.startswith("codes")]
    assert told == [f"codes {OK} False", f"codes {codes} []"]
    assert "unknown bound 'laod'; did you mean 'load'?" in done.stderr
    assert "unknown formulation 'cpsta'; did you mean 'cpsat'?" in done.stderr
    assert "unknown policy 'hexagnet'; did you mean 'hexagent'?" in done.stderr


def test_a_command_is_loaded_alone() -> None:
    for name in APP_COMMANDS:
        alone = typer.main.get_command(build_app(name))
        assert isinstance(alone, typer.core.TyperGroup)
        assert name in alone.commands
    assert {path[0] for path, _ in COMMANDS} >= set(APP_COMMANDS)


@pytest.mark.parametrize(
    "table",
    [
        Table(
            ("name", "number", "a long heading", "say"),
            [("x", 1.5, None, True), ("a b ", -12345, 2, False)],
            "two\nlines",
        ),
        Table(("", ""), [("policy", "fcfs"), ("value", 0.000123), ("", None)]),
        Table(("a", "", "b"), [("\x1b[31m", "", 3), ("z" * 200, "", 1e300)]),
        Table(("ΔH", "x"), [("é–", 2.0), ("漢字", 3.0)]),
    ],
)
def test_tables_are_aligned_as_rich_does_it(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = output._rendered(table)
    monkeypatch.setattr(output, "_aligned", lambda lines, numeric: None)
    assert quick == output._rendered(table)


def test_slips_in_commands_and_options_are_told_with_what_was_meant(cli: Cli) -> None:
    for asked, said in (
        (("simulte",), "No such command 'simulte'; did you mean simulate? See hexsched --help"),
        (("grid", "rnu"), "No such command 'rnu'; did you mean run? See hexsched grid --help"),
        (("compare", "x", "--policy", "y"), "No such option: --policy; did you mean --policies? See"),
        (("zzzz",), "No such command 'zzzz'; see hexsched --help"),
    ):
        assert error_line(cli(*asked)).startswith(f"hexsched: error: {said}")


@pytest.mark.parametrize("group", sorted({path[0] for path, _ in COMMANDS if len(path) > 1}))
def test_a_group_alone_shows_its_help(group: str, cli: Cli) -> None:
    alone = cli(group)
    assert (alone.code, alone.err) == (OK, "")
    assert alone.out.startswith(f"Usage: hexsched {group}")


def test_names_that_are_refused_early_are_those_of_the_registries() -> None:
    assert {name.replace("_", "-") for name in modules_of("solvers.bounds")} == set(BOUNDS)
    assert set(modules_of("solvers.exact")) == set(FORMULATIONS)


def test_version_and_bare_calls(cli: Cli) -> None:
    assert cli("--version") == (OK, f"hexsched {__version__}\n", "")
    assert cli() == cli("--help")
    assert cli("workload").out == cli("workload", "--help").out


def entry_point(value: str) -> EntryPoint:
    return EntryPoint(name="extra", value=value, group="hexsched.commands")


def add_extra(app: typer.Typer) -> None:
    """A command as another package would register it."""

    @app.command("extra")
    def extra() -> None:
        raise InputError("extra is wrong", "somewhere")


def test_commands_of_other_packages(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [entry_point(f"{__name__}:add_extra"), entry_point("no_such_package_at_all:add")]
    monkeypatch.setattr("experiments.cli.app.entry_points", lambda group: points)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    outcome = cli("extra")
    broken, own = outcome.err.splitlines()
    assert "no_such_package_at_all" in broken
    assert own == "hexsched: error: somewhere: extra is wrong"
    assert outcome.code == BAD_INPUT


# --- compile ---------------------------------------------------------------------------------------------------------


def test_compile_to_a_file_and_to_standard_output(cli: Cli, made: Path, tmp_path: Path) -> None:
    to_file = cli("compile", "demo", made / "w.jsonl", "-o", tmp_path / "i.json", "--json")
    assert to_file.code == OK
    assert to_file.err == ""
    instance = read_instance(tmp_path / "i.json")
    assert to_file.json["workflows"] == len(instance.workflows) == 4
    assert to_file.json["calls"] == instance.call_count
    assert instance.workflows == read_workload(made / "w.jsonl")
    to_stdout = cli("compile", "demo", made / "w.jsonl")
    assert to_stdout == (OK, (tmp_path / "i.json").read_text(), "")
    assert cli("compile", "demo", made / "w.jsonl", "-o", "-") == to_stdout


def test_compile_options(cli: Cli, made: Path, tmp_path: Path) -> None:
    options = ("--arrivals", "fixed:2", "--workflows", 3, "--decode-model", "fixed", "--format", "hexsched")
    assert cli("compile", "demo", made / "w.jsonl", *options, "-o", tmp_path / "i.json").code == OK
    instance = read_instance(tmp_path / "i.json")
    assert instance.decode_model == "fixed"
    assert [workflow.arrival for workflow in instance.workflows] == [0.0, 0.5, 1.0]
    first, second, third = (
        cli("compile", "demo", made / "w.jsonl", "--arrivals", "poisson:2", "--seed", seed).out for seed in (1, 1, 2)
    )
    assert first == second != third


def test_compile_draws_from_a_family_as_python_does(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "i.json"
    asked = ("--workflows", 5, "--seed", 3, "--arrivals", "fixed:2")
    assert cli("compile", "demo", "bfcl", *asked, "-o", path).code == OK
    assert read_instance(path) == hx.instance("demo", "bfcl", workflows=5, seed=3, arrivals="fixed:2")
    assert "did you mean 'bfcl'" in cli("compile", "demo", "bfcal", "-o", path).err
    assert "only traces have a format" in cli("compile", "demo", "bfcl", "--format", "azure", "-o", path).err
    assert "200 workflows" in cli("compile", "demo", "bfcl", "-o", path).out


def test_every_time_limit_is_told_in_the_same_words(cli: Cli, made: Path) -> None:
    limited = {path: p.help for path, command in COMMANDS for p in command.params if p.name == "time_limit"}
    others = ("compare-formulations", "time", "improve")
    assert {path[-1] for path in limited} == {"solve", "bound", "gap", "clairvoyance", *others}
    for path, text in limited.items():
        assert text.startswith("Wall-clock seconds for ")
        inputs = [made / "i.json"] if path[-1] not in others else []
        said = error_line(cli(*path, *inputs, "--time-limit", "-1"))
        assert said == "hexsched: error: the time limit must be above 0 seconds, got -1"


def test_compile_takes_a_cluster_file_and_a_foreign_trace(cli: Cli, tmp_path: Path) -> None:
    trace = tmp_path / "azure.csv"
    trace.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,0\n2023-11-16 18:15:51.2225670,879,55\n"
    )
    cluster = tmp_path / "mine.yaml"
    cluster.write_text(CLUSTER)
    outcome = cli("compile", cluster, trace, "-o", tmp_path / "i.json", "--json")
    assert outcome.json["format"] == "azure-2023"
    assert outcome.json["cluster"] == "mine"
    assert outcome.json["dropped"] == {"zero output tokens": 1}
    assert outcome.err == f"hexsched: {trace}: 1 requests left out: zero output tokens\n"


# --- simulate, compare -----------------------------------------------------------------------------------------------


def test_simulate(cli: Cli, made: Path, tmp_path: Path) -> None:
    schedule = tmp_path / "s.json"
    argv = ("simulate", made / "i.json", "--policy", "hexagent( kv = off )", "--estimator", "noise(0.2)", "--seed", 7)
    outcome = cli(*argv, "-o", schedule, "--json")
    assert outcome.code == OK
    assert outcome.err == ""
    record = outcome.json
    assert record["policy"] == "hexagent(kv=off)"
    assert (record["estimator"], record["seed"]) == ("noise(0.2)", 7)
    assert record["workflows"] == 4
    assert 1.0 <= record["req50"] <= record["req95"] <= record["req99"] <= record["max_ratio"]
    assert record["decisions"] > 0
    assert record["decision_latency"] > 0
    assert record["decision_latency_p99"] > 0
    written = schedule.read_bytes()
    verified = cli("verify", made / "i.json", schedule, "--json").json
    assert verified["metrics"] == pytest.approx({key: record[key] for key in verified["metrics"]}, rel=1e-9)
    assert cli(*argv, "-o", schedule).code == OK
    assert schedule.read_bytes() == written
    assert cli(*argv, "-o", "-").out.encode() == written


def test_simulate_prints_a_table(cli: Cli, made: Path) -> None:
    outcome = cli("simulate", made / "i.json", "--policy", "fcfs")
    names = [line.split("  ")[0] for line in outcome.out.splitlines()]
    assert names[:3] == ["policy", "workflows", "calls"]
    assert {"Req50", "Req95", "Req99", "makespan s"} <= set(names)


def test_compare(cli: Cli, made: Path, tmp_path: Path) -> None:
    policies = "hexagent(kv=off,transfer=off),fcfs@jsq,sjf@random"
    argv = ("compare", made / "i.json", "--policies", policies, "--sort", "mean_latency", "-o", tmp_path / "out")
    outcome = cli(*argv, "--json")
    assert outcome.code == OK
    assert outcome.err == ""
    (entry,) = outcome.json["instances"]
    assert entry["instance"] == str(made / "i.json")
    assert set(entry["policies"]) == {"hexagent(kv=off,transfer=off)", "fcfs@jsq", "sjf@random"}
    latencies = [values["mean_latency"] for values in entry["policies"].values()]
    assert latencies == sorted(latencies)
    assert all(values["verified"] is True for values in entry["policies"].values())
    alone = cli("simulate", made / "i.json", "--policy", "fcfs@jsq", "--json").json
    assert all(entry["policies"]["fcfs@jsq"][key] == alone[key] for key in METRICS)

    summary = list(csv.DictReader((tmp_path / "out" / "summary.csv").open()))
    assert [row["policy"] for row in summary] == list(entry["policies"])
    assert [float(row["req95"]) for row in summary] == [values["req95"] for values in entry["policies"].values()]
    rows = list(csv.DictReader((tmp_path / "out" / "workflows.csv").open()))
    assert list(rows[0]) == ["instance", "policy", "workflow_id", "arrival", "latency", "horizon", "ratio"]
    assert len(rows) == 3 * 4
    ratios = [float(row["ratio"]) for row in rows if row["policy"] == "fcfs@jsq"]
    assert max(ratios) == alone["max_ratio"]


def test_compare_prints_a_table_for_each_instance(cli: Cli, made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    cli("compile", "demo", made / "w.jsonl", "--decode-model", "fixed", "-o", other)
    outcome = cli("compare", made / "i.json", other, "--policies", "fcfs,fcfs,sjf", "--no-verify")
    lines = outcome.out.splitlines()
    assert [line.split(":")[0] for line in lines if " workflows, " in line] == [str(made / "i.json"), str(other)]
    assert [line.split()[0] for line in lines if line.endswith("not checked")] == ["fcfs", "sjf"] * 2


def test_compare_runs_every_policy(cli: Cli, made: Path) -> None:
    from hexsched.policies import policies

    (entry,) = cli("compare", made / "i.json", "--policies", "all", "--json").json["instances"]
    assert list(entry["policies"]) == [policy.name for policy in policies()]


def test_compare_fails_when_a_schedule_does(
    cli: Cli, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hexsched import verifier

    real = verifier.verify

    def verify_late(instance: Any, schedule: Any) -> Any:
        """The first call is said to start before its time."""
        first = schedule.calls[0]
        early = {"prefill_start": first.prefill_start - 1, "prefill_end": first.prefill_end - 1}
        calls = (msgspec.structs.replace(first, **early), *schedule.calls[1:])
        return real(instance, msgspec.structs.replace(schedule, calls=calls))

    monkeypatch.setattr(verifier, "verify", verify_late)
    outcome = cli("compare", made / "i.json", "--policies", "fcfs", "-o", tmp_path, "--json")
    assert outcome.code == CHECK_FAILED
    values = outcome.json["instances"][0]["policies"]["fcfs"]
    assert values["verified"] is False
    assert "before-release" in values["violations"]
    assert "before-release" in outcome.err
    assert "before-release" in (tmp_path / "summary.csv").read_text()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b@c", ["a", "b@c"]),
        ("hexagent(kv=off,transfer=off), fcfs@jsq", ["hexagent(kv=off,transfer=off)", "fcfs@jsq"]),
        ("a,,b", ["a", "", "b"]),
    ],
)
def test_policy_lists_split_at_top_level_commas(text: str, parts: list[str]) -> None:
    assert split_top_level(text) == parts


def test_policy_lists_hold_each_policy_once() -> None:
    names = [policy.name for policy in read_policies("sjf,all,sjf")]
    assert names[0] == "sjf"
    assert len(names) == len(set(names))


# --- plugins ---------------------------------------------------------------------------------------------------------

ORDER_PLUGIN = """
import hexsched as hx

@hx.order("biggest-first", summary="largest prompt first")
def biggest_first(call, now):
    return -call.prompt_tokens
"""


DECIDER_PLUGIN = """
import hexsched as hx
@hx.policy("biggest-first", summary="starts what is not there")
class Wrong:
    def decide(self, view):
        view.start(5, view.prefill[0])
"""


@pytest.mark.usefixtures("forget")
def test_a_plugin_is_a_policy(cli: Cli, made: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(ORDER_PLUGIN)
    outcome = cli("simulate", made / "i.json", "--policy", "biggest-first@jsq", "--plugin", plugin, "--json")
    assert outcome.json["policy"] == "biggest-first@jsq"
    again = cli("policies", "--plugin", plugin, "--json")
    assert again.err.startswith("hexsched: policy 'biggest-first' is defined again")
    assert again.err.count("\n") == 1
    listed = again.json["policies"]
    assert {"name": "biggest-first", "order": "biggest-first"}.items() <= listed[-1].items()
    assert not list(tmp_path.glob("__pycache__"))


@pytest.mark.usefixtures("forget")
@pytest.mark.parametrize(
    ("source", "line", "fragment"),
    [
        ("x = 1\nx = = 2\n", 2, "SyntaxError"),
        ("import no_such_module_at_all\n", 1, "ModuleNotFoundError"),
        ("\n\n1 / 0\n", 3, "ZeroDivisionError"),
        ("raise SystemExit(3)\n", 1, "SystemExit"),
        (ORDER_PLUGIN.replace("-call.prompt_tokens", "call.colour"), 6, "AttributeError"),
        (ORDER_PLUGIN.replace("-call.prompt_tokens", "None"), 4, "priority None"),
        (ORDER_PLUGIN.replace("-call.prompt_tokens", "float('nan')"), 4, "priority nan"),
        (DECIDER_PLUGIN, 6, "5, which is not ready"),
        (ORDER_PLUGIN.replace("biggest-first", "Biggest"), 4, "'Biggest'"),
    ],
)
def test_mistakes_in_a_plugin(cli: Cli, made: Path, tmp_path: Path, source: str, line: int, fragment: str) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(source)
    outcome = cli("simulate", made / "i.json", "--policy", "biggest-first", "--plugin", plugin)
    message = error_line(outcome)
    assert f"{plugin}:{line}: " in message
    assert fragment in message


def test_a_plugin_that_registers_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("x = 1\n")
    assert "registers no policy" in error_line(cli("policies", "--plugin", tmp_path / "mine.py"))


# --- verify, retime --------------------------------------------------------------------------------------------------


def test_verify_and_retime(cli: Cli, made: Path, tmp_path: Path) -> None:
    verified = cli("verify", made / "i.json", made / "s.json", "--json")
    assert verified.code == OK
    assert verified.json["ok"] is True
    assert verified.json["violations"] == []
    retimed = cli("retime", made / "i.json", made / "s.json", "-o", tmp_path / "r.json", "--json")
    assert retimed.code == OK
    again = cli("verify", made / "i.json", tmp_path / "r.json", "--json").json["metrics"]
    assert again == pytest.approx({key: retimed.json[key] for key in again}, rel=1e-9)
    assert cli("verify", made / "i.json", made / "s.json").out.split()[:2] == ["verdict", "valid"]
    assert "Req95" in cli("retime", made / "i.json", made / "s.json").out


def test_verify_names_the_broken_rule(cli: Cli, made: Path, tmp_path: Path) -> None:
    schedule = json.loads((made / "s.json").read_text())
    missing = schedule["calls"].pop()
    (tmp_path / "s.json").write_text(json.dumps(schedule))
    outcome = cli("verify", made / "i.json", tmp_path / "s.json", "--json")
    assert outcome.code == CHECK_FAILED
    assert outcome.json["ok"] is False
    assert outcome.json["metrics"] is None
    first = outcome.json["violations"][0]
    assert (first["rule"], first["call_id"]) == ("missing-call", missing["call_id"])
    table = cli("verify", made / "i.json", tmp_path / "s.json")
    assert table.code == CHECK_FAILED
    assert "not valid: missing-call (1)" in table.out
    line = error_line(cli("retime", made / "i.json", tmp_path / "s.json"))
    assert f"{tmp_path / 's.json'}: the schedule lacks call {missing['workflow_id']}/{missing['call_id']}" in line
    for one in schedule["calls"]:
        one["workflow_id"] = "elsewhere"
    (tmp_path / "s.json").write_text(json.dumps(schedule))
    assert "no call of the schedule is in this instance" in cli("verify", made / "i.json", tmp_path / "s.json").out
    (tmp_path / "s.json").write_text(json.dumps(schedule | {"calls": []}))
    assert "no call of" not in cli("verify", made / "i.json", tmp_path / "s.json").out


@pytest.mark.parametrize("name", cases.EXPECTED)
def test_known_schedules(cli: Cli, tmp_path: Path, name: str) -> None:
    instance, schedule, retimed = cases.file_of(name), cases.schedule_file_of(name), tmp_path / "r.json"
    metrics = cli("verify", instance, schedule, "--json").json["metrics"]
    for key, value in cases.EXPECTED[name].items():
        assert metrics[key] == pytest.approx(value, rel=1e-6)
    assert cli("retime", instance, schedule, "-o", retimed).code == OK
    assert cli("verify", instance, retimed).code == OK
    before, after = (json.loads(file.read_text())["calls"] for file in (schedule, retimed))
    new = {(row["workflow_id"], row["call_id"]): row for row in after}
    for machine, time in (("prefill_instance", "prefill_start"), ("decode_instance", "admitted")):
        last: dict[str, tuple[float, float]] = {}
        for row in sorted(before, key=lambda row: row[time]):
            now = new[row["workflow_id"], row["call_id"]]
            assert now[machine] == row[machine]
            old_time, new_time = last.get(row[machine], (-1.0, -1.0))
            assert row[time] == old_time or now[time] >= new_time
            last[row[machine]] = (row[time], now[time])


@pytest.mark.parametrize("row", [row for row in cases.BROKEN if row["rule"] != "nan"], ids=lambda row: row["rule"])
def test_known_broken_schedules(cli: Cli, tmp_path: Path, row: dict[str, Any]) -> None:
    files = tmp_path / "i.json", tmp_path / "s.json"
    for file, content in zip(files, cases.broken(row), strict=True):
        file.write_bytes(content.to_bytes())
    outcome = cli("verify", *files, "--json")
    assert outcome.code == CHECK_FAILED
    assert row["rule"] in {violation["rule"] for violation in outcome.json["violations"]}


def test_what_stays_within_thresholds(cli: Cli, made: Path, tmp_path: Path) -> None:
    """One number in simulate, verify and compare, from the run and, computed anew, from its schedule."""
    instance, schedule, slo = made / "i.json", tmp_path / "s.json", "ratio=1.5,ttft=31ms, tpot=0.02s"
    claimed = cli("simulate", instance, "--policy", "fcfs@jsq", "--slo", slo, "-o", schedule, "--json").json
    assert claimed["slo"] == "ttft=31ms,tpot=20ms,ratio=1.5"
    shares = {name: claimed[name] for name in ("calls_within", "workflows_within", "call_goodput", "workflow_goodput")}
    assert (shares["workflows_within"], shares["calls_within"]) == (2 / 4, 9 / 11)
    verified = cli("verify", instance, schedule, "--slo", slo, "--json").json
    assert {name: verified[name] for name in shares} == pytest.approx(shares, rel=1e-12)
    assert verified["metrics"]["ttft_p95"] == pytest.approx(claimed["ttft_p95"], rel=1e-12)

    words = ("compare", instance, "--policies", "fcfs@jsq,hexagent", "--slo", slo, "-o", tmp_path)
    (compared,) = cli(*words, "--json").json["instances"]
    assert {name: compared["policies"]["fcfs@jsq"][name] for name in shares} == shares
    shown = cli(*words, "--sort", "workflows_within").out
    assert "thresholds ttft=31ms,tpot=20ms,ratio=1.5" in shown
    assert f"{100 * shares['calls_within']:.2f} %" in shown
    with (tmp_path / "summary.csv").open() as file:
        rows = {row["policy"]: row for row in csv.DictReader(file)}
    assert float(rows["fcfs@jsq"]["calls_within"]) == shares["calls_within"]
    ranked = [line.split()[0] for line in shown.splitlines()[2:]]
    assert ranked == ["hexagent", "fcfs@jsq"]

    alone = cli("simulate", instance, "--policy", "hexagent", "--slo", "ratio=2", "--json").json
    assert (alone["calls_within"], alone["call_goodput"]) == (None, None)
    assert "calls_within" not in cli("simulate", instance, "--policy", "hexagent", "--json").json
    for command in (("simulate", instance, "--policy", "fcfs"), ("verify", instance, schedule), ("compare", instance)):
        assert error_line(cli(*command, "--slo", "ttft=2")).startswith("hexsched: error: --slo: thresholds 'ttft=2': ")
    assert "give some with --slo" in error_line(cli("compare", instance, "--sort", "calls_within"))


# --- calibrate, workload, listings -----------------------------------------------------------------------------------

PROFILE = "model,system,tp,phase,batch_size,context_tokens,ms\n" + "".join(
    [f"m,g,1,prefill,1,{n},{1 + n / 100 + n * n / 1e6}\n" for n in (128, 512, 2048, 8192)]
    + [f"m,g,1,decode,{b},{n},{5 + b / 10 + b * n / 1e5}\n" for b in (1, 8, 64) for n in (512, 4096)]
)


def test_calibrate(cli: Cli, tmp_path: Path) -> None:
    table, profile = tmp_path / "p.csv", tmp_path / "p.json"
    table.write_text(PROFILE)
    outcome = cli("calibrate", table, "-o", profile, "--json")
    (fit,) = outcome.json["fits"]
    assert fit["prefill_coeffs"] == pytest.approx([1e-3, 1e-5, 1e-9], rel=1e-6)
    assert fit["decode_error"]["mape"] < 1e-6
    assert json.loads(profile.read_text())["fits"] == [fit]
    lines = cli("calibrate", table, "--batch-law", "curve").out.splitlines()
    assert lines[0].split()[:5] == ["GPU", "model", "tp", "phase", "batch"]
    assert [line.split()[3:5] for line in lines[1:]] == [["prefill", "-"], ["decode", "curve"]]


MEASURED = "model,system,tp,phase,batch_size,context_tokens,ms\n" + "".join(
    [f"llama-3.1-8b,{gpu},1,prefill,1,{n},{n / 20}\n" for gpu in ("h100_sxm", "L40S") for n in (128, 512, 2048, 8192)]
    + [
        f"llama-3.1-8b,{gpu},1,decode,{b},{n},{5 + b}\n"
        for gpu in ("h100_sxm", "L40S")
        for b in (1, 8)
        for n in (9, 99)
    ]
)
UNCOVERED = """\
name: mine
model: llama-3.1-8b
profile: profile.json
prefill: [{gpu: H100, count: 1, tensor_parallel: 2}]
decode: [{gpu: H100, count: 1, tensor_parallel: 2}]
"""


def test_times_that_a_profile_does_not_have(cli: Cli, made: Path, tmp_path: Path) -> None:
    """Which combination is missing, which there are, and what is taken instead; never in silence."""
    (tmp_path / "measured.csv").write_text(MEASURED)
    outcome = cli("calibrate", tmp_path / "measured.csv", "-o", tmp_path / "profile.json")
    assert outcome.code == OK
    (line,) = outcome.err.splitlines()
    assert "no GPU of the catalogue is called 'L40S'" in line

    cluster, instance = tmp_path / "c.yaml", tmp_path / "i.json"
    cluster.write_text(UNCOVERED)
    line = error_line(cli("compile", cluster, made / "w.jsonl", "-o", instance))
    assert f"{cluster}:3: profile: profile.json has no times of llama-3.1-8b on H100 at tp 2; profile.json has " in line
    assert "llama-3.1-8b on H100 at tp 1, L40S at tp 1; the shipped fits have" in line
    assert line.endswith(
        "without this key the roofline calibrated to llama-3.1-8b on H100 at tp 1 (measured.csv) serves"
    )

    cluster.write_text(UNCOVERED.replace("tensor_parallel: 2", "tensor_parallel: 1", 1))
    told = "decode[0]: no measured times of llama-3.1-8b on H100 at tp 2 in profile.json; the roofline calibrated to"
    grid = tmp_path / "g.yaml"
    grid.write_text("clusters: c.yaml\nworkloads: react\nworkflows: 2\nloads: at-once\npolicies: fcfs\n")
    for command in (
        ("compile", cluster, made / "w.jsonl", "-o", instance),
        ("load", cluster, made / "w.jsonl", "--workflows", 2),
        ("grid", "plan", grid, "--store", tmp_path / "s"),
    ):
        outcome = cli(*command)
        assert outcome.code == OK
        assert [told in line for line in outcome.err.splitlines() if "no measured times" in line] == [True], outcome
    record = cli("compile", cluster, made / "w.jsonl", "-o", instance, "--json").json
    near = "roofline calibrated to llama-3.1-8b on H100 at tp 1 (measured.csv)"
    assert record["service_times"] == {"measured: measured.csv": ["prefill[0]"], near: ["decode[0]"]}
    assert record["sources"] == json.loads(instance.read_bytes())["sources"]
    assert {"field": "decode_coeffs", "of": ["d0-H100"], "source": near} in record["sources"]
    outcome = cli("cluster", "describe", cluster)
    assert outcome.code == OK
    assert outcome.err.count("no measured times") == 1
    assert near in outcome.out
    assert near in cli("compile", cluster, made / "w.jsonl", "-o", instance).out


def test_the_schema_of_clusters_has_every_field(cli: Cli) -> None:
    schema = json.loads(cli("schema", "cluster", "--json").out)
    kinds = schema["$defs"]
    assert {"model", "prefill", "links", "typical_batch", "gpus"} <= set(kinds["ClusterSpec"]["properties"])
    documented = (Path(__file__).parents[1] / "docs" / "clusters.md").read_text()
    for kind in kinds.values():
        for field in kind["properties"]:
            assert f"`{field}`" in documented, field


def test_workload_generate_import_describe(cli: Cli, tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    made = cli("workload", "generate", "sharegpt", "--workflows", 12, "--seed", 3, "-o", first, "--json")
    assert made.json["workflows"] == len(read_workload(first)) == 12
    assert cli("workload", "generate", "sharegpt", "--workflows", 12, "--seed", 3).out == first.read_text()
    imported = cli("workload", "import", first, "--limit", 5, "--arrivals", "fixed:1", "-o", second, "--json")
    assert imported.json["format"] == "hexsched"
    assert [workflow.arrival for workflow in read_workload(second)] == [0.0, 1.0, 2.0, 3.0, 4.0]
    described = cli("workload", "describe", second, "--json").json
    assert described["quantities"]["workflows"]["value"] == 5
    assert described["quantities"]["arrival_rate"]["value"] == 1.0
    assert described["quantities"]["workflows"]["mean"] is None
    assert "prompt_tokens" in cli("workload", "describe", second, "--format", "hexsched").out


def test_workload_import_options(cli: Cli, tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    rows = [{"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [1, 2]}] * 2
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def cached_tokens(prefix_cache: str) -> list[int]:
        option = ("--option", f"prefix_cache={prefix_cache}", "--option", "block_tokens=512")
        lines = cli("workload", "import", trace, "--format", "mooncake", *option).out.splitlines()
        return [json.loads(line)["calls"][0]["cached_tokens"] for line in lines]

    assert cached_tokens("false") == [0, 0]
    assert cached_tokens("true")[1] > 0


def test_workload_fit_report(cli: Cli, tmp_path: Path) -> None:
    own = tmp_path / "w.jsonl"
    cli("workload", "generate", "sharegpt", "--workflows", 50, "--seed", 9, "-o", own)
    report = cli("workload", "fit-report", "sharegpt", "--real", own, "--workflows", 50, "--seed", 9, "--json").json
    assert report["quantities"]["prompt_tokens"]["error"]["worst_error"] < 0.05
    table = cli("workload", "fit-report", "sharegpt", "--workflows", 50)
    assert {"real", "generated", "error"} <= {line.split()[1] for line in table.out.splitlines()}


@pytest.mark.parametrize(
    ("command", "entry"),
    [
        ("policies", "hexagent"),
        ("gpus", "H100"),
        ("models", "llama-3.1-70b"),
        ("families", "lats"),
        ("formats", "mooncake"),
        ("clusters", "demo"),
    ],
)
def test_listings(cli: Cli, command: str, entry: str) -> None:
    record = cli(command, "--json").json
    assert entry in {row["name"] for row in record[command]}
    assert any(line.startswith(entry) for line in cli(command).out.splitlines())


def test_policies_lists_placements_and_estimators(cli: Cli) -> None:
    record = cli("policies", "--json").json
    assert {"jsq", "plan"} <= {row["name"] for row in record["placements"]}
    assert {"exact", "class_mean"} <= {row["name"] for row in record["estimators"]}
    hexagent = next(row for row in record["policies"] if row["name"] == "hexagent")
    assert hexagent["options"]["kv"] == "on"


# --- bad input: exit code 2 and one line ---------------------------------------------------------------------------


def path_of(data: Any, *keys: str | int) -> Any:
    for key in keys:
        data = data[key]
    return data


def put(*keys: Any) -> Callable[[Any], None]:
    """Set the last of ``keys`` at the place that the others lead to."""

    def change(data: Any) -> None:
        *way, key, value = keys
        path_of(data, *way)[key] = value

    return change


def drop(*keys: Any) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        del path_of(data, *keys[:-1])[keys[-1]]

    return change


def append_first(*keys: Any) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        entries = path_of(data, *keys)
        entries.append(entries[0])

    return change


def call(number: int) -> tuple[Any, ...]:
    return ("calls", number)


# name -> (what is done to a workflow, words that the message must have)
BAD_WORKFLOWS: dict[str, tuple[Callable[[Any], None], tuple[str, ...]]] = {
    "missing key": (drop(*call(0), "prompt_tokens"), ("calls[0]", "prompt_tokens")),
    "unknown key": (put(*call(0), "speed", 1), ("calls[0]", "speed")),
    "wrong type": (put(*call(0), "output_tokens", "many"), ("calls[0].output_tokens", "int")),
    "negative": (put(*call(0), "delay", -1), ("delay",)),
    "nan": (put(*call(0), "delay", float("nan")), ("NaN",)),
    "infinite": (put(*call(0), "delay", float("inf")), ("finite",)),
    "zero tokens": (put(*call(0), "prompt_tokens", 0), ("prompt_tokens",)),
    "cached too many": (put(*call(0), "cached_tokens", 10**6), ("cached_tokens",)),
    "cycle": (put(*call(0), "parents", ["c001"]), ("cycle",)),
    "unknown parent": (put(*call(1), "parents", ["nobody"]), ("unknown parent", "'nobody'")),
    "duplicate id": (put(*call(1), "call_id", "c000"), ("duplicate call_id", "'c000'")),
}


@pytest.fixture
def chain() -> dict[str, Any]:
    """A workflow of two calls, the second a child of the first."""
    first = {"call_id": "c000", "prompt_tokens": 100, "output_tokens": 10, "parents": []}
    second = {"call_id": "c001", "prompt_tokens": 120, "output_tokens": 10, "parents": ["c000"]}
    return {"workflow_id": "w0", "arrival": 0.0, "calls": [first, second]}


@pytest.mark.parametrize("name", BAD_WORKFLOWS)
def test_bad_workloads(cli: Cli, tmp_path: Path, chain: dict[str, Any], name: str) -> None:
    change, words = BAD_WORKFLOWS[name]
    good = json.dumps({**chain, "workflow_id": "first"})
    change(chain)
    file = tmp_path / "bad.jsonl"
    file.write_text(f"{good}\n{json.dumps(chain)}\n")
    line = error_line(cli("compile", "demo", file))
    assert f"{file}:2: " in line
    assert all(word in line for word in words)


@pytest.mark.parametrize("name", BAD_WORKFLOWS)
def test_bad_workflows_in_instances(cli: Cli, made: Path, tmp_path: Path, chain: dict[str, Any], name: str) -> None:
    change, words = BAD_WORKFLOWS[name]
    change(chain)
    data = json.loads((made / "i.json").read_text())
    data["workflows"] = [chain]
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(data))
    line = error_line(cli("verify", file, made / "s.json"))
    assert f"{file}: " in line
    assert all(word.replace("calls[0]", "workflows[0].calls[0]") in line for word in words)


def test_a_call_larger_than_every_kv_cache(cli: Cli, tmp_path: Path, chain: dict[str, Any]) -> None:
    chain["calls"][1]["prompt_tokens"] = 900_000_000
    file = tmp_path / "bad.jsonl"
    file.write_text(json.dumps(chain))
    line = error_line(cli("compile", "demo", file))
    assert all(word in line for word in (str(file), "'c001'", "1 of 1 workflows do not fit any KV cache"))


SIZES = {"w0": (500, 100), "w1": (900_000, 100), "w2": (9_000, 100), "w3": (800_000, 200_000), "w4": (1, 1)}


@pytest.fixture
def oversize(tmp_path: Path) -> Path:
    """A workload of five workflows; w1 and w3 do not fit the demo cluster, where calls have at most 885,228 tokens."""
    workflows = [
        Workflow(
            workflow_id=name,
            arrival=float(k),
            calls=(
                Call(call_id="c", prompt_tokens=n, output_tokens=m),
                Call(call_id="d", prompt_tokens=9, output_tokens=1),
            ),
        )
        for k, (name, (n, m)) in enumerate(SIZES.items())
    ]
    write_workload(tmp_path / "sizes.jsonl", workflows)
    return tmp_path / "sizes.jsonl"


TOO_LARGE = "2 calls have more, up to 1,000,000 (call 'c' of workflow 'w3')"


@pytest.mark.parametrize("command", ["compile", "load"])
def test_workflows_that_do_not_fit_are_counted_and_can_be_left_out(
    cli: Cli, tmp_path: Path, oversize: Path, command: str
) -> None:
    """How many, how large a call may be, and the option that leaves them out."""
    output = ("-o", tmp_path / "i.json") if command == "compile" else ()
    words = (command, "demo", oversize, *output)
    fits = "a call may have 885,228 tokens of prompt and output"
    assert error_line(cli(*words)) == (
        f"hexsched: error: {oversize}: 2 of 5 workflows do not fit any KV cache: {fits}, {TOO_LARGE}; "
        "--leave-out-oversize (in Python: leave_out_oversize=True) leaves such workflows out"
    )
    outcome = cli(*words, "--leave-out-oversize", "--json")
    left_out = outcome.err.splitlines()[0]
    assert left_out == f"hexsched: {oversize}: 2 of 5 workflows left out (--leave-out-oversize): {fits}, {TOO_LARGE}"
    assert (outcome.json["workflows"], outcome.json["left_out"]) == (3, {"--leave-out-oversize": 2})

    outcome = cli(*words, "--max-context", 600, "--json")
    assert outcome.err.startswith(
        f"hexsched: {oversize}: 3 of 5 workflows left out (--max-context): a call may have 600 "
    )
    assert (outcome.json["workflows"], outcome.json["left_out"]) == (2, {"--max-context": 3})
    both = cli(*words, "--max-context", 900_200, "--leave-out-oversize", "--json").json
    assert (both["workflows"], both["left_out"]) == (3, {"--max-context": 1, "--leave-out-oversize": 1})
    nothing = cli(*words, "--max-context", 5)
    assert nothing.code == BAD_INPUT
    assert nothing.err.endswith("every workflow has a call that is too large; none is left\n")


def test_new_arrivals_are_those_of_the_workflows_that_are_left(cli: Cli, tmp_path: Path, oversize: Path) -> None:
    words = ("compile", "demo", oversize, "--leave-out-oversize", "--arrivals", "fixed:0.5", "-o", tmp_path / "i.json")
    assert cli(*words).code == OK
    instance = read_instance(tmp_path / "i.json")
    assert [(w.workflow_id, w.arrival) for w in instance.workflows] == [("w0", 0.0), ("w2", 2.0), ("w4", 4.0)]


BAD_INSTANCES: dict[str, tuple[Callable[[Any], None], tuple[str, ...]]] = {
    "format": (put("format", "hexsched-instance/9"), ("format", "hexsched-instance/9")),
    "missing key": (drop("prefill", 0, "prefill_coeffs"), ("prefill[0]", "prefill_coeffs")),
    "unknown key": (put("decode", 0, "speed", 1), ("decode[0]", "speed")),
    "wrong type": (put("kv_bytes_per_token", "many"), ("kv_bytes_per_token",)),
    "negative": (put("links", 0, "latency", -1), ("links[0]", "latency")),
    "nan": (put("links", 0, "bandwidth", float("nan")), ("NaN",)),
    "zero bandwidth": (put("links", 0, "bandwidth", 0), ("links[0]", "bandwidth")),
    "decode model": (put("decode_model", "liquid"), ("decode_model", "liquid")),
    "no prefill instance": (put("prefill", []), ("prefill pool is empty",)),
    "no decode instance": (put("decode", []), ("decode pool is empty",)),
    "no workflow": (put("workflows", []), ("no workflows",)),
    "missing link": (drop("links", 0), ("missing link",)),
    "duplicate link": (append_first("links"), ("duplicate link",)),
    "duplicate instance": (append_first("prefill"), ("duplicate instance id",)),
    "duplicate workflow": (append_first("workflows"), ("duplicate workflow_id",)),
    "too large a call": (put("workflows", 0, "calls", 0, "prompt_tokens", 10**9), ("1 of 4 workflows do not fit",)),
}


@pytest.mark.parametrize("name", BAD_INSTANCES)
@pytest.mark.parametrize("command", ["verify", "simulate"])
def test_bad_instances(cli: Cli, made: Path, tmp_path: Path, name: str, command: str) -> None:
    change, words = BAD_INSTANCES[name]
    data = json.loads((made / "i.json").read_text())
    change(data)
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(data))
    rest = (made / "s.json",) if command == "verify" else ("--policy", "fcfs")
    line = error_line(cli(command, file, *rest))
    assert f"{file}: " in line
    assert all(word in line for word in words)


CLUSTER = """\
name: mine
model: llama-3.1-8b
prefill:
  - {gpu: H100, count: 1, tensor_parallel: 1}
decode:
  - {gpu: H200, count: 1, tensor_parallel: 1}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("gpu: H100", "gpu: H1000", 4, ("gpu", "unknown GPU 'H1000'", "H100")),
        ("model: llama-3.1-8b", "model: llama-9", 2, ("model", "'llama-9'")),
        ("count: 1, tensor_parallel: 1}\ndecode", "tensor_parallel: 1}\ndecode", 4, ("count",)),
        ("gpu: H200, count: 1", "gpu: H200, count: 0", 6, ("count", "from 1")),
        ("gpu: H200, count: 1", "gpu: H200, count: -2", 6, ("count", "-2")),
        ("gpu: H200, count: 1", "gpu: H200, count: two", 6, ("count", "int")),
        ("gpu: H200, count: 1", "gpu: H200, speed: 1, count: 1", 6, ("speed",)),
        ("gpu: H200, count: 1", "gpu: H200, count: 1, kv_memory_fraction: .nan", 6, ("kv_memory_fraction", "nan")),
        ("decode:\n  - {gpu: H200, count: 1, tensor_parallel: 1}", "decode: []", 5, ("decode", "at least one pool")),
        ("name: mine", "name: {mine", 1, ()),
    ],
)
def test_bad_clusters(
    cli: Cli, made: Path, tmp_path: Path, old: str, new: str, line: int, words: tuple[str, ...]
) -> None:
    assert old in CLUSTER
    file = tmp_path / "bad.yaml"
    file.write_text(CLUSTER.replace(old, new))
    message = error_line(cli("compile", file, made / "w.jsonl"))
    assert str(file) in message
    assert not words or f"{file}:{line}: " in message
    assert all(word in message for word in words)


CONTENTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "blank": (b" \n\n", "empty"),
    "not UTF-8": (b'{"workflow_id": "\xff", "calls": []}', "not UTF-8"),
    "truncated": (b'{"workflow_id": "w0", "calls": [{"call_id": "c0", "prompt', ""),
    "deeply nested": (b'{"workflow_id": "w0", "calls": ' + b"[" * 200_000, ""),
    "another kind": (b"GIF89a", ""),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize(
    "argv",
    [
        ("compile", "demo", "BAD"),
        ("compile", "BAD", "w.jsonl"),
        ("simulate", "BAD", "--policy", "fcfs"),
        ("compare", "i.json", "BAD", "--policies", "fcfs"),
        ("verify", "BAD", "s.json"),
        ("verify", "i.json", "BAD"),
        ("retime", "i.json", "BAD"),
        ("calibrate", "BAD"),
        ("workload", "describe", "BAD"),
        ("workload", "import", "BAD", "--format", "hexsched"),
        ("workload", "fit-report", "lats", "--real", "BAD"),
    ],
    ids=" ".join,
)
def test_unreadable_files(cli: Cli, made: Path, tmp_path: Path, name: str, argv: tuple[str, ...]) -> None:
    data, word = CONTENTS[name]
    file = tmp_path / "bad.yaml"  # a name that tells a cluster file from a cluster's name
    file.write_bytes(data)
    words = [file if word == "BAD" else made / word if (made / word).is_file() else word for word in argv]
    line = error_line(cli(*words))
    assert str(file) in line
    assert word in line
    missing = [tmp_path / "none.yaml" if word == "BAD" else known for word, known in zip(argv, words, strict=True)]
    assert "No such file" in error_line(cli(*missing))
    folder = [tmp_path if word == "BAD" else known for word, known in zip(argv, words, strict=True)]
    refusal = error_line(cli(*folder))
    assert f"{tmp_path}: cannot read the file: Is a directory" in refusal or f"{tmp_path / 'bad.yaml'}" in refusal


def test_long_lines(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    calls = [{"call_id": "a", "prompt_tokens": 9, "output_tokens": 1, "kind": "x" * 33 * 2**20}]
    file.write_text(json.dumps({"workflow_id": "long", "calls": calls}) + "\n")
    assert cli("compile", "demo", file, "-o", tmp_path / "i.json", "--json").json["calls"] == 1
    file.write_bytes(file.read_bytes()[:-9])
    assert f"{file}:1: not valid JSON" in error_line(cli("compile", "demo", file))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(cli: Cli, made: Path, tmp_path: Path) -> None:
    file = tmp_path / "secret.json"
    file.write_text("{}")
    file.chmod(0)
    assert "Permission denied" in error_line(cli("verify", file, made / "s.json"))
    tmp_path.chmod(0o500)
    assert str(tmp_path) in error_line(cli("compile", "demo", made / "w.jsonl", "-o", tmp_path / "i.json"))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("simulate", "i.json", "--policy", "hexagnt"), ("unknown policy 'hexagnt'", "hexagent")),
        (("simulate", "i.json", "--policy", "fcfs@jsqq"), ("unknown placement 'jsqq'", "jsq")),
        (("simulate", "i.json", "--policy", "hexagent(kvv=off)"), ("no option 'kvv'", "kv")),
        (("simulate", "i.json", "--policy", "hexagent(kv=maybe)"), ("'kv'", "on or off", "'maybe'")),
        (("simulate", "i.json", "--policy", "hexagent(kv=off"), ("hexagent(kv=off", "expected NAME")),
        (("simulate", "i.json", "--policy", "fcfs", "--estimator", "psychic"), ("estimator 'psychic'", "class_mean")),
        (("simulate", "i.json", "--policy", "fcfs", "--estimator", "noise(-1)"), ("noise(-1)", "from 0")),
        (("simulate", "i.json", "--policy", "fcfs", "--seed", "-1"), ("--seed",)),
        (("simulate", "i.json", "--policy", "fcfs", "--seed", "x"), ("--seed", "integer")),
        (("simulate", "i.json"), ("--policy", "hexsched simulate --help")),
        (("simulate",), ("INSTANCE", "hexsched simulate --help")),
        (("simulate", "i.json", "--policy", "fcfs", "--colour"), ("--colour",)),
        (("compare", "i.json", "--policies", "fcfs,,sjf"), ("'fcfs,,sjf'", "missing")),
        (("compare", "i.json", "--policies", "fcfs", "--sort", "price"), ("--sort", "'price'", "req95")),
        (("compare", "i.json", "--policies", "fcfs", "-o", "i.json"), ("i.json", "directory")),
        (("compile", "dmo", "w.jsonl"), ("unknown cluster 'dmo'", "demo")),
        (("compile", "demo", "w.jsonl", "--decode-model", "gas"), ("'gas'", "fluid")),
        (("compile", "demo", "w.jsonl", "--arrivals", "sometimes:2"), ("'sometimes:2'", "poisson:")),
        (("compile", "demo", "w.jsonl", "--arrivals", "poisson:-2"), ("'poisson:-2'", "rate")),
        (("compile", "demo", "w.jsonl", "--workflows", "5"), ("w.jsonl", "5 workflows", "has 4")),
        (("compile", "demo", "w.jsonl", "--format", "parquet"), ("'parquet'", "mooncake")),
        (("compile", "demo", "w.jsonl", "--json"), ("--json", "-o FILE")),
        (("compile", "demo", "w.jsonl", "-o", "w.jsonl"), ("w.jsonl", "overwrite")),
        (("simulate", "i.json", "--policy", "fcfs", "-o", "i.json"), ("i.json", "overwrite")),
        (("retime", "i.json", "s.json", "-o", "s.json"), ("s.json", "overwrite")),
        (("workload", "import", "w.jsonl", "-o", "w.jsonl"), ("w.jsonl", "overwrite")),
        (("compile", "demo", "w.jsonl", "-o", "."), (".", "directory")),
        (("compile", "demo", "w.jsonl", "-o", "i.json/below/x.json"), ("i.json/below/x.json", "not a directory")),
        (("compare", "i.json", "-o", "i.json/below"), ("i.json", "not a directory")),
        (("workload", "generate", "poetry", "--workflows", "3"), ("family 'poetry'", "sharegpt")),
        (("workload", "generate", "lats", "--workflows", "0"), ("workflows", "from 1")),
        (("workload", "fit-report", "mixed"), ("'mixed'",)),
        (("workload", "import", "w.jsonl", "--option", "split"), ("--option", "'split'", "KEY=VALUE")),
        (("workload", "import", "w.jsonl", "--option", "limit=2"), ("no option 'limit'",)),
        (("workload", "import", "w.jsonl", "--option", "a=1", "--option", "a=2"), ("'a=2'", "twice")),
        (("workload", "paint"), ("'paint'", "hexsched workload --help")),
        (("paint",), ("'paint'", "hexsched --help")),
        (("policies", "--plugin", "none.py"), ("none.py", "No such file")),
    ],
    ids=lambda value: " ".join(value) if value and value[0].islower() else "",
)
def test_bad_usage(
    cli: Cli, made: Path, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...], words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(made)
    before = {file: file.read_bytes() for file in made.iterdir()}
    line = error_line(cli(*argv))
    assert all(word in line for word in words), line
    assert {file: file.read_bytes() for file in made.iterdir()} == before


def test_a_schedule_of_another_instance(cli: Cli, made: Path, tmp_path: Path) -> None:
    schedule = json.loads((made / "s.json").read_text())
    schedule["calls"].append(schedule["calls"][0])
    file = tmp_path / "s.json"
    file.write_text(json.dumps(schedule))
    line = error_line(cli("retime", made / "i.json", file))
    assert f"{file}: " in line
    assert "twice" in line


# --- as a process ----------------------------------------------------------------------------------------------------


def test_process_ok_and_bad_input(made: Path, tmp_path: Path) -> None:
    good = subprocess_cli("verify", made / "i.json", made / "s.json", "--json")
    assert (good.returncode, good.stderr) == (OK, "")
    assert json.loads(good.stdout)["ok"] is True
    bad = subprocess_cli("verify", tmp_path / "none.json", made / "s.json")
    assert (bad.returncode, bad.stdout) == (BAD_INPUT, "")
    assert bad.stderr == f"hexsched: error: {tmp_path / 'none.json'}: cannot read the file: No such file or directory\n"


def test_process_interrupted(tmp_path: Path) -> None:
    plugin = tmp_path / "interrupt.py"
    plugin.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = subprocess_cli("policies", "--plugin", plugin)
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "hexsched: interrupted\n")


def test_process_whose_reader_leaves() -> None:
    argv = ["workload", "generate", "bfcl", "--workflows", "200"]  # far more than a pipe holds
    command = [sys.executable, "-c", IN_PROCESS, *argv]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1) == b"{"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=120) == OK
