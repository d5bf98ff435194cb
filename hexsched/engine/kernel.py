"""One source, two ways to run it: compiled by numba, or as the plain Python it is written in.

Neither needs numba before something compiled is first called: what is here says what is to be compiled, and
``hexsched.engine.compiler`` does it.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class Kernel:
    """A function that is compiled on first use, as part of what calls it.

    Attributes
    ----------
    py_func : function
    inlined : bool
        Whether it becomes part of what calls it, or stays a function there.
    """

    def __init__(self, function: Callable[..., Any], inlined: bool = True) -> None:
        self.__doc__, self.__module__ = function.__doc__, function.__module__
        self.__name__, self.__qualname__ = function.__name__, function.__qualname__
        self.py_func: Any = function
        self.inlined = inlined

    @cached_property
    def dispatcher(self) -> Any:
        """What numba compiles."""
        from hexsched.engine.compiler.dispatchers import dispatcher_of_kernel

        return dispatcher_of_kernel(self)

    @property
    def _numba_type_(self) -> Any:
        """How numba knows what a kernel is, where another one calls it."""
        return self.dispatcher._numba_type_

    def with_names(self, changed: Mapping[str, Any]) -> Kernel:
        """The same, with other values of names that it sees."""
        source = self.py_func
        cells = [
            types.CellType(changed[name]) if name in changed else cell
            for name, cell in zip(source.__code__.co_freevars, source.__closure__ or (), strict=True)
        ]
        names = {**source.__globals__, **changed}
        new = types.FunctionType(source.__code__, names, source.__name__, source.__defaults__, tuple(cells))
        new.__module__, new.__qualname__ = source.__module__, source.__qualname__
        return type(self)(new, self.inlined)


class Entry(Kernel):
    """A kernel that Python calls."""

    @cached_property
    def dispatcher(self) -> Any:
        """As of a kernel; its machine code is kept on disk for the next process."""
        from hexsched.engine.compiler.dispatchers import dispatcher_of_entry

        return dispatcher_of_entry(self)

    def __call__(self, *arguments: Any) -> Any:
        return self.dispatcher(*arguments)

    def compile_for(self, *arguments: Any) -> None:
        """Compile it, or read it from the cache, for arguments of these types; it is not run."""
        from hexsched.engine.compiler.dispatchers import compile_for

        compile_for(self, *arguments)

    @property
    def signatures(self) -> list[Any]:
        """For which types it is loaded in this process."""
        return list(self.dispatcher.signatures) if "dispatcher" in vars(self) else []


def kernel(function: F) -> F:
    """Decorator: a ``Kernel``.

    Kernels call only kernels, imported by name, and touch nothing but numbers and arrays. No fast-math: compiled and
    interpreted runs agree to the last bit. Python reaches a kernel through an ``entry``, or ``interpreted``.
    """
    return cast(F, Kernel(function))


def routine(function: F) -> F:
    """A kernel that stays a function, for generators to call: inlined there, it would read each address from memory."""
    return cast(F, Kernel(function, inlined=False))


def entry(function: Callable[..., Any]) -> Entry:
    """Decorator: a kernel that Python calls, an ``Entry``."""
    return Entry(function)


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

    def rebuilt(one: Kernel) -> Kernel:
        if id(one) not in known:
            changed = {name: new for name, value in _kernels(one) if (new := rebuilt(value)) is not value}
            known[id(one)] = one.with_names(changed) if changed else one
        return cast(Kernel, known[id(one)])

    return function.with_names({name: rebuilt(value) for name, value in _kernels(function)})


def _kernels(one: Kernel) -> list[tuple[str, Kernel]]:
    """The kernels that a kernel calls, by name; fields that are called like one are not among them."""
    code = one.py_func.__code__
    called = {each.argval for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL"}
    called |= set(code.co_freevars)
    return [(name, value) for name, value in names_of(one.py_func) if name in called and isinstance(value, Kernel)]


def names_of(function: Any) -> Iterator[tuple[str, Any]]:
    """What a function takes from its module and from around it, by name."""
    seen = function.__globals__
    yield from ((name, seen[name]) for name in function.__code__.co_names if name in seen)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    yield from ((name, cell.cell_contents) for name, cell in cells)


@cache
def interpreted(function: Kernel) -> Callable[..., Any]:
    """``function`` as plain Python, and every kernel it calls likewise.

    ``function.py_func`` alone would still call compiled kernels; here the names it sees are replaced as well.
    """
    source = function.py_func
    names = _Interpreted(source.__globals__)
    cells = source.__closure__ and tuple(types.CellType(_plain(cell.cell_contents)) for cell in source.__closure__)
    return types.FunctionType(source.__code__, names, source.__name__, source.__defaults__, cells)


def _plain(value: Any) -> Any:
    return _Deferred(value) if isinstance(value, Kernel) else value


class _Interpreted(dict[str, Any]):
    """The globals of a module, with kernels replaced by their interpreted form."""

    def __init__(self, names: dict[str, Any]) -> None:
        super().__init__({name: _plain(value) for name, value in names.items()})


class _Deferred:
    """Interprets a kernel when it is first called, so that kernels of one module may call each other."""

    def __init__(self, function: Kernel) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return interpreted(self.function)(*args)
