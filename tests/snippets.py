"""Runs what a page of the documentation tells its reader to type, from top to bottom, in the folder it is started in.

    python snippets.py PAGE.md

Blocks of ``python`` share one namespace. Blocks of ``bash`` and ``console`` are lines of ``hexsched …``, run in this
process; of a session with prompts (``$``) only the lines behind them. A block with a ``title="FILE"`` is that file.
Comments right above a block, which readers of the page's source see too, say what is done otherwise:

    <!-- not run: WHY -->                            the block is left out
    <!-- run with A for B; C for D -->               A takes the place of B, which must be there: smaller sizes
"""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

SHELL = ("bash", "console", "sh", "shell")
NOT_RUN = re.compile(r"<!-- not run: \S.* -->")
INSTEAD = re.compile(r"<!-- run with (.+) -->")


@dataclass(frozen=True)
class Snippet:
    """A block of code of a page.

    Attributes
    ----------
    line : int
        Of the page, where the block begins.
    language : str
        What stands behind its fence; empty for an indented block.
    title : str
        The file that it is; empty when it is none.
    text : str
        As it is run.
    run : bool
        Whether it is run (or written).
    """

    line: int
    language: str
    title: str
    text: str
    run: bool

    @property
    def does_something(self) -> bool:
        """Whether a reader would type it, or save it."""
        return bool(self.title) or self.language in ("python", *SHELL)


def snippets(page: str) -> list[Snippet]:
    """The blocks of code of a page, in order.

    Raises
    ------
    ValueError
        When what a comment replaces is not in its block.
    """
    tokens = [token for token in MarkdownIt().enable("table").parse(page) if token.type != "inline"]
    return [
        _snippet(token, tokens[k - 1].content.strip() if k and tokens[k - 1].type == "html_block" else "")
        for k, token in enumerate(tokens)
        if token.type in ("fence", "code_block")
    ]


def _snippet(token: Token, comment: str) -> Snippet:
    language, _, rest = token.info.strip().partition(" ")
    title = re.search(r'title="([^"]+)"', rest)
    text = token.content
    instead = INSTEAD.fullmatch(comment)
    line = token.map[0] + 1 if token.map else 0
    for change in instead[1].split("; ") if instead else ():
        new, _, old = change.partition(" for ")
        if old not in text:
            raise ValueError(f"line {line}: {old!r} is not in the block below {comment!r}")
        text = text.replace(old, new)
    return Snippet(line, language, title[1] if title else "", text, NOT_RUN.fullmatch(comment) is None)


def commands(snippet: Snippet) -> Iterator[list[str]]:
    """The words of each line of a shell block; a line that ends in a backslash goes on in the next."""
    text = snippet.text.replace("\\\n", " ")
    lines = text.splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    for line in lines:
        if words := shlex.split(line, comments=True):
            yield words


def run_command(words: list[str]) -> None:
    """Run ``hexsched …``, maybe with output sent to a file; raises ``AssertionError`` unless it exits with 0."""
    from experiments.cli import OK, main

    assert words[0] == "hexsched", f"{words[0]!r} is not run; say '<!-- not run: WHY -->' above it"
    argv, target = words[1:], None
    if ">" in argv:
        argv, target = argv[: argv.index(">")], argv[argv.index(">") + 1]
    with contextlib.ExitStack() as stack:
        if target is not None:
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(target, "w", encoding="utf-8"))))
        code = main(argv)
    assert code == OK, f"exit code {code}: {shlex.join(words)}"


def run(page: Path) -> None:
    """Run the snippets of a page; what fails is told with the line of the page."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for snippet in snippets(page.read_text(encoding="utf-8")):
        if not (snippet.run and snippet.does_something):
            continue
        try:
            if snippet.title:
                Path(snippet.title).write_text(snippet.text, encoding="utf-8")
            elif snippet.language == "python":
                # blank lines in front make the lines of a traceback those of the page
                exec(compile("\n" * snippet.line + snippet.text, str(page), "exec"), names)
            else:
                for words in commands(snippet):
                    run_command(words)
        except BaseException:
            traceback.print_exc()
            sys.exit(f"{page.name}, line {snippet.line}")


if __name__ == "__main__":
    run(Path(sys.argv[1]))
