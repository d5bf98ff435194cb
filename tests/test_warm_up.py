"""What is compiled before a clock starts, what is said while it is, and bounds that had no time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from instances import call, one_pair, workflow
from reference import random_instance

from hexsched.engine import announcing, kernel
from hexsched.engine.compiler import dispatchers
from hexsched.errors import InputError
from solvers.bounds import BOUNDS
from solvers.bounds.parts.bound import NO_TIME
from solvers.brackets import gap as gaps
from solvers.brackets import portfolio, solve
from solvers.problem.objective import read_objective
from solvers.problem.offline import offline_problem
from solvers.schedules.search import run as searching

TESTS = Path(__file__).parent

# in a process of its own: other tests call entries in their own ways
EVERYTHING = """
import sys
import numpy as np
from msgspec.structs import replace
from hexsched.engine.kernel import Entry
from hexsched.model import ClosedLoop
from hexsched.policies import as_policy
from hexsched.simulator import retime, simulate
from instances import corner_instance
from solvers.bounds.prices import priced_bound
from solvers.brackets import gap
from solvers.problem.objective import read_objective
from solvers.problem.offline import offline_problem
from solvers.schedules.search import search

def signatures():
    found = {}
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith(("hexsched.", "solvers.")):
            found |= {n: f.signatures for n, f in vars(module).items()
                      if isinstance(f, Entry)}
    return {name: list(known) for name, known in found.items()}

gap.warm_up()
warm = signatures()
for seed in range(4):
    instance = corner_instance(np.random.default_rng(seed), workflows=(4, 6), calls=(1, 4))
    for policy in ("hexagent", "atlas", "fcfs@random", as_policy(lambda call, now: 0.0)):
        run = simulate(instance, policy, estimator="noise(0.2)")
        run.metrics
        retime(instance, run.schedule)
    simulate(replace(instance, workflows=tuple(replace(w, arrival=0.0) for w in instance.workflows),
                     closed_loop=ClosedLoop(sessions=2)), "hexagent").metrics
    for objective in ("req(0.5)", "mean_ratio", "misses(1.2)"):
        priced_bound(offline_problem(instance), read_objective(objective), 0.1)
        search(instance, objective, evaluations=40)
assert len(warm) == 10, sorted(warm)
steps = {"take_steps"}  # of whole policies in plain Python; compiled as one is started
assert {name for name, known in warm.items() if not known} == steps, warm
assert signatures() == warm, [name for name, known in signatures().items() if known != warm[name]]
"""


def test_nothing_is_compiled_after_the_warm_up():
    done = subprocess.run([sys.executable, "-c", EVERYTHING], cwd=TESTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_compiling_is_announced_and_reading_what_was_compiled_is_not(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(dispatchers, "cache_directory", lambda digest: str(tmp_path))

    def double(x):
        return 2 * x

    for said in ("hexsched: compiling a test, once, about 7 s\n", ""):
        entry = kernel.entry(double)
        announcing.announce(entry, "a test", 7)
        entry.compile_for(1)
        assert capsys.readouterr().err == said
        assert entry(4) == 8
        assert entry.signatures == [(numba.int64,)]


def test_before_several_parts_stand_their_number_and_cost(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(dispatchers, "cache_directory", lambda digest: str(tmp_path))
    monkeypatch.setattr(announcing, "_announced", {})

    def triple(x):
        return 3 * x

    def fivefold(x):
        return 5 * x

    entries = [kernel.entry(triple), kernel.entry(fivefold)]
    for part, seconds in zip(entries, (7, 4), strict=True):
        announcing.announce(part, f"part {seconds}", seconds)
    with announcing.compiled_together(), announcing.compiled_together():
        for part in entries:
            part.compile_for(1)
    assert capsys.readouterr().err.splitlines() == [
        "hexsched: compiling up to 2 parts, once, about 11 s of CPU; a time limit starts after it",
        "hexsched: compiling part 7, once, about 7 s",
        "hexsched: compiling part 4, once, about 4 s",
    ]


class StoppedError(Exception):
    pass


@pytest.fixture
def order(monkeypatch):
    """In what order code is compiled and clocks start."""
    events = []

    def clock(*given, **named):
        events.append("clock")
        raise StoppedError

    monkeypatch.setattr("solvers.schedules.search.warm_up", lambda: events.append("search"))
    monkeypatch.setattr(searching, "warm_up", lambda: events.append("search"))
    monkeypatch.setattr(searching, "Bracket", clock)
    monkeypatch.setattr(gaps, "Bracket", clock)
    monkeypatch.setattr(solve, "Bracket", clock)
    for bound in BOUNDS.values():
        monkeypatch.setitem(bound.__dict__, "warm_up", lambda name=bound.name: events.append(name))
    return events


def small(decode_model="fixed"):
    return random_instance(np.random.default_rng(0), decode_model=decode_model, workflows=(3, 3), calls=(1, 2))


@pytest.mark.parametrize(
    "work",
    [
        lambda instance: gaps.gap(instance, ["hexagent"], "max_ratio", time_limit=5),
        lambda instance: solve.solve(instance),
        lambda instance: searching.search(instance, "max_ratio"),
    ],
)
def test_compilation_comes_before_the_clock(order, work):
    with pytest.raises(StoppedError):
        work(small())
    assert order[-1] == "clock"
    assert "search" in order[:-1]


def test_a_gap_compiles_every_bound(order):
    with pytest.raises(StoppedError):
        gaps.gap(small(), ["hexagent"], "max_ratio", time_limit=5)
    assert set(order[:-1]) == {"search", *BOUNDS}


def test_bounds_compile_before_their_clock(order, monkeypatch):
    monkeypatch.setattr(portfolio.time, "monotonic", lambda: order.append("clock") or 0.0)
    portfolio.best_bound(offline_problem(small()), read_objective("max_ratio"), 1.0, [BOUNDS["capacity-prices"]])
    assert order[:2] == ["capacity-prices", "clock"]


def test_a_bound_without_time_says_so():
    problem = offline_problem(small("fluid"))
    best = portfolio.best_bound(problem, read_objective("mean_latency"), 1e-9)
    notes = {row.bound: row.note for row in best.table}
    assert notes["capacity-prices"] == notes["window-lp"] == NO_TIME
    assert all(row.value is None for row in best.table if row.note)
    assert best.value == pytest.approx(problem.horizon.mean())
    alone = portfolio.best_bound(problem, read_objective("req(0.5)"), 1e-9, [BOUNDS["capacity-prices"]])
    assert (alone.value, alone.source) == (1.0, "critical-path")


def test_a_gap_without_time_says_which_bounds_had_none():
    instance = one_pair(*(workflow(f"w{k}", 0.0, call("c", 100, 50)) for k in range(4)))
    report = gaps.gap(instance, ["fcfs"], "mean_ratio", time_limit=1e-9, tuning=gaps.Tuning(exact_calls=0))
    assert report.lower_bound == 1.0
    assert report.bound_source == "critical-path"
    assert report.short_of_time == {"capacity-prices": NO_TIME, "groups": NO_TIME}
    assert report.bounds["capacity-prices"] is None
    with pytest.raises(InputError, match="above 0"):
        gaps.gap(instance, ["fcfs"], "mean_ratio", time_limit=0.0)
