"""Grid files: what may stand in them, and errors that name line and key."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from experiments.grid.axes import AXES, Axis, Place, Texts, Value
from experiments.grid.earlier import EarlierStores, read_earlier
from experiments.grid.kind import Kind
from experiments.grid.kinds import KINDS, kinds_of_files
from experiments.grid.settings import EARLIER, Setting
from experiments.grid.shipped import LIBRARY, list_grids, shipped_grid
from experiments.grid.sources import Cluster, Plugin, Workload
from hexsched.clusters.yaml_lines import Document, KeyPath, read_yaml
from hexsched.errors import InputError
from hexsched.model.file_kind import check_kind
from hexsched.model.files import read_bytes
from hexsched.registry import choices, hint

DEFAULT_KIND = "simulate"
WORKLOADS = "workloads"
MOST_CELLS = 100_000  # of a grid, unless more are asked for: a slip of the finger is told at once


@dataclass(frozen=True)
class Filter:
    """Patterns of values by axis (plural), where that stands, and whether it stands above the named grid it is for."""

    patterns: dict[str, tuple[str | int, ...]]
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
    kind : Kind
    axes : dict of str to tuple
        By plural name, in the order of ``AXES``.
    settings : dict
    only : list of list of Filter
        A cell must match one of each list.
    exclude : list of Filter
    overrides : list of Change
    """

    name: str
    kind: Kind
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
    plugins : tuple of Plugin
        Python files that register policies.
    most_cells : int
        How many cells it may have.
    folder : Path
        What its paths are relative to.
    """

    name: str
    description: str
    sections: list[Section]
    plugins: tuple[Plugin, ...]
    most_cells: int = MOST_CELLS
    folder: Path = Path()


class NoWorkloadsError(InputError):
    """A grid leaves it to whoever runs it which workloads it has, and none were given."""


def read_grid(
    given: str | Path | Mapping[str, Any],
    only: str | None = None,
    most_cells: int = MOST_CELLS,
    *,
    load_plugins: bool = False,
    folder: str | Path = ".",
    workloads: Sequence[str] = (),
    earlier: Sequence[str] = (),
) -> Grid:
    """Read a grid file, or the shipped grid of that name.

    Parameters
    ----------
    given : str, Path or mapping
        A name, a file, or what would stand in a file.
    only : str, optional
        The one named grid to take.
    most_cells : int
        How many cells it may have.
    load_plugins : bool
        Run the plug-ins that it names, so that their policies are known and checked. A grid file may be a stranger's,
        and a plug-in is a program: without this nothing of it is executed.
    folder : str or Path
        What paths in a mapping are relative to; those of a file are relative to it.
    workloads : sequence of str
        In place of the grid's; files are relative to the working directory.
    earlier : sequence of str
        Stores from which gaps set out, in place of the grid's, relative to the working directory.

    Raises
    ------
    InputError
        Naming file, line and key.
    NoWorkloadsError
        When it has none, and none are given.
    """
    if isinstance(given, Mapping):
        path = Path(folder) / "grid"
        document = Document(dict(given), {(): 0}, path.name)
    else:
        path = _resolve(str(given))
        check_kind(path, "grid")
        document = read_yaml(read_bytes(path).decode("utf-8-sig"), path)
    forms = Forms.of_vocabulary()
    top = _convert(document, (), forms.file)
    # what comes with hexsched names no files, so what is given by hand may stand where the user is
    home = Path() if (workloads or earlier) and path.parent == LIBRARY else path.parent
    reader = _Reader(document, home, forms, most_cells)
    reader.given(workloads)
    reader.given_earlier(earlier)
    plugins = reader.plugins(top, load_plugins)
    if only is not None and only not in top.grids:
        known = ", ".join(top.grids) or "none"
        raise InputError(f"no grid {only!r} in this file; {hint(only, top.grids)}it has {known}", path)
    if not top.grids:
        sections = [reader.section("", top)]
    else:
        names = [name for name in top.grids if only in (None, name)]
        subs = {name: _convert(document, ("grids", name), forms.named) for name in top.grids}
        sections = [reader.section(name, top, subs[name]) for name in names]
    if earlier and not any(EARLIER.name in section.settings for section in sections):
        raise InputError("--earlier: nothing here sets out from anything; gaps do", path)
    return Grid(path.stem, top.description, sections, plugins, most_cells, home)


@dataclass(frozen=True)
class Forms:
    """What msgspec takes in a file, made of ``AXES`` and of the settings of all kinds; all are types of structs.

    Attributes
    ----------
    changes
        Axes (a value or a list of values each) and settings of cells, each may be left out.
    match
        Cells with these values, axes in the singular; in text, * stands for anything.
    named
        One named grid: changes, its ``kind``, the matches ``only`` (keep cells that match any) and ``exclude`` (drop
        those that match any), and ``overrides``, applied in order before the filters: cells that ``match`` get other
        axes or settings (``set``).
    file
        A grid file: its axes and settings are the defaults of its named ``grids``, its filters and overrides hold in
        each. Without ``grids`` the file is one grid. ``plugins`` are Python files that register policies (relative to
        the grid file).
    """

    changes: Any
    match: Any
    named: Any
    file: Any

    @classmethod
    def of_vocabulary(cls) -> Forms:
        """The forms as axes and kinds are now."""
        axes = [(axis.name, axis.type, axis.meaning) for axis in AXES.values()]
        settings = [(setting.name, setting.type, setting.meaning) for setting in all_settings().values()]
        singular = [(axis.singular, axis.type, axis.meaning) for axis in AXES.values()]
        changes = _struct("Changes", "Axes and settings.", [_may(*field) for field in (*axes, *settings)])
        match = _struct(
            "Match", "Cells with these values; * stands for anything.", [_may(*field) for field in singular]
        )
        override = _struct(
            "Override",
            "Cells that match get other axes or settings.",
            [
                ("match", _said(match, "which cells")),
                ("change", _said(changes, "what they get"), msgspec.field(name="set")),
            ],
        )
        matches = GenericAlias(tuple, (match, ...))
        named = _struct(
            "NamedGrid",
            "One grid: axes, settings, kind and filters.",
            [
                _may("kind", str, f"a name of 'hexsched grid kinds'; {DEFAULT_KIND} by default"),
                ("only", _said(matches, "keep the cells that match any of these"), ()),
                ("exclude", _said(matches, "drop the cells that match any of these"), ()),
                ("overrides", _said(GenericAlias(tuple, (override, ...)), "applied in order, before the filters"), ()),
            ],
            changes,
        )
        return cls(changes, match, named, _grid_file(named, dict[str, object]))

    @property
    def schema(self) -> Any:
        """As ``file``, and named grids have their form too (reading takes them one by one, for the line in errors)."""
        return _grid_file(self.named, self.named)


def _grid_file(named: Any, inner: Any) -> Any:
    grids = _said(GenericAlias(dict, (str, inner)), "named grids; what stands beside them is their default")
    return _struct(
        "GridFile",
        "A grid file. Without grids the file is one grid.",
        [
            ("description", _said(str, "for people"), ""),
            _may("plugins", Texts, "Python files that register policies (relative to the grid file)"),
            ("grids", grids, msgspec.field(default_factory=dict)),
        ],
        named,
    )


def _may(name: str, kind: Any, meaning: str) -> tuple[str, Any, UnsetType]:
    """A field that may be left out."""
    return name, _said(kind | UnsetType, meaning), UNSET


def _said(kind: Any, meaning: str) -> Any:
    return Annotated[kind, msgspec.Meta(description=meaning)]


def _struct(name: str, summary: str, fields: list[Any], *bases: Any) -> Any:
    return msgspec.defstruct(
        name, fields, bases=bases or None, namespace={"__doc__": summary}, forbid_unknown_fields=True, kw_only=True
    )


def all_settings() -> dict[str, Setting]:
    """The settings of all kinds, by name."""
    settings: dict[str, Setting] = {}
    for kind in KINDS.values():
        for setting in kind.settings:
            if settings.setdefault(setting.name, setting) != setting:
                raise TypeError(f"kind {kind.name!r} has a setting {setting.name!r} that another kind has otherwise")
    return settings


class _Reader:
    """Turns what stands in a file into values, with the line in every complaint."""

    def __init__(self, document: Document, folder: Path, forms: Forms, most_cells: int) -> None:
        self.document = document
        self.place = Place(folder)
        self.forms = forms
        self.most_cells = most_cells
        self.named: dict[tuple[type, str], Cluster | Workload] = {}
        self.workloads: tuple[Value, ...] = ()
        self.earlier: EarlierStores | None = None

    def given(self, workloads: Sequence[str]) -> None:
        """Take these workloads in place of those of the file."""
        from hexsched.workloads.source import names_a_family

        found: dict[Value, None] = {}
        for entry in workloads:
            as_it_is = os.path.isabs(entry) or names_a_family(entry)
            here = entry if as_it_is else os.path.relpath(entry, self.place.folder)
            try:
                found |= dict.fromkeys(AXES[WORKLOADS].read(here, self.place))
                for value in found:
                    self._check_name(value)
            except InputError as error:
                raise InputError(f"--workloads: {error}") from None
        self.workloads = tuple(found)

    def given_earlier(self, stores: Sequence[str]) -> None:
        """Take these earlier stores in place of those of the file."""
        try:
            self.earlier = read_earlier(
                [os.path.relpath(entry, self.place.folder) for entry in stores], self.place.folder
            )
        except InputError as error:
            raise InputError(f"--earlier: {error}") from None

    def plugins(self, top: Any, load: bool) -> tuple[Plugin, ...]:
        """The plug-ins that the file names; they are run only where ``load`` says so."""
        plugins: list[Plugin] = []
        by_name: dict[str, Plugin] = {}
        for index, name in enumerate(_listed(top.plugins)):
            path = self.place.folder / name
            try:
                plugin = Plugin(str(path), read_bytes(path), name)
                for registered in plugin.load() if load else ():
                    if by_name.setdefault(registered, plugin) is not plugin:
                        other = by_name[registered].path
                        raise InputError(f"{registered!r} is registered by {other} and by {path}; rename one")
            except InputError as error:
                raise InputError(f"plugins: {error}", self.document.where(("plugins", index))) from None
            plugins.append(plugin)
        self.place = Place(self.place.folder, has_plugins=bool(plugins), is_checked=load)
        return tuple(plugins)

    def section(self, name: str, top: Any, named: Any = None) -> Section:
        """One grid of the file: ``top`` itself, or ``named`` with what it does not say taken from ``top``."""
        own: KeyPath = () if named is None else ("grids", name)
        layers: list[tuple[Any, KeyPath]] = [(top, ())] if named is None else [(named, own), (top, ())]
        kind = self._kind(layers)
        axes: dict[str, tuple[Value, ...]] = {}
        settings: dict[str, Any] = {}
        for layer, path in layers:
            inherited = path != own  # such defaults may be meant for grids of another kind
            layer_axes, layer_settings = self._changes(layer, path, kind, strict=not inherited)
            axes = {**layer_axes, **axes}
            settings = {**layer_settings, **settings}
        if self.workloads and WORKLOADS in kind.axes:
            axes[WORKLOADS] = self.workloads
        if self.earlier is not None:
            settings[EARLIER.name] = self.earlier
        for axis, default in kind.axes.items():
            if axis not in axes:
                if default is None:
                    where, missing = self.document.where(own), f"{axis} is missing; a grid of kind {kind.name} needs it"
                    if axis == WORKLOADS:
                        raise NoWorkloadsError(f"{missing}, here or as --workloads 'tables/*.jsonl'", where)
                    raise InputError(missing, where)
                axes[axis] = default
        section = Section(
            name,
            kind,
            {axis: axes[axis] for axis in AXES if axis in axes},
            {
                s.name: settings[s.name] if s.name in settings else s.read(s.default, self.place.folder)
                for s in kind.settings
            },
        )
        for layer, path in reversed(layers):
            inherited = path != own
            for k, override in enumerate(layer.overrides):
                changed_axes, changed_settings = self._changes(override.change, (*path, "overrides", k, "set"), kind)
                match = self._filter(override.match, (*path, "overrides", k, "match"), kind, inherited)
                section.overrides.append(Change(match, changed_axes, changed_settings))
            for k, match in enumerate(layer.exclude):
                section.exclude.append(self._filter(match, (*path, "exclude", k), kind, inherited))
            if layer.only:
                only = [self._filter(match, (*path, "only", k), kind, inherited) for k, match in enumerate(layer.only)]
                section.only.append(only)
        return section

    def _kind(self, layers: list[tuple[Any, KeyPath]]) -> Kind:
        known = kinds_of_files()
        for layer, path in layers:
            if not isinstance(layer.kind, UnsetType):
                if layer.kind not in known:
                    where = self.document.where((*path, "kind"))
                    raise InputError(
                        f"kind: unknown kind {layer.kind!r}; {choices(layer.kind, known, 'known:')}", where
                    )
                return known[layer.kind]
        return known[DEFAULT_KIND]

    def _changes(
        self, changes: Any, path: KeyPath, kind: Kind, strict: bool = True
    ) -> tuple[dict[str, tuple[Value, ...]], dict[str, Any]]:
        axes: dict[str, tuple[Value, ...]] = {}
        settings: dict[str, Any] = {}
        known = {setting.name: setting for setting in kind.settings}
        for name in self.forms.changes.__struct_fields__:
            value = getattr(changes, name)
            if isinstance(value, UnsetType):
                continue
            where = (*path, name)
            if name in kind.axes:
                axes[name] = self._values(AXES[name], value, where)
            elif name in known:
                settings[name] = self._setting(known[name], value, where)
            elif strict:
                keys = ", ".join((*kind.axes, *known))
                message = f"{name}: a grid of kind {kind.name} has no such key; it has {keys}"
                raise InputError(message, self.document.where(where))
        return axes, settings

    def _setting(self, setting: Setting, value: Any, path: KeyPath) -> Any:
        if not setting.allowed(value):
            message = f"{setting.name}: expected {setting.expected}, got {value}"
            raise InputError(message, self.document.where(path))
        try:
            return setting.read(value, self.place.folder)
        except InputError as error:
            raise InputError(f"{setting.name}: {error}", self.document.where(path)) from None

    def _values(self, axis: Axis, entries: Any, path: KeyPath) -> tuple[Value, ...]:
        if axis.count is not None and isinstance(entries, int):
            return self._read(axis, path, axis.count, entries)
        if entries == ():
            raise InputError(f"{axis.name}: the list is empty", self.document.where(path))
        values: dict[Value, None] = {}
        for index, entry in enumerate(_listed(entries)):
            values |= dict.fromkeys(self._read(axis, (*path, index), axis.read, entry, self.place))
        return tuple(values)

    def _read(self, axis: Axis, path: KeyPath, read: Callable[..., Sequence[Value]], *entry: Any) -> tuple[Value, ...]:
        try:
            found = read(*entry)
            check_cells(len(found), self.most_cells)
            values = tuple(found)
            for value in values:
                self._check_name(value)
        except InputError as error:
            raise InputError(f"{axis.name}: {error}", self.document.where(path)) from None
        return values

    def _check_name(self, value: Value) -> None:
        """Rows are told apart by names, so a name must not stand for two things."""
        if isinstance(value, Cluster | Workload):
            known = self.named.setdefault((type(value), value.name), value)
            if known != value:
                raise InputError(f"two different {type(value).__name__.lower()}s are called {value.name!r}; rename one")

    def _filter(self, match: Any, path: KeyPath, kind: Kind, inherited: bool) -> Filter:
        patterns: dict[str, tuple[str | int, ...]] = {}
        for axis in AXES.values():
            values = getattr(match, axis.singular)
            if isinstance(values, UnsetType):
                continue
            if axis.name not in kind.axes:
                known = ", ".join(AXES[name].singular for name in kind.axes)
                where = self.document.where((*path, axis.singular))
                raise InputError(f"{axis.singular}: a grid of kind {kind.name} has no such axis; it has {known}", where)
            patterns[axis.name] = _listed(values)
        if not patterns:
            raise InputError("an empty match; name at least one axis", self.document.where(path))
        return Filter(patterns, self.document.where(path), inherited)


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


def check_allowed(grid: Grid, allow_plugins: bool) -> None:
    """Raise ``InputError`` when a grid that is to run names plug-ins and nobody has allowed them."""
    if grid.plugins and not allow_plugins:
        paths = ", ".join(plugin.path for plugin in grid.plugins)
        raise InputError(
            f"plugins: the grid runs programs, {paths}; look at them, and allow them with --allow-plugins "
            "(allow_plugins=True in Python)",
            grid.name,
        )


def check_cells(cells: int, most: int) -> None:
    """Raise ``InputError`` when that many cells are more than a grid may have."""
    if cells > most:
        raise InputError(f"{cells:,} cells; a grid has at most {most:,} unless --most-cells says more")


def _listed(value: Any) -> tuple[Any, ...]:
    if isinstance(value, UnsetType):
        return ()
    return value if isinstance(value, tuple) else (value,)


def _resolve(path_or_name: str) -> Path:
    names = list_grids()
    if path_or_name in names:
        return shipped_grid(path_or_name)
    path = Path(path_or_name)
    if os.path.exists(path) or path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return path
    raise InputError(f"unknown grid {path_or_name!r}; {choices(path_or_name, names, 'a YAML file or one of:')}")
