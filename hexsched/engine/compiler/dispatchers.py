"""What numba compiles, of a kernel and of an entry: numba calls it a dispatcher."""

from __future__ import annotations

from typing import Any

import numba
from numba.core import event
from numba.core.errors import NumbaError as NumbaError

from hexsched.engine.announcing import say_compiling

# registered with numba by being loaded
from hexsched.engine.compiler import addresses, clock  # noqa: F401
from hexsched.engine.compiler.digest import digest
from hexsched.engine.compiler.inlining import KernelCompiler, of_any_constant
from hexsched.engine.compiler.machine_code import KeptCode, cache_directory
from hexsched.engine.kernel import Entry, Kernel

_jit: Any = numba.njit


def dispatcher_of_kernel(kernel: Kernel) -> Any:
    """Compiled for what calls it, and for Python not at all."""
    # Kernels borrow arrays and allocate none, so they need no reference counts (_nrt): counting each access to a field
    # costs more than the access.
    made = _jit(
        error_model="numpy",
        _nrt=False,
        forceinline=kernel.inlined,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        pipeline_class=KernelCompiler,
    )(kernel.py_func)
    return of_any_constant(made)


def dispatcher_of_entry(entry: Entry) -> Any:
    """Compiled for Python, and kept in a folder of its own in the cache."""
    made = _jit(error_model="numpy", _nrt=False, nogil=True, no_cfunc_wrapper=True)(entry.py_func)
    made._cache = KeptCode(entry.py_func, cache_directory(digest(entry.py_func)))
    made.entry = entry
    return made


def compile_for(entry: Entry, *arguments: Any) -> None:
    """Have an entry compiled, or read from the cache, for arguments of these types; it is not run."""
    entry.dispatcher.compile(tuple(numba.typeof(argument) for argument in arguments))


class _Listener(event.Listener):
    """Hears of all that numba compiles in this process; what comes from the cache is not compiled."""

    def on_start(self, event: event.Event) -> None:
        entry = getattr(event.data["dispatcher"], "entry", None)
        if entry is not None:
            say_compiling(entry)

    def on_end(self, event: event.Event) -> None:
        pass


event.register("numba:compile", _Listener())
