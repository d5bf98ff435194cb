"""Grid files: what may stand in them, and errors that name line and key."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from experiments.grid.axes import AXES, Value
from experiments.grid.sources import Cluster, Plugin, Workload
from hexsched.clusters.yaml_lines import Document, KeyPath, parse_yaml
from hexsched.errors import InputError
from hexsched.model.files import read_bytes

LIBRARY = Path(__file__).parents[1] / "grids"

Texts = str | tuple[str, ...] | UnsetType
Numbers = int | tuple[int, ...] | UnsetType

DEFAULTS: dict[str, Any] = {"time_limit": 60.0, "threads": 1, "schedules": False}


class Changes(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Axes (a value or a list of values each) and settings of cells; what is left out stays as it is.

    Attributes
    ----------
    clusters : names of 'hexsched clusters', or YAML files (relative to the grid file)
    workloads : families, or workload files ending in .jsonl (relative to the grid file)
    workflows : how many; of a file the first
    loads : load rules (``experiments.grid.loads``)
    policies : policy names with options and placement; ``baselines`` are the paper's four, ``all`` every one
    estimators : as in 'hexsched simulate'; exact by default
    seeds : a list, or their number: 5 is 0, 1, 2, 3, 4
    decode_models : fluid or fixed, in place of the cluster's
    instances, formulations, objectives : names of the instance library and of the solvers
    time_limit : seconds of one gap or solve
    threads : threads of one solve
    schedules : whether schedules are stored
    """

    clusters: Texts = UNSET
    workloads: Texts = UNSET
    workflows: Numbers = UNSET
    loads: Texts = UNSET
    policies: Texts = UNSET
    estimators: Texts = UNSET
    seeds: Numbers = UNSET
    decode_models: Texts = UNSET
    instances: Texts = UNSET
    formulations: Texts = UNSET
    objectives: Texts = UNSET
    time_limit: float | UnsetType = UNSET
    threads: int | UnsetType = UNSET
    schedules: bool | UnsetType = UNSET


class Match(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Cells with these values; in text, * stands for anything."""

    cluster: Texts = UNSET
    workload: Texts = UNSET
    workflows: Numbers = UNSET
    load: Texts = UNSET
    policy: Texts = UNSET
    estimator: Texts = UNSET
    seed: Numbers = UNSET
    decode_model: Texts = UNSET
    instance: Texts = UNSET
    formulation: Texts = UNSET
    objective: Texts = UNSET


class Override(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Cells that ``match`` get other axes or settings."""

    match: Match
    change: Changes = msgspec.field(name="set")


class SubGrid(Changes, forbid_unknown_fields=True, kw_only=True):
    """One named grid of a file.

    Attributes
    ----------
    kind : {"simulate", "gap", "solve"}
    only, exclude : tuple of Match
        Keep cells that match any, drop those that match any.
    overrides : tuple of Override
        Applied in order, before the filters.
    """

    kind: str | UnsetType = UNSET
    only: tuple[Match, ...] = ()
    exclude: tuple[Match, ...] = ()
    overrides: tuple[Override, ...] = ()


class GridFile(SubGrid, forbid_unknown_fields=True, kw_only=True):
    """A grid file; its axes and settings are the defaults of its named grids, its filters and overrides hold in each.

    Attributes
    ----------
    description : str
    plugins : str or tuple of str
        Python files that register policies (relative to the grid file).
    grids : dict of str to SubGrid
        None: the file is one grid.
    """

    description: str = ""
    plugins: Texts = UNSET
    grids: dict[str, dict[str, object]] = {}


# kind -> axes it has, each with its default; without one (None) the file must give it
KIND_AXES: dict[str, dict[str, tuple[Value, ...] | None]] = {
    "simulate": {
        "clusters": None,
        "workloads": None,
        "workflows": None,
        "loads": None,
        "seeds": (0,),
        "estimators": ("exact",),
        "policies": None,
    },
    "gap": {
        "clusters": None,
        "workloads": None,
        "workflows": None,
        "decode_models": (),  # the cluster's own
        "loads": None,
        "seeds": (0,),
        "objectives": None,
        "policies": None,
    },
    "solve": {"instances": None, "formulations": None, "objectives": None, "seeds": (0,)},
}
KIND_SETTINGS: dict[str, tuple[str, ...]] = {
    "simulate": ("schedules",),
    "gap": ("time_limit",),
    "solve": ("time_limit", "threads"),
}


@dataclass(frozen=True)
class Filter:
    """Wanted values by axis (plural), where that stands, and whether it stands above the named grid it is for."""

    wanted: dict[str, tuple[str | int, ...]]
    where: str
    inherited: bool


@dataclass(frozen=True)
class Change:
    """An override: values by axis, settings by name."""

    match: Filter
    axes: dict[str, tuple[Value, ...]]
    settings: dict[str, Any]


@dataclass(frozen=True)
class Section:
    """One named grid, every value read.

    Attributes
    ----------
    name : str
        Empty where the file has no named grids.
    kind : str
    axes : dict of str to tuple
        By plural name, in the order of ``AXES``.
    settings : dict
    only : list of list of Filter
        A cell must match one of each list.
    exclude : list of Filter
    overrides : list of Change
    """

    name: str
    kind: str
    axes: dict[str, tuple[Value, ...]]
    settings: dict[str, Any]
    only: list[list[Filter]] = field(default_factory=list)
    exclude: list[Filter] = field(default_factory=list)
    overrides: list[Change] = field(default_factory=list)


@dataclass(frozen=True)
class Grid:
    """A grid file, read.

    Attributes
    ----------
    name : str
        The file's, without its ending.
    description : str
    sections : list of Section
    plugins : dict of str to Plugin
        By the policy that each registers.
    """

    name: str
    description: str
    sections: list[Section]
    plugins: dict[str, Plugin]


def list_grids() -> tuple[str, ...]:
    """Names of the grids that come with the package."""
    return tuple(sorted(file.stem for file in LIBRARY.glob("*.yaml")))


def read_grid(path_or_name: str, only: str | None = None) -> Grid:
    """Read a grid file, or the shipped grid of that name.

    Parameters
    ----------
    path_or_name : str
    only : str, optional
        The one named grid to take.

    Raises
    ------
    InputError
        Naming file, line and key.
    """
    path = _resolve(path_or_name)
    document = parse_yaml(read_bytes(path).decode("utf-8-sig"), path)
    top = _convert(document, (), GridFile)
    reader = _Reader(document, path.parent)
    plugins = reader.plugins(top)
    if only is not None and only not in top.grids:
        close = difflib.get_close_matches(only, top.grids, n=1)
        known = ", ".join(top.grids) or "none"
        hint = f"did you mean {close[0]}? " if close else ""
        raise InputError(f"no grid {only!r} in this file; {hint}it has {known}", path)
    if not top.grids:
        sections = [reader.section("", top)]
    else:
        chosen = [name for name in top.grids if only in (None, name)]
        subs = {name: _convert(document, ("grids", name), SubGrid) for name in top.grids}
        sections = [reader.section(name, top, subs[name]) for name in chosen]
    return Grid(path.stem, top.description, sections, plugins)


class _Reader:
    """Turns what stands in a file into values, with the line in every complaint."""

    def __init__(self, document: Document, folder: Path) -> None:
        self.document = document
        self.folder = folder
        self.named: dict[tuple[type, str], Cluster | Workload] = {}

    def plugins(self, top: GridFile) -> dict[str, Plugin]:
        """The plugin of each policy that one registers."""
        found: dict[str, Plugin] = {}
        for index, name in enumerate(_listed(top.plugins)):
            path = self.folder / name
            try:
                plugin = Plugin(str(path), read_bytes(path))
                found |= dict.fromkeys(plugin.load(), plugin)
            except InputError as error:
                raise InputError(f"plugins: {error}", self.document.where(("plugins", index))) from None
        return found

    def section(self, name: str, top: GridFile, sub: SubGrid | None = None) -> Section:
        """One grid of the file: ``top`` itself, or ``sub`` with what it does not say taken from ``top``."""
        sub_path: KeyPath = ("grids", name)
        layers: list[tuple[SubGrid, KeyPath]] = [(top, ())] if sub is None else [(sub, sub_path), (top, ())]
        kind = self._kind(layers)
        axes: dict[str, tuple[Value, ...]] = {}
        settings = {setting: DEFAULTS[setting] for setting in KIND_SETTINGS[kind]}
        given: set[str] = set()
        for layer, path in layers:
            inherited = layer is top and sub is not None  # such defaults may be meant for grids of another kind
            layer_axes, layer_settings = self._changes(layer, path, kind, strict=not inherited)
            axes = {**layer_axes, **axes}
            settings |= {key: value for key, value in layer_settings.items() if key not in given}
            given |= layer_settings.keys()
        for axis, default in KIND_AXES[kind].items():
            if axis not in axes:
                if default is None:
                    where = self.document.where(sub_path if sub is not None else ())
                    raise InputError(f"{axis} is missing; a grid of kind {kind} needs it", where)
                axes[axis] = default
        ordered = {axis: axes[axis] for axis in AXES if axis in axes}
        section = Section(name, kind, ordered, settings)
        for layer, path in reversed(layers):
            inherited = layer is top and sub is not None
            for k, override in enumerate(layer.overrides):
                axes, settings = self._changes(override.change, (*path, "overrides", k, "set"), kind)
                match = self._filter(override.match, (*path, "overrides", k, "match"), kind, inherited)
                section.overrides.append(Change(match, axes, settings))
            for k, match_ in enumerate(layer.exclude):
                section.exclude.append(self._filter(match_, (*path, "exclude", k), kind, inherited))
            kept = [self._filter(match_, (*path, "only", k), kind, inherited) for k, match_ in enumerate(layer.only)]
            if kept:
                section.only.append(kept)
        return section

    def _kind(self, layers: list[tuple[SubGrid, KeyPath]]) -> str:
        for layer, path in layers:
            if not isinstance(layer.kind, UnsetType):
                if layer.kind not in KIND_AXES:
                    known = ", ".join(KIND_AXES)
                    where = self.document.where((*path, "kind"))
                    raise InputError(f"kind: unknown kind {layer.kind!r}; known: {known}", where)
                return layer.kind
        return "simulate"

    def _changes(
        self, changes: Changes, path: KeyPath, kind: str, strict: bool = True
    ) -> tuple[dict[str, tuple[Value, ...]], dict[str, Any]]:
        axes: dict[str, tuple[Value, ...]] = {}
        settings: dict[str, Any] = {}
        for name in Changes.__struct_fields__:
            given = getattr(changes, name)
            if isinstance(given, UnsetType):
                continue
            if name not in KIND_AXES[kind] and name not in KIND_SETTINGS[kind]:
                if strict:
                    known = ", ".join((*KIND_AXES[kind], *KIND_SETTINGS[kind]))
                    where = self.document.where((*path, name))
                    raise InputError(f"{name}: a grid of kind {kind} has no such key; it has {known}", where)
            elif name in AXES:
                axes[name] = self._values(name, given, (*path, name))
            else:
                settings[name] = self._setting(name, given, (*path, name))
        return axes, settings

    def _setting(self, name: str, given: Any, path: KeyPath) -> Any:
        if name == "time_limit" and not 0 < given < 1e6:
            raise InputError(f"time_limit: expected seconds above 0, got {given}", self.document.where(path))
        if name == "threads" and given < 1:
            raise InputError(f"threads: expected at least 1, got {given}", self.document.where(path))
        return given

    def _values(self, axis: str, given: object, path: KeyPath) -> tuple[Value, ...]:
        if axis == "seeds" and isinstance(given, int):
            if given < 1:
                raise InputError(
                    f"seeds: expected how many, or a list of seeds; got {given}", self.document.where(path)
                )
            return tuple(range(given))
        entries = _listed(given)
        if not entries:
            raise InputError(f"{axis}: the list is empty", self.document.where(path))
        found: dict[Value, None] = {}
        for index, entry in enumerate(entries):
            where = self.document.where((*path, index))
            try:
                values = AXES[axis].read(entry, self.folder)
                for value in values:
                    self._check_name(value)
            except InputError as error:
                raise InputError(f"{axis}: {error}", where) from None
            found |= dict.fromkeys(values)
        return tuple(found)

    def _check_name(self, value: Value) -> None:
        """Rows are told apart by names, so a name must not stand for two things."""
        if isinstance(value, Cluster | Workload):
            known = self.named.setdefault((type(value), value.name), value)
            if known != value:
                raise InputError(f"two different {type(value).__name__.lower()}s are called {value.name!r}; rename one")

    def _filter(self, match: Match, path: KeyPath, kind: str, inherited: bool) -> Filter:
        plural = {axis.singular: name for name, axis in AXES.items()}
        wanted: dict[str, tuple[str | int, ...]] = {}
        for name in Match.__struct_fields__:
            given = getattr(match, name)
            if isinstance(given, UnsetType):
                continue
            if plural[name] not in KIND_AXES[kind]:
                known = ", ".join(AXES[axis].singular for axis in KIND_AXES[kind])
                where = self.document.where((*path, name))
                raise InputError(f"{name}: a grid of kind {kind} has no such axis; it has {known}", where)
            wanted[plural[name]] = _listed(given)
        if not wanted:
            raise InputError("an empty match; name at least one axis", self.document.where(path))
        return Filter(wanted, self.document.where(path), inherited)


def _convert(document: Document, path: KeyPath, kind: type[Any]) -> Any:
    """The mapping at ``path`` as a ``kind``; lines in errors are those of the whole file."""
    data = document.data
    for key in path:
        data = data[key]  # type: ignore[index]
    lines = {place[len(path) :]: line for place, line in document.lines.items() if place[: len(path)] == path}
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise Document(data, lines, document.file).input_error(error, kind) from None


def _listed(given: Any) -> tuple[Any, ...]:
    if isinstance(given, UnsetType):
        return ()
    return given if isinstance(given, tuple) else (given,)


def _resolve(path_or_name: str) -> Path:
    names = list_grids()
    if path_or_name in names:
        return LIBRARY / f"{path_or_name}.yaml"
    path = Path(path_or_name)
    if path.exists() or path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return path
    close = difflib.get_close_matches(path_or_name, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise InputError(f"unknown grid {path_or_name!r}; {hint}a YAML file or one of: {', '.join(names)}")
