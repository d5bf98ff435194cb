"""An earlier bracket of the same instance, from which to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from hexsched.errors import InputError
from hexsched.model import Schedule, read_schedule
from hexsched.model.file_kind import check_kind
from hexsched.model.files import decode_json, read_bytes
from solvers.problem.prices import KeptPrices


class Earlier(NamedTuple):
    """What is known from before.

    Attributes
    ----------
    source : str
        Where it is from, for people.
    objective : str
    lower_bound : float
        As it was recorded: it is not proved again.
    bound_source : str
    schedule : Schedule or None
        What had the upper bound, where it was kept; it is verified anew.
    upper_source : str
        Where that schedule came from.
    prices : KeptPrices or None
        What they prove is proved anew.
    """

    source: str
    objective: str
    lower_bound: float
    bound_source: str
    schedule: Schedule | None = None
    upper_source: str = ""
    prices: KeptPrices | None = None


class _Provenance(msgspec.Struct):
    inputs: dict[str, str]


class _Record(msgspec.Struct):
    """The keys of what 'hexsched gap --json' prints that are of use here."""

    instance: str
    objective: str
    lower_bound: Annotated[float, msgspec.Meta(ge=0)]
    bound_source: str
    upper_source: str
    provenance: _Provenance
    schedule: str | None = None
    prices: KeptPrices | None = None


def read_earlier(path: str | Path, instance_sha256: str) -> Earlier:
    """Read what 'hexsched gap --json' printed, and the schedule that it wrote beside.

    Parameters
    ----------
    path : str or Path
    instance_sha256 : str
        Of the instance file that is bracketed now: bounds of another one say nothing of it.

    Raises
    ------
    InputError
        For a file that is no such record, one of another instance, and one whose schedule cannot be read.
    """
    check_kind(path, "bracket")
    record = decode_json(read_bytes(path), _Record, str(path))
    digest = record.provenance.inputs.get(record.instance)
    if digest != instance_sha256:
        was = f"SHA-256 {digest[:12]}…" if digest else "no SHA-256 recorded"
        what = f"a bracket of another instance ({record.instance}, {was}; this one has {instance_sha256[:12]}…)"
        raise InputError(f"{what}; expected what 'hexsched gap --json' printed for this very file", path)
    schedule = None if record.schedule is None else read_schedule(_beside(path, record.schedule))
    return Earlier(
        str(path),
        record.objective,
        record.lower_bound,
        record.bound_source,
        schedule,
        record.upper_source,
        record.prices,
    )


def _beside(path: str | Path, schedule: str) -> Path:
    """The schedule's file as it is recorded; where the two were moved together, next to the record."""
    recorded = Path(schedule)
    moved = Path(path).parent / recorded.name
    return moved if not recorded.exists() and moved.exists() else recorded
