"""Runs: a policy on a scene, verified."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.grid.cell import Answer, Cell
from experiments.grid.expand import Point
from experiments.grid.kind import Kind
from experiments.grid.kinds.load import LoadCell, load_search
from experiments.grid.scene import Scene, prepared, scene_of
from experiments.grid.settings import LEAVE_OUT_OVERSIZE, MAX_CONTEXT, SAMPLE, SCHEDULES, SLO, WARM_UP
from experiments.grid.sources import Json, Plugin, entries, needed_plugins
from experiments.store.schema import CASE, REAL, TEXT, TRUTH, WHOLE
from hexsched.metrics import METRICS
from hexsched.metrics.parts.goodput import COLUMNS
from hexsched.metrics.parts.thresholds import read_thresholds
from hexsched.outside import Package

if TYPE_CHECKING:
    from hexsched.model import Instance, Schedule
    from hexsched.simulator import Run

MICROSECONDS = 1e6

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class RunCell(Cell):
    """One run.

    Attributes
    ----------
    scene : Scene
    policy, estimator : str
        In canonical form.
    loaded : tuple of Plugin or Package
        Where the policy is registered, if it does not come with hexsched.
    slo : str
        Thresholds in canonical form; empty for none.
    stored : bool
        Whether the schedule is stored.
    """

    scene: Scene
    policy: str
    estimator: str
    loaded: tuple[Plugin | Package, ...] = ()
    slo: str = ""
    stored: bool = False

    @property
    def kind(self) -> Kind:
        return KIND

    @property
    def case(self) -> Json:
        return {
            **self.scene.case,
            "load": self.scene.load,
            "policy": self.policy,
            "estimator": self.estimator,
            "seed": self.scene.seed,
        }

    @property
    def inputs(self) -> Json:
        plugins = {"plugins": [plugin.sha256 for plugin in self.loaded]} if self.loaded else {}
        slo = {"slo": self.slo} if self.slo else {}
        return {**self.scene.inputs, "policy": self.policy, "estimator": self.estimator, **slo, **plugins}

    @property
    def description(self) -> str:
        return f"{self.policy} on {self.scene}, estimator {self.estimator}"

    @property
    def grid(self) -> Json:
        slo = {SLO.name: self.slo} if self.slo else {}
        mine = {"policies": self.policy, "estimators": self.estimator, **slo}
        return {"kind": KIND.name, **self.scene.entries, **mine, **entries(self.loaded)}

    @property
    def needs(self) -> LoadCell | None:
        return load_search(self.scene)

    @property
    def group(self) -> object:
        return self.scene

    @property
    def plugins(self) -> tuple[Plugin | Package, ...]:
        return self.loaded

    @property
    def wants_schedule(self) -> bool:
        return self.stored

    def compute(self, rate: float | None) -> Answer:
        from hexsched.simulator import simulate
        from hexsched.verifier import verify

        instance, digest = prepared(self.scene, rate)
        run = simulate(instance, self.policy, estimator=self.estimator, seed=self.scene.seed)
        report = verify(instance, run.schedule)
        row = {
            **self.case,
            "model": self.scene.cluster.model,
            "pool": self.scene.cluster.pool,
            "prefill_instances": len(instance.prefill),
            "decode_instances": len(instance.decode),
            "rate": rate if self.scene.rule.searched else self.scene.rule.rate,
            "reached": self.scene.rule.reached(rate),
            "instance_sha256": digest,
            "left_out": self.scene.workflows - len(instance.workflows),
            **{name: value for name, value in run.metrics.items() if name != "workflows"},
            "slo": self.slo or None,
            **(run.goodput(self.slo) if self.slo else dict.fromkeys(COLUMNS)),
            "verified": report.ok,
            **utilisation(instance, run.schedule),
        }
        return Answer(
            {"runs": [row], "workflows": [{**self.case, **workflow} for workflow in _workflow_rows(run)]},
            timing={
                "decisions": run.decisions,
                "decision_mean_us": run.decision_latency * MICROSECONDS,
                "decision_p99_us": run.decision_latency_p99 * MICROSECONDS,
            },
            # no name and no time in the header: the same schedule makes the same bytes
            schedule=gzip.compress(run.schedule.to_bytes(), mtime=0) if self.stored else None,
            instance=gzip.compress(instance.to_bytes(), mtime=0) if self.stored else None,
            fault="" if report.ok else f"the schedule breaks {', '.join(report.counts())}",
        )


def cells(points: Sequence[Point], plugins: Sequence[Plugin]) -> list[Cell]:
    """A cell a point."""
    needed = {name: needed_plugins([name], plugins) for name in {point["policies"]: None for point in points}}
    return [
        RunCell(
            scene_of(point, point["clusters"]),
            point["policies"],
            point["estimators"],
            needed[point["policies"]],
            _canonical(dict(point.settings)[SLO.name]),
            dict(point.settings)[SCHEDULES.name],
        )
        for point in points
    ]


@cache
def _canonical(slo: str) -> str:
    """Thresholds written in one way."""
    return str(read_thresholds(slo)) if slo else ""


def utilisation(instance: Instance, schedule: Schedule) -> dict[str, float]:
    """How busy the instances are until the last completion.

    Returns
    -------
    dict
        ``prefill_utilisation`` and ``decode_utilisation``: the share of the time from 0 on in which an instance runs a
        prefill, or has a batch; the mean over instances. ``kv_peak``: the largest share of a KV cache reserved.
    """
    last = max(row.decode_end for row in schedule.calls)
    prefill = sum(row.prefill_end - row.prefill_start for row in schedule.calls)
    tokens = {
        (workflow.workflow_id, call.call_id): call.prompt_tokens + call.output_tokens
        for workflow in instance.workflows
        for call in workflow.calls
    }
    busy, peak = 0.0, 0.0
    for machine in instance.decode:
        rows = [row for row in schedule.calls if row.decode_instance == machine.id]
        start, end = np.array([r.decode_start for r in rows]), np.array([r.decode_end for r in rows])
        admitted = np.array([r.admitted for r in rows])
        reserved = np.array([tokens[r.workflow_id, r.call_id] for r in rows], dtype=np.int64)
        busy += _covered(start, end)
        peak = max(peak, _peak(admitted, end, reserved) / machine.kv_capacity_tokens)
    return {
        "prefill_utilisation": prefill / (len(instance.prefill) * last),
        "decode_utilisation": busy / (len(instance.decode) * last),
        "kv_peak": peak,
    }


def _covered(start: Array, end: Array) -> float:
    """Length of the union of intervals, all (N,) seconds."""
    if not len(start):
        return 0.0
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    before = np.concatenate(([-np.inf], np.maximum.accumulate(end)[:-1]))
    return float(np.maximum(end - np.maximum(start, before), 0.0).sum())


def _peak(begin: Array, end: Array, amount: Array) -> int:
    """The largest sum of amounts held at a time; what ends when another begins is given back first."""
    if not len(begin):
        return 0
    time = np.concatenate((end, begin))
    change = np.concatenate((-amount, amount))
    return int(np.cumsum(change[np.argsort(time, kind="stable")]).max())


def _workflow_rows(run: Run) -> list[Json]:
    """A row a workflow that is not warm-up."""
    latency = run.completed - run.arrival
    columns = zip(
        run.instance.workflows,
        run.arrival.tolist(),
        latency.tolist(),
        run.horizon.tolist(),
        run.ratio.tolist(),
        strict=True,
    )
    return [
        {
            "workflow_id": workflow.workflow_id,
            "calls": len(workflow.calls),
            "arrival": arrival,
            "latency": seconds,
            "horizon": horizon,
            "ratio": ratio,
        }
        for workflow, arrival, seconds, horizon, ratio in islice(columns, run.warm_up, None)
    ]


KIND = Kind(
    name="simulate",
    summary="a policy on a workload on a cluster, verified",
    tables={
        "runs": {
            "cluster": TEXT,
            "model": TEXT,
            "pool": TEXT,
            "prefill_instances": WHOLE,
            "decode_instances": WHOLE,
            "workload": TEXT,
            "workflows": WHOLE,
            "load": TEXT,
            "rate": REAL,
            "reached": TRUTH,  # whether that is the load asked for; else the rate only stands for all at once
            "policy": TEXT,
            "estimator": TEXT,
            "seed": WHOLE,
            "instance_sha256": TEXT,
            "left_out": WHOLE,  # workflows with a call that is too large
            **{name: WHOLE if metric.whole else REAL for name, metric in METRICS.items() if name != "workflows"},
            "slo": TEXT,  # thresholds, and what is within them; null where the grid has none
            **dict.fromkeys(COLUMNS, REAL),
            "verified": TRUTH,
            "prefill_utilisation": REAL,
            "decode_utilisation": REAL,
            "kv_peak": REAL,
        },
        "workflows": {
            **CASE,
            "load": TEXT,
            "policy": TEXT,
            "estimator": TEXT,
            "seed": WHOLE,
            "workflow_id": TEXT,
            "calls": WHOLE,
            "arrival": REAL,
            "latency": REAL,
            "horizon": REAL,
            "ratio": REAL,
        },
    },
    cells=cells,
    axes={
        "clusters": None,
        "workloads": None,
        "workflows": None,
        "loads": None,
        "seeds": (0,),
        "estimators": ("exact",),
        "policies": None,
    },
    settings=(SCHEDULES, SLO, MAX_CONTEXT, LEAVE_OUT_OVERSIZE, SAMPLE, WARM_UP),
    example="clusters: demo\nworkloads: react\nworkflows: 3\nloads: stress:2\npolicies: fcfs\n",
    timing={"decisions": WHOLE, "decision_mean_us": REAL, "decision_p99_us": REAL},
    alike=("workload", "workflows"),
    amount="workflows",
    seconds=4e-4,
    sources=(__file__,),
    rank=1,
)
