"""Arrival processes: their statistics, their specs and their errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from extension import environment, recipe

from experiments.cli import OK, main
from hexsched.errors import InputError
from hexsched.model import Call, Workflow, read_workload
from hexsched.workloads.arrivals import PROCESSES, ArrivalProcess, apply_arrivals, read_arrivals
from hexsched.workloads.arrivals.renewal import FixedArrivals, GammaArrivals, PoissonArrivals
from hexsched.workloads.arrivals.trace import TraceArrivals

pytestmark = pytest.mark.quick

COUNT = 20_000


def workload(count: int) -> tuple[Workflow, ...]:
    call = Call(call_id="c0", prompt_tokens=10, output_tokens=2)
    return tuple(Workflow(workflow_id=f"w{index}", arrival=99.0, calls=(call,)) for index in range(count))


def azure(folder: Path, *seconds: float) -> Path:
    path = folder / "azure.csv"
    rows = "".join(f"2023-11-16 18:15:{second:09.6f},10,5\n" for second in seconds)
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + rows)
    return path


@pytest.mark.parametrize("process", PROCESSES.values())
def test_examples_parse(process: type[ArrivalProcess]) -> None:
    assert type(read_arrivals(process.example)) is process
    assert process.form.startswith(f"{process.name}:")


def test_help_names_every_process(capsys: pytest.CaptureFixture[str]) -> None:
    """It is written out where options are, as reading it from the processes would make every command start later."""
    assert main(["workload", "generate", "--help"]) == OK
    text = "".join(capsys.readouterr().out.split())
    assert all(process.form in text for process in PROCESSES.values())


PAIRS = recipe("An arrival process")


def test_one_more_file_is_one_more_process(tmp_path: Path) -> None:
    env, output = environment(PROCESSES, tmp_path, PAIRS), tmp_path / "w.jsonl"
    command = "import sys; from experiments.cli import main; sys.exit(main())"

    def run(*argv: str) -> str:
        words = [sys.executable, "-c", command, "workload", "generate", *argv]
        return subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout

    run("react", "--workflows", "4", "--arrivals", "pairs:3", "-o", str(output))
    assert [workflow.arrival for workflow in read_workload(output)] == [0, 0, 3, 3]


@pytest.mark.parametrize("process", [FixedArrivals(2.0), PoissonArrivals(2.0), GammaArrivals(2.0, 3.0)])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_times_start_at_zero_in_order(process: FixedArrivals, count: int) -> None:
    times = process.times(count, np.random.default_rng(0))
    assert times.shape == (count,)
    assert (times[:1] == 0).all()
    assert (np.diff(times) >= 0).all()


def test_fixed_is_every_period() -> None:
    arrivals = [w.arrival for w in apply_arrivals(workload(5), FixedArrivals(4.0), seed=0)]
    assert arrivals == [0, 0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize(
    ("spec", "cv"), [("fixed:2.0", 0.0), ("poisson:2.0", 1.0), ("gamma:2.0,cv=0.25", 0.25), ("gamma:2.0,cv=3", 3.0)]
)
def test_rate_and_variation_are_as_asked(spec: str, cv: float) -> None:
    gaps = np.diff(read_arrivals(spec).times(COUNT, np.random.default_rng(7)))
    # Five standard errors: of a mean it is cv / sqrt(n); of a gamma's cv it is below cv * sqrt(1.5 (1 + cv^2) / n).
    assert gaps.mean() * 2.0 == pytest.approx(1.0, abs=5 * cv / COUNT**0.5 + 1e-9)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, abs=5 * cv * (1.5 * (1 + cv**2) / COUNT) ** 0.5 + 1e-9)


def test_order_is_kept_and_seed_decides() -> None:
    workflows = workload(30)
    process = PoissonArrivals(1.0)
    first = apply_arrivals(workflows, process, seed=1)
    assert [w.workflow_id for w in first] == [w.workflow_id for w in workflows]
    assert [w.calls for w in first] == [w.calls for w in workflows]
    assert apply_arrivals(workflows, process, seed=1) == first
    assert apply_arrivals(workflows, process, seed=2) != first
    assert apply_arrivals((), process, seed=1) == ()


def test_trace_arrivals(tmp_path: Path) -> None:
    path = azure(tmp_path, 10, 11, 14, 20)
    arrivals = [w.arrival for w in apply_arrivals(workload(3), read_arrivals(f"file:{path}"), seed=0)]
    assert arrivals == [0, 1, 4]
    scaled = [w.arrival for w in apply_arrivals(workload(3), read_arrivals(f"file:{path},rate=4"), seed=0)]
    assert scaled == [0, 0.125, 0.5]
    assert apply_arrivals(workload(1), read_arrivals(f"file:{path},rate=4"), seed=0)[0].arrival == 0


def test_trace_arrivals_that_do_not_do(tmp_path: Path) -> None:
    path = azure(tmp_path, 10, 10, 14)
    with pytest.raises(InputError, match="the trace has 3 arrivals, 4 are needed"):
        apply_arrivals(workload(4), TraceArrivals(str(path)), seed=0)
    with pytest.raises(InputError, match="cannot be scaled to a rate"):
        apply_arrivals(workload(2), TraceArrivals(str(path), rate=1.0), seed=0)
    with pytest.raises(InputError, match="cannot read the file"):
        apply_arrivals(workload(2), TraceArrivals(str(tmp_path / "absent")), seed=0)


def test_file_spec_leaves_odd_paths_alone() -> None:
    assert read_arrivals("file:a,b=c:d.csv,rate=2,format=mooncake") == TraceArrivals("a,b=c:d.csv", 2.0, "mooncake")
    assert read_arrivals("gamma:cv=3,rate=2") == GammaArrivals(2.0, 3.0)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("", "fixed:2.0, poisson:2.0"),
        ("fixed", "fixed:2.0, poisson:2.0"),
        ("weibull:2", "fixed:2.0, poisson:2.0"),
        ("fixed:", "rate must be a number, got ''; write it like fixed:2.0"),
        ("fixed:0", "rate must be a finite number"),
        ("fixed:nan", "rate must be a finite number"),
        ("poisson:-1", "rate must be a finite number"),
        ("poisson:inf", "rate must be a finite number"),
        ("poisson:two", "rate must be a number, got 'two'"),
        ("poisson:2,3", "expected rate once each, got '3'"),
        ("gamma:2", "cv is missing; write it like gamma:2.0,cv=3"),
        ("gamma:2,cv=0", "cv must be from 0.01 to 100"),
        ("gamma:2,cv=3,cv=4", "once each, got 'cv=4'"),
        ("gamma:2,shape=3", "once each, got 'shape=3'"),
        ("file:", "a path is missing"),
        ("file:x.csv,rate=fast", "rate must be a number, got 'fast'"),
    ],
)
def test_bad_spec_shows_a_right_one(spec: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        read_arrivals(spec)
    assert problem in str(caught.value)
    assert "write it like" in str(caught.value) or "written like" in str(caught.value)


@pytest.mark.parametrize("spec", ["fixed:1e-320", "poisson:1e-320", "gamma:1e-320,cv=2"])
def test_overflowing_times_are_an_error(spec: str) -> None:
    with pytest.raises(InputError, match="rate must be from 1e-09 to 1e\\+09 workflows a second"):
        read_arrivals(spec)


def test_bursts_of_a_trace_are_spread(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"  # as Mooncake writes them: times to three seconds, several requests each
    rows = [{"timestamp": 3000 * (k // 4), "input_length": 10, "output_length": 5, "hash_ids": [k]} for k in range(400)]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    times = [w.arrival for w in apply_arrivals(workload(400), read_arrivals(f"file:{trace},rate=2.0"), seed=0)]
    assert times[0] == 0
    assert times[-1] == pytest.approx(399 / 2.0)
    assert len(set(times)) == 400
