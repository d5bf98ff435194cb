"""Hooks of MkDocs: pages that are made of the code and of files outside docs/, and formulas."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

sys.path.insert(0, str(Path(__file__).parent))
from cli import command_line
from faces import members
from maths import with_mathml
from schemas import schema_tables

ROOT = Path(__file__).resolve().parents[2]
# What the theme would load from elsewhere, for the search where pages open from files, and the copy beside the pages.
SHIM, OWN_SHIM = "https://unpkg.com/iframe-worker/shim", "iframe-worker.js"
OUTSIDE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference of the command line, and the pages that stand in the root of the repository."""
    files.append(File.generated(config, "cli.md", content=command_line()))
    for name, page in OUTSIDE.items():
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to pages outside; what ``<!-- schema: NAME -->`` and ``<!-- members: PACKAGE -->`` stand for."""
    for name, inside in OUTSIDE.items():
        markdown = markdown.replace(f"](../{name}", f"]({inside}")
    markdown = re.sub(r"^<!-- members: (\w+) -->$", lambda found: members(found[1]), markdown, flags=re.MULTILINE)
    return re.sub(r"^<!-- schema: ([\w-]+) -->$", lambda found: schema_tables(found[1]), markdown, flags=re.MULTILINE)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Formulas."""
    return with_mathml(html)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Nothing is loaded from elsewhere."""
    output = output.replace(SHIM, get_relative_url(OWN_SHIM, page.url))
    if found := re.search(r"<(?:script|link rel=.stylesheet.)[^>]*(?:src|href)=.https?:[^>]*>", output):
        raise PluginError(f"{page.file.src_uri} loads {found[0]}")
    return output
