"""The page of the command line, made of the commands themselves."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import typer

from experiments.cli.app import build_app

INTRODUCTION = """\
# Command line

Every command, as `--help` shows it. Exit codes: 0, 1 (a check failed), 2 (bad input, told in one line), 130
(interrupted). Tables go to standard output, notes to standard error.

"""


def command_line() -> str:
    """The page, in Markdown: a section a command, in the order of ``hexsched --help``."""
    root = typer.main.get_command(build_app())
    context = typer.Context(root, info_name="hexsched")
    return INTRODUCTION + "\n\n".join(_sections(context))


def _sections(context: typer.Context) -> Iterator[str]:
    for name, command in context.command.commands.items():  # type: ignore[attr-defined]
        if command.hidden:
            continue
        inner = typer.Context(command, info_name=name, parent=context)
        yield _section(inner)
        if hasattr(command, "commands"):
            yield from _sections(inner)


def _section(context: typer.Context) -> str:
    command: Any = context.command
    level = "#" * (1 + context.command_path.count(" "))
    usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    parts = [f"{level} {context.command_path}", _text(command.help or ""), f"```text\n{usage}\n```"]
    for kind, title in (("argument", "argument"), ("option", "option")):
        rows = [
            f"| {_names(names)} | {_text(meaning)} |"
            for parameter in command.get_params(context)
            if parameter.param_type_name == kind and parameter.name != "help"
            for names, meaning in [parameter.get_help_record(context) or ("", "")]
            if names
        ]
        if rows:
            parts.append("\n".join((f"| {title} | |", "|---|---|", *rows)))
    if command.epilog:
        parts.append(re.sub(r"^Examples?: (.*)$", r"```bash\n\1\n```", command.epilog, flags=re.DOTALL))
    return "\n\n".join(parts)


def _names(record: str) -> str:
    """``-o, --output FILE``: each spelling as code."""
    return f"<code>{html.escape(record).replace('|', '&#124;').replace(', ', '</code>, <code>')}</code>"


def _text(text: str) -> str:
    """Help as Markdown shows it, letter for letter; what stands in quotes and begins with hexsched is a command."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    escaped = "\n\n".join(re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", paragraph) for paragraph in paragraphs)
    return re.sub(r"'(hexsched [^']*)'", r"`\1`", escaped)
