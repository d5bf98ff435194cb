"""JSON Schemas of files, made of the types that read them, with what their docstrings say of each field."""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec

# of the section "Attributes": names, maybe a type, and lines of text
ENTRY = r"^(\w[\w, ]*?)(?: : [^\n]*)?\n((?:    [^\n]*\n?)*)"


def json_schema(kind: Any) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a type that msgspec decodes.

    A schema says which keys there are, of which type, and which are needed. What more a file must obey (numbers that
    are finite and not negative, ids that are unique) is checked when it is read.

    Parameters
    ----------
    kind : type
        A struct, or what is made of structs.

    Returns
    -------
    dict
        As msgspec encodes it in JSON. Every definition has the summary of its struct as description, and every
        property what the struct's docstring says of it under "Attributes".
    """
    (top,), definitions = msgspec.json.schema_components((kind,), ref_template="#/$defs/{name}")
    definitions = _without_integers_that_are_numbers(definitions)
    for name, struct in _structs(msgspec.inspect.type_info(kind)).items():
        definition = definitions[name]
        doc = inspect.getdoc(struct.cls) or ""
        definition["description"] = _joined(doc.partition("\n\n")[0])
        said = _attributes(doc)
        for field in struct.fields:
            if field.name in said:
                # beside a reference a description holds too, since draft 2019-09
                definition["properties"][field.encode_name]["description"] = said[field.name]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "$defs": definitions}


def _structs(info: Any, found: dict[str, msgspec.inspect.StructType] | None = None) -> dict[str, Any]:
    """All structs that a type is made of, by name."""
    found = {} if found is None else found
    if isinstance(info, msgspec.inspect.StructType):
        if info.cls.__name__ in found:
            return found
        found[info.cls.__name__] = info
        parts = [field.type for field in info.fields]
    else:
        parts = [
            part
            for name in ("type", "types", "item_types", "item_type", "key_type", "value_type")
            if (value := getattr(info, name, None)) is not None
            for part in (value if isinstance(value, tuple) else (value,))
        ]
    for part in parts:
        _structs(part, found)
    return found


def _without_integers_that_are_numbers(schema: Any) -> Any:
    """The same schema; where any number will do, integers are not named beside it."""
    if isinstance(schema, list):
        return [_without_integers_that_are_numbers(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _without_integers_that_are_numbers(value) for key, value in schema.items()}
    choices = plain.get("anyOf", [])
    if {"type": "number"} in choices and {"type": "integer"} in choices:
        choices.remove({"type": "integer"})
        if len(choices) == 1:
            plain |= plain.pop("anyOf")[0]
    return plain


def _attributes(doc: str) -> dict[str, str]:
    """What the section "Attributes" of a NumPy docstring says of each name; names may share an entry."""
    _, _, section = doc.partition("\nAttributes\n----------\n")
    section = section.partition("\n\n")[0]
    said: dict[str, str] = {}
    for names, text in re.findall(r"^(\w[\w, ]*?)(?: : [^\n]*)?\n((?:    [^\n]*\n?)*)", section + "\n", re.MULTILINE):
        for name in names.split(", "):
            said[name] = _joined(text)
    return said


def _joined(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
