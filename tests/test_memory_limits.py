"""Where memory is short, that is said in a line before anything dies of it, and what was found is kept."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from experiments import cli
from experiments.cli import BAD_INPUT, main
from hexsched.errors import InputError, InputWarning
from hexsched.model import write_instance
from hexsched.workloads.instances import instance
from solvers.bounds.parts.linear import GaveUpError, Program
from solvers.brackets import isolation
from solvers.brackets.solve import solve_with
from solvers.problem import memory
from solvers.problem.result import Options

TINY = instance("demo", "react", workflows=2, decode_model="fixed")
ADDRESSES = 650 << 20  # bytes: hexsched starts in these, solvers do not

GROW = """
import resource, warnings
from pathlib import Path
from solvers.bounds.parts.linear import GaveUpError, Program
import scipy.optimize
sizes = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
used = int(sizes["VmSize"].split()[0]) << 10
resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20), used + (300 << 20)))
warnings.simplefilter("ignore")
program = Program("growing")
try:
    while True:
        program.variables(10_000, 1.0)
except GaveUpError as error:
    print(error)
print(program.columns)
"""


def limited(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """A command in a process that may have so many addresses."""
    return subprocess.run(
        [sys.executable, "-c", "import sys; from experiments.cli import main; sys.exit(main())", *argv],
        cwd=Path(__file__).parents[1],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES)),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("command", ["solve", "gap", "bound"])
def test_a_solver_that_would_not_have_room_is_not_begun(tmp_path, command):
    write_instance(tmp_path / "i.json", TINY)
    done = limited([command, str(tmp_path / "i.json")])
    assert done.returncode == BAD_INPUT, done.stderr
    assert "MB of memory are left; solvers and bounds need" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_linear_program_grows_no_further_than_there_is_memory_for():
    done = subprocess.run(
        [sys.executable, "-c", GROW], cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told, columns = done.stdout.splitlines()
    assert "for want of memory; bounds are weaker" in told
    assert 0 < int(columns) <= ((300 << 20) - memory.RESERVE) / 250


def test_a_linear_program_that_cannot_be_solved_for_want_of_memory_says_nothing(monkeypatch):
    program = Program("short")
    program.entries(program.rows(-1.0), program.variables(1, 1.0, 1.0), -1.0)
    assert program.lower_bound(10.0) == pytest.approx(1.0)

    def no_memory(*args: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr("scipy.optimize.linprog", no_memory)
    with pytest.warns(InputWarning, match="short: no memory to solve a linear program of 3 numbers"):
        assert program.lower_bound(10.0) is None


def test_the_size_of_a_program_follows_the_memory(monkeypatch):
    monkeypatch.setattr("solvers.bounds.parts.linear.memory_left", lambda: memory.RESERVE + 250 * 100)
    program = Program("small")
    assert program.most == 100
    with pytest.warns(InputWarning, match="more than 100 numbers"), pytest.raises(GaveUpError):
        program.variables(101, np.ones(101))


def test_a_solver_is_stopped_before_there_is_nothing_left_for_anybody(monkeypatch):
    monkeypatch.setattr(isolation, "memory_of_all", lambda: memory.RESERVE - 1)
    result = solve_with(TINY, "milp_event", options=Options(time_limit=60))
    assert result.status in ("feasible", "optimal")  # the schedule that it began with, and the bounds that take no time
    assert "less than 0.2 GB of memory was left" in result.message
    assert result.seconds < 60


def test_what_is_left_is_the_least_of_machine_groups_and_limits(tmp_path, monkeypatch):
    inner = tmp_path / "job" / "part"
    inner.mkdir(parents=True)
    for folder, most, used in ((inner, "max", 3), (inner.parent, "1000000", 400_000)):
        (folder / "memory.max").write_text(f"{most}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text("anon 5\ninactive_file 100000\n")
    names = ("memory.max", "memory.current", "inactive_file")
    monkeypatch.setattr(memory, "_groups", lambda: iter([(inner, *names), (inner.parent, *names)]))
    assert memory.memory_left() == memory.memory_of_all() == 700_000
    with pytest.raises(InputError, match="1 MB of memory are left"):
        memory.check_memory()
    monkeypatch.setattr(memory, "_groups", lambda: iter(()))
    assert memory.memory_of_all() > 10e6
    memory.check_memory()


@pytest.mark.parametrize(
    "error", [MemoryError("Unable to allocate 9 GiB"), ImportError("libx.so: failed to map segment from shared object")]
)
def test_a_command_that_runs_out_of_memory_is_one_line(monkeypatch, capsys, error):
    def run(argv: Sequence[str]) -> int:
        raise error

    monkeypatch.setattr("experiments.cli.app.run", run)
    assert main(["families"]) == BAD_INPUT
    assert capsys.readouterr().err == f"hexsched: error: there is not enough memory: {error}\n"
    monkeypatch.setattr("experiments.cli.app.run", lambda argv: 1 // 0)
    assert main(["families"]) == cli.INTERNAL_ERROR
