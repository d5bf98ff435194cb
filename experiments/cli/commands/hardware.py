"""``hexsched gpus``, ``models``, ``clusters``: what is known by name; ``hexsched cluster``: a look at a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli.options import Json
from experiments.cli.output import Table, emit, records

if TYPE_CHECKING:
    from hexsched.clusters import DecodePool, PrefillPool


def add(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("gpus", epilog="Example: hexsched gpus --json")(gpus_command)
    app.command("models", epilog="Example: hexsched models --json")(models_command)
    app.command("clusters", epilog="Example: hexsched clusters --json")(clusters_command)
    group = typer.Typer(rich_markup_mode=None)
    group.callback(invoke_without_command=True)(cluster)
    group.command("describe", epilog="Example: hexsched cluster describe qwen235b-hetero-1")(describe_command)
    app.add_typer(group, name="cluster")


def cluster(context: typer.Context) -> None:
    """Look at a cluster and the numbers that it stands for."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def describe_command(
    cluster: Annotated[
        str, typer.Argument(metavar="CLUSTER", help="Cluster YAML file, or a name of 'hexsched clusters'.")
    ],
    as_json: Json = False,
) -> None:
    """Show the service times, memory and links of a cluster, and where each number comes from.

    Coefficients are those of docs/model.md: a prefill of n tokens takes p0 + p1 n + p2 n^2 seconds, a decode iteration
    of B calls that hold K tokens d0 + d1 B + d2 K, or g(B) + d2 K where g is a curve.
    """
    from hexsched.clusters import describe_cluster, read_cluster

    spec = read_cluster(cluster)
    rows = records(describe_cluster(spec))
    model = spec.model if isinstance(spec.model, str) else spec.model.name
    tables = []
    for pool in dict.fromkeys(str(row["pool"]) for row in rows):
        own = [row for row in rows if row["pool"] == pool]
        first = own[0]
        title = f"{pool}: {first['instances']} x {first['gpu']} at tensor_parallel {first['tp']}"
        if " to " in pool:
            title = f"{pool}: {first['instances']} links, {first['gpu']}"
        elif pool == "all":
            title = f"{spec.name}: {model}, decode model {spec.decode_model}"
        body = [(row["number"], row["value"], row["unit"], row["source"]) for row in own]
        tables.append(Table(("number", "value", "unit", "source"), body, title))
    record = {"cluster": spec.name, "model": model, "decode_model": spec.decode_model, "numbers": rows}
    emit(record, tables[-1:] + tables[:-1], as_json)


def gpus_command(as_json: Json = False) -> None:
    """List the GPUs a cluster file can name."""
    from hexsched.profiles import gpu_catalogue

    gpus = gpu_catalogue()
    rows = [
        (
            gpu.name,
            gpu.flops / 1e12,
            gpu.hbm_bytes / 2**30,
            gpu.hbm_bandwidth / 1e12,
            gpu.nvlink_bandwidth / 1e9,
            gpu.nic_bandwidth / 1e9,
            ", ".join(gpu.aliases),
        )
        for gpu in gpus
    ]
    columns = ("GPU", "bf16 TFLOP/s", "HBM GiB", "HBM TB/s", "NVLink GB/s one way", "NIC GB/s one way", "aliases")
    emit({"gpus": gpus}, [Table(columns, rows)], as_json)


def models_command(as_json: Json = False) -> None:
    """List the models a cluster file can name."""
    import msgspec

    from hexsched.profiles import model_catalogue

    models = model_catalogue()
    rows = [
        (
            model.name,
            model.params / 1e9,
            model.active_params / 1e9,
            model.layers,
            f"{model.kv_heads} x {model.head_size}",
            model.kv_bytes_per_token,
            f"{model.experts_per_token} of {model.experts}" if model.moe else None,
            ", ".join(model.aliases),
        )
        for model in models
    ]
    columns = ("model", "params B", "active B", "layers", "KV heads", "KV bytes a token", "experts", "aliases")
    record = [{**msgspec.structs.asdict(model), "kv_bytes_per_token": model.kv_bytes_per_token} for model in models]
    emit({"models": record}, [Table(columns, rows)], as_json)


def clusters_command(as_json: Json = False) -> None:
    """List the clusters that come with hexsched."""
    from hexsched.clusters import list_clusters, read_cluster

    specs = {name: read_cluster(name) for name in list_clusters()}
    rows = []
    record = []
    for name, spec in specs.items():
        model = spec.model if isinstance(spec.model, str) else spec.model.name
        rows.append((name, model, _pools(spec.prefill), _pools(spec.decode), spec.decode_model))
        record.append(
            {
                "name": name,
                "model": model,
                "prefill": spec.prefill,
                "decode": spec.decode,
                "decode_model": spec.decode_model,
            }
        )
    columns = ("cluster", "model", "prefill", "decode", "decode model")
    emit({"clusters": record}, [Table(columns, rows)], as_json)


def _pools(pools: Sequence[PrefillPool | DecodePool]) -> str:
    return ", ".join(f"{pool.count} x {pool.gpu} tp {pool.tensor_parallel}" for pool in pools)
