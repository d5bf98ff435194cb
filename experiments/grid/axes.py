"""The axes of a grid: their names in the file, and what one entry of each stands for. To add one: an entry here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.grid.loads import load_rule
from experiments.grid.sources import Cluster, Workload, read_cluster_content, read_workload_content
from hexsched.errors import InputError

Value = str | int | Cluster | Workload

BASELINES = ("fcfs", "workflow-fcfs", "workflow-llf", "atlas")  # the paper's
SHORTHANDS = ("all", "baselines")


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes
    ----------
    singular : str
        Its name in filters, where one cell is spoken of.
    read : callable
        From an entry and the file's folder to the values it stands for; raises ``InputError``.
    """

    singular: str
    read: Callable[[object, Path], Sequence[Value]]


def canonical_policy(text: str) -> str:
    """A policy's name with options in their order, and without those that are as they are anyway.

    Raises
    ------
    InputError
        For an unknown policy, option or placement.
    """
    from hexsched.policies import policy

    found = policy(text)
    base = policy(re.split(r"[(@\s]", text.strip())[0])
    changed = [f"{key}={_plain(value)}" for key, value in found.options.items() if value != base.options[key]]
    options = f"({','.join(changed)})" if changed else ""
    return base.name + options + (f"@{found.placement}" if found.placement != base.placement else "")


def canonical_estimator(text: str) -> str:
    """An estimator's name with its number written one way; raises ``InputError`` for an unknown one."""
    from hexsched.simulator.estimators import estimator

    name = estimator(text).name
    number = re.fullmatch(r"noise\((.*)\)", name)
    return f"noise({float(number[1]):.12g})" if number else name


def _plain(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _clusters(entry: object, folder: Path) -> list[Value]:
    text = str(entry)
    in_folder = folder / text
    is_file = in_folder.suffix in (".yaml", ".yml") or len(Path(text).parts) > 1
    return [read_cluster_content(str(in_folder) if is_file else text)]


def _workloads(entry: object, folder: Path) -> list[Value]:
    return [read_workload_content(str(entry), folder)]


def _policies(entry: object, folder: Path) -> list[Value]:
    from hexsched.policies import policies

    if entry == "all":
        return [each.name for each in policies()]
    return [canonical_policy(name) for name in (BASELINES if entry == "baselines" else (str(entry),))]


def _instances(entry: object, folder: Path) -> list[Value]:
    from experiments.library.names import expand

    return list(expand([str(entry)]))


def _formulations(entry: object, folder: Path) -> list[Value]:
    from solvers.exact import FORMULATIONS

    return list(FORMULATIONS) if entry == "all" else [FORMULATIONS.find(str(entry)).name]


def _objectives(entry: object, folder: Path) -> list[Value]:
    from solvers.problem.objective import objective

    return [str(objective(str(entry)))]


def _decode_models(entry: object, folder: Path) -> list[Value]:
    from hexsched.model.instance import DECODE_MODELS

    if entry not in DECODE_MODELS:
        raise InputError(f"unknown decode model {entry!r}; known: {', '.join(DECODE_MODELS)}")
    return [str(entry)]


def _whole(least: int) -> Callable[[object, Path], list[Value]]:
    def read(entry: object, folder: Path) -> list[Value]:
        assert isinstance(entry, int)
        if entry < least:
            raise InputError(f"expected a whole number from {least}, got {entry}")
        return [entry]

    return read


# by the name in the file; the order is that of the cells, so that cells of one instance are next to each other
AXES: dict[str, Axis] = {
    "clusters": Axis("cluster", _clusters),
    "instances": Axis("instance", _instances),
    "workloads": Axis("workload", _workloads),
    "workflows": Axis("workflows", _whole(1)),
    "decode_models": Axis("decode_model", _decode_models),
    "seeds": Axis("seed", _whole(0)),
    "loads": Axis("load", lambda entry, folder: [str(load_rule(str(entry)))]),
    "objectives": Axis("objective", _objectives),
    "formulations": Axis("formulation", _formulations),
    "estimators": Axis("estimator", lambda entry, folder: [canonical_estimator(str(entry))]),
    "policies": Axis("policy", _policies),
}
