"""The main job in small: HexAGenT against its baselines on the paper's four workloads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from experiments.load import Load, at_rate, stress_load
from experiments.results import Result
from hexsched.baselines import BASELINES
from hexsched.clusters import read_cluster
from hexsched.simulator import Run, simulate
from hexsched.verifier import verify
from hexsched.workloads.families import generate

CLUSTER = "qwen235b-hetero-1"
WORKLOADS = ("sharegpt", "bfcl", "lats", "mixed")
POLICIES = (*BASELINES, "hexagent")


@dataclass(frozen=True)
class Comparison:
    """One workload at one load under all policies.

    Attributes
    ----------
    workload : str
    load : Load
    results : list of Result
        One a policy, in the order of ``POLICIES``.
    broken : list of str
        Policies whose schedule the verifier rejects, with the rules.
    """

    workload: str
    load: Load
    results: list[Result]
    broken: list[str]

    def reduction(self, metric: str) -> float:
        """By what share HexAGenT needs less than the strongest baseline."""
        values = {r.run.policy: getattr(r.run.metrics, metric) for r in self.results}
        strongest = min(values[name] for name in BASELINES)
        return 1.0 - float(values["hexagent"]) / float(strongest)


def compare_on(
    workload: str, *, workflows: int, target: float, seed: int, progress: Callable[[int, int], None] | None = None
) -> Comparison:
    """Generate the workload, load the cluster until the strongest baseline's Req95 is ``target``, run and verify."""
    cluster = read_cluster(CLUSTER)
    generated = generate(workload, workflows, seed)
    load = stress_load(cluster, generated, BASELINES, target, progress)
    instance = at_rate(cluster, generated, load.rate)
    results, broken = [], []
    for policy in POLICIES:
        run = simulate(instance, policy, seed=seed)
        report = verify(instance, run.schedule)
        if not report.ok:
            broken.append(f"{policy}: {', '.join(report.counts())}")
        results.append(Result(workload, run, _values(run, load, report.ok)))
    return Comparison(workload, load, results, broken)


def _values(run: Run, load: Load, verified: bool) -> dict[str, object]:
    return {"cluster": CLUSTER, "rate": load.rate, **run.metrics, "verified": verified}
