"""``python -m campaigns.large``: workflows of 100,000 calls, and 100,000 calls at one instant, from file to bound.

Each step runs in a process of its own, so that its memory can be told; what it takes is printed, a row a shape.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hexsched.clusters import compile_instance, read_cluster
from hexsched.model import Call, Workflow, read_instance, read_schedule, write_instance
from hexsched.model.schedule import write_schedule
from hexsched.simulator import simulate, warm_up_simulator
from hexsched.verifier import verify
from solvers.bounds import cheap
from solvers.problem.objective import FORMS, read_objective
from solvers.problem.offline import offline_problem

POLICIES = ("fcfs", "workflow-llf", "atlas")
BOUND_SECONDS = 10.0


def sized(rng: np.random.Generator, number: int, parents: Sequence[int] = ()) -> Call:
    """A call of usual size."""
    return Call(
        call_id=f"c{number}",
        prompt_tokens=int(rng.integers(50, 2000)),
        output_tokens=int(rng.integers(1, 200)),
        parents=tuple(f"c{parent}" for parent in parents),
    )


def chain(rng: np.random.Generator, calls: int) -> list[Workflow]:
    """One workflow, each call after the one before."""
    own = [sized(rng, k, [k - 1] if k else []) for k in range(calls)]
    return [Workflow(workflow_id="w", arrival=0.0, calls=tuple(own))]


def backwards(rng: np.random.Generator, calls: int) -> list[Workflow]:
    """The same chain, listed from its end."""
    (flow,) = chain(rng, calls)
    return [Workflow(workflow_id="w", arrival=0.0, calls=flow.calls[::-1])]


def wide(rng: np.random.Generator, calls: int) -> list[Workflow]:
    """One workflow: a call, all others but one after it, and one after all of these."""
    middle = [sized(rng, k, [0]) for k in range(1, calls - 1)]
    own = [sized(rng, 0), *middle, sized(rng, calls - 1, range(1, calls - 1))]
    return [Workflow(workflow_id="w", arrival=0.0, calls=tuple(own))]


def layered(rng: np.random.Generator, calls: int) -> list[Workflow]:
    """One workflow of layers of ten, each call after three of the layer before."""
    own = []
    for k in range(calls):
        first = (k // 10 - 1) * 10
        before = sorted(int(p) for p in first + rng.choice(10, 3, replace=False)) if first >= 0 else []
        own.append(sized(rng, k, before))
    return [Workflow(workflow_id="w", arrival=0.0, calls=tuple(own))]


def roots(rng: np.random.Generator, calls: int) -> list[Workflow]:
    """One workflow whose calls wait for nothing."""
    return [Workflow(workflow_id="w", arrival=0.0, calls=tuple(sized(rng, k) for k in range(calls)))]


def at_once(rng: np.random.Generator, calls: int) -> list[Workflow]:
    """As many workflows as calls, all at time 0."""
    return [Workflow(workflow_id=f"w{k}", arrival=0.0, calls=(sized(rng, 0),)) for k in range(calls)]


SHAPES: Mapping[str, Callable[[np.random.Generator, int], list[Workflow]]] = {
    shape.__name__: shape for shape in (chain, backwards, wide, layered, roots, at_once)
}


class Taken(NamedTuple):
    """What a step took: CPU seconds, and MB of memory at most, with all that is loaded."""

    seconds: float
    megabytes: float
    said: str


def step(work: Callable[..., str], *given: object) -> Taken:
    """Do it in a process of its own."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_tell, args=(theirs, work, given))
    child.start()
    theirs.close()
    try:
        taken = mine.recv()
    except EOFError:
        taken = Taken(float("nan"), float("nan"), "the process died")
    child.join()
    return taken


def _tell(pipe: object, work: Callable[..., str], given: Sequence[object]) -> None:
    began = time.process_time()
    try:
        said = work(*given)
    except Exception as error:  # is what came of it
        said = f"{type(error).__name__}: {error}"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pipe.send(Taken(time.process_time() - began, memory, said))


def make(shape: str, calls: int, path: Path) -> str:
    """Write the instance."""
    write_instance(path, compile_instance(read_cluster("demo"), SHAPES[shape](np.random.default_rng(0), calls)))
    return ""


def read(path: Path) -> str:
    """Read the instance."""
    return "" if read_instance(path).call_count else "no calls"


def run(path: Path, policy: str, output: Path) -> str:
    """Simulate, with metrics and schedule."""
    found = simulate(read_instance(path), policy, progress=False)
    write_schedule(output, found.schedule)
    return f"max ratio {found.metrics.max_ratio:.6g}"


def check(path: Path, schedule: Path) -> str:
    """Verify."""
    report = verify(read_instance(path), read_schedule(schedule))
    return f"max ratio {report.metrics.max_ratio:.6g}" if report.metrics else f"breaks {report.counts()}"


def bound(path: Path, name: str) -> str:
    """A bound of every objective that it holds for."""
    problem = offline_problem(read_instance(path))
    (found,) = [one for one in cheap() if one.name == name]
    aims = [aim for aim in map(read_objective, FORMS) if found.holds_for(problem, aim)]
    return ", ".join(f"{aim} {found.value(problem, aim, BOUND_SECONDS):.6g}" for aim in aims)


def main(words: Sequence[str] | None = None) -> int:
    """Print what every step takes; 1 where one fails, or two steps do not say the same."""
    parser = argparse.ArgumentParser(prog="campaigns.large", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--policies", default=",".join(POLICIES))
    given = parser.parse_args(words)
    warm_up_simulator()
    wrong = 0
    print(f"{'shape':<12}{'step':<28}{'CPU s':>8}{'MB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for shape in given.shapes.split(","):
            instance, schedule = Path(folder) / f"{shape}.json", Path(folder) / "schedule.json"
            steps = [("write", make, (shape, given.calls, instance)), ("read", read, (instance,))]
            for policy in given.policies.split(","):
                steps.append((f"simulate {policy}", run, (instance, policy, schedule)))
                steps.append((f"verify {policy}", check, (instance, schedule)))
            steps += [(f"bound {one.name}", bound, (instance, one.name)) for one in cheap()]
            before = ""
            for name, work, arguments in steps:
                taken = step(work, *arguments)
                failed = "Error" in taken.said or "died" in taken.said or "breaks" in taken.said
                failed |= name.startswith("verify") and taken.said != before
                wrong += failed
                before = taken.said
                print(
                    f"{shape:<12}{name:<28}{taken.seconds:>8.1f}{taken.megabytes:>8.0f}  {taken.said[:90]}", flush=True
                )
    print(f"{wrong} steps failed")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
