"""``hexsched gpus``, ``models`` and ``clusters``: the hardware that is known by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from experiments.cli.options import Json
from experiments.cli.output import Table, emit

if TYPE_CHECKING:
    from hexsched.clusters import DecodePool, PrefillPool


def add(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("gpus", epilog="Example: hexsched gpus --json")(gpus_command)
    app.command("models", epilog="Example: hexsched models --json")(models_command)
    app.command("clusters", epilog="Example: hexsched clusters --json")(clusters_command)


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
