"""One source, two ways to run it: compiled by numba, or as the plain Python it is written in."""

from __future__ import annotations

import hashlib
import os
import tempfile
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.registry import CPUDispatcher
from platformdirs import user_cache_path

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile ``function`` on first use, as part of what calls it.

    Kernels call only kernels, imported by name, and touch nothing but numbers and arrays. No fast-math: compiled and
    interpreted runs agree to the last bit. Python reaches a kernel through an ``entry``, or ``interpreted``.
    """
    # Kernels borrow arrays and allocate none, so they need no reference counts (_nrt): counting each access to a field
    # costs more than the access. The wrappers for Python would take longer to compile than the kernel itself.
    return numba.njit(
        error_model="numpy", _nrt=False, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True
    )(function)  # type: ignore


def entry(function: F) -> F:
    """A kernel that Python calls. Its machine code is kept on disk for the next process."""
    config: Any = numba.config
    saved = config.CACHE_DIR
    # read when caching is switched on, so only our kernels go there
    config.CACHE_DIR = _cache_directory(Path(function.__code__.co_filename).parent)
    try:
        return numba.njit(cache=True, error_model="numpy", _nrt=False, nogil=True, no_cfunc_wrapper=True)(function)  # type: ignore
    finally:
        config.CACHE_DIR = saved


@cache
def interpreted(function: CPUDispatcher) -> Callable[..., Any]:
    """``function`` as plain Python, and every kernel it calls likewise.

    ``function.py_func`` alone would still call compiled kernels; here the globals it sees are replaced as well.
    """
    source = function.py_func
    names = _Interpreted(source.__globals__)
    return types.FunctionType(source.__code__, names, source.__name__, source.__defaults__, source.__closure__)


class _Interpreted(dict[str, Any]):
    """The globals of a module, with kernels replaced by their interpreted form."""

    def __init__(self, names: dict[str, Any]) -> None:
        super().__init__(names)
        for name, value in names.items():
            if isinstance(value, CPUDispatcher):
                self[name] = _Deferred(value)
            elif hasattr(value, "interpreted"):
                self[name] = value.interpreted


class _Deferred:
    """Interprets a kernel when it is first called, so that kernels of one module may call each other."""

    def __init__(self, function: CPUDispatcher) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return interpreted(self.function)(*args)


@cache
def _cache_directory(folder: Path) -> str:
    """A directory of its own for every state of the kernels' source: the engine's, the policies', and ``folder``'s.

    numba looks for changes only in the file of the function it loads, not in what that function calls.
    """
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256(numba.__version__.encode())
    for each in dict.fromkeys((package / "engine", package / "policies", folder.resolve())):
        for file in sorted(each.rglob("*.py")):
            digest.update(file.read_bytes())
    name = f"kernels-{digest.hexdigest()[:16]}"
    for base in (user_cache_path("hexsched"), Path(tempfile.gettempdir()) / f"hexsched-{os.getuid()}"):
        try:
            (base / name).mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(base / name, os.W_OK):
            return str(base / name)
    return tempfile.mkdtemp(prefix="hexsched-")
