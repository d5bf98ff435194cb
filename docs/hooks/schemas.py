"""Tables of the keys of a file format."""

from __future__ import annotations

import re

from experiments.schemas import Key, Mapping, find_format


def schema_tables(name: str) -> str:
    """The keys of a file format, in Markdown: a table for each mapping, with links from one to another."""
    mappings = find_format(name).mappings()
    inside = [mapping.name for mapping in mappings]
    return "\n\n".join(_table(name, mapping, inside) for mapping in mappings)


def _table(name: str, mapping: Mapping, inside: list[str]) -> str:
    rows = [f"| {' | '.join(_cells(name, key, inside))} |" for key in mapping.keys]
    head = f"**{mapping.name}**{{ #{name}-{mapping.name.lower()} }}: {_text(mapping.meaning)}"
    return "\n".join((head, "", "| key | type | default | meaning |", "|---|---|---|---|", *rows))


def _cells(name: str, key: Key, inside: list[str]) -> tuple[str, str, str, str]:
    def link(found: re.Match[str]) -> str:
        return f"[{found[0]}](#{name}-{found[0].lower()})" if found[0] in inside else found[0]

    default = key.default if key.default in ("", "needed") else f"`{key.default}`"
    return f"`{key.name}`", re.sub(r"\w+", link, _text(key.type)), default, _text(key.meaning)


def _text(text: str) -> str:
    return re.sub(r"([*\[\]|])", r"\\\1", text)
