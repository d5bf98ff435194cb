"""The scene of a cell: what makes its instance, given the rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from experiments.grid.loads import LoadRule, read_load
from experiments.grid.settings import LEAVE_OUT_OVERSIZE, MAX_CONTEXT, SAMPLE, WARM_UP
from experiments.grid.sources import Cluster, Json, Workload
from hexsched.errors import InputError

if TYPE_CHECKING:
    from experiments.grid.expand import Point
    from hexsched.model import ClosedLoop, Instance, Workflow


@dataclass(frozen=True)
class Scene:
    """Workflows on a cluster under a load.

    Attributes
    ----------
    cluster : Cluster
    workload : Workload
    workflows : int
    seed : int
    load : str
        A load rule.
    max_context : int
        Workflows with a call of more tokens are left out; 0 for no limit.
    leave_out_oversize : bool
        Whether workflows with a call that no KV cache holds are left out too.
    warm_up : int
        Of a closed loop, how many of the first workflows metrics leave out.
    sample : bool
        Whether workflows of a file are drawn; False for a family.
    """

    cluster: Cluster
    workload: Workload
    workflows: int
    seed: int
    load: str
    max_context: int = 0
    leave_out_oversize: bool = False
    warm_up: int = 0
    sample: bool = False

    @property
    def rule(self) -> LoadRule:
        """The load rule, read."""
        return read_load(self.load)

    @property
    def inputs(self) -> Json:
        """As ``Cell.inputs``."""
        return {
            "cluster": {"name": self.cluster.name, "sha256": self.cluster.sha256},
            "workload": self.workload.identity,
            "workflows": self.workflows,
            "seed": self.seed,
            "load": self.load,
            **self.rule.rule.inputs,
            **({"max_context": self.max_context} if self.max_context else {}),
            **({"leave_out_oversize": True} if self.leave_out_oversize else {}),
            **({"warm_up": self.warm_up} if self.warm_up else {}),
            **({"sample": True} if self.sample else {}),
        }

    @property
    def entries(self) -> Json:
        """What a grid file says to have it."""
        switches = {
            MAX_CONTEXT.name: self.max_context,
            LEAVE_OUT_OVERSIZE.name: self.leave_out_oversize,
            WARM_UP.name: self.warm_up,
            SAMPLE.name: self.sample,
        }
        return {
            "clusters": self.cluster.entry,
            "workloads": self.workload.entry,
            "workflows": self.workflows,
            "loads": self.load,
            "seeds": [self.seed],
            **{name: value for name, value in switches.items() if value},
        }

    @property
    def case(self) -> Json:
        """The columns that its rows begin with."""
        return {"cluster": self.cluster.name, "workload": self.workload.name, "workflows": self.workflows}

    def __str__(self) -> str:
        return f"{self.cluster}, {self.workflows} {self.workload}, {self.load}, seed {self.seed}"


def scene_of(point: Point, cluster: Cluster) -> Scene:
    """The scene of a point of a grid, on this cluster."""
    settings = dict(point.settings)
    return Scene(
        cluster,
        point["workloads"],
        point["workflows"],
        point["seeds"],
        point["loads"],
        settings[MAX_CONTEXT.name],
        settings[LEAVE_OUT_OVERSIZE.name],
        settings.get(WARM_UP.name, 0) if read_load(point["loads"]).sessions is not None else 0,
        settings[SAMPLE.name] and point["workloads"].data is not None,
    )


def at_any_rate(scene: Scene) -> Callable[[float], Instance]:
    """From a rate to the instance in which the workflows arrive so, by the scene's arrival process."""
    from hexsched.workloads.arrivals import apply_arrivals

    workflows, load = _workflows(scene), scene.rule
    return lambda rate: _instance(scene.cluster, apply_arrivals(workflows, load.arrivals(rate), scene.seed))


def instance_of(scene: Scene, rate: float | None) -> Instance:
    """The instance of a scene.

    Parameters
    ----------
    scene : Scene
    rate : float or None
        What the load search found, where the scene's rule needs one.

    Raises
    ------
    InputError
        When a call fits nowhere on the cluster and such workflows are not to be left out, or none is left.
    """
    load = scene.rule
    rate = rate if load.searched else load.rate
    if rate is not None:
        return at_any_rate(scene)(rate)
    from hexsched.model import ClosedLoop

    assert load.rule.arrange is not None
    workflows = _workflows(scene)
    arranged = load.rule.arrange(scene.workload, workflows)
    if load.sessions is None:
        return _instance(scene.cluster, arranged)
    if scene.warm_up >= len(arranged):
        raise InputError(f"a warm-up of {scene.warm_up} leaves none of {len(arranged)} workflows", str(scene))
    return _instance(scene.cluster, arranged, ClosedLoop(sessions=load.sessions, warm_up=scene.warm_up))


@lru_cache(maxsize=2)  # cells of one scene come one after another
def prepared(scene: Scene, rate: float | None) -> tuple[Instance, str]:
    """The instance, and the SHA-256 of its file without where the numbers come from."""
    import msgspec

    from experiments.grid.sources import sha256

    instance = instance_of(scene, rate)
    return instance, sha256(msgspec.structs.replace(instance, sources=()).to_bytes())


@lru_cache(maxsize=2)
def _workflows(scene: Scene) -> tuple[Workflow, ...]:
    """Those of the scene's workflows that are to run."""
    from hexsched.model import find_oversize

    workflows = scene.workload.take(scene.workflows, scene.seed, sample=scene.sample)
    if scene.max_context:
        workflows = find_oversize(workflows, scene.max_context).kept
    room = max(machine.kv_capacity_tokens for machine in scene.cluster.decode)
    oversize = find_oversize(workflows, room)
    where = f"workload {scene.workload.name} on cluster {scene.cluster.name}"
    if oversize.workflows and not scene.leave_out_oversize:
        way_out = f"'{LEAVE_OUT_OVERSIZE.name}: true' in the grid leaves such workflows out"
        raise InputError(f"{oversize.share} do not fit any KV cache: {oversize.reason}; {way_out}", where)
    if not oversize.kept:
        raise InputError("every workflow has a call that is too large; none is left", where)
    return oversize.kept


def _instance(cluster: Cluster, workflows: tuple[Workflow, ...], closed_loop: ClosedLoop | None = None) -> Instance:
    from hexsched.model import Instance
    from hexsched.model.instance import FORMAT

    return Instance(
        format=FORMAT,
        decode_model=cluster.decode_model,
        kv_bytes_per_token=cluster.kv_bytes_per_token,
        prefill=cluster.prefill,
        decode=cluster.decode,
        links=cluster.links,
        workflows=workflows,
        closed_loop=closed_loop,
        sources=cluster.sources,
    )
