"""Where every number of a compiled cluster comes from, in words (model M33)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hexsched.clusters.spec import ClusterSpec, DecodePool
from hexsched.model.cluster import DecodeInstance, PrefillInstance
from hexsched.model.instance import Source
from hexsched.profiles.catalogue import Gpu, Model
from hexsched.profiles.service import Service

GIVEN = "given"  # the source of numbers that stand in the cluster itself
OVERRIDDEN = "given in links.overrides"


def sources(
    cluster: ClusterSpec,
    model: Model,
    gpus: Mapping[tuple[str, int], Gpu],
    services: Mapping[tuple[str, int], Service],
    machines: tuple[Sequence[PrefillInstance], Sequence[DecodeInstance]],
    overrides: Mapping[tuple[str, str], tuple[float | None, float | None]],
) -> tuple[Source, ...]:
    """Where the numbers of each pool, and of the links between each pair of pools, come from.

    Parameters
    ----------
    cluster : ClusterSpec
    model : Model
    gpus, services : mappings from (phase, index of the pool)
    machines : (prefill instances, decode instances)
        In the order of the pools.
    overrides : mapping of (GPU name, GPU name) to (latency, bandwidth)
        What ``links.overrides`` gives for links between GPU types, by the catalogue's names.
    """
    ids = {
        **_ids("prefill", [pool.count for pool in cluster.prefill], machines[0]),
        **_ids("decode", [pool.count for pool in cluster.decode], machines[1]),
    }
    shape = f"2 x {model.layers} layers x {model.kv_heads} KV heads x {model.head_size} x 2 bytes"
    known = f"sizes of {model.name}"
    found = [Source(field="kv_bytes_per_token", source=f"{known}: {shape}")]
    for index in range(len(cluster.prefill)):
        key = ("prefill", index)
        found.append(Source(field="prefill_coeffs", of=ids[key], source=services[key].source))
    for index, pool in enumerate(cluster.decode):
        key = ("decode", index)
        found += _of_decode(pool, cluster, model, gpus[key], services[key], ids[key])
    for index, prefill in enumerate(cluster.prefill):
        for other, decode in enumerate(cluster.decode):
            ends = (gpus["prefill", index], gpus["decode", other])
            degrees = (prefill.tensor_parallel, decode.tensor_parallel)
            of = (*ids["prefill", index], *ids["decode", other])
            instead = overrides.get((ends[0].name, ends[1].name), (None, None))
            found += _of_links(cluster.links.fabric, ends, degrees, of, instead)
    return tuple(_merged(found))


def _ids(
    phase: str, counts: Sequence[int], machines: Sequence[PrefillInstance | DecodeInstance]
) -> dict[tuple[str, int], tuple[str, ...]]:
    found, first = {}, 0
    for index, count in enumerate(counts):
        found[phase, index] = tuple(machine.id for machine in machines[first : first + count])
        first += count
    return found


def _of_decode(
    pool: DecodePool, cluster: ClusterSpec, model: Model, gpu: Gpu, numbers: Service, of: tuple[str, ...]
) -> Iterator[Source]:
    times = numbers.source
    yield Source(field="decode_coeffs", of=of, source=times)
    if numbers.batch_curve is not None:
        measured = numbers.measured_batch
        beyond = times != GIVEN and measured is not None and measured < numbers.max_batch
        more = f"; beyond a batch of {measured} its last slope" if beyond else ""
        yield Source(field="batch_curve", of=of, source=f"{times}{more}")
    typical = cluster.typical_batch
    batch = min(typical.batch, numbers.max_batch)
    theta = (
        GIVEN if pool.fixed_iteration_time is not None else f"an iteration of {batch} calls of {typical.context} tokens"
    )
    yield Source(field="fixed_iteration_time", of=of, source=theta)
    room = (
        f"{100 * pool.kv_memory_fraction:g} % of the memory of {pool.tensor_parallel} {gpu.name}, less "
        f"{model.weight_bytes / 1e9:.4g} GB of weights and {gpu.reserved_bytes / 1e9:.3g} GB reserved on each"
    )
    yield Source(field="max_batch", of=of, source="max_batch of the pool")
    yield Source(field="kv_capacity_tokens", of=of, source=room if pool.kv_capacity_tokens is None else GIVEN)


def _of_links(
    fabric: str,
    ends: tuple[Gpu, Gpu],
    degrees: tuple[int, int],
    of: tuple[str, ...],
    instead: tuple[float | None, float | None],
) -> Iterator[Source]:
    latency, bandwidth = instead
    yield Source(field="latency", of=of, source="links.latency" if latency is None else OVERRIDDEN)
    rates = [getattr(gpu, f"{fabric}_bandwidth") for gpu in ends]
    slower = ends[rates.index(min(rates))]
    rate = f"{fabric} of {slower.name}, {min(rates) / 1e9:g} GB/s a GPU, times {min(degrees)}"
    yield Source(field="bandwidth", of=of, source=rate if bandwidth is None else OVERRIDDEN)


def _merged(found: Sequence[Source]) -> Iterator[Source]:
    """Those of pools that say the same of one field as one; of links each alone, since pairs do not add up."""
    together: dict[tuple[str, ...], tuple[str, ...]] = {}
    for number, each in enumerate(found):
        apart = (str(number),) if each.field in ("latency", "bandwidth") else ()
        key = (each.field, each.source, *apart)
        together[key] = (*together.get(key, ()), *each.of)
    for (field, source, *_), of in together.items():
        yield Source(field=field, of=of, source=source)
