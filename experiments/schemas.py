"""The JSON Schema of every file that people write or that other programs read, and the same as tables."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from hexsched.errors import InputError
from hexsched.model.json_schema import json_schema
from hexsched.registry import suggest


class Key(NamedTuple):
    """A key of a mapping in a file.

    Attributes
    ----------
    name : str
    type : str
        What stands there; a capitalised word is another mapping of the file.
    default : str
        In JSON; empty where there is none, ``needed`` where the key must be given.
    meaning : str
        What it does, with its unit.
    """

    name: str
    type: str
    default: str
    meaning: str


class Mapping(NamedTuple):
    """A mapping in a file: its name, what it is, and its keys."""

    name: str
    meaning: str
    keys: list[Key]


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

    def mappings(self) -> list[Mapping]:
        """The schema for people: the mapping that the file is, then those inside it as they come."""
        schema = self.schema()
        order = [schema["$ref"].rpartition("/")[2]]
        for name in order:
            inner = re.findall(r"#/\$defs/(\w+)", json.dumps(schema["$defs"][name]))
            order += [other for other in dict.fromkeys(inner) if other not in order]
        return [_mapping(name, schema["$defs"][name]) for name in order]


def find_format(name: str) -> FileFormat:
    """The file format of that name; raises ``InputError`` for an unknown one."""
    if name not in FORMATS:
        raise InputError(f"unknown file format {name!r}{suggest(name, FORMATS)}")
    return FORMATS[name]


def _mapping(name: str, definition: dict[str, Any]) -> Mapping:
    needed = definition.get("required", ())
    keys = [
        Key(key, _type(field), "needed" if key in needed else _default(field), field["description"])
        for key, field in definition["properties"].items()
    ]
    return Mapping(name, definition["description"], keys)


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "anyOf" in field:
        return " or ".join(_type(choice) for choice in field["anyOf"] if choice != {"type": "null"})
    if "enum" in field:
        return " or ".join(json.dumps(value) for value in field["enum"])
    if field.get("type") == "array":
        if "prefixItems" in field:
            return f"[{', '.join(map(_type, field['prefixItems']))}]"
        return f"list of {_type(field['items'])}"
    if field.get("type") == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"mapping to {_type(field['additionalProperties'])}"
    return str(field.get("type", "anything"))


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    return "" if value in (None, (), [], {}, "") else json.dumps(value)


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


def _predictor() -> Any:
    from hexsched.workloads.predictor import Predictor

    return Predictor


def _grid() -> Any:
    from experiments.grid.spec import Forms

    return Forms.of_vocabulary().schema


def _flat() -> Any:
    from experiments.exports.parts.flat import FlatInstance

    return FlatInstance


def _flat_solution() -> Any:
    from experiments.exports.parts.flat import FlatSolution

    return FlatSolution


FORMATS = {
    "cluster": FileFormat("a cluster as people write it", "YAML", _cluster),
    "workload": FileFormat("a workflow, one line of a workload file", "JSON Lines", _workload),
    "instance": FileFormat("what is scheduled, and on what", "JSON", _instance),
    "schedule": FileFormat("where and when every call ran", "JSON", _schedule),
    "profile": FileFormat("fitted service times", "JSON", _profile),
    "predictor": FileFormat("hints learned from workflows of the past", "JSON", _predictor),
    "grid": FileFormat("a grid of experiments", "YAML", _grid),
    "flat": FileFormat("the offline problem as plain arrays, for solvers of others", "JSON", _flat),
    "flat-solution": FileFormat("what a solver of others found", "JSON", _flat_solution),
}
