"""From a cluster and a workload to the explicit instance (model M33)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hexsched.clusters.provenance import GIVEN, sources
from hexsched.clusters.spec import ClusterSpec, DecodePool, PrefillPool
from hexsched.errors import InputError, warn
from hexsched.model.cluster import DecodeInstance, Link, PrefillInstance
from hexsched.model.instance import DECODE_MODELS, ClosedLoop, Instance, Source
from hexsched.model.workload import Workflow
from hexsched.profiles.catalogue import Gpu, Model, find_gpu, find_model
from hexsched.profiles.laws import Laws
from hexsched.profiles.profile import Profile, read_profile, shipped_profile
from hexsched.profiles.service import ROOFLINE, Service, service, typical_iteration_seconds
from hexsched.registry import choices

KeyPath = tuple[str | int, ...]
Overrides = dict[tuple[str, str], tuple[float | None, float | None]]  # (latency, bandwidth) by the names of GPUs


class FieldError(InputError):
    """Bad input at a known place of a cluster.

    Attributes
    ----------
    message : str
        What is wrong, with the field.
    path : tuple of str and int
        The field, such as ``("prefill", 0, "gpu")``.
    """

    def __init__(self, message: str, cluster: ClusterSpec, path: KeyPath) -> None:
        field = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")
        self.message = f"{field}: {message}"
        self.path = path
        super().__init__(self.message, f"cluster {cluster.name}")


@dataclass(frozen=True)
class Machines:
    """A compiled cluster: everything of an instance but the workflows.

    Attributes
    ----------
    kv_bytes_per_token : int
        kappa.
    prefill, decode, links
        As in ``Instance``.
    services : dict of (phase, pool index) to Service
        What each pool's numbers are and where their times come from.
    sources : tuple of Source
        Where every number comes from.
    """

    kv_bytes_per_token: int
    prefill: tuple[PrefillInstance, ...]
    decode: tuple[DecodeInstance, ...]
    links: tuple[Link, ...]
    services: dict[tuple[str, int], Service]
    sources: tuple[Source, ...]

    @property
    def largest_kv_cache(self) -> int:
        """Tokens of the largest M_j: the most that a call may have."""
        return max(machine.kv_capacity_tokens for machine in self.decode)


def compile_instance(
    cluster: ClusterSpec,
    workflows: Sequence[Workflow],
    decode_model: str | None = None,
    closed_loop: ClosedLoop | None = None,
) -> Instance:
    """The instance of ``workflows`` on ``cluster``; the same inputs give the same bytes.

    Parameters
    ----------
    cluster : ClusterSpec
    workflows : sequence of Workflow
    decode_model : {"fluid", "fixed"}, optional
        In place of the cluster's.
    closed_loop : ClosedLoop, optional
        Load by sessions; the workflows must then arrive at 0.

    Raises
    ------
    InputError
        Naming the cluster and its field, or how many workflows do not fit.

    Warns
    -----
    InputWarning
        As ``compile_cluster``.
    """
    decode_model = cluster.decode_model if decode_model is None else decode_model
    if decode_model not in DECODE_MODELS:
        raise InputError(f"unknown decode model {decode_model!r}; {choices(decode_model, DECODE_MODELS, 'known:')}")
    machines = compile_cluster(cluster)
    try:
        return Instance(
            format="hexsched-instance/1",
            decode_model=decode_model,
            kv_bytes_per_token=machines.kv_bytes_per_token,
            prefill=machines.prefill,
            decode=machines.decode,
            links=machines.links,
            workflows=tuple(workflows),
            closed_loop=closed_loop,
            sources=machines.sources,
        )
    except ValueError as error:
        raise InputError(str(error), f"cluster {cluster.name}") from None


def compile_cluster(cluster: ClusterSpec) -> Machines:
    """Instances and links with explicit numbers; instances are called ``p0-A100``, ``d3-H200`` in the file's order.

    Raises
    ------
    FieldError
        For an unknown GPU or model, a model that does not fit, a profile that cannot be read or has times for none of
        the pools, bad coefficients.

    Warns
    -----
    InputWarning
        For each GPU and tensor-parallel degree whose times are not those of the cluster's profile, or not measured at
        all, and for each batch curve that goes on beyond what was measured.
    """
    machines, notes = compile_with_notes(cluster)
    for text in notes:
        warn(text)
    return machines


def compile_with_notes(cluster: ClusterSpec) -> tuple[Machines, list[str]]:
    """As ``compile_cluster``, with its warnings as text."""
    model = _model(cluster)
    profile = _profile(cluster)
    gpus = _gpus(cluster)
    services: dict[tuple[str, int], Service] = {}
    prefill: list[PrefillInstance] = []
    decode: list[DecodeInstance] = []
    for index, pool in enumerate(cluster.prefill):
        key = ("prefill", index)
        try:
            services[key] = _prefill_service(pool, model, gpus[key], profile, cluster)
            prefill += _prefill_instances(pool, services[key], first=len(prefill))
        except (InputError, ValueError) as error:
            raise FieldError(str(error), cluster, key) from None
    for index, decode_pool in enumerate(cluster.decode):
        key = ("decode", index)
        try:
            services[key] = _decode_service(decode_pool, model, gpus[key], profile, cluster)
            decode += _decode_instances(decode_pool, services[key], first=len(decode))
        except (InputError, ValueError) as error:
            raise FieldError(str(error), cluster, key) from None
    overrides = _overrides(cluster, gpus)
    links = _links(cluster, gpus, prefill, decode, overrides)
    notes = _times_taken_instead(cluster, model, services, profile) + _curves_continued(cluster, services)
    return Machines(
        kv_bytes_per_token=model.kv_bytes_per_token,
        prefill=tuple(prefill),
        decode=tuple(decode),
        links=links,
        services=services,
        sources=sources(cluster, model, gpus, services, (prefill, decode), overrides),
    ), notes


def _times_taken_instead(
    cluster: ClusterSpec, model: Model, services: dict[tuple[str, int], Service], profile: Profile | None
) -> list[str]:
    """A line for each GPU and degree whose times are not the profile's, or not measured; pools alike share one.

    Raises
    ------
    FieldError
        When none is the profile's: then whoever named it is mistaken in it.
    """
    pools: dict[tuple[str, int, str], list[str]] = {}
    for (phase, index), numbers in services.items():
        if numbers.source != GIVEN:
            pools.setdefault((numbers.gpu, numbers.tp, numbers.source), []).append(f"{phase}[{index}]")
    shipped = f"the shipped fits have {shipped_profile().measured(model.name)}"
    if profile is None:
        missing = list({(n.gpu, n.tp, n.source): None for n in services.values() if n.is_estimated})
        lacking, measured = "", shipped
    else:
        file = Path(str(cluster.profile)).name
        missing = [key for key in pools if profile.find(model.name, *key[:2]) is None]
        lacking, measured = f" in {file}", f"{file} has {profile.measured(model.name)}; {shipped}"
        if not pools:
            return [f"cluster {cluster.name}: {file} is not used: every pool has coefficients of its own"]
        if len(missing) == len(pools):
            wanted = ", ".join(dict.fromkeys(f"{gpu} at tp {tp}" for gpu, tp, _ in missing))
            instead = " and ".join(dict.fromkeys(_named(source) for *_, source in missing))
            message = f"{file} has no times of {model.name} on {wanted}; {measured}; without this key {instead} serves"
            raise FieldError(message, cluster, ("profile",))
    return [
        f"cluster {cluster.name}: {', '.join(pools[gpu, tp, source])}: no measured times of {model.name} on {gpu} "
        f"at tp {tp}{lacking}; {_named(source)} is taken instead; {measured}"
        for gpu, tp, source in missing
    ]


def _named(source: str) -> str:
    """``Service.source`` with its article."""
    table = source.partition("measured: ")[2]
    roofline = f"the {ROOFLINE}{' of data sheets' if source == ROOFLINE else source.removeprefix(ROOFLINE)}"
    return f"the shipped fit ({table})" if table else roofline


def _curves_continued(cluster: ClusterSpec, services: dict[tuple[str, int], Service]) -> list[str]:
    """A line for each decode pool whose batches may be larger than any that was measured."""
    return [
        f"cluster {cluster.name}: {phase}[{index}]: max_batch {numbers.max_batch} is above the largest batch measured "
        f"({numbers.measured_batch}); iteration times beyond it go on with the curve's last slope"
        for (phase, index), numbers in services.items()
        if phase == "decode"
        and numbers.source != GIVEN
        and numbers.measured_batch is not None
        and numbers.measured_batch < numbers.max_batch
    ]


def _model(cluster: ClusterSpec) -> Model:
    if isinstance(cluster.model, Model):
        return cluster.model
    try:
        return find_model(cluster.model)
    except InputError as error:
        raise FieldError(str(error), cluster, ("model",)) from None


def _profile(cluster: ClusterSpec) -> Profile | None:
    if cluster.profile is None:
        return None
    try:
        return read_profile(cluster.profile)
    except InputError as error:
        raise FieldError(str(error), cluster, ("profile",)) from None


def _gpus(cluster: ClusterSpec) -> dict[tuple[str, int], Gpu]:
    """The GPU of each pool."""
    gpus = {}
    names = {"prefill": [pool.gpu for pool in cluster.prefill], "decode": [pool.gpu for pool in cluster.decode]}
    for phase in names:
        for index, name in enumerate(names[phase]):
            gpus[phase, index] = _gpu(name, cluster, (phase, index, "gpu"))
    return gpus


def _gpu(name: str, cluster: ClusterSpec, path: KeyPath) -> Gpu:
    try:
        return find_gpu(name, cluster.gpus)
    except InputError as error:
        raise FieldError(str(error), cluster, path) from None


def _prefill_service(
    pool: PrefillPool, model: Model, gpu: Gpu, profile: Profile | None, cluster: ClusterSpec
) -> Service:
    if pool.prefill_coeffs is None:
        return service(model, gpu, pool.tensor_parallel, profile, gpus=cluster.gpus)
    # Whoever gives coefficients may serve other weights than bf16: memory is then not checked.
    numbers = service(model, gpu, pool.tensor_parallel, profile, kv_capacity=0)
    p0, p1, p2 = map(float, pool.prefill_coeffs)
    return msgspec.structs.replace(numbers, prefill_coeffs=(p0, p1, p2), source=GIVEN, prefill_mape=None)


def _decode_service(pool: DecodePool, model: Model, gpu: Gpu, profile: Profile | None, cluster: ClusterSpec) -> Service:
    numbers = service(
        model,
        gpu,
        pool.tensor_parallel,
        profile,
        max_batch=pool.max_batch,
        kv_memory_fraction=pool.kv_memory_fraction,
        kv_capacity=pool.kv_capacity_tokens,
        typical=cluster.typical_batch,
        gpus=cluster.gpus,
    )
    if pool.decode_coeffs is not None:
        d0, d1, d2 = map(float, pool.decode_coeffs)
        curve = None if pool.batch_curve is None else tuple((b, float(s)) for b, s in pool.batch_curve)
        laws = Laws(prefill_coeffs=numbers.prefill_coeffs, decode_coeffs=(d0, d1, d2), batch_curve=curve)
        numbers = msgspec.structs.replace(
            numbers,
            decode_coeffs=laws.decode_coeffs,
            batch_curve=laws.batch_curve,
            fixed_iteration_time=typical_iteration_seconds(laws, pool.max_batch, cluster.typical_batch),
            source=GIVEN,
            decode_mape=None,
        )
    if pool.fixed_iteration_time is not None:
        numbers = msgspec.structs.replace(numbers, fixed_iteration_time=float(pool.fixed_iteration_time))
    return numbers


def _prefill_instances(pool: PrefillPool, numbers: Service, first: int) -> list[PrefillInstance]:
    return [
        PrefillInstance(id=f"p{k}-{numbers.gpu}", gpu=numbers.gpu, prefill_coeffs=numbers.prefill_coeffs)
        for k in range(first, first + pool.count)
    ]


def _decode_instances(pool: DecodePool, numbers: Service, first: int) -> list[DecodeInstance]:
    return [
        DecodeInstance(
            id=f"d{k}-{numbers.gpu}",
            gpu=numbers.gpu,
            decode_coeffs=numbers.decode_coeffs,
            batch_curve=numbers.batch_curve,
            fixed_iteration_time=numbers.fixed_iteration_time,
            kv_capacity_tokens=numbers.kv_capacity_tokens,
            max_batch=numbers.max_batch,
        )
        for k in range(first, first + pool.count)
    ]


def _links(
    cluster: ClusterSpec,
    gpus: dict[tuple[str, int], Gpu],
    prefill: Sequence[PrefillInstance],
    decode: Sequence[DecodeInstance],
    overrides: Overrides,
) -> tuple[Link, ...]:
    sources = [(gpus["prefill", k], p.tensor_parallel) for k, p in enumerate(cluster.prefill) for _ in range(p.count)]
    targets = [(gpus["decode", k], p.tensor_parallel) for k, p in enumerate(cluster.decode) for _ in range(p.count)]
    links = []
    for machine, (source, source_tp) in zip(prefill, sources, strict=True):
        for other, (target, target_tp) in zip(decode, targets, strict=True):
            latency, bandwidth = overrides.get((source.name, target.name), (None, None))
            if latency is None:
                latency = cluster.links.latency
            if bandwidth is None:
                rates = (getattr(gpu, f"{cluster.links.fabric}_bandwidth") for gpu in (source, target))
                bandwidth = min(rates) * min(source_tp, target_tp)
            links.append(Link(source=machine.id, to=other.id, latency=latency, bandwidth=bandwidth))
    return tuple(links)


def _overrides(cluster: ClusterSpec, gpus: dict[tuple[str, int], Gpu]) -> Overrides:
    by_pair: Overrides = {}
    for index, override in enumerate(cluster.links.overrides):
        ends = []
        for key, phase, name in (("from", "prefill", override.source), ("to", "decode", override.to)):
            path = ("links", "overrides", index, key)
            gpu = _gpu(name, cluster, path)
            present = sorted({pool_gpu.name for (pool_phase, _), pool_gpu in gpus.items() if pool_phase == phase})
            if gpu.name not in present:
                raise FieldError(f"no {phase} pool has {gpu.name}; they have {', '.join(present)}", cluster, path)
            ends.append(gpu.name)
        pair = (ends[0], ends[1])
        if pair in by_pair:
            raise FieldError(f"a second override from {pair[0]} to {pair[1]}", cluster, ("links", "overrides", index))
        by_pair[pair] = (override.latency, override.bandwidth)
    return by_pair
