"""Cluster files: reading by name or path with errors that name the line, and writing."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import msgspec
import yaml

from hexsched.clusters.compile import FieldError, compile_with_notes
from hexsched.clusters.spec import ClusterSpec
from hexsched.clusters.yaml_lines import read_yaml
from hexsched.errors import InputError
from hexsched.model.file_kind import check_kind
from hexsched.model.files import read_bytes, write_bytes
from hexsched.registry import choices

LIBRARY = Path(__file__).parent / "library"


@cache
def list_clusters() -> tuple[str, ...]:
    """Names of the clusters that come with the package."""
    return tuple(sorted(file.stem for file in LIBRARY.glob("*.yaml")))


def read_cluster(path_or_name: str | Path) -> ClusterSpec:
    """Read a cluster file, or the cluster of that name from the package (a file called the same needs ``./``).

    Everything is checked here, GPUs, model, memory and profile included.

    Raises
    ------
    InputError
        Naming file, line and key.
    """
    path = _resolve(path_or_name)
    check_kind(path, "cluster")
    document = read_yaml(read_bytes(path).decode("utf-8-sig"), path)
    try:
        spec = msgspec.convert(document.data, ClusterSpec)
    except msgspec.ValidationError as error:
        raise document.input_error(error, ClusterSpec) from None
    if spec.profile is not None:
        spec = msgspec.structs.replace(spec, profile=str((path.parent / spec.profile).resolve()))
    try:
        compile_with_notes(spec)  # told to whoever compiles it
    except FieldError as error:
        raise InputError(error.message, document.where(error.path, error.message)) from None
    return spec


def write_cluster(path: str | Path, cluster: ClusterSpec) -> None:
    """Write a cluster as YAML; ``read_cluster`` gives the same cluster back."""
    text = yaml.safe_dump(msgspec.to_builtins(cluster), sort_keys=False, allow_unicode=True)
    write_bytes(path, text.encode())


def _resolve(path_or_name: str | Path) -> Path:
    path = Path(path_or_name)
    name = str(path_or_name).casefold()
    names = list_clusters()
    if isinstance(path_or_name, str) and name in names:
        return LIBRARY / f"{name}.yaml"
    if os.path.exists(path) or path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return path
    raise InputError(f"unknown cluster {str(path_or_name)!r}; {choices(name, names, 'a YAML file or one of:')}")
