"""One source, two ways to run it: compiled by numba, or as the plain Python it is written in."""

from __future__ import annotations

import contextlib
import dis
import hashlib
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import event
from numba.core.registry import CPUDispatcher

from hexsched.engine import by_address, inlining
from hexsched.engine.inlining import KernelCompiler, of_any_constant
from hexsched.engine.machine_code import cache_directory, keep_checked

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile ``function`` on first use, as part of what calls it.

    Kernels call only kernels, imported by name, and touch nothing but numbers and arrays. No fast-math: compiled and
    interpreted runs agree to the last bit. Python reaches a kernel through an ``entry``, or ``interpreted``.
    """
    return _compiled(function, forceinline=True)


def routine(function: F) -> F:
    """A kernel that stays a function, for generators to call: inlined there, it would read each address from memory."""
    return _compiled(function, forceinline=False)


def _compiled(function: F, forceinline: bool) -> F:
    # Kernels borrow arrays and allocate none, so they need no reference counts (_nrt): counting each access to a field
    # costs more than the access.
    jit: Any = numba.njit
    made = jit(
        error_model="numpy",
        _nrt=False,
        forceinline=forceinline,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        pipeline_class=KernelCompiler,
    )(function)
    return cast(F, of_any_constant(made))


def entry(function: F) -> F:
    """A kernel that Python calls. Its machine code is kept on disk for the next process."""
    config: Any = numba.config
    saved = config.CACHE_DIR
    folder = cache_directory(_digest(function))
    # read when caching is switched on, so only our kernels go there
    config.CACHE_DIR = folder
    try:
        jit: Any = numba.njit
        compiled = jit(cache=True, error_model="numpy", _nrt=False, nogil=True, no_cfunc_wrapper=True)(function)
    finally:
        config.CACHE_DIR = saved
    keep_checked(compiled, folder)
    return cast(F, compiled)


def compile_for(function: Any, *arguments: Any) -> None:
    """Have an entry compiled, or read from the cache, for arguments of these types; it is not run."""
    function.compile(tuple(numba.typeof(argument) for argument in arguments))


def announce(function: Any, what: str, seconds: int) -> None:
    """Say on standard error when an entry is compiled; reading it from the cache is quick, and nothing is said.

    Parameters
    ----------
    function : entry
        One that takes long enough for people to wonder.
    what : str
        ``"the simulator"``: what cannot run before.
    seconds : int
        About how long that takes on one core; it is said, and has no other effect.
    """
    announcement = _Announcement(function, what, seconds)
    _announced.append(announcement)
    event.register("numba:compile", announcement)


@contextlib.contextmanager
def compiled_together() -> Iterator[None]:
    """Say, where something is compiled meanwhile, one line first: how many parts may follow, and what all of it costs.

    Parts are what is announced so far and not yet loaded in this process; some of them may come from the cache.
    Inside another of these nothing more is said.
    """
    if _to_say[0]:
        yield
        return
    cold = [each for each in _announced if not each.function.signatures]
    if len(cold) > 1:
        seconds = sum(each.seconds for each in cold)
        _to_say[0] = (
            f"hexsched: compiling up to {len(cold)} parts, once, about {seconds} s of CPU; a time limit starts after it"
        )
    try:
        yield
    finally:
        _to_say[0] = ""


_announced: list[_Announcement] = []
_to_say = [""]  # the line that comes before that of the next part to be compiled


class _Announcement(event.Listener):
    """Hears of all that numba compiles in this process, and speaks of one entry."""

    def __init__(self, function: Any, what: str, seconds: int) -> None:
        self.function, self.seconds = function, seconds
        self._text = f"hexsched: compiling {what}, once, about {seconds} s"

    def on_start(self, event: event.Event) -> None:
        if event.data["dispatcher"] is self.function and sys.stderr is not None:
            erase = "\r\x1b[K" if sys.stderr.isatty() else ""  # a line of progress may stand there
            lines = [self._text] if not _to_say[0] else [_to_say[0], self._text]
            _to_say[0] = ""
            print(erase + "\n".join(lines), file=sys.stderr, flush=True)

    def on_end(self, event: event.Event) -> None:
        pass


def choose(name: str, parameters: str, number: str, kernels: Sequence[Any]) -> Any:
    """A kernel that calls one of several: the one of that number, the last one for any number that is too large.

    Compiled code cannot look a function up, so this writes the tests of the number out, one after another.

    Parameters
    ----------
    name : str
    parameters : str
        Of each of the kernels, as in ``"seen, memory, settings, c"``.
    number : str
        Where the number stands, as in ``"settings.order"``.
    kernels : sequence of kernels
        At least one.
    """
    lines = [f"def {name}({parameters}):"]
    for k in range(len(kernels) - 1):
        lines += [f"    if {number} == {k}:", f"        return kernel_{k}({parameters})"]
    lines.append(f"    return kernel_{len(kernels) - 1}({parameters})")
    names: dict[str, Any] = {f"kernel_{k}": one for k, one in enumerate(kernels)}
    exec(compile("\n".join(lines), f"<{name}>", "exec"), names)
    return kernel(names[name])


def specialised(function: Any, others: Mapping[Any, Any]) -> Any:
    """An entry with other kernels in the place of some that it reaches, at any depth.

    Everything between is made anew with other names in sight, so both can be used side by side, and each has a folder
    of its own in the cache.

    Parameters
    ----------
    function : entry
    others : mapping of kernel to kernel
    """
    known = {id(old): new for old, new in others.items()}

    def rebuilt(one: Any) -> Any:
        if id(one) not in known:
            changed = {name: new for name, value in _kernels(one) if (new := rebuilt(value)) is not value}
            same = partial(_compiled, forceinline=one.targetoptions["forceinline"])
            known[id(one)] = _with_names(one, changed, same) if changed else one
        return known[id(one)]

    return _with_names(function, {name: rebuilt(value) for name, value in _kernels(function)}, entry)


def _kernels(one: Any) -> list[tuple[str, Any]]:
    """The kernels that a kernel calls, by name; fields that are called like one are not among them."""
    code = one.py_func.__code__
    called = {each.argval for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL"}
    called |= set(code.co_freevars)
    return [(name, value) for name, value in _names(one.py_func) if name in called and isinstance(value, CPUDispatcher)]


def _with_names(one: Any, changed: Mapping[str, Any], make: Callable[[Any], Any]) -> Any:
    """The kernel with other values of names that it sees."""
    source = one.py_func
    cells = [
        types.CellType(changed[name]) if name in changed else cell
        for name, cell in zip(source.__code__.co_freevars, source.__closure__ or (), strict=True)
    ]
    names = {**source.__globals__, **changed}
    new = types.FunctionType(source.__code__, names, source.__name__, source.__defaults__, tuple(cells))
    new.__module__, new.__qualname__ = source.__module__, source.__qualname__
    return make(new)


@cache
def interpreted(function: CPUDispatcher) -> Callable[..., Any]:
    """``function`` as plain Python, and every kernel it calls likewise.

    ``function.py_func`` alone would still call compiled kernels; here the names it sees are replaced as well.
    """
    source = function.py_func
    names = _Interpreted(source.__globals__)
    cells = source.__closure__ and tuple(types.CellType(_plain(cell.cell_contents)) for cell in source.__closure__)
    return types.FunctionType(source.__code__, names, source.__name__, source.__defaults__, cells)


def _plain(value: Any) -> Any:
    return _Deferred(value) if isinstance(value, CPUDispatcher) else value


class _Interpreted(dict[str, Any]):
    """The globals of a module, with kernels replaced by their interpreted form."""

    def __init__(self, names: dict[str, Any]) -> None:
        super().__init__({name: _plain(value) for name, value in names.items()})


class _Deferred:
    """Interprets a kernel when it is first called, so that kernels of one module may call each other."""

    def __init__(self, function: CPUDispatcher) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return interpreted(self.function)(*args)


def _digest(function: Callable[..., Any]) -> str:
    """Of all that the machine code of ``function`` is made of: numba's own cache looks at no more than its file.

    That is the file of every kernel it reaches, the numbers that they take from elsewhere, and how all is compiled.
    """
    config: Any = numba.config
    digest = hashlib.sha256(f"{numba.__version__} {config.BOUNDSCHECK}".encode())
    for module in (by_address, inlining, sys.modules[__name__]):
        digest.update(Path(module.__file__ or "").read_bytes())
    files: set[str] = set()
    for one in _reached(function):
        file = one.__code__.co_filename
        if not os.path.exists(file):  # written by ``choose``, or in a notebook
            code = one.__code__
            digest.update(code.co_code + repr((code.co_consts, code.co_names)).encode())
        elif file not in files:
            files.add(file)
            digest.update(Path(file).read_bytes())
        digest.update(repr(sorted((k, v) for k, v in _names(one) if isinstance(v, int | float | str))).encode())
    return digest.hexdigest()[:16]


def _reached(function: Callable[..., Any]) -> Iterator[Any]:
    """A function and all those of our own that it calls, each once, in a fixed order."""
    waiting, seen = [function], {id(function)}
    while waiting:
        one = waiting.pop()
        yield one
        for _, value in _names(one):
            called = value.py_func if isinstance(value, CPUDispatcher) else value
            if isinstance(called, types.FunctionType) and id(called) not in seen:
                seen.add(id(called))
                waiting.append(called)


def _names(function: Any) -> list[tuple[str, Any]]:
    """What a function takes from its module and from around it, by name."""
    inside = [(name, function.__globals__[name]) for name in function.__code__.co_names if name in function.__globals__]
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return inside + [(name, cell.cell_contents) for name, cell in cells]
