"""A bracket that ends when it is narrow enough, and one that goes on from an earlier one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from instances import call, one_pair, workflow

from experiments.cli import BAD_INPUT, OK, main
from hexsched.errors import InputError
from hexsched.model import Instance, write_instance
from hexsched.simulator import simulate
from solvers.brackets.earlier import Earlier
from solvers.brackets.gap import Tuning, gap
from solvers.problem.bracket import Bracket
from solvers.problem.left import cpu_clock
from solvers.problem.objective import read_objective
from solvers.schedules.search import search

LONG = 15.0  # seconds, which nothing here takes
ANY_SIZE = Tuning(exact_calls=0)


def contended(count: int = 6) -> Instance:
    """Calls of many lengths at once on one pair: neither end of a bracket is exact for long."""
    flows = [workflow(f"w{k}", 0.3 * k, call("x", 20 + 7 * k, 5 + k), call("y", 30, 3, "x")) for k in range(count)]
    return one_pair(*flows)


def test_a_bracket_is_enough_when_it_is_narrow_or_closed() -> None:
    schedule = simulate(contended(), "fcfs").schedule
    inside = Bracket(read_objective("max_ratio"), 10.0, width=0.25)
    assert not inside.is_enough()
    assert not inside.is_enough(1e9)
    inside.prove(2.0, "x")
    inside.improve(3.0, schedule, "fcfs")
    assert not inside.is_enough()
    assert inside.is_enough(2.5)
    assert 0 < inside.open_for <= 10.0
    inside.prove(2.41, "x")
    assert inside.is_enough()
    assert inside.is_over
    assert not inside.is_closed
    assert (inside.open_for, inside.within(1.0).open_for) == (0.0, 0.0)
    assert inside.left > 0
    misses = Bracket(read_objective("misses(2)"), 10.0)
    misses.improve(3.0, schedule, "fcfs")
    assert not misses.is_enough()
    assert misses.is_enough(0.0)


def test_a_search_ends_when_that_will_do() -> None:
    asked: list[float] = []

    def enough(value: float) -> bool:
        asked.append(value)
        return len(asked) > 3

    found = search(contended(), "max_ratio", time_limit=LONG, enough=enough, workers=1)
    assert found.value <= min(asked)
    assert found.seconds < LONG


@pytest.mark.parametrize("workers", [1, 2])
def test_a_gap_ends_at_its_width(workers: int) -> None:
    """Far from closed, and long before its time is up."""
    wide = gap(contended(), ["fcfs"], "max_ratio", time_limit=LONG, to=9.0, workers=workers, tuning=ANY_SIZE)
    assert wide.upper_bound <= 10 * wide.lower_bound
    narrow = gap(contended(), ["fcfs"], "max_ratio", time_limit=LONG, to=0.8, workers=workers, tuning=ANY_SIZE)
    assert narrow.upper_bound <= 1.8 * narrow.lower_bound
    assert narrow.short_of_time == {}
    assert narrow.seconds < LONG


def test_a_gap_goes_on_from_an_earlier_one() -> None:
    instance = contended()
    first = gap(instance, ["fcfs"], "max_ratio", time_limit=1.0)
    known = Earlier("first.json", "max_ratio", first.lower_bound, first.bound_source, first.schedule, "search")
    later = gap(instance, ["fcfs"], "max_ratio", time_limit=1e-9, earlier=known, tuning=ANY_SIZE)
    assert (later.lower_bound, later.upper_bound) == (first.lower_bound, pytest.approx(first.upper_bound))
    assert later.upper_source == "search" or first.upper_source == "fcfs"
    alone = gap(
        instance, ["fcfs"], "max_ratio", time_limit=1e-9, earlier=known._replace(schedule=None), tuning=ANY_SIZE
    )
    assert alone.lower_bound == first.lower_bound
    assert alone.upper_source == "fcfs"


def test_a_gap_goes_on_from_the_prices_of_an_earlier_one() -> None:
    """What they prove is proved anew: here the bound itself was not told."""
    instance = contended()
    first = gap(instance, ["fcfs"], "max_ratio", time_limit=1.0, cpu_time=True, workers=1, tuning=ANY_SIZE)
    assert first.prices is not None
    known = Earlier("first.json", "max_ratio", 1.0, "critical-path", first.schedule, "search", first.prices)
    later = gap(
        instance, ["fcfs"], "max_ratio", time_limit=0.6, cpu_time=True, workers=1, earlier=known, tuning=ANY_SIZE
    )
    proved, before = later.bounds["capacity-prices"], first.bounds["capacity-prices"]
    assert before is not None
    assert before > 1.01
    assert proved is not None
    assert proved >= 1 + 0.5 * (before - 1)


def test_what_is_no_earlier_bracket_of_this_one_is_refused() -> None:
    instance = contended()
    made = simulate(instance, "fcfs").schedule
    with pytest.raises(InputError, match=r"e.json: a bracket of req\(0.5\), expected one of max_ratio"):
        gap(instance, ["fcfs"], "max_ratio", earlier=Earlier("e.json", "req(0.5)", 1.0, "load", made))
    with pytest.raises(InputError, match=r"e.json: its schedule is none of this instance: it breaks"):
        gap(contended(5), ["fcfs"], "max_ratio", earlier=Earlier("e.json", "max_ratio", 1.0, "load", made))
    for schedule in (made, None):
        with pytest.raises(
            InputError, match=r"e.json: its lower_bound 1e\+06 cannot be one of this .* \(load .as recorded. claims"
        ):
            gap(instance, ["fcfs"], "max_ratio", earlier=Earlier("e.json", "max_ratio", 1e6, "load", schedule))
    for width in (-0.1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="width to stop at"):
            gap(instance, ["fcfs"], "max_ratio", to=width)


def test_the_command_stops_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, kept, record = tmp_path / "i.json", tmp_path / "s.json", tmp_path / "r.json"
    write_instance(file, contended())
    asked = ["gap", str(file), "--objective", "max_ratio", "--policies", "fcfs", "--json"]
    assert main([*asked, "--to", "900 %", "--time-limit", str(LONG), "-o", str(kept)]) == OK
    record.write_text(capsys.readouterr().out)
    first = json.loads(record.read_text())
    assert first["provenance"]["to"] == 9.0
    assert main([*asked, "--resume", str(record), "--time-limit", "1e-6"]) == OK
    later = json.loads(capsys.readouterr().out)
    assert later["bound_source"] == f"{first['bound_source']} (as recorded)"
    assert main([*asked, "--to", "1e-9 %", "--time-limit", "1e-6"]) == OK
    assert "the time ended before the width was 1e-09 %" in capsys.readouterr().err
    assert later["lower_bound"] >= first["lower_bound"]
    assert later["upper_bound"] <= first["upper_bound"] * (1 + 1e-9)
    assert set(later["provenance"]["inputs"]) == {str(file), str(record)}
    moved = tmp_path / "moved"
    moved.mkdir()
    kept.rename(moved / kept.name)
    record.rename(moved / record.name)
    assert main([*asked, "--resume", str(moved / record.name), "--time-limit", "1e-6"]) == OK
    assert json.loads(capsys.readouterr().out)["upper_bound"] <= first["upper_bound"] * (1 + 1e-9)
    assert main([*asked, "--resume", str(moved / kept.name)]) == BAD_INPUT
    assert "this is a schedule, not what 'hexsched gap --json' printed" in capsys.readouterr().err
    record.write_text(json.dumps(first | {"schedule": None}))
    assert main([*asked, "--resume", str(record), "--time-limit", "1e-6"]) == OK
    assert "its schedule was not kept (-o)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"provenance": {"inputs": {}}}, "a bracket of another instance"),
        ({"instance": "other.json"}, "a bracket of another instance (other.json, no SHA-256 recorded"),
        ({"objective": "req(0.5)"}, "a bracket of req(0.5), expected one of max_ratio"),
        ({"lower_bound": "high"}, "lower_bound"),
        ({"lower_bound": -1.0}, "lower_bound: Expected 'float' >= 0.0"),
        ({"schedule": "gone.json"}, "gone.json"),
    ],
)
def test_a_record_that_is_none_says_why(
    change: dict[str, object], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, record = tmp_path / "i.json", tmp_path / "r.json"
    write_instance(file, contended(2))
    asked = ["gap", str(file), "--objective", "max_ratio", "--policies", "fcfs", "--time-limit", "1e-6"]
    assert main([*asked, "--json"]) == OK
    record.write_text(json.dumps(json.loads(capsys.readouterr().out) | change))
    assert main([*asked, "--resume", str(record)]) == BAD_INPUT
    assert said in capsys.readouterr().err


def test_a_width_without_its_sign_is_a_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "i.json"
    write_instance(file, contended(2))
    assert main(["gap", str(file), "--to", "5"]) == BAD_INPUT
    assert "--to '5' is 500% of LB; write it as 500% if that is meant" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-5%", "x", "5%%", "nan", ""])
def test_widths_that_are_none(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "i.json"
    write_instance(file, contended(2))
    assert main(["gap", str(file), "--to", text]) == BAD_INPUT
    assert "expected the width to stop at, above 0, such as 5% or 0.05" in capsys.readouterr().err


# --- seconds of CPU ---------------------------------------------------------------------------------------------------


def test_a_bracket_tells_seconds_by_its_clock() -> None:
    now = [100.0]
    inside = Bracket(read_objective("max_ratio"), 10.0, clock=lambda: now[0])
    view = inside.within(4.0)
    now[0] += 3.0
    assert (inside.seconds, inside.left, view.left) == (3.0, 7.0, 1.0)
    now[0] += 3.0
    assert (inside.left, view.left, view.is_over) == (4.0, 0.0, True)
    wall = inside.on_the_wall(50.0)
    now[0] += 9.0
    assert 0 < wall.left <= 50.0
    assert 0 < wall.within(10.0).left <= 10.0
    assert (wall.seconds, inside.left) == (15.0, 0.0)


def test_a_clock_of_cpu_stands_still_while_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = [6.0]
    monkeypatch.setattr(time, "process_time", lambda: spent[0])
    clock = cpu_clock(2)
    assert clock() == clock() == 3.0
    spent[0] = 8.0
    assert clock() == 4.0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_search_and_a_gap_spend_the_cpu_they_are_given(workers: int) -> None:
    began = time.process_time()
    found = search(contended(), "max_ratio", time_limit=0.2, workers=workers, clock=cpu_clock(workers))
    assert found.seconds >= 0.2
    spent = time.process_time() - began
    assert spent >= 0.2 * workers
    report = gap(contended(), ["fcfs"], "max_ratio", time_limit=0.3, workers=workers, cpu_time=True, tuning=ANY_SIZE)
    assert report.upper_bound == pytest.approx(report.lower_bound) or report.seconds >= 0.3
    assert time.process_time() - began - spent >= report.seconds * workers * (1 - 1e-6)
