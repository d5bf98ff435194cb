"""A cluster in numbers: what each pool and link is compiled to, and where that comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hexsched.clusters.compile import Machines, compile_cluster
from hexsched.clusters.spec import ClusterSpec, DecodePool, PrefillPool
from hexsched.model.cluster import DecodeInstance, Link, PrefillInstance

if TYPE_CHECKING:
    import pandas as pd

EXAMPLE_PROMPT = 4096  # tokens of the prompt whose prefill is shown, for a feeling of what coefficients mean


def describe_cluster(cluster: ClusterSpec, machines: Machines | None = None) -> pd.DataFrame:
    """The numbers of a cluster, each with its unit and where it comes from.

    Parameters
    ----------
    cluster : ClusterSpec
    machines : Machines, optional
        The cluster compiled, where that has been done.

    Returns
    -------
    DataFrame
        A row a number of a pool, or of the links between two: ``pool`` (``prefill[0]``, ``prefill[0] to decode[1]``),
        ``gpu``, ``tp``, ``instances``, ``number``, ``value``, ``unit``, ``source``. Coefficients are those of model M5
        and M6; of a batch curve the first and the last point are shown.

    Raises
    ------
    FieldError
        As ``compile_cluster``, whose warnings there are too.
    """
    import pandas as pd

    machines = compile_cluster(cluster) if machines is None else machines
    columns = ["pool", "gpu", "tp", "instances", "number", "value", "unit", "source"]
    frame = pd.DataFrame(list(_rows(cluster, machines)), columns=columns, dtype=object)  # whole numbers stay whole
    return frame.astype({"value": float})


def _rows(cluster: ClusterSpec, machines: Machines) -> Iterator[tuple[object, ...]]:
    said: dict[tuple[str, tuple[str, ...]], str] = {}
    for source in machines.sources:
        if source.field in ("latency", "bandwidth"):
            said[source.field, source.of] = source.source
        else:
            said |= {(source.field, (name,)): source.source for name in source.of}
    prefill = list(_pools("prefill", cluster.prefill, machines.prefill))
    decode = list(_pools("decode", cluster.decode, machines.decode))
    for label, pool, members in (*prefill, *decode):
        about = (label, members[0].gpu, pool.tensor_parallel, pool.count)
        for number, value, unit, field in _numbers(members[0]):
            yield (*about, number, float(value), unit, said.get((field, (members[0].id,)), ""))
    links = {(link.source, link.to): link for link in machines.links}
    for label, pool, members in prefill:
        for other_label, other, targets in decode:
            link = links[members[0].id, targets[0].id]
            of = tuple(machine.id for machine in (*members, *targets))
            about = (
                f"{label} to {other_label}",
                f"{members[0].gpu} to {targets[0].gpu}",
                min(pool.tensor_parallel, other.tensor_parallel),
                len(members) * len(targets),
            )
            for number, value, unit in _link_numbers(link):
                yield (*about, number, value, unit, said.get((number, of), ""))
    yield (
        *("all", "", None, None, "kv_bytes_per_token", float(machines.kv_bytes_per_token), "bytes a token"),
        next((each.source for each in machines.sources if each.field == "kv_bytes_per_token"), ""),
    )


def _pools(
    phase: str,
    pools: Sequence[PrefillPool | DecodePool],
    machines: Sequence[PrefillInstance | DecodeInstance],
) -> Iterator[tuple[str, PrefillPool | DecodePool, Sequence[PrefillInstance | DecodeInstance]]]:
    first = 0
    for index, pool in enumerate(pools):
        yield f"{phase}[{index}]", pool, machines[first : first + pool.count]
        first += pool.count


def _numbers(machine: PrefillInstance | DecodeInstance) -> Iterator[tuple[str, float, str, str]]:
    """(number, value, unit, field that holds it)."""
    if isinstance(machine, PrefillInstance):
        for name, value, unit in zip(
            ("p0", "p1", "p2"), machine.prefill_coeffs, ("s", "s a token", "s a token squared"), strict=True
        ):
            yield name, value, unit, "prefill_coeffs"
        yield f"prefill of {EXAMPLE_PROMPT:,} tokens", machine.prefill_seconds(EXAMPLE_PROMPT), "s", "prefill_coeffs"
        return
    d0, d1, d2 = machine.decode_coeffs
    if machine.batch_curve is None:
        yield "d0", d0, "s an iteration", "decode_coeffs"
        yield "d1", d1, "s a call in the batch", "decode_coeffs"
    else:
        for batch, seconds in (machine.batch_curve[0], machine.batch_curve[-1]):
            yield f"g({batch})", seconds, "s an iteration", "batch_curve"
    yield "d2", d2, "s a KV token", "decode_coeffs"
    yield "fixed_iteration_time", machine.fixed_iteration_time, "s an iteration", "fixed_iteration_time"
    yield "kv_capacity_tokens", machine.kv_capacity_tokens, "tokens", "kv_capacity_tokens"
    yield "max_batch", machine.max_batch, "calls", "max_batch"


def _link_numbers(link: Link) -> Iterator[tuple[str, float, str]]:
    yield "latency", float(link.latency), "s"
    yield "bandwidth", float(link.bandwidth), "bytes/s"
