"""Markdown as one HTML file that holds its pictures."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.85rem; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ddd; padding: 0.25rem 0.6rem; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #222; }
img { max-width: 100%; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
code { background: #f3f3f3; padding: 0 0.2rem; }
"""


def page(title: str, markdown: str, folder: Path) -> str:
    """The page; pictures are looked for beside ``folder`` and put in as data."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    # the library lets data URIs of pictures through, so that they can be put in after parsing
    tokens = parser.parse(markdown)
    for token in tokens:
        for child in token.children or ():
            if child.type == "image":
                child.attrs["src"] = _data(folder / str(child.attrs["src"]))
    body = parser.renderer.render(tokens, parser.options, {})
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}</body></html>\n'


def _data(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
