"""Whether machine code in the cache is still that of a kernel: numba's own cache looks at no more than its file."""

from __future__ import annotations

import hashlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np

from hexsched.engine.kernel import Kernel, names_of

_config: Any = numba.config


def digest(function: Any) -> str:
    """Of all that the machine code of a function is made of.

    That is the code of every kernel it reaches, as it was loaded, whatever its file says by now; the values that they
    take from elsewhere; and how all is compiled.
    """
    made = hashlib.sha256(f"{numba.__version__} {sys.implementation.cache_tag} {_config.BOUNDSCHECK}".encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        made.update(file.read_bytes())
    for one in _reached(function):
        made.update(repr(_of_function(one)).encode())
    return made.hexdigest()[:16]


def _reached(function: Any) -> Iterator[Any]:
    """A function, or kernel, and all those of our own that it calls, each once, in a fixed order."""
    waiting, seen = [function], {id(function)}
    while waiting:
        one = waiting.pop()
        yield one
        for _, value in names_of(getattr(one, "py_func", one)):
            if isinstance(value, Kernel | types.FunctionType) and id(value) not in seen:
                seen.add(id(value))
                waiting.append(value)


def _of_function(one: Any) -> Any:
    function = getattr(one, "py_func", one)
    names = [(name, _of_value(value)) for name, value in names_of(function)]
    return getattr(one, "inlined", None), _of_code(function.__code__), function.__defaults__, names


def _of_code(code: types.CodeType) -> Any:
    constants = [_of_code(each) if isinstance(each, types.CodeType) else each for each in code.co_consts]
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, code.co_flags


def _of_value(value: Any) -> Any:
    """What distinguishes a value; for what has a name of its own, which stands for it in any process, that name."""
    if isinstance(value, Kernel | types.FunctionType | types.BuiltinFunctionType | types.ModuleType | type):
        return value.__name__
    return value.tobytes() if isinstance(value, np.ndarray) else value
