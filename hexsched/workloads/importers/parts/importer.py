"""What every trace importer is, and what it hands back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, ClassVar, Generic, TypeVar

import msgspec
from msgspec import Meta

from hexsched.errors import InputError
from hexsched.model import Workflow
from hexsched.model.files import HALF_A_PAIR, validation_message
from hexsched.model.workload import MAX_TOKENS
from hexsched.workloads.importers.parts.arrival import Arrival, cut_delays, within_context
from hexsched.workloads.importers.parts.head import Head, Signature
from hexsched.workloads.importers.parts.plausibility import watch
from hexsched.workloads.importers.parts.trace import Trace, open_trace_files


class ImportOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options that every importer has; an importer with more subclasses this.

    Attributes
    ----------
    max_context : int, optional
        Leave out the workflows that have a call of more than so many tokens, prompt and output together.
    max_idle : float, optional
        Cut longer delays of calls to this, seconds.
    skip_invalid : bool
        Leave out what is invalid (a line, a file of a folder), and count it, instead of stopping at it.
    estimate_service : bool
        Where a trace has only the times at which requests of a session were sent, take an estimate of what the request
        before took off the time between them; false leaves all of it as the delay.
    """

    max_context: Annotated[int, Meta(ge=1, le=2 * MAX_TOKENS)] | None = None
    max_idle: Annotated[float, Meta(ge=0)] | None = None
    skip_invalid: bool = False
    estimate_service: bool = True


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
    notes : tuple of str
        What else was noticed: arrivals that were moved, delays that were cut, prompts that shrink.
    """

    format: str
    workflows: tuple[Workflow, ...]
    dropped: dict[str, int]
    notes: tuple[str, ...] = ()


class Importer(ABC, Generic[OptionsT]):
    """One trace format.

    A new format is a subclass with ``name``, ``summary``, ``options_type``, ``sample``, ``signature`` (or ``sniff``)
    and ``arrivals``, and an instance of it as ``IMPORTER`` of its module; the contract test then covers it.

    Attributes
    ----------
    name, summary : str
    options_type : type of ImportOptions
    sample : str
        The text of a tiny file of this format, and of no other: two workflows or more.
    signature : Signature
        The fields that the format is told by.
    rank : int
        Formats are listed by rank, then by name.
    fallback : bool
        Whether it is looked at only where no other format fits.
    numbered : bool
        Whether workflows are named after their place in the file, so that no two can have one name.
    doubted : bool
        Whether it is said when its numbers make no sense as seconds and tokens; not of our own format, which has them.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    options_type: type[OptionsT]
    sample: ClassVar[str]
    signature: ClassVar[Signature] = Signature(())
    rank: ClassVar[int] = 100
    fallback: ClassVar[bool] = False
    numbered: ClassVar[bool] = False
    doubted: ClassVar[bool] = True

    def sniff(self, head: Head) -> bool:
        """Whether a file that starts like this is of this format."""
        return self.signature.fits(head)

    @abstractmethod
    def arrivals(self, trace: Trace, options: OptionsT) -> Iterator[Arrival]:
        """Yield the workflows as they are read, leaving word with ``trace`` of what was left out or changed."""

    def open(self, path: str | Path, limit: int | None = None, **options: object) -> Reading:
        """A trace to be read workflow by workflow; see ``read``."""
        if limit is not None and limit < 1:
            raise InputError(f"limit must be at least 1, got {limit}")
        settings = self._options(options)
        trace = open_trace_files(path)
        # Which workflows a context is too long for is known only when they are read: more may have to begin.
        trace.limit = limit if settings.max_context is None else None
        trace.skip_invalid = settings.skip_invalid
        trace.estimate_service = settings.estimate_service
        return Reading(self.name, trace, self._checked(trace, settings, limit))

    def read(self, path: str | Path, limit: int | None = None, **options: object) -> ImportResult:
        """Read a trace.

        Parameters
        ----------
        path : str or Path
            A file, packed or not, or a folder of them.
        limit : int, optional
            At most this many workflows, the first in file order of those that options do not leave out; reading stops
            there.
        **options
            Of the format; numbers and booleans may be given as text.

        Raises
        ------
        InputError
            Naming file, line and field.
        """
        return self.open(path, limit, **options).collect()

    def _checked(self, trace: Trace, options: OptionsT, limit: int | None) -> Iterator[Arrival]:
        """The arrivals, at least one, without those that the options leave out, and all of different names."""
        seen: set[str] = set()
        usable = False
        taken: Iterable[Arrival] = self.arrivals(trace, options)
        if options.max_idle is not None:
            taken = cut_delays(taken, options.max_idle, trace)
        if options.max_context is not None:
            taken = within_context(taken, options.max_context, trace)
        if self.doubted:
            taken = watch(taken, trace)
        numbered = self.numbered
        for item in islice(taken, limit):
            if not numbered:
                name = item.workflow.workflow_id
                if name in seen:
                    raise InputError(f"duplicate workflow_id {name!r}", trace.path)
                seen.add(name)
            usable = True
            yield item
        invalid = [f"{n:,} invalid {what}, the first: {trace.first_invalid}" for what, n in trace.invalid.items()]
        trace.finish()
        if not usable:
            left_out = ", ".join([*(f"{n:,} with {why}" for why, n in trace.dropped.items()), *invalid])
            raise InputError(
                f"no usable request in this {self.name} trace{f' ({left_out})' if left_out else ''}", trace.path
            )

    def _options(self, options: dict[str, object]) -> OptionsT:
        try:
            return msgspec.convert(options, type=self.options_type, strict=False)
        except msgspec.ValidationError as error:
            names = ", ".join(self.options_type.__struct_fields__) or "none"
            raise InputError(
                f"{validation_message(error)}; the options of format {self.name} are: {names}", "import options"
            ) from None
        except UnicodeEncodeError:
            raise InputError(HALF_A_PAIR, "import options") from None


@dataclass(frozen=True)
class Reading:
    """A trace that is being read.

    Attributes
    ----------
    format : str
        Name of the importer.
    trace : Trace
        What was left out and noticed; complete when ``arrivals`` are through.
    arrivals : iterator of Arrival
        In the order in which they are read.
    """

    format: str
    trace: Trace
    arrivals: Iterator[Arrival]

    def collect(self) -> ImportResult:
        """Read to the end: the workflows by arrival. Raises ``InputError`` naming file, line and field."""
        arrivals = sorted(self.arrivals, key=lambda item: item.at)
        try:
            workflows = tuple(
                msgspec.structs.replace(item.workflow, arrival=item.at - arrivals[0].at) for item in arrivals
            )
        except ValueError as error:
            raise InputError(str(error), self.trace.path) from None
        return ImportResult(
            format=self.format,
            workflows=workflows,
            dropped=dict(self.trace.dropped),
            notes=tuple(self.trace.notes),
        )
