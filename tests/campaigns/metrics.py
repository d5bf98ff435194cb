"""``python -m campaigns.metrics``: every metric of stored runs against ``reference.by_pandas``.

Grids of every policy are run with the command line, fluid and in closed loops, with thresholds; ``fixed`` instances
are simulated into files. What is compared is what the files say.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from reference import by_pandas
from reference.by_pandas import Json
from tiny_grid import Inline, plan_of

from experiments.cli import main as hexsched
from experiments.grid.run import run_plan
from experiments.store import Store
from hexsched.policies import PLACEMENTS, policies

PRECISION = 1e-12  # relative, and absolute below ``SMALL``
SMALL = 1e-3
GRID = """\
clusters: [{clusters}]
workloads: [{workloads}]
workflows: {workflows}
loads: [{loads}]
policies: [{policies}]
estimators: [exact, noise(0.5)]
seeds: {seeds}
schedules: true
warm_up: {warm_up}
slo: {slo}
"""
SLOS = ("ttft=2s,tpot=50ms,ratio=4", "latency=20s", "queueing=100ms,admission=1ms,transfer=30ms", "tpot=15ms")


@dataclass
class Compared:
    """How many values were compared, by name, how far apart they were, and what was too far."""

    values: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    apart: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    runs: int = 0
    wrong: list[str] = field(default_factory=list)

    def compare(self, where: str, stored: Mapping[str, object], again: Mapping[str, float]) -> None:
        """Whether stored values are those computed again."""
        for name, value in again.items():
            given = stored[name]
            known = math.nan if given is None or given != given else float(str(given))
            self.values[name] += 1
            if math.isnan(known) and math.isnan(value):
                continue
            apart = abs(known - value) / max(abs(value), SMALL)
            self.apart[name] = max(self.apart[name], apart)
            if not apart <= PRECISION:
                self.wrong.append(f"{where}: {name} is {known!r} in the file, {value!r} by pandas")


def compare_store(store: Path, compared: Compared) -> None:
    """Every run of a store, and its workflows."""
    for row in by_pandas.read_runs(store).to_dict("records"):
        key = str(row["key"])
        instance = by_pandas.read_json(store / "instances" / f"{key}.json.gz")
        schedule = by_pandas.read_json(store / "schedules" / f"{key}.json.gz")
        flows, calls = by_pandas.frames(instance, schedule)
        again = by_pandas.metrics(flows, calls)
        size = again.pop("workflows")
        if row["slo"] is not None:
            again |= by_pandas.goodput(flows, calls, str(row["slo"]))
        again |= by_pandas.usage(instance, schedule)
        compared.compare(key, row, again)
        listed = by_pandas.read_workflows(store, key)
        compared.compare(key, {"workflows": len(listed)}, {"workflows": size})
        if list(listed.index) != list(flows.index):
            compared.wrong.append(f"{key}: other workflows")
            continue
        for name in ("calls", "arrival", "latency", "horizon", "ratio"):
            for flow, value in flows[name].items():
                place = f"{key}, {flow}"
                compared.compare(place, {f"workflows.{name}": listed.loc[flow, name]}, {f"workflows.{name}": value})
        compared.runs += 1


def compare_file(instance: Path, schedule: Path, printed: Json, compared: Compared) -> None:
    """A schedule of ``hexsched simulate`` and the metrics that it printed."""
    flows, calls = by_pandas.frames(by_pandas.read_json(instance), by_pandas.read_json(schedule))
    again = by_pandas.metrics(flows, calls)
    compared.compare(schedule.name, printed, again)
    compared.runs += 1


def run_grid(folder: Path, text: str) -> Path:
    """Run a grid into a store, in this process."""
    with Store.writing(folder / "store") as opened:
        run_plan(plan_of(folder, text), opened, Inline())
    return folder / "store"


def names(placements: bool) -> list[str]:
    """Every policy, on every placement if wished."""
    plain = [policy.name for policy in policies()]
    return plain + [f"{name}@{placement}" for name in plain for placement in PLACEMENTS if placements]


def grids(seeds: int, placements: bool) -> Iterator[str]:
    """Grids of different clusters, workloads, loads and thresholds."""
    for k, (clusters, workloads, loads, warm_up) in enumerate(
        (
            ("demo", "react, bfcl", "'rate:2', 'stress:3'", 0),
            ("demo", "coding_agent", "at-once, 'closed-loop:3'", 2),
            ("demo", "tree_of_thoughts, text2sql", "'closed-loop:1', 'saturation:1.2'", 0),
            ("qwen235b-hetero-2", "lats, sharegpt", "'rate:4', 'closed-loop:4'", 1),
        )
    ):
        quoted = ", ".join(f"'{name}'" for name in names(placements))
        yield GRID.format(
            clusters=clusters,
            workloads=workloads,
            workflows=12,
            loads=loads,
            policies=quoted,
            seeds=seeds,
            warm_up=warm_up,
            slo=SLOS[k % len(SLOS)],
        )


def report(compared: Compared) -> str:
    """A table: how many of each, and how far apart at most."""
    rows = [(name, count, compared.apart[name]) for name, count in compared.values.items()]
    frame = pd.DataFrame(rows, columns=["value", "compared", "at most apart, relative"])
    return frame.to_string(index=False)


def main(words: Sequence[str] | None = None) -> int:
    """Run the grids, compare, and print; 1 where anything differs."""
    parser = argparse.ArgumentParser(prog="campaigns.metrics", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args(words)
    compared = Compared()
    for text in grids(given.seeds, placements=True):
        with tempfile.TemporaryDirectory() as folder:
            compare_store(run_grid(Path(folder), text), compared)
        print(f"{compared.runs} runs, {len(compared.wrong)} values differ", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        fixed_runs(Path(folder), 10 * given.seeds, compared)
    print("\n".join(compared.wrong[:20]))
    print(report(compared))
    print(f"{compared.runs} runs, {sum(compared.values.values()):,} values, {len(compared.wrong)} differ")
    return int(bool(compared.wrong))


def fixed_runs(folder: Path, instances: int, compared: Compared) -> None:
    """Every policy in the ``fixed`` decode model, from instance file to schedule file."""
    from contextlib import redirect_stdout
    from io import BytesIO, TextIOWrapper

    import numpy as np
    from instances import corner_instance

    from hexsched.model import write_instance

    for seed in range(instances):
        path = folder / f"{seed}.json"
        write_instance(path, corner_instance(np.random.default_rng([seed, 3]), decode_model="fixed"))
        for policy in names(placements=False):
            said = TextIOWrapper(BytesIO())
            with redirect_stdout(said):
                done = hexsched(["simulate", str(path), "--policy", policy, "--json", "-o", str(folder / "s.json")])
            if done:
                raise RuntimeError(f"simulate ended with {done}")
            compare_file(path, folder / "s.json", json.loads(said.buffer.getvalue()), compared)


if __name__ == "__main__":
    sys.exit(main())
