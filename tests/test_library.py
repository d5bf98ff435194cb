"""The instance library: instances stay what they are, and every archived bound can be checked."""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.cli import BAD_INPUT, CHECK_FAILED, INTERRUPTED, OK, main
from experiments.library import archive as archive_module
from experiments.library.archive import OBJECTIVES, Entry, Finder, expected_keys, read_archive, write_archive
from experiments.library.check import check, critical_path, examine, fault, metrics_of, prepared
from experiments.library.decisions import from_text, to_text
from experiments.library.families import CONTENTION, FAMILIES, MEMORY, POOLS, PRECEDENCE, SIZES
from experiments.library.improve import Effort, improve, is_closed
from experiments.library.names import digest, expand, family_of, instance, names, split_of
from hexsched.errors import InputError
from hexsched.model import read_instance
from hexsched.simulator import retime, simulate
from solvers.problem.bracket import ContradictionError
from solvers.problem.features import features
from solvers.problem.offline import fixed_problem

SMALL = "unary-chain-4-0"
QUICK = Effort(time_limit=2.0, workers=1)


@pytest.fixture(scope="module")
def entries() -> dict[tuple[str, str], Entry]:
    return read_archive()


@pytest.fixture
def entry(entries) -> Entry:
    return entries[SMALL, "mean_ratio"]


def ignore(_: Entry) -> None:
    pass


def test_the_archive_is_complete_and_of_the_instances_that_are_generated(entries):
    assert set(entries) == set(expected_keys())
    assert len(names()) == len(set(names())) == sum(len(family.sizes) for family in FAMILIES.values()) >= 200
    assert len([name for name in names() if FAMILIES[family_of(name)].version == 1]) == 78
    for name in names():
        assert {entries[name, objective].sha256 for objective in OBJECTIVES} == {digest(instance(name))}
    assert all(entry.lower_bound <= entry.upper_bound for entry in entries.values())
    for entry in entries.values():
        assert all((entry.lower_source, entry.upper_source, entry.lower_by, entry.upper_by))
        assert all(datetime.date.fromisoformat(day) for day in (entry.lower_on, entry.upper_on))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_archived_schedules_have_the_values_they_claim(entries, objective):
    keys = [key for key in entries if key[1] == objective][::12]
    assert check(entries, keys) == []


def test_objectives_of_one_instance_fit_each_other(entries):
    """No schedule has a smaller largest ratio than a smaller quantile or mean, so neither have the optima."""
    for name in names():
        largest = entries[name, "max_ratio"]
        assert entries[name, "req(0.75)"].lower_bound <= largest.upper_bound * (1 + 1e-9)
        assert entries[name, "mean_ratio"].lower_bound <= largest.upper_bound * (1 + 1e-9)


def test_a_name_makes_the_same_instance_in_another_process():
    code = f"from experiments.library.names import *; print(digest(instance('{SMALL}')))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == digest(instance(SMALL))
    assert digest(instance("unary-chain-4-1")) != digest(instance(SMALL))


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_what_their_table_says(name):
    family = FAMILIES[name]
    instances = [instance(f"{name}-{size}-0") for size in family.sizes]
    assert [one.call_count for one in instances] == list(family.sizes)
    for one in instances:
        assert len(one.workflows) >= 2
        assert one.decode_model == "fixed"
        assert {d.max_batch for d in one.decode} == {family.max_batch}
        assert [p.gpu for p in one.prefill] == list(family.prefill)
        assert all(len(w.calls) <= family.calls[1] for w in one.workflows)
    parents = max(len(call.parents) for one in instances for w in one.workflows for call in w.calls)
    children = max(
        sum(call.call_id in other.parents for other in w.calls)
        for one in instances
        for w in one.workflows
        for call in w.calls
    )
    assert (parents > 1, children > 1) == {"dag": (True, True), "star": (False, True), "chain": (False, False)}[
        family.shape
    ]
    tight = [
        call.prompt_tokens + call.output_tokens > d.kv_capacity_tokens
        for one in instances
        for w in one.workflows
        for call in w.calls
        for d in one.decode
    ]
    if family.version == 1:
        assert any(tight) == (name == "kv-tight-dag")


def test_the_design_is_an_orthogonal_array():
    """Of the levels of any two factors every pair comes up equally often."""
    levels = [name.split("-") for name, family in FAMILIES.items() if family.version == 2]
    assert len(levels) == 27
    for one, other in itertools.combinations(range(4), 2):
        assert set(Counter((row[one], row[other]) for row in levels).values()) == {3}


def test_levels_of_the_design_are_what_their_names_say():
    measured: dict[tuple[int, str], list[list[float]]] = {}
    for family in FAMILIES.values():
        if family.version == 2:
            found = features(fixed_problem(instance(f"{family.name}-20-0")))
            for factor, level in enumerate(family.name.split("-")):
                measured.setdefault((factor, level), []).append(list(found))
    mean = {key: dict(zip(found._fields, np.mean(rows, axis=0), strict=True)) for key, rows in measured.items()}
    for factor, (levels, feature) in enumerate(
        [(CONTENTION, "contention"), (PRECEDENCE, "precedence"), (MEMORY, "tightness"), (POOLS, "heterogeneity")]
    ):
        values = [mean[factor, level][feature] for level in levels][: None if factor < 3 else 2]
        assert values == sorted(values)
        assert values[-1] > values[0] * 1.5
    assert mean[3, "alike"]["heterogeneity"] < 1e-9


def test_features_by_hand():
    problem = fixed_problem(instance(SMALL))  # two chains of two calls on two prefill and three unary decode machines
    found = features(problem)
    assert found[:3] == (4, 2, 5)
    assert found.precedence == 1.0
    assert found.tightness == pytest.approx(np.mean(problem.kv.mean() / problem.capacity))
    span = problem.arrival.max() - problem.arrival.min() + problem.horizon.max()
    prefill, decode = problem.prefill.min(axis=1).sum() / 2, problem.hold.min(axis=(1, 2)).sum() / 3
    assert found.contention == pytest.approx(max(prefill, decode) / span)


def test_a_third_is_for_tests_by_a_rule_that_anybody_can_apply():
    split = {name: split_of(name) for name in names()}
    assert 0.25 < list(split.values()).count("test") / len(split) < 0.42
    for name in ("contended-dag-20-0", "unary-chain-999-123"):
        text = hashlib.sha256(name.encode()).hexdigest()
        assert split_of(name) == ("test" if int(text, 16) % 3 == 0 else "train")
    both = {
        (part, split[name]) for name in names() for part in name.split("-") if FAMILIES[family_of(name)].version == 2
    }
    assert both >= {
        (level, s) for f in (CONTENTION, PRECEDENCE, MEMORY, POOLS) for level in f for s in ("train", "test")
    }
    assert sorted(expand(["train", "test"])) == sorted(names())


@pytest.mark.parametrize("policy", ["hexagent", "fcfs@jsq"])
def test_decisions_say_a_schedule_in_a_line(policy):
    for name in ("kv-tight-dag-20-0", "contended-chain-12-0"):
        problem = instance(name)
        schedule = simulate(problem, policy).schedule
        again = retime(problem, from_text(problem, to_text(problem, schedule), policy))
        assert again == retime(problem, schedule)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0 1|2 3", "pool"),
        ("0 1|2 3;0 1 2 3", "1 queues for 3"),
        ("0 1|2 3;0 1|2 x|", "numbers of calls"),
        ("0 1|2 2;0 1|2 3|", "each of the 4 calls once"),
    ],
)
def test_decisions_that_are_none_are_told(text, why):
    with pytest.raises(InputError, match=why):
        from_text(instance(SMALL), text, "somebody")


def test_a_wrong_entry_is_found(entries, entry):
    def wrong(**changes: object) -> str:
        return fault(entry._replace(**changes)) or ""

    assert fault(entry) is None
    assert "another instance" in wrong(sha256="0" * 64)
    assert "the archive says" in wrong(upper_bound=entry.upper_bound * 1.01)
    assert "above the upper bound" in wrong(lower_bound=entry.upper_bound * 1.01)
    assert "calls once" in wrong(decisions=entry.decisions.replace("0", "1"))
    assert "no instance of the library" in wrong(instance="no-such-4-0")
    some = {key: value for key, value in entries.items() if key != entry.key}
    assert check(some, [entry.key]) == [f"{SMALL}, mean_ratio: it is not in the archive"]


def test_archives_are_written_as_they_are_read(entries, tmp_path):
    path = tmp_path / "archive.csv"
    write_archive(entries, path)
    assert path.read_bytes() == archive_module.PACKAGED.read_bytes()
    lines = path.read_text().splitlines()
    for broken, why in (
        ("a,b\n", "expected the columns"),
        ("\n".join([lines[0], "x"]), ":2: expected 12 columns"),
        ("\n".join([lines[0], lines[1], lines[1]]), ":3: a second row"),
        ("\n".join([lines[0], f"{SMALL},max_ratio,0,nan,a,1,b,,,,,"]), ":2: lower_bound must be a finite number"),
    ):
        path.write_text(broken)
        with pytest.raises(InputError, match=why):
            read_archive(path)


def test_archives_from_before_finders_are_read(entries, tmp_path):
    path = tmp_path / "archive.csv"
    lines = [line.rsplit(",", 4)[0] for line in archive_module.PACKAGED.read_text().splitlines()[:6]]
    path.write_text("\n".join(lines))
    old = read_archive(path)
    assert len(old) == 5
    for key, entry in old.items():
        assert entry == entries[key]._replace(lower_by="", lower_on="", upper_by="", upper_on="")


def test_lower_bounds_are_checked_as_far_as_the_verifier_can(entries):
    keys = [(name, objective) for name in ("unary-dag-6-0", SMALL) for objective in OBJECTIVES]
    wrong, standing = examine(entries, keys)
    assert wrong == []
    critical = [key for key in keys if entries[key].lower_bound <= 1 or entries[key].upper_bound == 0]
    assert standing.verified >= len(critical) > 0
    assert sum(standing) == len(keys)
    problem, _ = prepared(SMALL)
    metrics = metrics_of(problem, entries[SMALL, "mean_latency"])
    assert critical_path(metrics, "mean_latency") == pytest.approx(fixed_problem(problem.instance).horizon.mean())
    # a bound that its own schedule allows, and that of another objective does not
    mean, largest = entries[SMALL, "mean_ratio"], entries[SMALL, "max_ratio"]
    other = metrics_of(problem, largest).mean_ratio
    poor = to_text(problem.instance, simulate(problem.instance, "fcfs@round-robin").schedule)
    changed = mean._replace(decisions=poor, lower_bound=other * 1.01)
    changed = changed._replace(upper_bound=metrics_of(problem, changed).mean_ratio)
    assert fault(changed) is None
    wrong, _ = examine({changed.key: changed, largest.key: largest}, [changed.key, largest.key])
    assert [line for line in wrong if "the schedule archived for max_ratio" in line]


def test_improving_makes_an_entry_and_then_no_worse_one(entry):
    saved: list[Entry] = []
    effort = replace(QUICK, finder=Finder("somebody", "2026-01-02"))
    first, interrupted, message = improve(entry.key, None, effort, saved.append)
    assert message == ""
    assert saved[-1] == first
    assert not interrupted
    assert fault(first) is None
    assert is_closed(first)
    assert {first.lower_by, first.upper_by} == {"somebody"}
    assert {first.lower_on, first.upper_on} == {"2026-01-02"}
    assert first.upper_bound == pytest.approx(entry.upper_bound, rel=1e-4)
    saved.clear()
    again = improve(entry.key, first, QUICK, saved.append).entry
    assert again == first
    assert saved == []


def test_bounds_are_raised_and_schedules_replaced_only_where_that_is_better(entry):
    problem = instance(SMALL)
    decisions = to_text(problem, simulate(problem, "fcfs@round-robin").schedule)
    poor = entry._replace(decisions=decisions, lower_bound=0.5, lower_source="a guess", upper_source="fcfs@round-robin")
    # its value, from the message of the check
    value = float((fault(poor) or "").split("has value ")[1].split(",")[0])
    poor = poor._replace(upper_bound=value)
    assert value > entry.upper_bound * 1.01
    better = improve(entry.key, poor, QUICK, ignore).entry
    assert better.upper_bound == pytest.approx(entry.upper_bound, rel=1e-4)
    assert better.upper_source != "fcfs@round-robin"
    assert better.lower_bound > 0.5
    assert better.lower_source != "a guess"


def test_a_bound_above_a_schedule_is_an_error(entry, monkeypatch):
    from solvers.brackets import solve as solve_module

    real = solve_module.solve_with

    def too_low(*args, **options):
        result = real(*args, **options)
        return type(result)(**{**vars(result), "lower_bound": result.objective * 1.01})

    monkeypatch.setattr(solve_module, "solve_with", too_low)
    with pytest.raises(ContradictionError, match=SMALL):
        improve(entry.key, None, QUICK, ignore)


def test_an_archive_of_another_instance_is_not_improved(entry):
    with pytest.raises(InputError, match="another instance"):
        improve(entry.key, entry._replace(sha256="0" * 64), QUICK, ignore)


def test_names_stand_for_instances_and_families():
    assert expand(["unary-chain-4-0", "unary-chain-23-7", "unary-chain-4-0"]) == ["unary-chain-4-0", "unary-chain-23-7"]
    assert expand(["unary-chain"]) == [f"unary-chain-{size}-0" for size in SIZES]
    assert instance("unary-chain-23-7").call_count == 23
    for name, why in (
        ("contended-dg-20-0", r"did you mean contended-dag-20-0\? expected"),
        ("contended-dag-20", "expected FAMILY or FAMILY-CALLS-SEED"),
        ("contended-dag-1-0", "from 2 to"),
        ("contended-dag-1-x", "no instance"),
    ):
        with pytest.raises(InputError, match=why):
            instance(name)


def test_the_commands(tmp_path, capsys):
    assert main(["library", "list", SMALL, "--json"]) == OK
    record = json.loads(capsys.readouterr().out)
    assert [row["instance"] for row in record["instances"]] == [SMALL]
    assert set(record["instances"][0]["best_known"]) == set(OBJECTIVES)
    assert main(["library", "list", "loose-chain"]) == OK
    assert "loose-chain-60-0" in capsys.readouterr().out
    assert main(["library", "write", SMALL, "-o", str(tmp_path)]) == OK
    assert read_instance(tmp_path / f"{SMALL}.json") == instance(SMALL)
    capsys.readouterr()
    assert main(["library", "check", SMALL, "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["entries"] == len(OBJECTIVES)
    for argv in (["list", "none-4-0"], ["improve", "unary-chain-5-0"], ["improve", "--objective", "makespan"]):
        assert main(["library", *argv]) == BAD_INPUT
        assert capsys.readouterr().err.count("\n") == 1


def test_check_tells_what_is_wrong_and_fails(entry, tmp_path, capsys):
    path = tmp_path / "archive.csv"
    write_archive({entry.key: entry._replace(upper_bound=entry.upper_bound * 1.01)}, path)
    assert main(["library", "check", SMALL, "--archive", str(path)]) == CHECK_FAILED
    messages = capsys.readouterr().err
    assert "the archive says" in messages
    assert messages.count("not in the archive") == len(OBJECTIVES) - 1


def test_interrupting_keeps_what_was_found(tmp_path, capsys, monkeypatch):
    from experiments.library import improve as improve_module

    real, calls = improve_module.improve, []

    def interrupted_at_second(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(improve_module, "improve", interrupted_at_second)
    path: Path = tmp_path / "archive.csv"
    argv = ["library", "improve", SMALL, "--archive", str(path), "--time-limit", "1", "--workers", "1", "--json"]
    assert main(argv) == INTERRUPTED
    record = json.loads(capsys.readouterr().out)
    assert record["interrupted"]
    assert record["improved"] == 1
    assert list(read_archive(path)) == [(SMALL, OBJECTIVES[0])]
    monkeypatch.setattr(improve_module, "improve", real)
    assert main(argv) == OK
    assert len(read_archive(path)) == len(OBJECTIVES)


def test_gaps_lie_between_both_bounds_and_are_worst_for_a_poor_policy(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["contended-dag-8-0", "unary-chain-10-0"]
    asked = ["library", "gaps", *names, "--policies", "hexagent,fcfs@round-robin", "--json"]
    assert main(asked) == OK
    record = json.loads(capsys.readouterr().out)
    assert len(record["gaps"]) == len(names) * 2 * len(OBJECTIVES)
    for gap in record["gaps"]:
        assert gap["value"] >= gap["upper_bound"] * (1 - 1e-9) or gap["at_least"] == 0
        assert 0 <= gap["at_least"] <= gap["at_most"]
    by = {(row["objective"], row["policy"]): row for row in record["summary"]}
    for objective in OBJECTIVES:
        row = by[objective, "hexagent"]
        assert row["instances"] == len(names)
        assert row["mean_at_most"] <= row["worst_at_most"]
    poor, good = by["mean_latency", "fcfs@round-robin"], by["mean_latency", "hexagent"]
    assert poor["mean_at_most"] > good["mean_at_most"]
