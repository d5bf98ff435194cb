"""Every formulation: it reaches the exhaustive optimum, never claims more than it knows, and takes what it is given."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import cases
import numpy as np
import pytest
from extension import extended, recipe
from instances import call, corner_instance, one_pair, workflow
from msgspec.structs import replace as struct_replace
from reference import serial_schedule
from reference.exhaustive import Value, largest, mean_latency, mean_ratio, misses, optima, required

from experiments.cli import BAD_INPUT, INTERRUPTED, OK, main
from hexsched.errors import InputError
from hexsched.model import Instance, read_schedule, write_instance, write_schedule
from hexsched.policies import policies
from hexsched.simulator import simulate
from hexsched.verifier import verify
from solvers import exact
from solvers.bounds import BOUNDS, critical_path
from solvers.brackets.solve import solve_with
from solvers.exact import cpsat
from solvers.problem.bracket import Bracket, ContradictionError
from solvers.problem.objective import KINDS, read_objective
from solvers.problem.offline import OfflineProblem, fixed_problem
from solvers.problem.result import Options, Outcome

OBJECTIVES: dict[str, Value] = {
    "max_ratio": largest,
    "req(0.5)": required("0.5"),
    "mean_ratio": mean_ratio,
    "mean_latency": mean_latency,
    "misses(1.1)": misses(1.1),
    "misses(1)": misses(1.0),
}
SMALL = ((68, 2, 1), (36, 1, 1))  # seed, prefill and decode instances, all in use; three calls
TINY = (*SMALL, (87, 1, 2), (78, 1, 2), (57, 1, 2), (102, 2, 1), (5, 2, 2))  # up to four calls
# they get SMALL alone, as each takes seconds; tests/test_formulations_agree.py has many more for them
SLOW = (
    "benders",
    "choco",
    "milp_event",
    "milp_linear_ordering",
    "milp_on_off",
    "milp_positional",
    "milp_step",
    "milp_time_indexed",
)
ACCURACY = 1e-3
FORMULATIONS = sorted(name for name, one in exact.FORMULATIONS.items() if one.available())
QUICK = Options(time_limit=5, workers=1)


@cache
def tiny(seed: int, prefill: int, decode: int) -> Instance:
    """A fixed instance of three to five calls."""
    rng = np.random.default_rng(seed)
    workflows = int(rng.integers(1, 4, endpoint=True))
    room = ("barely", "loose", "drawn")[seed % 3]
    drawn = corner_instance(
        rng,
        workflows=(workflows, workflows),
        calls=(1, 5 - workflows),
        decode_model="fixed",
        room=room,
        arrivals="together",
        transfers="slow",
    )
    pools = drawn.prefill[:prefill], drawn.decode[:decode]
    kept = {machine.id for pool in pools for machine in pool}
    links = tuple(link for link in drawn.links if {link.source, link.to} <= kept)
    return struct_replace(drawn, prefill=pools[0], decode=pools[1], links=links)


@cache
def best(seed: int, prefill: int, decode: int) -> dict[str, float]:
    """The optima of ``tiny``."""
    return optima(tiny(seed, prefill, decode), OBJECTIVES)


@cache
def of_policies(seed: int, prefill: int, decode: int, text: str) -> list[float]:
    """The objective under every policy, on ``tiny``."""
    instance, aim = tiny(seed, prefill, decode), read_objective(text)
    problem = fixed_problem(instance)
    runs = (simulate(instance, policy) for policy in policies())
    return [aim.value(problem.arrival, run.completed, problem.horizon) for run in runs]


def crowded() -> Instance:
    """More than can be solved in no time: eight workflows at once on one pair of instances."""
    flows = (
        workflow(f"w{k}", 0.0, call("a", 5 + k, 20 + 3 * k), call("b", 9 + k, 15 + k, "a"), call("c", 7, 9 + k, "a"))
        for k in range(8)
    )
    return one_pair(*flows, decode_model="fixed", kv_capacity_tokens=120, max_batch=3)


def pairs(exact_only: bool = False) -> list[tuple[str, str]]:
    """(formulation, objective) wherever the one can minimise the other."""
    return [
        (name, text)
        for name in FORMULATIONS
        for text in OBJECTIVES
        if read_objective(text).kind in exact.FORMULATIONS.find(name).objectives
        and (exact.FORMULATIONS.find(name).exact or not exact_only)
    ]


def close(value: float | None, expected: float) -> bool:
    """Equal to ``ACCURACY``."""
    return value is not None and abs(value - expected) <= ACCURACY * max(abs(expected), 1e-9)


@pytest.mark.parametrize(
    ("formulation", "text", "case"),
    [
        pytest.param(
            *(name, text, case),
            id=f"{name}-{text}-{case}",
            marks=() if case == SMALL[0] or name == "cpsat" else pytest.mark.campaign,  # MILPs take seconds for each
        )
        for name, text in pairs(exact_only=True)
        for case in (SMALL if name in SLOW else TINY)
    ],
)
def test_exact_formulation_reaches_the_exhaustive_optimum(
    formulation: str, text: str, case: tuple[int, int, int]
) -> None:
    # from nothing, so that no policy's schedule hides what the formulation cannot find
    result = solve_with(tiny(*case), formulation, text, options=QUICK, start_policies=())
    optimum = best(*case)[text]
    assert close(result.objective, optimum)
    assert result.lower_bound <= optimum * (1 + 1e-9)
    assert result.status == "optimal" or result.lower_bound < result.objective


@pytest.mark.parametrize(("formulation", "text"), pairs(exact_only=True))
def test_exact_formulation_reaches_the_known_optima(formulation: str, text: str) -> None:
    for case, values in list(cases.OPTIMA.items())[: 1 if formulation in SLOW else None]:
        for name, optimum in values.items():
            if cases.NAMES.get(name, name) == text:
                result = solve_with(cases.instance(case), formulation, text, options=QUICK)
                assert close(result.objective, optimum), case
                assert result.lower_bound <= optimum * (1 + 1e-9), case


@pytest.mark.parametrize(("formulation", "text"), pairs())
def test_bound_below_optimum_below_every_policy(formulation: str, text: str) -> None:
    case = SMALL[0]
    instance, optimum = tiny(*case), best(*case)[text]
    result = solve_with(instance, formulation, text, options=QUICK)
    assert result.lower_bound <= optimum * (1 + 1e-9) <= result.objective * (1 + 2e-9)
    assert all(optimum <= value * (1 + 1e-9) for value in of_policies(*case, text))

    # the result is what the verifier finds
    assert result.schedule is not None
    report = verify(instance, result.schedule)
    assert report.ok
    if text in ("max_ratio", "mean_ratio", "mean_latency"):
        assert result.objective == pytest.approx(getattr(report.metrics, text), rel=1e-9)
    assert (result.formulation, result.objective_name) == (formulation, str(read_objective(text)))
    assert result.size.variables > 0
    bounds = [bound for _, _, bound in result.series if bound is not None]
    assert bounds == sorted(bounds)
    assert all(bound <= result.objective * (1 + 1e-6) for bound in bounds)


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_no_time_is_no_proof(formulation: str) -> None:
    options = Options(time_limit=1e-3, workers=1)
    objective = "mean_ratio" if "mean_ratio" in exact.FORMULATIONS[formulation].objectives else "max_ratio"
    result = solve_with(crowded(), formulation, objective, options=options)
    assert result.status == "feasible"
    assert result.lower_bound < result.objective
    assert verify(crowded(), result.schedule).ok
    empty = solve_with(crowded(), formulation, "max_ratio", options=options, start_policies=())
    assert empty.status in ("unknown", "feasible")
    assert (empty.objective is None) == (empty.schedule is None) == (empty.status == "unknown")
    assert empty.lower_bound >= 1


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_warm_start_is_never_lost(formulation: str) -> None:
    instance = tiny(*SMALL[0])
    serial = serial_schedule(instance, np.random.default_rng(0))
    result = solve_with(
        instance, formulation, options=replace(QUICK, warm_start=serial, time_limit=1e-3), start_policies=()
    )
    assert result.schedule is not None
    assert result.objective <= verify(instance, serial).metrics.max_ratio


def test_every_switch_says_what_it_is_by_default() -> None:
    texts = [text for one in exact.FORMULATIONS.values() for text in one.switches.values()]
    assert [text for text in texts if not text.endswith((" (on)", " (off)"))] == []


@pytest.mark.parametrize(
    ("formulation", "switch"),
    [(name, switch) for name in FORMULATIONS for switch in exact.FORMULATIONS.find(name).switches],
)
def test_switch_does_not_change_the_optimum(formulation: str, switch: str) -> None:
    kind = exact.FORMULATIONS.find(formulation)
    case, on = SMALL[1], kind.switches[switch].endswith("(off)")  # what it is not by default
    result = solve_with(tiny(*case), formulation, "max_ratio", options=replace(QUICK, extra={switch: on}))
    optimum = best(*case)["max_ratio"]
    assert result.lower_bound <= optimum * (1 + 1e-9) <= result.objective * (1 + 2e-9)
    assert close(result.objective, optimum) or not kind.exact


@pytest.mark.parametrize("text", ["max_ratio", "mean_ratio", "mean_latency"])
def test_cpsat_stays_exact_with_everything_on(text: str) -> None:
    for case in TINY:
        extra = dict.fromkeys(exact.FORMULATIONS.find("cpsat").switches, True)
        result = solve_with(tiny(*case), "cpsat", text, options=replace(QUICK, extra=extra))
        assert result.status == "optimal"
        assert close(result.objective, best(*case)[text])


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_model_file(formulation: str, tmp_path: Path) -> None:
    for ending in exact.FORMULATIONS.find(formulation).model_formats:
        path = tmp_path / f"model{ending}"
        solve_with(tiny(*SMALL[0]), formulation, options=Options(time_limit=2.0, workers=1, write_model=path))
        assert path.stat().st_size > 100


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_crash_keeps_the_warm_start(formulation: str) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("the licence has expired")

    kind = replace(exact.FORMULATIONS.find(formulation), solve=crash)
    exact.FORMULATIONS.put(kind)
    result = solve_with(tiny(*SMALL[0]), formulation)
    assert result.status == "unknown"
    assert "the licence has expired" in result.message
    assert result.lower_bound <= best(*SMALL[0])["max_ratio"] <= result.objective * (1 + 1e-9)
    assert verify(tiny(*SMALL[0]), result.schedule).ok


def test_wrong_bound_is_not_hushed_up() -> None:
    def boast(problem: OfflineProblem, bracket: Bracket, options: Options) -> Outcome:
        bracket.prove(1e6, "cpsat")
        return Outcome()

    exact.FORMULATIONS.put(replace(exact.FORMULATIONS.find("cpsat"), solve=boast))
    with pytest.raises(ContradictionError, match="claims max_ratio"):
        solve_with(tiny(*SMALL[0]), options=QUICK)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"objective": "makespan"}, "unknown objective 'makespan'"),
        ({"objective": "req(2)"}, "Q must be above 0 and at most 1"),
        ({"formulation": "cp-sat"}, "unknown formulation 'cp-sat'"),
        ({"start_policies": ("fcsf",)}, "unknown policy 'fcsf'"),
        ({"options": Options(extra={"cuts": True})}, "has no switch 'cuts'"),
        ({"options": Options(solver="Gurobi")}, "cannot use solver 'Gurobi'"),
        ({"options": Options(write_model=Path("model.xls"))}, "model.xls: .* cannot write"),
        ({"options": Options(time_limit=float("nan"))}, "the time limit must be above 0 seconds"),
        ({"options": Options(workers=0)}, "workers must be at least 1"),
    ],
)
def test_bad_input(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        solve_with(tiny(*SMALL[0]), **given)


def test_fluid_instances_are_refused() -> None:
    with pytest.raises(InputError, match="need decode_model 'fixed'"):
        solve_with(one_pair(workflow("w", 0.0, call("c", 1, 1))))


def test_warm_start_of_another_instance_is_refused() -> None:
    other = simulate(crowded(), "fcfs").schedule
    with pytest.raises(InputError, match="the warm start cannot be used: the schedule has call"):
        solve_with(tiny(*SMALL[0]), options=Options(warm_start=other))


def test_critical_path_is_the_floor() -> None:
    alone = one_pair(workflow("w", 3.0, call("a", 5, 5), call("b", 5, 5, "a", delay=1.0)), decode_model="fixed")
    result = solve_with(alone, options=QUICK)
    assert (result.status, result.bound_source) == ("optimal", critical_path.BOUND.name)
    assert result.objective == pytest.approx(1.0)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    instance, schedule = tmp_path / "i.json", tmp_path / "s.json"
    write_instance(instance, tiny(*SMALL[0]))
    assert main(["solve", str(instance), "--switch", "windows=on", "-o", str(schedule), "--json"]) == OK
    record = json.loads(capsys.readouterr().out)
    assert record["status"] == "optimal"
    assert record["objective"] == pytest.approx(best(*SMALL[0])["max_ratio"], rel=ACCURACY)
    assert record["lower_bound"] <= record["objective"]
    assert set(record) >= {"bound_source", "seconds", "variables", "constraints", "gap", "formulation", "message"}
    assert verify(tiny(*SMALL[0]), read_schedule(schedule)).metrics.max_ratio == pytest.approx(record["objective"])
    assert main(["solve", str(instance), "--warm-start", str(schedule), "--no-policies", "--time-limit", "5"]) == OK
    assert "optimal" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--objective", "best"],
        ["--formulation", "magic"],
        ["--switch", "windows"],
        ["--switch", "windows=maybe"],
        ["--time-limit", "0"],
        ["--warm-start", "absent.json"],
        ["--write-model", "model.doc"],
    ],
)
def test_command_tells_bad_input_in_a_line(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_instance(tmp_path / "i.json", tiny(*SMALL[0]))
    assert main(["solve", "i.json", *words]) == BAD_INPUT
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("hexsched: error: ")
    assert written.err.count("\n") == 1


def test_list_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["formulations", "--json"]) == OK
    listed = json.loads(capsys.readouterr().out)["formulations"]
    assert [one["name"] for one in listed] == list(exact.FORMULATIONS)
    assert main(["formulations"]) == OK
    assert "cpsat" in capsys.readouterr().out


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_gives_the_best_so_far(tmp_path: Path, how: signal.Signals) -> None:
    instance, schedule = tmp_path / "i.json", tmp_path / "s.json"
    write_instance(instance, crowded())
    write_schedule(tmp_path / "start.json", serial_schedule(crowded(), np.random.default_rng(0)))
    code = "import sys; from experiments.cli import main; sys.exit(main())"
    words = [
        "solve",
        instance,
        "--objective",
        "mean_ratio",
        "-o",
        schedule,
        "--json",
        "--write-model",
        tmp_path / "m.pb",
    ]
    running = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "m.pb").exists() and running.poll() is None:  # written when the search is about to begin
        time.sleep(0.05)
    time.sleep(1)
    running.send_signal(how)
    out, err = running.communicate(timeout=30)
    assert running.returncode == INTERRUPTED, err
    record = json.loads(out)
    assert (record["status"], record["message"]) == ("feasible", "interrupted")
    assert verify(crowded(), read_schedule(schedule)).ok


def test_bound_holds_whatever_the_arrival_is_rounded_to() -> None:
    # a search that may stop early would hide a bound that is a tick too high
    to_the_end = partial(cpsat.solve, tuning=cpsat.Tuning(relative_gap=0.0))
    exact.FORMULATIONS.put(replace(cpsat.FORMULATION, solve=to_the_end))
    # all durations of w0 and w1 are whole ticks but for a hair, and w1 arrives almost a tick late; w2 sets the tick
    arrivals = {"w0": (0.0, 2), "w1": (0.00099, 2), "w2": (1000.0, 1)}
    flows = [workflow(name, arrival, call("c", 10, m)) for name, (arrival, m) in arrivals.items()]
    instance = one_pair(*flows, decode_model="fixed", max_batch=1)
    prefill = struct_replace(instance.prefill[0], prefill_coeffs=(1 + 3e-6, 0.1, 0.01))
    decode = struct_replace(instance.decode[0], fixed_iteration_time=5.5 * (1 + 1e-6))
    instance = struct_replace(instance, prefill=(prefill,), decode=(decode,))
    for energy in (False, True):
        for text in OBJECTIVES:
            result = solve_with(instance, "cpsat", text, options=replace(QUICK, extra={"energy": energy}))
            assert result.status == "optimal"
            assert result.objective == pytest.approx(optima(instance, OBJECTIVES)[text], rel=1e-9)


LIST_SCHEDULE = recipe("A formulation")


def test_a_formulation_is_one_new_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with extended(exact.FORMULATIONS, tmp_path, LIST_SCHEDULE):
        assert main(["formulations", "--json"]) == OK
        listed = {row["name"]: row["exact"] for row in json.loads(capsys.readouterr().out)["formulations"]}
        assert listed["list_schedule"] is False
        result = solve_with(crowded(), "list_schedule", "mean_ratio", options=QUICK, start_policies=())
        assert result.status == "feasible"
        assert result.bound_source in BOUNDS
        assert verify(crowded(), result.schedule).ok
    assert "list_schedule" not in exact.FORMULATIONS


@pytest.mark.parametrize("name", FORMULATIONS)
def test_a_formulation_says_what_users_are_shown(name: str) -> None:
    kind = exact.FORMULATIONS.find(name)
    assert kind.summary
    assert re.search(r"\b(19|20)\d\d\b", kind.citation), "a citation has a year"
    assert set(kind.objectives) <= set(KINDS)
    assert kind.solvers
    assert all(kind.switches.values()), "each switch says what it does"
    assert all(ending.startswith(".") for ending in kind.model_formats)


@pytest.mark.parametrize("name", FORMULATIONS)
def test_a_formulation_does_nothing_once_a_person_wants_it_to_end(name: str) -> None:
    """Time is a state of the bracket: when that is over, a start is all that is reported."""
    problem, bracket = fixed_problem(crowded()), Bracket(read_objective("mean_ratio"), 1e6)
    bracket.interrupt()
    exact.FORMULATIONS.find(name).solve(problem, bracket, QUICK)
    assert bracket.is_interrupted
    assert bracket.schedule is not None
    assert not bracket.is_closed
