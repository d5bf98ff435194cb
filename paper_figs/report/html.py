"""Markdown as one HTML file that holds its pictures."""

from __future__ import annotations

import base64
import re
from html import escape
from pathlib import Path

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
body { overflow-wrap: break-word; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.85rem; display: block; overflow-x: auto; }
table { max-width: 100%; overflow-wrap: normal; }
td:first-child { min-width: 9rem; }
nav { border: 1px solid #ddd; border-radius: 4px; padding: 0.5rem 1rem; font-size: 0.9rem; }
nav ul { margin: 0; padding-left: 1.2rem; columns: 16rem; }
nav ul ul { columns: auto; }
th, td { border-bottom: 1px solid #ddd; padding: 0.25rem 0.6rem; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #222; }
img { max-width: 100%; height: auto; }
@media (max-width: 40rem) { body { margin: 1rem auto; } h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; } }
@media print { nav { display: none; } table { overflow: visible; } }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
code { background: #f3f3f3; padding: 0 0.2rem; }
"""

LISTED = {"h2": 1, "h3": 2}  # headings in the table of contents, and how deep


def page(title: str, markdown: str, folder: Path) -> str:
    """The page; pictures are looked for beside ``folder`` and put in as data."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    # the library lets data URIs of pictures through, so that they can be put in after parsing
    tokens = parser.parse(markdown)
    contents: list[tuple[int, str, str]] = []
    for k, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag in LISTED:
            text = tokens[k + 1].content
            token.attrs["id"] = _anchor(text, [anchor for _, _, anchor in contents])
            contents.append((LISTED[token.tag], text, str(token.attrs["id"])))
        for child in token.children or ():
            if child.type == "image":
                child.attrs["src"] = _data(folder / str(child.attrs["src"]))
    body = parser.renderer.render(tokens, parser.options, {})
    body = body.replace("</h1>\n", "</h1>\n" + _nav(contents), 1)
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<meta charset="utf-8">{viewport}<title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}</body></html>\n'


def _anchor(text: str, taken: list[str]) -> str:
    """A heading as the end of a link."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return plain if plain not in taken else f"{plain}-{len(taken)}"


def _nav(contents: list[tuple[int, str, str]]) -> str:
    """The table of contents: sections, and what is in them."""
    lines, depth = ['<nav aria-label="Contents">'], 0
    for level, text, anchor in contents:
        while depth < level:
            lines.append("<ul>")
            depth += 1
        while depth > level:
            lines.append("</ul>")
            depth -= 1
        lines.append(f'<li><a href="#{anchor}">{escape(text)}</a></li>')
    return "\n".join([*lines, *["</ul>"] * depth, "</nav>"]) + "\n"


def _data(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
