"""Policies of the user's own: Python files that register them, and whose mistakes are told in a line."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from hexsched.errors import InputError

if TYPE_CHECKING:
    from hexsched.policies import Policy


def load_plugins(paths: Sequence[Path] | None) -> list[Path]:
    """Run each file, so that its ``@register_order`` and ``@register_policy`` take effect.

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
def plugin_errors(paths: Sequence[Path], policy: Policy | None = None) -> Iterator[None]:
    """Turn an exception raised in one of the files into an ``InputError``; any other passes.

    Where ``policy`` comes from one of the files, so does any exception while it runs: it may have returned nonsense.
    """
    files = {str(path) for path in paths}
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit too: a plugin does not end the program
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else _definition(policy, files)
        if where is None:
            raise
        message = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        raise InputError(message, where) from None


def _definition(policy: Policy | None, files: set[str]) -> str | None:
    """``"file:line"`` where one of the files defines the policy's code."""
    if policy is None:
        return None
    code = getattr(policy.order_function or getattr(policy.decider, "decide", None), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None and code.co_filename in files else None


def _load(path: Path) -> None:
    from hexsched.model.files import read_bytes

    load_source(read_bytes(path), path)


def load_source(source: bytes, path: Path) -> None:
    """Run the source of a plugin as if it were read from ``path``; raises as ``load_plugins``."""
    from hexsched.policies import policies

    try:
        code = compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise InputError(f"{type(error).__name__}: {error.msg}", f"{path}:{error.lineno}") from None
    except ValueError as error:
        raise InputError(f"not Python: {error}", path) from None
    module = ModuleType(f"hexsched_plugin_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses and pickle look a class up
    before = len(policies())
    with plugin_errors([path]):
        exec(code, module.__dict__)
    if len(policies()) == before:
        raise InputError("registers no policy; use @register_order or @register_policy of hexsched.policies", path)
