"""What a cluster file says: GPU types, counts, tensor-parallel degrees, the model and the links."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hexsched.display import Summary, displayed
from hexsched.model.cluster import Number, check_number
from hexsched.model.instance import DECODE_MODELS
from hexsched.profiles.catalogue import Gpu, Model
from hexsched.profiles.service import DEFAULT_KV_MEMORY_FRACTION, DEFAULT_MAX_BATCH, TypicalBatch

if TYPE_CHECKING:
    import pandas as pd

FABRICS = ("nic", "nvlink")
MAX_INSTANCES = 1024  # of one phase; every pair gets a link


class PrefillPool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Identical prefill instances.

    Attributes
    ----------
    gpu : str
        A GPU of the catalogue or of the cluster's own ``gpus``.
    count : int
        Instances, each one model replica.
    tensor_parallel : int
        GPUs of one instance.
    prefill_coeffs : tuple, optional
        [p0, p1, p2] in place of the profile's.
    """

    gpu: str
    count: int
    tensor_parallel: int
    prefill_coeffs: tuple[Number, Number, Number] | None = None

    def __post_init__(self) -> None:
        _check_pool(self.count, self.tensor_parallel)


class DecodePool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Identical decode instances.

    Attributes
    ----------
    gpu : str
        A GPU of the catalogue or of the cluster's own ``gpus``.
    count : int
        Instances, each one model replica.
    tensor_parallel : int
        GPUs of one instance.
    max_batch : int
        Bmax.
    kv_memory_fraction : float
        Share of GPU memory for weights, reserve and KV cache.
    decode_coeffs, batch_curve, fixed_iteration_time, kv_capacity_tokens : optional
        In place of what the profile and the catalogue give. ``decode_coeffs`` sets the profile's curve aside too.
    """

    gpu: str
    count: int
    tensor_parallel: int
    max_batch: int = DEFAULT_MAX_BATCH
    kv_memory_fraction: float = DEFAULT_KV_MEMORY_FRACTION
    decode_coeffs: tuple[Number, Number, Number] | None = None
    batch_curve: tuple[tuple[int, Number], ...] | None = None
    fixed_iteration_time: Number | None = None
    kv_capacity_tokens: int | None = None

    def __post_init__(self) -> None:
        _check_pool(self.count, self.tensor_parallel)
        if not 1 <= self.max_batch <= 1_000_000:
            raise ValueError(f"max_batch must be from 1 to 1000000, got {self.max_batch}")
        if not 0 < self.kv_memory_fraction <= 1:
            raise ValueError(f"kv_memory_fraction must be above 0 and at most 1, got {self.kv_memory_fraction}")
        if self.batch_curve is not None and self.decode_coeffs is None:
            raise ValueError("batch_curve needs decode_coeffs beside it: d2 is read from there")


class LinkOverride(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"source": "from"}, omit_defaults=True
):
    """What is different from one GPU type to another.

    Attributes
    ----------
    source, to : str
        GPU types of the prefill and of the decode instance (``"from"`` and ``"to"`` in files).
    bandwidth : number, optional
        omega of a whole link, bytes a second.
    latency : number, optional
        lambda, seconds.
    """

    source: str
    to: str
    bandwidth: Number | None = None
    latency: Number | None = None

    def __post_init__(self) -> None:
        if self.bandwidth is not None:
            check_number("bandwidth", self.bandwidth, positive=True)
        if self.latency is not None:
            check_number("latency", self.latency)


class Links(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Links between prefill and decode instances.

    Attributes
    ----------
    fabric : {"nic", "nvlink"}
        Whose one-way bandwidth per GPU counts; a pair gets the slower end's, times the smaller tensor-parallel degree.
    latency : number
        lambda, seconds. The default is the wire's (that of the GPU catalogue), without the software on the way.
    overrides : tuple of LinkOverride
        By GPU type.
    """

    fabric: str = "nic"
    latency: Number = 10e-6
    overrides: tuple[LinkOverride, ...] = ()

    def __post_init__(self) -> None:
        check_number("latency", self.latency)
        if self.fabric not in FABRICS:
            raise ValueError(f"fabric must be {' or '.join(FABRICS)}, got {self.fabric!r}")


@displayed
class ClusterSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A cluster as people write it; ``compile_instance`` makes it explicit.

    Attributes
    ----------
    name : str
        What tables and figures call it.
    model : str or Model
        A model of the catalogue, or all its sizes.
    prefill, decode : tuple of pools
        Instances of each phase, alike ones together; at least one pool.
    decode_model : {"fluid", "fixed"}
        How a batch advances: ``fluid`` (model M15) or ``fixed`` (model M16).
    links : Links
        What moves the KV cache.
    profile : str, optional
        A fitted profile that comes before the shipped fits; in a file, relative to it. It is an error when it has times
        for no pool, and told in a warning where it lacks those of one.
    typical_batch : TypicalBatch
        Where the ``fixed`` decode model's iteration time is read off.
    gpus : tuple of Gpu
        GPU types beside those of the catalogue.
    """

    name: str
    model: str | Model
    prefill: tuple[PrefillPool, ...]
    decode: tuple[DecodePool, ...]
    decode_model: str = "fluid"
    links: Links = Links()
    profile: str | None = None
    typical_batch: TypicalBatch = TypicalBatch()
    gpus: tuple[Gpu, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("name must not be empty")
        if self.decode_model not in DECODE_MODELS:
            raise ValueError(f"decode_model must be {' or '.join(DECODE_MODELS)}, got {self.decode_model!r}")
        for phase in ("prefill", "decode"):
            pools = getattr(self, phase)
            if not pools:
                raise ValueError(f"{phase} must list at least one pool")
            total = sum(pool.count for pool in pools)
            if total > MAX_INSTANCES:
                raise ValueError(f"{phase} has {total} instances, at most {MAX_INSTANCES} are allowed")

    def save(self, path: str | Path) -> None:
        """Write the cluster as YAML, which ``hexsched.cluster(path)`` and the command line read."""
        from hexsched.clusters.files import write_cluster

        write_cluster(path, self)

    def to_frame(self) -> pd.DataFrame:
        """A row a pool: phase, GPU, number of instances, GPUs of each."""
        import pandas as pd

        return pd.DataFrame(self._pools())

    def _pools(self) -> list[dict[str, object]]:
        phases = (("prefill", self.prefill), ("decode", self.decode))
        return [
            {"phase": phase, "gpu": pool.gpu, "count": pool.count, "tensor_parallel": pool.tensor_parallel}
            for phase, pools in phases
            for pool in pools
        ]

    def _summary(self) -> Summary:
        rows = self._pools()
        phases = (("prefill", self.prefill), ("decode", self.decode))
        facts: dict[str, object] = {"model": self.model if isinstance(self.model, str) else self.model.name}
        for phase, pools in phases:
            facts[phase] = " + ".join(f"{pool.count:,} x {pool.gpu} tp {pool.tensor_parallel}" for pool in pools)
        return Summary(self.name, {**facts, "decode model": self.decode_model}, rows, len(rows))


def _check_pool(count: int, tensor_parallel: int) -> None:
    if not 1 <= count <= MAX_INSTANCES:
        raise ValueError(f"count must be from 1 to {MAX_INSTANCES}, got {count}")
    if not 1 <= tensor_parallel <= MAX_INSTANCES:
        raise ValueError(f"tensor_parallel must be from 1 to {MAX_INSTANCES}, got {tensor_parallel}")
