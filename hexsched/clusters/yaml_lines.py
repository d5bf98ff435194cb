"""YAML with the line of every key kept, so that an error can name it.

Plain scalars follow YAML 1.2's core schema: ``25e9`` is a number, ``no`` and ``2024-01-01`` are text. PyYAML's own
rules are YAML 1.1's, which make them text, a boolean and a date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec
import msgspec.inspect
import yaml

from hexsched.errors import InputError
from hexsched.model.files import validation_message
from hexsched.registry import choices

KeyPath = tuple[str | int, ...]

MAX_BYTES = 2**18  # PyYAML without its C library takes seconds for it, and no cluster comes near
MAX_DEPTH = 50

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where PyYAML was built without the library: in Python

_NO_TEXT = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # control characters, halves of surrogate pairs
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
}


@dataclass(frozen=True)
class Document:
    """A parsed YAML file.

    Attributes
    ----------
    data : object
        Mappings, sequences and scalars as dicts, lists and Python values.
    lines : dict
        Line (from 1) of the node at each path, such as ``("prefill", 0, "gpu")``; that of its key inside a mapping. 0
        for what stands in no file.
    file : str
        For messages.
    """

    data: object
    lines: dict[KeyPath, int]
    file: str

    def where(self, path: KeyPath, message: str = "") -> str:
        """``"file:line"`` of the node at ``path``, or of the nearest one around it.

        Where the node is a mapping and ``message`` speaks of one of its keys, it is that key's line.
        """
        while path not in self.lines:
            path = path[:-1]
        spoken_of = ((*path, word) for word in re.findall(r"\w+", message))
        path = next((key for key in spoken_of if key in self.lines), path)
        return f"{self.file}:{self.lines[path]}" if self.lines[path] else self.file

    def input_error(self, error: msgspec.ValidationError, kind: type) -> InputError:
        """The ``InputError`` for what msgspec found in ``data`` as ``kind``, with the line of the key at fault."""
        message = validation_message(error)
        place = str(error).rpartition(" - at `$")[2].rstrip("`") if " - at `$" in str(error) else ""
        path: KeyPath = tuple(int(index) if index else key for key, index in re.findall(r"(\w+)|\[(\d+)\]", place))
        unknown = re.search(r"contains unknown field '(.*)'", message)
        if unknown:
            message += _known_keys(kind, path, unknown[1])
        return InputError(message, self.where(path, message))


def read_yaml(text: str, file: str | Path) -> Document:
    """Parse one YAML document.

    Raises
    ------
    InputError
        Naming file and line: a syntax error, a duplicate key, a key that is no word, an alias, a second document.
    """
    if len(text) > MAX_BYTES:
        raise InputError(f"the file is larger than {MAX_BYTES // 1024} KiB, which no cluster file is", file)
    try:
        _check_depth(text, str(file))
        root = yaml.compose(text, Loader=_LOADER)
        if root is None:
            raise InputError("the file is empty", file)
        walk = _Walk(str(file))
        return Document(walk.child(root, (), root), walk.lines, str(file))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = str(file) if mark is None else f"{file}:{mark.line + 1}"
        reason = ", ".join(filter(None, (error.context, error.problem)))
        raise InputError(f"not valid YAML: {reason}", where) from None
    except yaml.YAMLError as error:
        raise InputError(f"not valid YAML: {error}", file) from None


def _check_depth(text: str, file: str) -> None:
    """Refuse deep nesting before anything recurses into it, and before PyYAML's quadratic scanner has seen it all."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            line = f":{event.start_mark.line + 1}" if event.start_mark else ""
            raise InputError(f"nested more than {MAX_DEPTH} deep", f"{file}{line}")


class _Walk:
    """Turns nodes into values, noting lines on the way."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[KeyPath, int] = {}
        self.seen: set[int] = set()

    def value(self, node: yaml.Node, path: KeyPath) -> object:
        if isinstance(node, yaml.ScalarNode):
            self.check_text(node)
            return _scalar(node)
        if id(node) in self.seen:
            # Nested aliases can grow a small file without bound, and a node can contain itself.
            raise self.error(node, "aliases (*name) of mappings and sequences are not supported; write them out")
        self.seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self.child(item, (*path, index), item) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.MappingNode)
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                raise self.error(key_node, "a key must be a word")
            self.check_text(key_node)
            if key in result:
                raise self.error(key_node, f"duplicate key {key!r}, first on line {self.lines[(*path, key)]}")
            result[key] = self.child(value_node, (*path, key), key_node)
        return result

    def child(self, node: yaml.Node, path: KeyPath, at: yaml.Node) -> object:
        self.lines[path] = at.start_mark.line + 1
        return self.value(node, path)

    def check_text(self, node: yaml.Node) -> None:
        """Refuse what escapes can bring in (``"\\0"``, ``"\\ud800"``): no file and no id is called so."""
        found = _NO_TEXT.search(node.value)
        if found:
            raise self.error(node, f"text must not have the character U+{ord(found[0]):04X}")

    def error(self, node: yaml.Node, message: str) -> InputError:
        return InputError(message, f"{self.file}:{node.start_mark.line + 1}")


@lru_cache(maxsize=16)
def _form(kind: type) -> msgspec.inspect.Type:
    return msgspec.inspect.type_info(kind)


def _known_keys(kind: type, path: KeyPath, unknown: str) -> str:
    """What could have been written in place of the ``unknown`` key of the mapping at ``path`` of a ``kind``."""
    form = _form(kind)
    for key in (*path, None):
        if isinstance(form, msgspec.inspect.Metadata):
            form = form.type
        if isinstance(form, msgspec.inspect.UnionType):
            form = next(option for option in form.types if isinstance(option, msgspec.inspect.StructType))
        if isinstance(form, msgspec.inspect.VarTupleType):
            form = form.item_type
        elif isinstance(form, msgspec.inspect.StructType) and key is not None:
            form = next(field.type for field in form.fields if field.encode_name == key)
    assert isinstance(form, msgspec.inspect.StructType)
    known = [field.encode_name for field in form.fields]
    return f"; {choices(unknown, known, 'known:')}"


def _scalar(node: yaml.ScalarNode) -> object:
    text: str = node.value
    if node.style:  # quoted or block; plain is None, or empty from the C library
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) < 40:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
