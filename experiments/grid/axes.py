"""The vocabulary of grid files: every axis, said once. To add one: an entry in ``AXES``."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.grid.loads import RULES, read_load
from experiments.grid.sources import (
    Cluster,
    Workload,
    is_installed,
    matching_files,
    names_in,
    read_cluster_content,
    read_workload_content,
)
from hexsched.baselines import BASELINES
from hexsched.errors import InputError
from hexsched.model.digits import written
from hexsched.registry import choices

Value = str | int | Cluster | Workload


Texts = str | tuple[str, ...]
Numbers = int | tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """Where an entry stands.

    Attributes
    ----------
    folder : Path
        Of the grid file; paths are relative to it.
    has_plugins : bool
        Whether the grid names plug-ins: a policy that is not known may be one of theirs.
    is_checked : bool
        Whether plug-ins are loaded, so that each policy must be known.
    """

    folder: Path
    has_plugins: bool = False
    is_checked: bool = True


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes
    ----------
    name : str
        Its key in the grid file, where it has several values.
    singular : str
        Its key in filters, where one cell is spoken of.
    type : type
        What msgspec is to take there: ``Texts`` or ``Numbers``.
    meaning : str
        What an entry is, for people.
    read : callable
        From an entry and the file's place to the values it stands for; raises ``InputError``.
    count : callable or None
        From a number that stands there by itself to the values; None where it is an entry like any other.
    """

    name: str
    singular: str
    type: Any
    meaning: str
    read: Callable[[Any, Place], Sequence[Value]]
    count: Callable[[int], Sequence[Value]] | None = None


def canonical_policy(text: str, has_plugins: bool = False, is_checked: bool = True) -> str:
    """A policy's name with options in their order, and without those that are as they are anyway.

    Where a grid ``has_plugins``, what neither hexsched nor an installed package has is one of theirs, and its name is
    what was written: it is the same whether they are loaded, and so can be checked, or not.

    Raises
    ------
    InputError
        For an unknown policy, option or placement.
    """
    from hexsched.policies import read_policy

    if has_plugins and not all(map(is_installed, names_in(text))):
        if is_checked:
            read_policy(text)
        return re.sub(r"\s", "", text)
    found = read_policy(text)
    base = read_policy(re.split(r"[(@\s]", text.strip())[0])
    changed = [f"{key}={_plain(value)}" for key, value in found.options.items() if value != base.options[key]]
    options = f"({','.join(changed)})" if changed else ""
    return base.name + options + (f"@{found.placement}" if found.placement != base.placement else "")


def canonical_estimator(text: str) -> str:
    """An estimator's name with its number written one way; raises ``InputError`` for an unknown one."""
    from hexsched.policies.estimators import read_estimator

    name = read_estimator(text).name
    number = re.fullmatch(r"noise\((.*)\)", name)
    return f"noise({written(float(number[1]))})" if number else name


def _plain(value: object) -> str:
    return written(value) if isinstance(value, float) else str(value)


def _clusters(entry: str, place: Place) -> list[Value]:
    in_folder = place.folder / entry
    is_file = in_folder.suffix in (".yaml", ".yml") or len(Path(entry).parts) > 1
    return [read_cluster_content(str(in_folder) if is_file else entry, entry)]


def _workloads(entry: str, place: Place) -> list[Value]:
    return [read_workload_content(each, place.folder) for each in matching_files(entry, place.folder)]


def _policies(entry: str, place: Place) -> list[Value]:
    from hexsched.policies import policies
    from hexsched.policies.registry import load_packages, registered

    if entry == "all":
        packages = load_packages()
        return [each.name for each in policies() if registered(each.name) is None or each.name in packages]
    names = BASELINES if entry == "baselines" else (entry,)
    return [canonical_policy(name, place.has_plugins, place.is_checked) for name in names]


def _instances(entry: str, place: Place) -> list[Value]:
    from experiments.library.names import expand

    return list(expand([entry]))


def _formulations(entry: str, place: Place) -> list[Value]:
    from experiments.formulations.arms import expand_arms

    return [str(arm) for arm in expand_arms([entry])]


def _objectives(entry: str, place: Place) -> list[Value]:
    from solvers.problem.objective import read_objective

    return [str(read_objective(entry))]


def _decode_models(entry: str, place: Place) -> list[Value]:
    from hexsched.model.instance import DECODE_MODELS

    if entry not in DECODE_MODELS:
        raise InputError(f"unknown decode model {entry!r}; {choices(entry, DECODE_MODELS, 'known:')}")
    return [entry]


def _whole(least: int) -> Callable[[int, Place], list[Value]]:
    def read(entry: int, place: Place) -> list[Value]:
        if entry < least:
            raise InputError(f"expected a whole number from {least}, got {entry}")
        return [entry]

    return read


def _first_seeds(number: int) -> Sequence[Value]:
    if number < 1:
        raise InputError(f"expected how many, or a list of seeds; got {number}")
    return range(min(number, sys.maxsize))  # len() of a longer one overflows; either way far too many


# by name; the order is that of the cells, so that cells of one instance are next to each other
AXES: dict[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis(
            "clusters",
            "cluster",
            Texts,
            "a name of 'hexsched clusters', or a YAML file (relative to the grid file)",
            _clusters,
        ),
        Axis("instances", "instance", Texts, "a name of 'hexsched library list'", _instances),
        Axis(
            "workloads",
            "workload",
            Texts,
            "a family, or a workload or trace file or folder (relative to the grid file), maybe with options of its "
            "format: t.jsonl,time_unit=s; tables/*.jsonl are all files that match",
            _workloads,
        ),
        Axis("workflows", "workflows", Numbers, "how many; of a file the first", _whole(1)),
        Axis("decode_models", "decode_model", Texts, "fluid or fixed, in place of the cluster's", _decode_models),
        Axis("seeds", "seed", Numbers, "a list, or their number: 5 is 0, 1, 2, 3, 4", _whole(0), _first_seeds),
        Axis("loads", "load", Texts, f"a load rule: {', '.join(RULES)}", lambda entry, place: [str(read_load(entry))]),
        Axis("objectives", "objective", Texts, "as in 'hexsched solve'", _objectives),
        Axis(
            "formulations",
            "formulation",
            Texts,
            "a name of 'hexsched formulations', exact, all or auto, maybe with /SOLVER or /all, :SWITCH=off or :each",
            _formulations,
        ),
        Axis(
            "estimators",
            "estimator",
            Texts,
            "as in 'hexsched simulate'",
            lambda entry, place: [canonical_estimator(entry)],
        ),
        Axis(
            "policies",
            "policy",
            Texts,
            "a policy with options and placement; baselines are the paper's four, all every one",
            _policies,
        ),
    )
}
