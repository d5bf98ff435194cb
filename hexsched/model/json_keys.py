"""A key that comes twice in one JSON object: decoders take the last value without a word, here it is refused."""

from __future__ import annotations

import contextlib
import json
import json.decoder
import json.scanner
from typing import Any

import msgspec

from hexsched.errors import InputError


class _TwiceError(Exception):
    """An object has ``key`` twice."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.is_placed = False


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        seen: set[str] = set()
        raise _TwiceError(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]


_DECODER = json.JSONDecoder(object_pairs_hook=_once)
_OF_LONG_NUMBERS = json.JSONDecoder(object_pairs_hook=_once, parse_int=str)  # slower; digits without end stay text


def check_keys(data: bytes, where: str, value: object = None) -> None:
    """Refuse well-formed JSON in which an object has a key twice.

    Parameters
    ----------
    data : bytes
    where : str
        File, or file and line, for the message.
    value : object, optional
        What was decoded: where it encodes to the very same text, as files of ours do, there is nothing to look for.

    Raises
    ------
    InputError
        Naming the line of the object and the key.
    """
    if isinstance(value, msgspec.Struct) and _is_canonical(data, value):
        return
    text = data.decode()
    try:
        try:
            _DECODER.decode(text)
        except ValueError:  # Python reads no whole number of more than some thousand digits
            _OF_LONG_NUMBERS.decode(text)
    except _TwiceError as twice:
        line = f"line {_line_of(text)}: " if "\n" in text.strip() else ""
        raise InputError(f"{line}the key {twice.key!r} comes twice in one object", where) from None


def _is_canonical(data: bytes, value: msgspec.Struct) -> bool:
    encoded = msgspec.json.encode(value)
    stripped = data.rstrip()
    if len(encoded) == len(stripped):
        return encoded == stripped
    return b"\n" in stripped and msgspec.json.format(encoded, indent=1) == stripped


def _line_of(text: str) -> int:
    """Where the object at fault begins; once more through the text, in Python, which knows positions."""
    found = 1

    def parse_object(place: tuple[str, int], *more: Any) -> Any:
        nonlocal found
        start = place[1]
        try:
            return json.decoder.JSONObject(place, *more)  # type: ignore[attr-defined]
        except _TwiceError as twice:
            if not twice.is_placed:  # this is the innermost object
                twice.is_placed = True
                found = text.count("\n", 0, start) + 1
            raise

    decoder: Any = json.JSONDecoder(object_pairs_hook=_once, parse_int=str)
    decoder.parse_object = parse_object
    decoder.scan_once = json.scanner.py_make_scanner(decoder)  # type: ignore[attr-defined]
    with contextlib.suppress(_TwiceError):
        decoder.decode(text)
    return found
