"""Policies of the user's own: Python files that register them, and whose mistakes are told in a line."""

from __future__ import annotations

import contextlib
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from hexsched.errors import InputError

if TYPE_CHECKING:
    from hexsched.policies import Policy

_whole = [False]  # whether whole tracebacks are shown


def show_tracebacks(wanted: bool) -> None:
    """Whether from here on a mistake in a plugin is shown with its traceback, besides the line."""
    _whole[0] = wanted


def shown(error: BaseException) -> bool:
    """Show the traceback of an error on standard error, if that is wanted; whether it is."""
    if _whole[0]:
        traceback.print_exception(error)
    return _whole[0]


def load_plugins(paths: Sequence[Path] | None) -> list[Path]:
    """Run each file, so that its ``@hexsched.order`` and ``@hexsched.policy`` take effect.

    Returns
    -------
    list of Path
        The files, for ``plugin_errors``.

    Raises
    ------
    InputError
        Naming file, line and exception; also when a file registers nothing.
    """
    for path in paths or ():
        _load(path)
    return list(paths or ())


@contextlib.contextmanager
def plugin_errors(paths: Sequence[Path], *policies: Policy) -> Iterator[None]:
    """Turn an exception raised in one of the files into an ``InputError``; any other passes.

    Where one of ``policies`` comes from one of the files, so does any exception while it runs: it may have returned
    nonsense.
    """
    files = {str(path) for path in paths}
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit too: a plugin does not end the program
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else _definition(policies, files)
        if where is None:
            raise
        message = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        hint = "" if shown(error) or isinstance(error, InputError) else "; --traceback shows all of it"
        raise InputError(message + hint, where) from None


def _definition(policies: Sequence[Policy], files: set[str]) -> str | None:
    """``"file:line"`` where one of the files defines the code of a policy."""
    for policy in policies:
        for part in (policy.own, policy.placer):
            place = None if part is None else part.place
            if place is not None and place[0] in files:
                return f"{place[0]}:{place[1]}"
    return None


def _load(path: Path) -> None:
    from hexsched.model.files import read_bytes

    load_source(read_bytes(path), path)


def load_source(source: bytes, path: Path) -> tuple[str, ...]:
    """Run the source of a plugin as if it were read from ``path``; names of the policies that it registers.

    Raises as ``load_plugins``.
    """
    _, names = _run(source, path)
    if not names:
        raise InputError("registers no policy; use the decorators hexsched.order and hexsched.policy", path)
    return names


def load_policy(path: Path, name: str) -> Policy:
    """A policy of a file: by the name that it is registered under, or that of a function, class or object in it.

    Raises
    ------
    InputError
        As ``load_plugins``, and when there is none of that name.
    """
    from hexsched.model.files import read_bytes
    from hexsched.policies import as_policy, read_policy
    from hexsched.registry import suggest

    module, names = _run(read_bytes(path), path)
    if re.split(r"[(@\s]", name)[0] in names:
        return read_policy(name)
    if name not in vars(module):
        mine = [each for each, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
        raise InputError(f"there is no {name!r}{suggest(name, [*names, *mine])}", path)
    with plugin_errors([path]):
        return as_policy(vars(module)[name])


def _run(source: bytes, path: Path) -> tuple[ModuleType, tuple[str, ...]]:
    from hexsched.policies import registered_since

    try:
        code = compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise InputError(f"{type(error).__name__}: {error.msg}", f"{path}:{error.lineno}") from None
    except ValueError as error:
        raise InputError(f"not Python: {error}", path) from None
    module = ModuleType(f"hexsched_plugin_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses and pickle look a class up
    with registered_since() as names, plugin_errors([path]):
        exec(code, module.__dict__)
    return module, tuple(names)
