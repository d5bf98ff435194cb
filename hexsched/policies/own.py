"""Policies of a user's own, in plain Python: functions, classes and objects, and what their options are.

An order has ``key(call, now)``, a whole policy ``decide(view)``, a placement ``prefill(call, view)`` and
``decode(call, view)``. What is told of each moment besides is in ``HOOKS``.
"""

from __future__ import annotations

import copy
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hexsched.errors import InputError
from hexsched.policies.parts.option import MOST, Option, Value

ASKED = ("decide", "key", "prefill", "decode")
HOOKS = {
    "on_completion": "a call completed",
    "on_workflow_end": "the last call of a workflow completed",
    "on_prefill_end": "the prefill of a call ended",
    "on_release": "a call was released",
}
EXPECTED = "a name, key(call, now), or a class or object with decide(view) or key(call, now)"


@dataclass(frozen=True, eq=False)
class Own:
    """Something of a user's own, and how a run gets a fresh one.

    Attributes
    ----------
    thing : object
        The function, class or object as it was given.
    make : callable
        From values of the options to a fresh object with the methods that it is asked for.
    options : mapping of str to Option
        Keyword-only arguments with defaults of a function, arguments with defaults of a class's ``__init__``.
    values : dict
        Options that an object, or ``functools.partial``, has other than by default.
    methods : frozenset of str
        What it has of ``key``, ``decide``, ``prefill``, ``decode`` and the hooks.
    name, summary : str
        From its own name and the first line of its docstring.
    """

    thing: Any
    make: Callable[..., Any]
    options: Mapping[str, Option]
    methods: frozenset[str]
    name: str
    summary: str
    values: dict[str, Value] = field(default_factory=dict)

    @property
    def listens(self) -> bool:
        """Whether it wants to be told what happened."""
        return not self.methods.isdisjoint(HOOKS)

    @property
    def place(self) -> tuple[str, int] | None:
        """File and line of its code; None where that is not Python."""
        thing = self.thing.func if isinstance(self.thing, functools.partial) else self.thing
        thing = thing if isinstance(thing, types.FunctionType | type) else type(thing)
        methods = ASKED if isinstance(thing, type) else ()
        codes = [getattr(getattr(thing, name, None), "__code__", None) for name in methods]
        code = next(filter(None, codes), getattr(thing, "__code__", None))
        return None if code is None else (code.co_filename, code.co_firstlineno)


def own(thing: Any, what: str = "policy", expected: str = EXPECTED) -> Own:
    """What a function, a class or an object is as a policy or placement of a user's own.

    Parameters
    ----------
    thing : callable, type or object
    what, expected : str
        For messages.

    Raises
    ------
    InputError
        When it is none of them, and for arguments that are no options.
    """
    if isinstance(thing, functools.partial):
        of = own(thing.func, what, expected)
        unknown = [name for name in thing.keywords if name not in of.options]
        if thing.args or unknown:
            raise InputError(f"{what} {of.name!r}: functools.partial may set options only, by name")
        return Own(thing, of.make, of.options, of.methods, of.name, of.summary, _checked(thing.keywords, of))
    if isinstance(thing, types.FunctionType | types.MethodType):
        return _of_function(thing, what, expected)
    kind = thing if isinstance(thing, type) else type(thing)
    methods = frozenset(name for name in (*ASKED, *HOOKS) if callable(getattr(kind, name, None)))
    if methods.isdisjoint(ASKED):
        given = f"{kind.__name__} has none of them" if isinstance(thing, type) else f"got {thing!r:.80}"
        raise InputError(f"expected a {what}: {expected}; {given}")
    name, summary = spelled(kind.__name__), first_line(kind)
    init: Any = getattr(kind, "__init__", None)
    options = {} if init is object.__init__ else _options(init, what, name, keyword_only=False)
    if isinstance(thing, type):
        return Own(thing, thing, options, methods, name, summary)
    values = {
        key: getattr(thing, key) for key in options if type(getattr(thing, key, None)) is type(options[key].plain)
    }
    if values.keys() != options.keys():  # it does not say what it was made with
        options, values = {}, {}
    changed = {key: options[key].of_plain(value) for key, value in values.items()}

    def make(**chosen: Any) -> Any:
        if chosen != values:  # asked for with other options
            return kind(**chosen)
        try:
            return copy.deepcopy(thing)
        except Exception as error:
            raise InputError(
                f"{what} {name!r} cannot be copied for a run of its own ({error}); give its class"
            ) from None

    return Own(thing, make, options, methods, name, summary, changed)


class _Function:
    """A function as an object with one method."""

    def __init__(self, method: str, function: Callable[..., Any]) -> None:
        setattr(self, method, function)


def _of_function(function: Any, what: str, expected: str) -> Own:
    name = spelled(function.__name__)
    positional = [
        one
        for one in inspect.signature(function).parameters.values()
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) and one.default is one.empty
    ]
    methods = {1: "decide", 2: "key"}
    if len(positional) not in methods:
        had = ", ".join(one.name for one in positional)
        raise InputError(f"{what} {name!r}: expected key(call, now) or decide(view), got {function.__name__}({had})")
    method = methods[len(positional)]
    options = _options(function, what, name, keyword_only=True)

    def make(**chosen: Any) -> Any:
        return _Function(method, functools.partial(function, **chosen) if chosen else function)

    return Own(function, make, options, frozenset({method}), name, first_line(function))


def _options(function: Any, what: str, name: str, keyword_only: bool) -> dict[str, Option]:
    """The options among the arguments of a function."""
    arguments = list(inspect.signature(function).parameters.values())
    if isinstance(function, types.FunctionType) and not keyword_only:
        arguments = arguments[1:]  # self
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # names that are not to be found; only the choices of a Literal are wanted
        hints = {}
    options = {}
    for one in arguments:
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            continue
        if one.default is one.empty:
            if keyword_only and one.kind is not one.KEYWORD_ONLY:
                continue  # call and now, or view
            raise InputError(f"{what} {name!r}: argument {one.name!r} has no default, so it is no option")
        if keyword_only and one.kind is not one.KEYWORD_ONLY and not isinstance(one.default, str | int | float):
            continue  # bound by the author: lambda call, now, table=table: ...
        options[one.name] = _option(one, hints.get(one.name), what, name)
    return options


def _option(argument: inspect.Parameter, hint: Any, what: str, name: str) -> Option:
    default = argument.default
    if not isinstance(default, str | int | float):
        raise InputError(
            f"{what} {name!r}: the default of option {argument.name!r} is {default!r:.60}; expected a number, a text, "
            "True or False"
        )
    if isinstance(default, bool):
        return Option("on" if default else "off", is_flag=True)
    if isinstance(default, str):
        literal = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
        return Option(default, tuple(map(str, literal)) if literal else ())
    return Option(default, least=-MOST)


def _checked(values: Mapping[str, Any], of: Own) -> dict[str, Value]:
    return {key: of.options[key].of_plain(value) for key, value in values.items()}


def spelled(name: str) -> str:
    """``LongestPrompt`` and ``longest_prompt`` as ``longest-prompt``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name.strip("<>_"))
    return re.sub(r"_+", "-", words).lower()


def first_line(thing: Any) -> str:
    lines = (thing.__doc__ or "").strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else ""
