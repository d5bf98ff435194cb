"""JSON Schemas of the file formats: every field is explained, and what hexsched reads and writes is valid by them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from experiments.cli import BAD_INPUT, OK, main
from experiments.exports import EXPORTS
from experiments.exports.parts.export import Request
from experiments.grid.shipped import LIBRARY as GRIDS
from experiments.schemas import FORMATS
from hexsched.clusters import compile_instance, read_cluster
from hexsched.clusters.files import LIBRARY as CLUSTERS
from hexsched.profiles.profile import SHIPPED
from hexsched.simulator import simulate
from hexsched.workloads.families import generate
from solvers.problem.objective import read_objective

pytestmark = pytest.mark.quick


def as_json(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


def validator(name: str) -> Draft202012Validator:
    schema = as_json(FORMATS[name].schema())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def plain(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("name", FORMATS)
def test_every_field_is_explained(name):
    schema = FORMATS[name].schema()
    assert [struct for struct, definition in schema["$defs"].items() if not definition["description"]] == []
    assert [
        f"{struct}.{key}"
        for struct, definition in schema["$defs"].items()
        for key, field in definition["properties"].items()
        if not field.get("description")
    ] == []


@pytest.mark.parametrize(
    "path", [*sorted(CLUSTERS.glob("*.yaml")), *sorted(GRIDS.glob("*.yaml"))], ids=lambda p: p.stem
)
def test_shipped_files_are_valid(path):
    validator("grid" if path.parent == GRIDS else "cluster").validate(plain(path))


def test_what_is_written_is_valid():
    workflows = generate("bfcl", workflows=3, seed=0)
    instance = compile_instance(read_cluster("demo"), workflows)
    run = simulate(instance, "fcfs")
    for name, data in (("instance", instance.to_bytes()), ("schedule", run.schedule.to_bytes())):
        validator(name).validate(json.loads(data))
    for workflow in workflows:
        validator("workload").validate(as_json(workflow))
    validator("profile").validate(json.loads(SHIPPED.read_bytes()))
    fixed = compile_instance(read_cluster("demo"), workflows, "fixed")
    (flat,) = EXPORTS["json-flat"].write(Request("mine", fixed, read_objective("misses(1.5)"))).values()
    validator("flat").validate(json.loads(flat))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("cluster", {"name": "a", "model": "m", "prefill": [], "decode": [], "decode_modle": "fluid"}),
        ("workload", {"workflow_id": "a"}),
        ("grid", {"clusters": "demo", "grids": {"first": {"loads": 3}}}),
        ("flat-solution", {"format": "hexsched-flat-solution/1", "name": "a", "stage1_machine": [-1]}),
        ("schedule", {"format": "hexsched-schedule/1", "policy": "fcfs", "calls": [{"call_id": "c0"}]}),
    ],
)
def test_what_is_wrong_is_not_valid(name, wrong):
    with pytest.raises(ValidationError):
        validator(name).validate(wrong)


def test_the_command_prints_it(capfdbinary):
    assert main(["schema", "cluster", "--json"]) == OK
    assert json.loads(capfdbinary.readouterr().out) == as_json(FORMATS["cluster"].schema())
    assert main(["schema", "cluster"]) == OK
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert any(line.split()[:3] == ["prefill", "list", "of"] and "needed" in line for line in lines)
    assert main(["schema", "clusters"]) == BAD_INPUT
    assert b"did you mean 'cluster'?" in capfdbinary.readouterr().err
