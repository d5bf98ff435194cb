"""What every trace importer is, and what it hands back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar, Generic, NamedTuple, TypeVar

import msgspec

from hexsched.errors import InputError
from hexsched.model import Call, Workflow
from hexsched.model.files import validation_message
from hexsched.model.workload import check_unique_ids
from hexsched.workloads.importers.parts.head import Head


class ImportOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of an importer: here none; an importer with options subclasses this."""


OptionsT = TypeVar("OptionsT", bound=ImportOptions)


class ImportResult(msgspec.Struct, frozen=True, kw_only=True):
    """Workflows and what was left out on the way.

    Attributes
    ----------
    format : str
        Name of the importer.
    workflows : tuple of Workflow
        By arrival (stable), the first at 0.
    dropped : dict
        Reason to number of requests left out, such as ``{"zero output tokens": 12}``.
    """

    format: str
    workflows: tuple[Workflow, ...]
    dropped: dict[str, int]


class Arrival(NamedTuple):
    """A workflow (``arrival`` still 0) and when it arrived, seconds on the trace's own clock."""

    at: float
    workflow: Workflow


class Importer(ABC, Generic[OptionsT]):
    """One trace format.

    A new format is a subclass with ``name``, ``summary``, ``options_type``, ``sample``, ``sniff`` and
    ``arrivals``, and an instance of it as ``IMPORTER`` of its module; the contract test then covers it.

    Attributes
    ----------
    name, summary : str
    options_type : type of ImportOptions
    sample : str
        The text of a tiny file of this format, and of no other: two workflows or more.
    rank : int
        Formats are listed by rank, then by name.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    options_type: type[OptionsT]
    sample: ClassVar[str]
    rank: ClassVar[int] = 100

    @abstractmethod
    def sniff(self, head: Head) -> bool:
        """Whether a file that starts like this is of this format."""

    @abstractmethod
    def arrivals(self, path: Path, options: OptionsT, dropped: Counter[str]) -> Iterator[Arrival]:
        """Yield the workflows in file order, counting the requests left out in ``dropped``."""

    def arrange(self, arrivals: list[Arrival], options: OptionsT) -> list[Arrival]:
        """Sort by arrival (stable) and move the first to 0."""
        start = min(item.at for item in arrivals)
        return sorted((Arrival(item.at - start, item.workflow) for item in arrivals), key=lambda item: item.at)

    def read(self, path: str | Path, limit: int | None = None, **options: object) -> ImportResult:
        """Read a trace.

        Parameters
        ----------
        path : str or Path
        limit : int, optional
            At most this many workflows, the first in file order; reading stops there.
        **options
            Of the format; numbers and booleans may be given as text.

        Raises
        ------
        InputError
            Naming file, line and field.
        """
        if limit is not None and limit < 1:
            raise InputError(f"limit must be at least 1, got {limit}")
        settings = self._options(options)
        dropped: Counter[str] = Counter()
        arrivals = list(islice(self.arrivals(Path(path), settings, dropped), limit))
        if not arrivals:
            left_out = f" ({', '.join(f'{n} with {why}' for why, n in dropped.items())})" if dropped else ""
            raise InputError(f"no usable request in this {self.name} trace{left_out}", path)
        try:
            workflows = tuple(
                msgspec.structs.replace(item.workflow, arrival=item.at) for item in self.arrange(arrivals, settings)
            )
            check_unique_ids(workflows)
        except ValueError as error:
            raise InputError(str(error), path) from None
        return ImportResult(format=self.name, workflows=workflows, dropped=dict(dropped))

    def _options(self, options: dict[str, object]) -> OptionsT:
        try:
            return msgspec.convert(options, type=self.options_type, strict=False)
        except msgspec.ValidationError as error:
            names = ", ".join(self.options_type.__struct_fields__) or "none"
            raise InputError(
                f"{validation_message(error)}; the options of format {self.name} are: {names}", "import options"
            ) from None


def single_call(workflow_id: str, prompt: int, output: int, cached: int, kind: str, where: str) -> Workflow:
    """A workflow of one request."""
    try:
        call = Call(call_id="c0", prompt_tokens=prompt, output_tokens=output, cached_tokens=cached, kind=kind)
        return Workflow(workflow_id=workflow_id, arrival=0.0, calls=(call,))
    except ValueError as error:
        raise InputError(str(error), where) from None


def is_empty(prompt: int, output: int, dropped: Counter[str]) -> bool:
    """Whether a request has no tokens to prefill or none to decode; if so it is counted in ``dropped``."""
    if prompt > 0 and output > 0:
        return False
    dropped["zero prompt tokens" if prompt == 0 else "zero output tokens"] += 1
    return True
