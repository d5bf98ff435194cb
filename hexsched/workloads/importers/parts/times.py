"""Times as traces write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Literal

from msgspec import Meta

from hexsched.errors import InputError
from hexsched.workloads.importers.parts.records import number

Unit = Literal["s", "ms", "us", "ns"]
MOST_DIGITS = 20  # of a whole number of nanoseconds since 1970 that is a time; Python is slow with thousands
LATEST = 2**63 - 1  # of whole times: the year 2262 in nanoseconds
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

# A whole number stays one, so that nanoseconds since 1970 lose nothing before the start is taken off.
Time = Annotated[int, Meta(ge=0, le=LATEST)] | float

_WALL_CLOCK = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?)(?:(?<=:\d\d:\d\d)[.,](\d{1,9}))?\s?(Z|UTC|[+-]\d\d:?\d\d)?",
    flags=re.ASCII,
)


class Clock:
    """Turns the times of a trace into seconds since its first one.

    Times are subtracted before they are divided: seconds since 1970 in a double are only good to 0.2 microseconds.

    Parameters
    ----------
    unit : {"s", "ms", "us", "ns"}
        Of the times.
    """

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self._per_second = PER_SECOND[unit]
        self._start: float | None = None

    def seconds(self, time: float) -> float:
        """Seconds from the first time that was asked for to this one."""
        if self._start is None:
            self._start = time
        return (time - self._start) / self._per_second

    def span(self, duration: float) -> float:
        """A duration in seconds."""
        return duration / self._per_second


def time_number(text: str, column: str, where: str) -> float:
    """A time >= 0 in a cell; a whole number stays one."""
    if len(text) <= MOST_DIGITS and text.isdecimal() and text.isascii():
        return int(text)
    return number(text, column, where)


def nanoseconds(text: str, field: str, where: str) -> int:
    """Nanoseconds since 1970 of a wall-clock time, UTC unless it says otherwise.

    The second may be missing; behind it there are up to nine digits.

    Raises
    ------
    InputError
        Naming the field.
    """
    text = text.strip()
    whole, fraction = text[:19], text[20:]
    if len(text) > 20 and text[19] in ".," and fraction.isdecimal() and fraction.isascii() and len(fraction) < 10:
        seconds = _second(whole)
        if seconds is not None:
            return seconds * 10**9 + int(fraction.ljust(9, "0"))
    match = _WALL_CLOCK.fullmatch(text)
    if match is None:
        raise no_time(text, field, where)
    day, clock, fraction, zone = match.groups()
    zone = zone if zone and zone != "UTC" else "+00:00"
    return _since_1970(f"{day}T{clock}{zone}", text, field, where) + int((fraction or "0").ljust(9, "0"))


@lru_cache(maxsize=256)
def _second(text: str) -> int | None:
    """Seconds since 1970 of a time to the second, in UTC, as most rows have it; None for what is none."""
    match = _WALL_CLOCK.fullmatch(text)
    if match is None or match[3] or match[4]:
        return None
    try:
        return int(datetime.fromisoformat(f"{match[1]}T{match[2]}+00:00").timestamp())
    except ValueError:
        return None


def _since_1970(moment: str, text: str, field: str, where: str) -> int:
    try:
        since = datetime.fromisoformat(moment) - datetime(1970, 1, 1, tzinfo=UTC)
    except ValueError:
        raise no_time(text, field, where) from None
    return (since.days * 86_400 + since.seconds) * 10**9


def no_time(text: str, field: str, where: str) -> InputError:
    """That a text is not one of the times that are taken."""
    forms = "the year first, such as 2023-11-16 18:15, 2023-11-16 18:15:46.6805900 or 2023-11-16T18:15:46Z"
    return InputError(f"{field}: expected a time with {forms}, got {text[:40]!r}", where)
