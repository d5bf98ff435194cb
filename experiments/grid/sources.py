"""What a cell is computed from, as content: nothing here needs a file once it is read, so cells can travel."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hexsched.errors import InputError
from hexsched.model import DecodeInstance, Link, PrefillInstance, Source
from hexsched.outside import Package

if TYPE_CHECKING:
    from hexsched.model import Workflow

Json = dict[str, object]

_loaded: dict[str, dict[str, object]] = {}  # what each plugin has registered by name, by the hash of its source


@dataclass(frozen=True)
class Cluster:
    """A compiled cluster: its numbers, whatever file, catalogue or profile they came from.

    Attributes
    ----------
    name : str
    model : str
        The model's name.
    pool : str
        The cluster's name without what stands before its first hyphen: "hetero-1" of "qwen235b-hetero-1".
    decode_model, kv_bytes_per_token, prefill, decode, links
        As in ``Instance``.
    sources
        As in ``Instance``; no part of what is identified by ``sha256``.
    entry : str
        What a grid file says to have it; nor is this.
    """

    name: str
    model: str
    pool: str
    decode_model: str
    kv_bytes_per_token: int
    prefill: tuple[PrefillInstance, ...]
    decode: tuple[DecodeInstance, ...]
    links: tuple[Link, ...]
    sources: tuple[Source, ...] = ()
    entry: str = field(default="", compare=False)

    @cached_property
    def sha256(self) -> str:
        """Of everything above but where it comes from."""
        names = [name for name in self.__dataclass_fields__ if name not in ("sources", "entry")]
        return sha256(msgspec.json.encode([getattr(self, name) for name in names]))

    def __str__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        return hash(self.name)  # all the numbers would take long, and few clusters share a name


@dataclass(frozen=True)
class Workload:
    """Where workflows come from.

    Attributes
    ----------
    name : str
        A family, or the name of a file without its ending, with the options that it was read with.
    data : bytes or None
        The file's workflows as hexsched JSON Lines; None for a family.
    entry : str
        What a grid file says to have it; no part of what it is.
    """

    name: str
    data: bytes | None = None
    entry: str = field(default="", compare=False)

    @cached_property
    def identity(self) -> Json:
        """What the workflows depend on; a family's generator is part of the code version."""
        return {"family": self.name} if self.data is None else {"file": self.name, "sha256": sha256(self.data)}

    def take(self, workflows: int, seed: int, sample: bool = False) -> tuple[Workflow, ...]:
        """Workflows drawn with the seed, or the file's first.

        With ``sample`` those of a file are drawn, too: all of them in an order by the seed, then all again in another
        one, until there are enough. One that is drawn for the k-th time is ``ID#k``.

        Raises
        ------
        InputError
            When the file has fewer, and none is to be drawn twice.
        """
        if self.data is None:
            from hexsched.workloads.families import generate

            return generate(self.name, workflows, seed)
        from hexsched.model import Workflow

        lines = self.data.splitlines()
        if not sample:
            self.check_size(workflows)
            return tuple(msgspec.json.decode(line, type=Workflow) for line in lines[:workflows])
        drawn = drawn_again(len(lines), workflows, seed)
        flows = [msgspec.json.decode(lines[k], type=Workflow) for k, _ in drawn]
        mark = "#"
        while any(re.search(rf"{mark}\d+$", flow.workflow_id) for flow in flows):  # another's id may end like that
            mark += "#"
        return tuple(
            msgspec.structs.replace(flow, workflow_id=f"{flow.workflow_id}{mark}{time}") if time > 1 else flow
            for flow, (_, time) in zip(flows, drawn, strict=True)
        )

    def check_size(self, workflows: int) -> None:
        """Raise ``InputError`` when a file has fewer workflows; a family has as many as one likes."""
        if self.data is not None and (has := len(self.data.splitlines())) < workflows:
            raise InputError(f"workload {self.name} has {has} workflows, {workflows} are asked for")

    def __str__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        return hash(self.name)


def drawn_again(of: int, number: int, seed: int) -> list[tuple[int, int]]:
    """Which of ``of`` things are drawn, and each for the how manieth time: all in random order, again and again."""
    import numpy as np

    rng = np.random.default_rng(seed)
    drawn: list[tuple[int, int]] = []
    while len(drawn) < number:
        time = len(drawn) // of + 1
        drawn += [(int(k), time) for k in rng.permutation(of)]
    return drawn[:number]


@dataclass(frozen=True)
class Plugin:
    """A Python file that registers policies.

    Attributes
    ----------
    path : str
        For messages.
    source : bytes
    entry : str
        What a grid file says to have it.
    """

    path: str
    source: bytes
    entry: str = field(default="", compare=False)

    @cached_property
    def sha256(self) -> str:
        """Of the source."""
        return sha256(self.source)

    def load(self) -> tuple[str, ...]:
        """Register its policies, once a process; their names, those of placements after an ``@``.

        Raises ``InputError`` for a mistake in it.
        """
        from experiments.cli.plugins import load_source
        from hexsched.policies import registered

        known = _loaded.get(self.sha256)
        if known is None or any(registered(name) is not one for name, one in known.items()):
            names = load_source(self.source, Path(self.path))
            known = _loaded[self.sha256] = {name: registered(name) for name in names}
        return tuple(known)


def names_in(policy: str) -> list[str]:
    """The names in a policy's text: its own, and that of a placement after its ``@``."""
    return [name.strip() for name in re.findall(r"^[^(@]+|@[^@]+$", policy)]


def is_installed(name: str) -> bool:
    """Whether hexsched or an installed package has a policy, or after an ``@`` a placement, of that name."""
    from hexsched.policies.orders import ORDERS
    from hexsched.policies.placements import PLACEMENTS
    from hexsched.policies.registry import load_packages

    own = PLACEMENTS if name.startswith("@") else ORDERS
    return name.removeprefix("@") in own or name in load_packages()


def entries(plugins: Sequence[Plugin | Package]) -> Json:
    """What a grid file says to have these plug-ins; nothing where there are none."""
    files = [plugin.entry for plugin in plugins if isinstance(plugin, Plugin)]
    return {"plugins": files} if files else {}


def needed_plugins(policies: Sequence[str], plugins: Sequence[Plugin]) -> tuple[Plugin | Package, ...]:
    """What registers any of the policies or their placements, but for what comes with hexsched.

    Which of a grid's plug-ins registers a name is not known without running them, so such a name needs all.

    Parameters
    ----------
    policies : sequence of str
        In canonical form.
    plugins : sequence of Plugin
        Those of the grid.

    Raises
    ------
    InputError
        For a policy that is registered in this process alone: the processes that compute cells would not know it.
    """
    from hexsched.policies.registry import load_packages, registered

    needed: dict[Plugin | Package, None] = {}
    for name in (name for policy in policies for name in names_in(policy)):
        package = load_packages().get(name)
        if package is not None:
            needed[package] = None
        elif not is_installed(name):
            if not plugins and registered(name) is not None:
                raise InputError(
                    f"policy {name.strip('@')!r} is registered in this process alone; put it into a file and that file "
                    "under 'plugins:' of the grid"
                )
            needed |= dict.fromkeys(plugins)
    return tuple(needed)


def read_cluster_content(name_or_path: str, entry: str | None = None) -> Cluster:
    """A cluster by name or YAML file; raises ``InputError`` as ``hexsched.clusters.read_cluster``.

    ``entry`` is what stands in the grid file, where that is not the same.
    """
    from hexsched.clusters import compile_cluster, read_cluster

    spec = read_cluster(name_or_path)
    parts = compile_cluster(spec)
    model = spec.model if isinstance(spec.model, str) else spec.model.name
    first, _, rest = spec.name.partition("-")
    return Cluster(
        name=spec.name,
        model=model,
        pool=rest or first,
        decode_model=spec.decode_model,
        kv_bytes_per_token=parts.kv_bytes_per_token,
        prefill=parts.prefill,
        decode=parts.decode,
        links=parts.links,
        sources=parts.sources,
        entry=name_or_path if entry is None else entry,
    )


def read_workload_content(spec: str, folder: Path) -> Workload:
    """A family by name, or a workload or trace file with options of its format: ``t.jsonl,time_unit=s``.

    Raises
    ------
    InputError
        When it is neither, or the file is not right.

    Warns
    -----
    InputWarning
        For what a trace's importer leaves out or changes.
    """
    from hexsched.model.workload import workload_bytes
    from hexsched.workloads.families import FAMILIES
    from hexsched.workloads.importers import split_spec
    from hexsched.workloads.source import names_a_family, read_workflows

    if names_a_family(spec, folder):
        return Workload(FAMILIES.find(spec).name, entry=spec)
    name, options = split_spec(spec)
    path = folder / name
    imported = read_workflows(path, options.pop("format", None), options=options)
    called = ",".join([path.name.partition(".")[0], *(f"{key}={value}" for key, value in options.items())])
    return Workload(called, workload_bytes(imported.workflows), spec)


def matching_files(spec: str, folder: Path) -> list[str]:
    """What a workload entry stands for: itself, or the files that its pattern matches, each with the entry's options.

    Raises
    ------
    InputError
        When nothing matches.
    """
    from hexsched.workloads.importers import split_spec

    pattern, _ = split_spec(spec)
    if not glob.has_magic(pattern) or (folder / pattern).exists():
        return [spec]
    found = sorted(glob.glob(pattern, root_dir=folder, recursive=True))
    if not found:
        raise InputError(f"no file matches {pattern!r} in {folder.absolute()}")
    return [name + spec[len(pattern) :] for name in found]


def sha256(data: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(data).hexdigest()
