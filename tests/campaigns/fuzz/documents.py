"""Documents of mappings, lists and scalars with something in them changed."""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import Any

import msgspec
import yaml

from campaigns.fuzz import texts
from campaigns.fuzz.values import NUMBERS, TEXTS, again, copied, dump, near, scalar

DEEPEST = 3000  # of nesting that is made
MOST = 20_000  # bytes that a repetition may add up to


def bend(document: Any, rng: Random, words: list[str], donor: Any) -> Any:
    """The document with one thing changed; it is changed in place where it can be."""
    root = [document]
    holder, key = _place(root, rng)
    value = holder[key]
    kind = rng.randrange(16)
    if kind < 4:
        holder[key] = near(value, rng) if type(value) in (int, float) and rng.random() < 0.6 else scalar(rng, words)
    elif kind == 4:
        if holder is not root:
            del holder[key]
    elif kind == 5:
        if isinstance(holder, dict):
            holder[again(key, rng)] = value if rng.random() < 0.5 else scalar(rng, words)
        elif holder is not root:
            holder.insert(rng.randrange(len(holder) + 1), copied(value))
    elif kind == 6:
        if isinstance(holder, dict):
            del holder[key]
            holder[_renamed(key, rng, words)] = value
        elif holder is not root:
            rng.shuffle(holder)
    elif kind < 9:  # what stands elsewhere
        other, at = _place([donor] if donor is not None and rng.random() < 0.5 else root, rng, key)
        taken = copied(other[at])
        holder[key] = taken
    elif kind == 9:
        other, at = _place(root, rng)
        first, second = copied(holder[key]), copied(other[at])
        holder[key] = second
        if other is not holder or at != key:
            other[at] = first if not isinstance(other, list) or at < len(other) else None
    elif kind == 10:
        holder[key] = _nested(value, rng)
    elif kind == 11:
        if isinstance(value, str):
            holder[key] = texts.bend(value, rng, words)
        elif isinstance(value, dict):
            value[rng.choice(words) if words and rng.random() < 0.7 else rng.choice(TEXTS)] = scalar(rng, words)
        elif isinstance(value, list):
            value.insert(rng.randrange(len(value) + 1), scalar(rng, words))
        else:
            holder[key] = str(value)
    elif kind == 12:
        if isinstance(value, list) and value:
            one, size = rng.choice(value), 1 + len(msgspec.json.encode(value))
            value += [copied(one) for _ in range(min(rng.choice((1, 2, 8, 64, 1000)), MOST // size))]
        elif isinstance(value, (list, dict)):
            value.clear()
        else:
            holder[key] = [value] if rng.random() < 0.5 else {"value": value}
    elif kind == 13:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            holder[key] = near(value, rng)
        elif isinstance(holder, list) and holder is not root and len(holder) > 1:
            at = rng.randrange(len(holder))
            holder[key], holder[at] = holder[at], holder[key]
        else:
            holder[key] = None
    elif kind == 14:
        for _ in range(3):
            holder, key = _place(root, rng)
            if type(holder[key]) in (int, float):
                holder[key] = rng.choice(NUMBERS)
    elif isinstance(holder, list) and holder is not root:
        holder[key] = copied(rng.choice(holder))
    else:
        holder[key] = rng.choice(TEXTS)
    return root[0]


def _place(root: Any, rng: Random, wanted: Any = None) -> tuple[Any, Any]:
    """A mapping or list of the document and a key of it; under the ``wanted`` key if that comes by."""
    holder, key = root, 0
    while True:
        node = holder[key]
        if not isinstance(node, (dict, list)) or not node or (holder is not root and rng.random() < 0.12):
            return holder, key
        holder = node
        if isinstance(node, dict):
            if wanted in node:
                return node, wanted
            key = rng.choice(list(node))
        else:
            key = rng.randrange(len(node))


def _renamed(key: str, rng: Random, words: list[str]) -> str:
    kind = rng.randrange(4)
    if kind == 0:
        return key.upper()
    if kind == 1 and words:
        return rng.choice(words)
    return texts.bend(key, rng, words)


def _nested(value: Any, rng: Random) -> Any:
    for _ in range(rng.choice((1, 1, 2, 5, 60, DEEPEST))):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def json_document(data: bytes, donor: bytes, rng: Random, words: list[str]) -> bytes:
    """A JSON document, changed at some places; plain text where it is none."""
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return texts.bend_bytes(data, donor, rng, words)
    try:
        other = msgspec.json.decode(donor)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        other = None
    try:
        for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
            document = bend(document, rng, words, other)
        written = dump(document)
        return msgspec.json.format(written, indent=1) if rng.random() < 0.1 else written
    except (RecursionError, ValueError, OverflowError, msgspec.MsgspecError):
        return texts.bend_bytes(data, donor, rng, words)


def json_lines(data: bytes, donor: bytes, rng: Random, words: list[str]) -> bytes:
    """Lines of JSON: one of them changed, or lines left out, doubled, moved, taken from elsewhere."""
    lines = data.split(b"\n")
    kind = rng.randrange(10)
    others = donor.split(b"\n")
    at = rng.randrange(len(lines))
    if kind < 6:
        lines[at] = json_document(lines[at], rng.choice(others), rng, words)
    elif kind == 6:
        del lines[at]
    elif kind == 7:
        lines.insert(at, rng.choice(others))
    elif kind == 8:
        lines[at : at + 1] = [lines[at]] * min(rng.choice((2, 3, 20, 500)), 1 + MOST // (1 + len(lines[at])))
    else:
        rng.shuffle(lines)
    return b"\n".join(lines)


def yaml_document(data: bytes, donor: bytes, rng: Random, words: list[str]) -> bytes:
    """A YAML document: changed as data and written as JSON or in blocks, or changed as text."""
    if rng.random() < 0.35:
        return texts.bend_bytes(data, donor, rng, words + YAML_WORDS)
    try:
        document, other = (msgspec.json.decode(_as_json(text)) for text in (data, donor))
        for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
            document = bend(document, rng, words, other)
        if rng.random() < 0.8:
            return dump(document)
        return yaml.dump(document, Dumper=_DUMPER, allow_unicode=True).encode("utf-8", "surrogatepass")
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, AttributeError, msgspec.MsgspecError):
        return texts.bend_bytes(data, donor, rng, words + YAML_WORDS)


@lru_cache(maxsize=1024)  # reading YAML takes ten times as long as changing it
def _as_json(data: bytes) -> bytes:
    return msgspec.json.encode(yaml.load(data, _LOADER))


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
YAML_WORDS = [
    *("&a ", "*a", "<<: *a", "!!python/object/apply:os.system", "!!binary ", "!!set ", "!a ", "? ", "| ", "> ", "- "),
    *("---\n", "...\n", "%YAML 1.2\n", "%TAG ! tag:a,2000:\n", "#", "\t", "\n", "\n  ", ": ", "{", "}", "[", "]", ","),
    *(
        "'",
        '"',
        '"\\x00"',
        '"\\ud800"',
        ".inf",
        ".nan",
        "0x10",
        "0o7",
        "1e400",
        "~",
        "=",
        "@",
        "`",
        "1:30",
        "2001-01-01",
    ),
]
