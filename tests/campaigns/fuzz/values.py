"""Values that are out to break things, and JSON that says more than a decoder's output can."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import msgspec


def raw(text: str) -> str:
    """What stands in JSON as it is: numbers that no double holds, half of a surrogate pair, a key that comes twice."""
    return f"\u27e6{text}\u27e7"


_RAW = re.compile('"\u27e6([^\u27e7]*)\u27e7"'.encode())
_AGAIN = re.compile('\u27e6[0-9]*\u27e7(?=")'.encode())
_MARK = "\u27e6".encode()

NUMBERS: tuple[Any, ...] = (
    *(0, 1, 2, 3, 7, 100, 128, 1000, 4096, 65536, 10**6, 10**9, 10**9 + 1, 2**31, 2**50, 2**53, 2**53 + 1, 2**63 - 1),
    *(-1, -2, -(2**31), -(2**63), 2**63, 2**64 - 1),
    *(0.5, 0.1, 1.5, 1e-3, 1e-6, 1e-9, 1e-12, 1e-15, 1e-300, 5e-324, 1e3, 1e6, 1e9, 1e12, 1e15, 1e16, 1e18, 1e19),
    *(1e100, 1e308, -0.0, -1.5, -1e-9, -1e308, 1000.0, 0.95, 1700000000, 1700000000000, 1.7e18),
)
RAW_NUMBERS = ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" + "0" * 400, "1" * 5000, "18446744073709551616",
               "-0", "1E5", "01", "1.", ".5", "+1", "0x10", "1_000")  # fmt: skip
TEXTS = (
    *("", " ", "0", "1", "-1", "1.5", "nan", "inf", "-inf", "1e400", "null", "true", "false", "none", "~", "yes", "\t"),
    *("a\0b", "\x1b[31m", "\r\n", "\ufeff", "\u202e", "é", "\U0001f600", "１２", "٣", "²", "İ", "ﬁ", "ß", "=1+1"),
    *("%s%n", "{0}", "${HOME}", "../..", "/", ".", "..", "a" * 300, "1" * 400, "$", "\\", '"', "'", ",", ";", ":"),
    *("2024-01-01", "2024-01-01T00:00:00Z", "2024-02-30 25:61:61", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z"),
    *("2023-11-16 18:17:03.9799600", "1970-01-01T00:00:00.000000001", "1e3", "0x1F", "1_0", "٣.٥", "w0", "c0", "c1"),
)
RAW_TEXTS = (raw('"\\ud800"'), raw('"\\udc00x"'), raw('"\\u0000"'), raw('"\\x"'), raw("'a'"), raw("undefined"))


def scalar(rng: Random, words: list[str]) -> Any:
    """A value for any place."""
    kind = rng.randrange(12)
    if kind < 4:
        return rng.choice(NUMBERS)
    if kind < 5:
        return raw(rng.choice(RAW_NUMBERS))
    if kind < 7:
        return rng.choice(TEXTS)
    if kind < 9 and words:
        return rng.choice(words)
    if kind == 9:
        return rng.choice((None, True, False))
    if kind == 10:
        return rng.choice(((), {}, [[]], [{}], {"": None}, [None], [0], RAW_TEXTS[rng.randrange(len(RAW_TEXTS))]))
    return near(rng.choice(NUMBERS), rng)


def near(number: Any, rng: Random) -> Any:
    """A number that has to do with this one."""
    kind = rng.randrange(8)
    if kind == 0:
        return -number
    if kind == 1:
        return float(number)
    if kind == 2:
        return str(number)
    if kind == 3:
        return _kept(number + rng.choice((1, -1)))
    if kind == 4:
        return _kept(number * rng.choice((2, 10, 1000, 0.5, 0.001, 1e6, 1e-6, 1e12)))
    if kind == 5:
        return number + rng.random()
    if kind == 6:
        return rng.randrange(0, 64)
    return rng.choice(NUMBERS)


def _kept(number: Any) -> Any:
    """The number, as msgspec can write it: a whole one has 64 bits."""
    return number if isinstance(number, float) or -(2**63) <= number < 2**64 else raw(str(number))


def again(key: str, rng: Random) -> str:
    """A key that is written as this one is, and is another one until then."""
    return f"{key}\u27e6{rng.randrange(100)}\u27e7"


def dump(value: Any) -> bytes:
    """JSON, with what is ``raw`` as it is."""
    data = msgspec.json.encode(value)
    if _MARK in data:
        data = _AGAIN.sub(b"", _RAW.sub(lambda found: found[1].replace(b'\\"', b'"').replace(b"\\\\", b"\\"), data))
    return data


def copied(value: Any) -> Any:
    """A copy that shares nothing."""
    return msgspec.json.decode(msgspec.json.encode(value))
