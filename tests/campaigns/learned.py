"""``python -m campaigns.learned TRACE...``: what learned hints are worth on workflows that they were not learned from.

Each table is split in halves by workflow, anew for each seed. One half teaches; the other is run at the fixed rate at
which HexAGenT needs Req95 = 5.6, or all at once where that is less, by HexAGenT as it is, told the horizon, and with
the hints. Halves of fewer than 300 workflows are repeated until there are as many. A row a table, cluster and seed is
written to a file, and what is in it already is not computed again.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from hexsched.clusters import ClusterSpec, compile_instance, read_cluster
from hexsched.metrics import Metrics
from hexsched.model import Workflow
from hexsched.model.hint import Hint
from hexsched.simulator import simulate
from hexsched.workloads.arrivals import apply_arrivals
from hexsched.workloads.arrivals.renewal import FixedArrivals
from hexsched.workloads.predictor import learn, rests
from hexsched.workloads.source import read_workflows

STRESS = 5.6  # Req95 that HexAGenT is to need
FASTEST, SLOWEST = 300.0, 0.01  # workflows a second
STEPS = 11  # halvings of the range, on a logarithmic scale
MOST_TOKENS = 131_000  # of a call: larger ones fit no KV cache of the clusters
FEWEST, MOST = 300, 400  # workflows of a run
SHARES = (0.02, 0.05)
METRICS = ("req95", "req99", "max_ratio", "mean_ratio")


def halves(flows: Sequence[Workflow], seed: int) -> tuple[list[Workflow], list[Workflow], list[Workflow]]:
    """Those to learn from, the others, and the others as they are run."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(flows)).tolist()
    middle = len(flows) // 2
    taught, others = [flows[k] for k in order[:middle]], [flows[k] for k in order[middle:]][:MOST]
    run = others
    if len(others) < FEWEST:
        times = math.ceil(FEWEST / len(others))
        run = [replace(flow, workflow_id=f"{flow.workflow_id}.{r}") for r in range(times) for flow in others]
    return taught, others, [run[k] for k in rng.permutation(len(run)).tolist()]


def metrics_of(cluster: ClusterSpec, flows: Iterable[Workflow], rate: float, horizon: str) -> Metrics:
    """What a run of HexAGenT comes to."""
    instance = compile_instance(cluster, apply_arrivals(tuple(flows), FixedArrivals(rate), 0))
    return simulate(instance, f"hexagent(horizon={horizon})", progress=False).metrics


def find_rate(cluster: ClusterSpec, flows: Sequence[Workflow]) -> float:
    """The rate at which HexAGenT needs ``STRESS``; the fastest where it needs less even then."""
    low, high = SLOWEST, FASTEST
    if metrics_of(cluster, flows, high, "revealed").req95 < STRESS:
        return high
    for _ in range(STEPS):
        middle = math.sqrt(low * high)
        if metrics_of(cluster, flows, middle, "revealed").req95 < STRESS:
            low = middle
        else:
            high = middle
    return high


def errors(flows: Iterable[Workflow]) -> dict[str, float]:
    """Rounds by which the depth known at a release misses the last, without and with hints; who is told too much."""
    calls = workflows = too_much = 0
    now = told = 0.0
    for flow in flows:
        found = list(rests(flow))
        last, wrong = max(depth for _, depth, _ in found), False
        for k, depth, _ in found:
            hint = flow.calls[k].hint
            expected = depth + (hint.rounds if isinstance(hint, Hint) else 0.0)
            now, told, wrong = now + last - depth, told + abs(last - expected), wrong or expected > last
        calls, workflows, too_much = calls + len(found), workflows + 1, too_much + wrong
    return {"err_now": now / calls, "err_hint": told / calls, "too_much": too_much / workflows}


def row_of(path: Path, cluster_name: str, seed: int) -> dict[str, Any]:
    """One table, cluster and seed: ratios to HexAGenT as it is, by what it is shown."""
    flows = [
        flow
        for flow in read_workflows(path, None).workflows
        if max(call.prompt_tokens + call.output_tokens for call in flow.calls) < MOST_TOKENS
    ]
    taught, others, run = halves(flows, seed)
    cluster = read_cluster(cluster_name)
    rate = find_rate(cluster, run)
    learned = {share: learn(taught, share) for share in SHARES}
    plain = metrics_of(cluster, run, rate, "revealed")
    shown = {"oracle": metrics_of(cluster, run, rate, "oracle")}
    shown |= {f"{share}": metrics_of(cluster, one.hinted(run), rate, "hint") for share, one in learned.items()}
    ratios = {name: [getattr(m, k) / getattr(plain, k) for k in METRICS] for name, m in shown.items()}
    case = {"table": path.stem, "cluster": cluster_name, "seed": seed, "rate": rate, "req95": plain.req95}
    return {**case, **errors(learned[SHARES[0]].hinted(others)), **ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("traces", nargs="+", type=Path)
    parser.add_argument("--cluster", default="qwen235b-hetero-1")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--results", type=Path, required=True)
    given = parser.parse_args()
    lines = given.results.read_text().splitlines() if given.results.exists() else []
    rows = {(row["table"], row["cluster"], row["seed"]): row for row in map(json.loads, lines)}
    for path in given.traces:
        mine = []
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            key = (path.stem, given.cluster, seed)
            if key not in rows:
                rows[key] = row_of(path, given.cluster, seed)
                with given.results.open("a") as file:
                    file.write(json.dumps(rows[key]) + "\n")
            mine.append(rows[key])
        print(f"{path.stem}, {given.cluster}, {len(mine)} seeds: {', '.join(METRICS)}")
        for name in ("oracle", *map(str, SHARES)):
            values = np.array([row[name] for row in mine])
            print(
                f"  {name:8}",
                *(f"{mean:.3f} ± {sd:.3f}" for mean, sd in zip(values.mean(0), values.std(0), strict=True)),
            )
        means = {
            name: float(np.mean([row[name] for row in mine]))
            for name in ("rate", "req95", "err_now", "err_hint", "too_much")
        }
        print("  ", {name: round(value, 3) for name, value in means.items()}, flush=True)


if __name__ == "__main__":
    main()
