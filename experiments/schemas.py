"""The JSON Schema of every file that people write or that other programs read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hexsched.errors import InputError
from hexsched.model.json_schema import json_schema
from hexsched.registry import suggest


def _workload() -> Any:
    from hexsched.workloads.importers.hexsched_jsonl import WorkloadLine

    return WorkloadLine


def _instance() -> Any:
    from hexsched.model import Instance

    return Instance


def _schedule() -> Any:
    from hexsched.model import Schedule

    return Schedule


def _cluster() -> Any:
    from hexsched.clusters import ClusterSpec

    return ClusterSpec


def _profile() -> Any:
    from hexsched.profiles.profile import Profile

    return Profile


def _grid() -> Any:
    from experiments.grid.spec import Forms

    return Forms.of_vocabulary().schema


@dataclass(frozen=True)
class FileFormat:
    """A file format.

    Attributes
    ----------
    summary : str
        What such a file is.
    language : str
        What it is written in.
    type : callable
        The type that msgspec decodes; called late, since types import what they need.
    """

    summary: str
    language: str
    type: Callable[[], Any]

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return json_schema(self.type())


FORMATS = {
    "cluster": FileFormat("a cluster as people write it", "YAML", _cluster),
    "workload": FileFormat("a workflow, one line of a workload file", "JSON Lines", _workload),
    "instance": FileFormat("what is scheduled, and on what", "JSON", _instance),
    "schedule": FileFormat("where and when every call ran", "JSON", _schedule),
    "profile": FileFormat("fitted service times", "JSON", _profile),
    "grid": FileFormat("a grid of experiments", "YAML", _grid),
}


def find_format(name: str) -> FileFormat:
    """The file format of that name; raises ``InputError`` for an unknown one."""
    if name not in FORMATS:
        raise InputError(f"unknown file format {name!r}{suggest(name, FORMATS)}")
    return FORMATS[name]
