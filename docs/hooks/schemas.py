"""Tables of the keys of a file format, made of its JSON Schema."""

from __future__ import annotations

import json
import re
from typing import Any

from experiments.schemas import FORMATS


def schema_tables(name: str) -> str:
    """The keys of a file format, in Markdown: a table for the file, and one for each mapping inside it."""
    schema = FORMATS[name].schema()
    top = schema["$ref"].rpartition("/")[2]
    order = [top]
    for struct in order:
        order += [
            inner
            for inner in dict.fromkeys(re.findall(r"#/\$defs/(\w+)", json.dumps(schema["$defs"][struct])))
            if inner not in order
        ]
    return "\n\n".join(_table(name, struct, schema["$defs"][struct]) for struct in order)


def _table(name: str, struct: str, definition: dict[str, Any]) -> str:
    needed = definition.get("required", ())
    rows = [
        f"| `{key}` | {_type(name, field)} | {_default(key, field, needed)} | {_text(field['description'])} |"
        for key, field in definition["properties"].items()
    ]
    head = f"**{struct}**{{ #{name}-{struct.lower()} }}: {_text(definition['description'])}"
    return "\n".join((head, "", "| key | type | default | meaning |", "|---|---|---|---|", *rows))


def _type(name: str, field: dict[str, Any]) -> str:
    if "$ref" in field:
        struct = field["$ref"].rpartition("/")[2]
        return f"[{struct}](#{name}-{struct.lower()})"
    if "anyOf" in field:
        return " or ".join(_type(name, choice) for choice in field["anyOf"] if choice != {"type": "null"})
    if "const" in field or "enum" in field:
        return " or ".join(f"`{json.dumps(value)}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        if "prefixItems" in field:
            return f"[{', '.join(_type(name, item) for item in field['prefixItems'])}]"
        return f"list of {_type(name, field['items'])}"
    if field.get("type") == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"mapping to {_type(name, field['additionalProperties'])}"
    return str(field.get("type", "anything"))


def _default(key: str, field: dict[str, Any], needed: Any) -> str:
    if key in needed:
        return "*needed*"
    if field.get("default") in (None, [], {}, ""):
        return ""
    return f"`{json.dumps(field['default'])}`"


def _text(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")
