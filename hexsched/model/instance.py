"""The instance: one cluster and one workload, everything explicit (model M33)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from hexsched.display import Summary, displayed
from hexsched.errors import InputError
from hexsched.model import quick_json
from hexsched.model.cluster import DecodeInstance, Link, Number, PrefillInstance, check_number
from hexsched.model.columns import (
    ColumnsBuilder,
    WorkloadColumns,
    columns_of,
    pieces,
    records,
    surely_valid,
    workflows_of,
)
from hexsched.model.context import find_oversize
from hexsched.model.durations import check_durations
from hexsched.model.file_kind import check_kind
from hexsched.model.files import decode_json, read_bytes, write_chunks
from hexsched.model.frames import calls_frame, workflows_frame
from hexsched.model.table_files import PARQUET_ENDING, is_parquet
from hexsched.model.workload import Workflow, check_unique_ids
from hexsched.plotting import Accessor

if TYPE_CHECKING:
    import pandas as pd

    Workflows = Sequence[Workflow]
else:
    Workflows = tuple[Workflow, ...]  # what a decoder makes

FORMAT = "hexsched-instance/1"
DECODE_MODELS = ("fluid", "fixed")


class ClosedLoop(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Load by sessions: the next workflow of the file arrives when one is complete (model M39).

    Attributes
    ----------
    sessions : int
        N, how many workflows are under way; the first N arrive at time 0.
    warm_up : int
        How many of the first workflows are no part of metrics.
    """

    sessions: int
    warm_up: int = 0

    def __post_init__(self) -> None:
        if self.sessions < 1:
            raise ValueError(f"sessions must be at least 1, got {self.sessions}")
        if self.warm_up < 0:
            raise ValueError(f"warm_up must be at least 0, got {self.warm_up}")


SOURCED = (
    *("kv_bytes_per_token", "prefill_coeffs", "decode_coeffs", "batch_curve", "fixed_iteration_time"),
    *("kv_capacity_tokens", "max_batch", "latency", "bandwidth"),
)


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where some numbers of an instance come from, for people; nothing is computed from it.

    Attributes
    ----------
    field : str
        The field that has the numbers; one of ``SOURCED``.
    of : tuple of str
        Ids of the instances whose field it is; empty for ``kv_bytes_per_token``. For ``latency`` and ``bandwidth`` ids
        of prefill and decode instances: it is of the links from each of the former to each of the latter.
    source : str
        In words: measured in which table, a roofline, a catalogue, given.
    """

    field: str
    of: tuple[str, ...] = ()
    source: str

    def __post_init__(self) -> None:
        if self.field not in SOURCED:
            raise ValueError(f"field must be one of {', '.join(SOURCED)}, got {self.field!r}")


@displayed
class Instance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, dict=True):
    """What is scheduled, and on what. Simulator, solvers and verifier all start from this.

    Attributes
    ----------
    format : str
        Always ``"hexsched-instance/1"``.
    decode_model : {"fluid", "fixed"}
        How a batch advances (model M15, M16).
    kv_bytes_per_token : number
        kappa.
    prefill : tuple of PrefillInstance
        At least one.
    decode : tuple of DecodeInstance
        At least one.
    links : tuple of Link
        Exactly one for each (prefill, decode) pair.
    workflows : sequence of Workflow
        At least one. A tuple, or ``Rows``, which equal one and are made when they are looked at.
    closed_loop : ClosedLoop or None
        Where it is given, arrivals follow from completions, and those of the workflows are 0.
    sources : tuple of Source
        Where the numbers come from, as far as is said.
    """

    format: str
    decode_model: str
    kv_bytes_per_token: Number
    prefill: tuple[PrefillInstance, ...]
    decode: tuple[DecodeInstance, ...]
    links: tuple[Link, ...]
    workflows: Workflows
    closed_loop: ClosedLoop | None = None
    sources: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"format must be {FORMAT!r}, got {self.format!r}")
        if self.decode_model not in DECODE_MODELS:
            raise ValueError(f"decode_model must be one of {', '.join(DECODE_MODELS)}, got {self.decode_model!r}")
        check_number("kv_bytes_per_token", self.kv_bytes_per_token)
        if not self.prefill:
            raise ValueError("the prefill pool is empty; it needs at least one instance")
        if not self.decode:
            raise ValueError("the decode pool is empty; it needs at least one instance")
        if not self.workflows:
            raise ValueError("there are no workflows; at least one is needed")
        names: set[str] = set()
        for machine in self.machines:
            if machine.id in names:
                raise ValueError(f"duplicate instance id {machine.id!r}")
            names.add(machine.id)
        for source in self.sources:
            for name in source.of:
                if name not in names:
                    raise ValueError(f"sources: {source.field} is of {name!r}, which is no instance")
        self._check_links()
        check_unique_ids(self.columns.workflow_id)
        if self.closed_loop is not None:
            self._check_closed_loop(self.closed_loop)
        columns, room = self.columns, max(machine.kv_capacity_tokens for machine in self.decode)
        if (columns.prompt + columns.output).max() > room:
            oversize = find_oversize(self.workflows, room)
            raise ValueError(f"{oversize.share} do not fit any KV cache: {oversize.reason}")
        check_durations(self.prefill, self.decode, self.links, self.kv_bytes_per_token, columns)

    def _check_closed_loop(self, closed: ClosedLoop) -> None:
        if closed.warm_up >= len(self.workflows):
            raise ValueError(
                f"closed_loop: warm_up must be less than the number of workflows ({len(self.workflows)}), "
                f"got {closed.warm_up}"
            )
        for w in np.flatnonzero(self.columns.arrival)[:1]:
            raise ValueError(
                f"closed_loop: arrivals follow from completions, so that of workflow {self.columns.workflow_id[w]!r} "
                f"must be 0, got {self.workflows[w].arrival}"
            )

    def _check_links(self) -> None:
        sources = {machine.id for machine in self.prefill}
        targets = {machine.id for machine in self.decode}
        seen: set[tuple[str, str]] = set()
        for link in self.links:
            if link.source not in sources:
                raise ValueError(f"a link starts at {link.source!r}, which is no prefill instance")
            if link.to not in targets:
                raise ValueError(f"a link ends at {link.to!r}, which is no decode instance")
            if (link.source, link.to) in seen:
                raise ValueError(f"duplicate link from {link.source!r} to {link.to!r}")
            seen.add((link.source, link.to))
        for prefill in self.prefill:
            for decode in self.decode:
                if (prefill.id, decode.id) not in seen:
                    raise ValueError(f"missing link from {prefill.id!r} to {decode.id!r}")

    @property
    def machines(self) -> tuple[PrefillInstance | DecodeInstance, ...]:
        """Both pools, prefill first."""
        return (*self.prefill, *self.decode)

    @cached_property
    def columns(self) -> WorkloadColumns:
        """The workflows as columns: what to use in place of them where there may be many."""
        return columns_of(self.workflows)

    @property
    def call_count(self) -> int:
        """Number of calls over all workflows."""
        return self.columns.calls

    def to_bytes(self) -> bytes:
        """Canonical JSON; ``Instance.from_bytes(x.to_bytes()).to_bytes() == x.to_bytes()``."""
        return b"".join(self.to_chunks())

    def to_chunks(self) -> Iterator[bytes]:
        """The same in pieces."""
        head = msgspec.json.format(self.head_bytes(), indent=1)
        before, mark, after = head.partition(b'\n "workflows": []')
        yield before + mark[:-1]
        separator = b""
        for first, last in pieces(len(self.columns.workflow_id)):
            rows = [quick_json.plain_workflow(*record) for record in records(self.columns, first, last)]
            text = msgspec.json.format(msgspec.json.encode(rows), indent=1)[1:-2]
            yield separator + text.replace(b"\n", b"\n ")  # a level deeper; in texts a new line is spelled \n
            separator = b","
        yield b"\n ]" + after + b"\n"

    def head_bytes(self) -> bytes:
        """JSON of everything but the workflows, of which there are none."""
        fields = {field.name: getattr(self, field.name) for field in msgspec.structs.fields(self) if field.required}
        fields |= {name: value for name in ("closed_loop", "sources") if (value := getattr(self, name))}
        return msgspec.json.encode({**fields, "workflows": []})

    def to_file(self, path: str | Path) -> Iterable[bytes]:
        """What a file of that name holds: Parquet where it ends so, else JSON."""
        if Path(path).suffix.lower() != PARQUET_ENDING:
            return self.to_chunks()
        from hexsched.model.columnar import instance_bytes

        return (instance_bytes(self),)

    @staticmethod
    def from_bytes(data: bytes, where: str = "instance") -> Instance:
        """Parse and validate; raises ``InputError`` naming ``where`` and the field."""
        try:
            return _read_quickly(data)
        except quick_json.InDoubtError:
            return decode_json(data, Instance, where)

    @property
    def plot(self) -> Accessor:
        """Its plots: ``instance.plot.NAME(ax=None)``; ``instance.plot`` itself lists them."""
        return Accessor(self)

    def save(self, path: str | Path) -> None:
        """Write the instance as a file that ``hexsched.instance(path)`` and the command line read."""
        write_instance(path, self)

    def to_frame(self) -> pd.DataFrame:
        """A row a workflow: id, arrival (seconds), number of calls, tokens of all prompts and outputs together."""
        return workflows_frame(self.workflows)

    def calls_to_frame(self) -> pd.DataFrame:
        """A row a call: the id of its workflow, then the fields of ``Call``."""
        return calls_frame(self.workflows)

    def _summary(self) -> Summary:
        loop = self.closed_loop
        facts = {
            "workflows": len(self.workflows),
            "calls": self.call_count,
            "prefill": _counted(self.prefill),
            "decode": _counted(self.decode),
            "decode model": self.decode_model,
            "last arrival s": None if loop is not None else float(self.columns.arrival.max()),
            "closed loop": None if loop is None else f"{loop.sessions:,} sessions, warm-up of {loop.warm_up:,}",
        }
        return Summary(facts=facts)


def _counted(machines: Sequence[PrefillInstance | DecodeInstance]) -> str:
    """``"4 x A100 + 4 x H100"``."""
    gpus = Counter(machine.gpu for machine in machines)
    return " + ".join(f"{count:,} x {gpu}" for gpu, count in gpus.items())


def as_instance(given: Instance | str | Path) -> Instance:
    """The instance that is meant: as it is, or the path of its file; raises ``InputError`` for anything else."""
    if isinstance(given, Instance):
        return given
    if isinstance(given, str | Path):
        return read_instance(given)
    raise InputError(
        f"expected an instance, made by hexsched.instance(cluster, workload), or the path of its file; "
        f"this is {type(given).__name__} {given!r:.40}"
    )


def read_instance(path: str | Path) -> Instance:
    """Read an instance file; raises ``InputError`` naming file and field."""
    check_kind(path, "instance")
    if is_parquet(path):
        from hexsched.model.columnar import read_instance_table

        return read_instance_table(path)
    return Instance.from_bytes(read_bytes(path), str(path))


def write_instance(path: str | Path, instance: Instance) -> None:
    """Write an instance file in canonical form: Parquet where its name ends so, else JSON."""
    write_chunks(path, instance.to_file(path))


HEAD = quick_json.head_of(Instance, "workflows")


def _read_quickly(data: bytes) -> Instance:
    """An instance in which nothing is wrong, and every workflow and call spelled as we spell them."""
    head, texts = quick_json.read_head(data, HEAD, "workflows")
    builder = ColumnsBuilder()
    try:
        for workflows in quick_json.read_rows(texts, quick_json.PlainWorkflow):
            builder.add(workflows)
        return instance_of(head, builder.columns())
    except (KeyError, OverflowError, ValueError):
        raise quick_json.InDoubtError from None


def instance_of(head: dict[str, Any], columns: WorkloadColumns) -> Instance:
    """The instance of columns and everything else; raises ``ValueError`` for what breaks a rule."""
    if not surely_valid(columns):
        raise ValueError("the workload is in doubt")
    return Instance(**head, workflows=workflows_of(columns))
