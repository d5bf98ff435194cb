"""The commands put together, and what their exceptions mean to the shell."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Annotated

import typer

from experiments.cli import BAD_INPUT, OK
from experiments.cli.output import discard_stdout, note, warnings_as_notes
from hexsched import __version__
from hexsched.errors import InputError
from hexsched.printable import printable, shortened
from hexsched.progress import in_lines
from hexsched.registry import meant

# The module of ``experiments.cli.commands`` that has each command; it has ``add(app)``.
COMMANDS = {
    "compile": "compile",
    "simulate": "simulate",
    "compare": "compare",
    "verify": "verify",
    "retime": "retime",
    "solve": "solve",
    "bound": "bound",
    "gap": "gap",
    "clairvoyance": "clairvoyance",
    "load": "load",
    "grid": "grid",
    "rerun": "rerun",
    "calibrate": "calibrate",
    "workload": "workload",
    "learn": "learn",
    "policies": "policies",
    "check-policy": "check_policy",
    "formulations": "formulations",
    "compare-formulations": "compare_formulations",
    "library": "library",
    "gpus": "hardware",
    "models": "hardware",
    "clusters": "hardware",
    "cluster": "hardware",
    "families": "sources",
    "formats": "sources",
    "schema": "schema",
    "demo": "demo",
    "notebooks": "notebooks",
    "bench": "bench",
}

PROGRAM = "hexsched"
# Set by the scripts that --install-completion writes.
COMPLETE = "_HEXSCHED_COMPLETE"
COMPLETION_OPTIONS = ("--install-completion", "--show-completion")

# Packages above this one in the import order add commands here: callables that take the typer app.
ENTRY_POINTS = "hexsched.commands"


def run(argv: Sequence[str]) -> int:
    """Run one command; the exit code. Errors of the user are printed here, interrupts and bugs go up."""
    command = typer.main.get_command(build_app(argv[0] if argv and COMPLETE not in os.environ else None))
    if COMPLETE in os.environ:
        command.main(prog_name=PROGRAM)  # a shell asks what could be typed here; prints it and leaves
    try:
        # not command.main(): it would turn a closed pipe into exit code 1, which here means a failed check
        with warnings_as_notes(), in_lines(), command.make_context(PROGRAM, list(argv)) as context:
            command.invoke(context)
    except typer.Exit as stop:
        # typer's own options end with 1 where there is no known shell; here 1 is a failed check
        return BAD_INPUT if stop.exit_code == 1 and argv[0] in COMPLETION_OPTIONS else stop.exit_code
    except SystemExit as stop:  # the same options, when all is well
        return OK if stop.code in (None, 0) else BAD_INPUT
    except InputError as error:
        return _complain(str(error))
    except typer.TyperException as error:
        return _complain(_usage_message(error))
    except BrokenPipeError:
        discard_stdout()
    except OSError as error:
        if error.filename is None:  # a stream, so --help on a full disk; what it still holds would fail once more
            discard_stdout()
        return _complain(f"{error.strerror or error}{'' if error.filename is None else f': {error.filename}'}")
    return OK


def build_app(asked: str | None = None) -> typer.Typer:
    """The typer app with the commands of this package and those that other packages register.

    Parameters
    ----------
    asked : str, optional
        A command: where it is known, only what has it is loaded, and the program starts sooner.
    """
    app = typer.Typer(
        rich_markup_mode=None,  # plain help: half the start-up time, and it can be grepped
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(hexsched)
    modules = [COMMANDS[asked]] if asked in COMMANDS else dict.fromkeys(COMMANDS.values())
    for name in modules:
        import_module(f"experiments.cli.commands.{name}").add(app)
    for point in () if asked in COMMANDS else entry_points(group=ENTRY_POINTS):
        try:
            point.load()(app)
        except Exception as error:  # somebody else's package; the other commands are to work all the same
            note(f"the commands of {point.value!r} are not available: {type(error).__name__}: {error}")
    return app


def hexsched(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Schedule agentic LLM workflows on prefill-decode disaggregated clusters, and check what a schedule costs.

    Every command takes --help; most take --json, which prints one JSON object on standard output.
    Exit codes: 0, 1 a check failed, 2 bad input or usage, 130 interrupted.
    """
    if version:
        typer.echo(f"hexsched {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _complain(message: str) -> int:
    print(f"hexsched: error: {printable(' '.join(message.split()))}", file=sys.stderr)
    return BAD_INPUT


def _usage_message(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    message = re.split(r"\.? Did you mean|\(Possible options", error.format_message().strip().rstrip("."))[0].strip()
    wrong = re.fullmatch(r"No such (?:command '(.+)'|option: (.+))", message)
    if context is not None and wrong is not None:
        known = [text for each in context.command.params for text in each.opts]
        near = meant(wrong[1] or wrong[2], getattr(context.command, "commands", known) if wrong[1] else known)
        message += "" if near is None else f"; did you mean {near}?"
    message = shortened(message)
    return message if context is None else f"{message}; see {context.command_path} --help".replace("?; see", "? See")
