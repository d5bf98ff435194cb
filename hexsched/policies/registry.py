"""Every policy by name, and how a name with options is read: ``NAME(option=value, ...)@PLACEMENT``."""

from __future__ import annotations

import contextlib
import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from hexsched.engine.kernel import kernel
from hexsched.errors import InputError, InputWarning
from hexsched.outside import Package, complain, things
from hexsched.policies.orders import ORDERS
from hexsched.policies.orders.parts.horizon import REVEALED
from hexsched.policies.orders.parts.work import UNTOLD
from hexsched.policies.own import Own, first_line, own, spelled
from hexsched.policies.parts.option import MOST, Option, Value
from hexsched.policies.parts.order import NO_BOOKS, Order
from hexsched.policies.placements import PLACEMENTS
from hexsched.registry import choices, suggest

if TYPE_CHECKING:
    from hexsched.engine.state import Records, Seen
    from hexsched.policies.memory import Memory

T = TypeVar("T")


@dataclass(frozen=True)
class Policy:
    """A policy: an order and a placement with their options, or plain Python.

    Attributes
    ----------
    name : str
        The name it was asked for, options and placement included.
    summary, source : str
        One line for people, and where it was published.
    order, placement : str
        Names of both; the order is empty where it is plain Python.
    options : dict
        Values by option name; which ones there are depends on the order.
    own : Own, optional
        An order or a whole policy in plain Python.
    placer : Own, optional
        A placement in plain Python.
    compiled : Order, optional
        An order that is compiled but does not come with hexsched.
    """

    name: str
    summary: str
    source: str = ""
    order: str = ""
    placement: str = "plan"
    options: dict[str, Value] = field(default_factory=dict)
    own: Own | None = None
    placer: Own | None = None
    compiled: Order | None = None

    @property
    def decides(self) -> bool:
        """Whether plain Python decides everything: who goes first and where."""
        return self.own is not None and "decide" in self.own.methods

    @property
    def is_plain(self) -> bool:
        """Whether plain Python has a say in it."""
        return self.own is not None or self.placer is not None

    @property
    def declared(self) -> Mapping[str, Option]:
        """Its options."""
        return self.own.options if self.own is not None else (self.compiled or ORDERS[self.order]).options

    @property
    def in_effect(self) -> dict[str, Any]:
        """Order and placement once options that change them have, and what it is told (model M41, M42)."""
        plain = {"order": self.order, "placement": self.placement, "horizon": REVEALED, "work": UNTOLD}
        return plain | ((self.compiled or ORDERS[self.order]).changes(self.options) if self.order else {})

    @property
    def compiled_order(self) -> Order | None:
        """The order in effect, shipped or not; None where it is plain Python."""
        name = self.in_effect["order"]
        return self.compiled if self.compiled is not None and name == self.order else ORDERS.get(name)

    @property
    def foreign(self) -> Order | None:
        """The order in effect where it is compiled but does not come with hexsched."""
        return self.compiled if self.compiled is not None and self.compiled_order is self.compiled else None

    def make(self) -> tuple[Any, Any]:
        """A fresh object of what is plain Python in it, and one of its placement, for one run; None where it is not."""
        chosen = {} if self.own is None else {k: o.for_plain(self.options[k]) for k, o in self.own.options.items()}
        deciding = None if self.own is None else self.own.make(**chosen)
        if self.placer is None:
            return deciding, None
        return deciding, deciding if self.placer is self.own else self.placer.make()

    def settings(self) -> Records:
        """The policy as the record that compiled code reads."""
        from hexsched.policies.settings import settings_of

        return settings_of(self)

    def memory(self, seen: Seen, seed: int = 0, *, rows_later: bool = False) -> Memory:
        """A fresh memory, as large as this policy needs it; ``seed`` of random placements.

        With ``rows_later`` nothing is written to its rows of calls yet.
        """
        from hexsched.policies.memory import build_memory

        shipped = PLACEMENTS.get(self.in_effect["placement"]) if self.placer is None else None
        order = self.compiled_order
        return build_memory(
            seen,
            with_queues=shipped is None or shipped.prefill is not None,
            promotes=order is not None and order.promotes,
            books=NO_BOOKS if order is None else order.books,
            foreign=self.foreign is not None,
            is_random=shipped is not None and shipped.is_random,
            seed=seed,
            rows_later=rows_later,
        )


@dataclass(frozen=True)
class OwnPlacement:
    """A placement in plain Python, by name."""

    name: str
    summary: str
    own: Own


POLICIES = "hexsched.policies"  # the group of entry points

_OWN: dict[str, Policy] = {}  # of users
_OWN_PLACEMENTS: dict[str, OwnPlacement] = {}
_packages: dict[str, Package] = {}  # of policies, and placements after an "@", that other packages bring along
_looked_outside: list[bool] = []  # once they have been loaded
_listening: list[list[str]] = []  # those who want to know what is registered


def policies() -> list[Policy]:
    """All policies: one for each order, then those that users registered."""
    load_packages()
    return [*map(_of_order, ORDERS.values()), *_OWN.values()]


def _of_order(order: Order) -> Policy:
    return Policy(
        order.name,
        order.summary,
        order.source,
        order=order.name,
        placement=order.placement,
        options={key: option.default for key, option in order.options.items()},
        compiled=None if ORDERS.get(order.name) is order else order,
    )


def _find(name: str) -> Policy:
    """The policy of a name without options; other packages are looked at for a name that is not known otherwise."""
    if name in ORDERS:
        return _of_order(ORDERS[name])
    if name not in _OWN:
        load_packages()
    if name not in _OWN:
        if name.endswith(".py") or ".py:" in name:
            file, _, inside = name.partition(":")
            raise InputError(
                f"{name!r} is a file; policies in a file: --plugin {file} --policy {inside or 'NAME'} "
                f"('hexsched policies --plugin {file}' lists them)"
            )
        raise InputError(f"unknown policy {name!r}{suggest(name, [*ORDERS, *_OWN])}")
    return _OWN[name]


def load_packages() -> dict[str, Package]:
    """Have the policies registered that other packages bring along (entry points ``hexsched.policies``), once.

    Each is a module whose decorators register them, or what ``as_policy`` takes. A name that the user has registered
    stays the user's.

    Returns
    -------
    dict
        The package of each of their policies, and of each of their placements, after an ``@``.
    """
    if _looked_outside:
        return _packages
    _looked_outside.append(True)
    of_user, places_of_user = dict(_OWN), dict(_OWN_PLACEMENTS)
    with registered_since() as names, warnings.catch_warnings():
        for point, thing, package in things(POLICIES, "policy"):
            try:
                if isinstance(thing, ModuleType):  # perhaps it was imported before
                    made = [getattr(each, "__hexsched_policy__", None) for each in vars(thing).values()]
                    names += [name for one in made if one is not None and registered(name := _key_of(one)) is one]
                else:
                    register(replace(as_policy(thing), name=point.name))
            except InputError as error:
                complain(point, "policy", str(error))
            _packages.update(dict.fromkeys(names, package))
            names.clear()
    _OWN.update(of_user)
    _OWN_PLACEMENTS.update(places_of_user)
    return _packages


def list_placements() -> dict[str, str]:
    """Summaries of all placements by name: the shipped ones, then those that users registered."""
    load_packages()
    mine = {name: one.summary for name, one in _OWN_PLACEMENTS.items()}
    return {name: one.summary for name, one in PLACEMENTS.items()} | mine


def register(policy: Policy) -> Policy:
    """Add a policy of a user's own under its name, in the place of an earlier one of that name.

    Raises
    ------
    InputError
        When the name is that of a shipped policy, or cannot be written in a policy name.
    """
    _check_name("policy", policy.name, ORDERS, _OWN, policy)
    _OWN[policy.name] = policy
    _tell(policy.name)
    return policy


@contextlib.contextmanager
def registered_since() -> Iterator[list[str]]:
    """What is registered meanwhile: names of policies, and of placements after an ``@``."""
    names: list[str] = []
    _listening.append(names)
    try:
        yield names
    finally:
        _listening.remove(names)


def registered(name: str) -> Policy | OwnPlacement | None:
    """What a user registered under a name, that of a placement after an ``@``; None where there is nothing."""
    return _OWN_PLACEMENTS.get(name[1:]) if name.startswith("@") else _OWN.get(name)


def _key_of(one: Policy | OwnPlacement) -> str:
    return one.name if isinstance(one, Policy) else f"@{one.name}"


def _tell(name: str) -> None:
    for names in _listening:
        names.append(name)


def unregister(name: str) -> None:
    """Take a user's policy, or placement, out again."""
    _OWN.pop(name, None)
    _OWN_PLACEMENTS.pop(name, None)


def _check_name(what: str, name: str, shipped: Iterable[str], mine: Mapping[str, Any], new: Any) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise InputError(f"{what} name {name!r}: use lower-case letters, digits, '-' and '_'")
    if name in shipped:
        raise InputError(f"{what} name {name!r} is that of a {what} of hexsched; choose another")
    if name in mine and _made_of(mine[name]) is not _made_of(new):
        message = f"{what} {name!r} is defined again; the new one takes the place of the earlier one"
        warnings.warn(message, InputWarning, stacklevel=4)


def _made_of(one: Policy | OwnPlacement) -> Any:
    """What a user gave for it."""
    return one.own.thing if one.own is not None else one.compiled if isinstance(one, Policy) else None


# --- decorators ------------------------------------------------------------------------------------------------------


@overload
def order(name: T, /) -> T: ...
@overload
def order(
    name: str | None = None,
    /,
    *,
    summary: str = "",
    placement: Any = None,
    source: str = "",
    compiled: bool = False,
    options: Mapping[str, Value] | None = None,
) -> Callable[[T], T]: ...
def order(
    name: Any = None,
    /,
    *,
    summary: str = "",
    placement: Any = None,
    source: str = "",
    compiled: bool = False,
    options: Mapping[str, Value] | None = None,
) -> Any:
    """Decorator: make a function ``key(call, now) -> float`` a policy; the call of least key is served first.

    Asked when a call enters a queue: at its release and at the end of its prefill. Nothing is compiled. A class with a
    method ``key(call, now)`` does as well, and remembers in its attributes; each run makes a fresh one.

    Parameters
    ----------
    name : str, optional
        By default that of the function: ``longest_prompt`` is ``longest-prompt``.
    summary : str, optional
        One line for people; by default the first of the docstring.
    placement : str, class or object, optional
        Where calls go: a name as in ``hexsched policies``, or an own placement (``hexsched.policies.placement``). By
        default ``plan``, that of HexAGenT; a class with methods ``prefill`` and ``decode`` besides ``key`` places by
        itself.
    source : str, optional
        Where it was published.
    compiled : bool
        Whether numba compiles it with the engine, half a minute once: the function is a kernel
        ``(seen, memory, settings, c, stage) -> float`` as those in ``hexsched.policies.orders``.
    options : mapping of str to number, optional
        Of a compiled one: defaults of what it reads as ``settings.NAME``.

    Returns
    -------
    The function or class itself.

    Raises
    ------
    InputError
        When the name is that of a shipped policy, or the arguments are no options.

    Examples
    --------
    >>> import hexsched as hx
    >>> @hx.order
    ... def longest_prompt(call, now, *, weight=1.0):
    ...     return -weight * call.prompt_tokens
    """
    if not compiled:
        if options is not None:
            raise InputError("options= are of compiled orders; those of a Python function are its keyword arguments")
        return _decorate(name, lambda thing, given: _as_order(thing, given, summary, placement, source))

    def make(thing: Any, given: str | None) -> Policy:
        function = getattr(thing, "py_func", thing)  # one that numba.njit was applied to
        declared = {key: Option(value, least=-MOST) for key, value in (options or {}).items()}
        of_kernel = Order(
            name=given or spelled(function.__name__),
            summary=summary or first_line(function) or "a compiled order",
            source=source or "your own",
            key=kernel(function),
            placement=placement or "plan",
            options=declared,
        )
        return _of_order(of_kernel)

    return _decorate(name, make)


@overload
def policy(name: type[T], /) -> type[T]: ...
@overload
def policy(name: str | None = None, /, *, summary: str = "", source: str = "") -> Callable[[T], T]: ...
def policy(name: Any = None, /, *, summary: str = "", source: str = "") -> Any:
    """Decorator: make a class with ``decide(view)`` a policy that starts prefills and admits calls by itself.

    Each run makes a fresh object, so what it remembers are its attributes. Arguments of ``__init__`` with defaults are
    its options. Methods that it may have besides are told what happened, before the decision of that moment:
    ``on_completion(call)``, ``on_workflow_end(workflow)``, ``on_prefill_end(call)``, ``on_release(call)``.
    A function ``decide(view)`` does as well.

    Parameters
    ----------
    name, summary, source : str, optional
        As of ``order``.

    Raises
    ------
    InputError
        As ``order``; also for a class without ``decide``.
    """
    return _decorate(name, lambda thing, given: _as_whole(thing, given, summary, source))


@overload
def placement(name: type[T], /) -> type[T]: ...
@overload
def placement(name: str | None = None, /, *, summary: str = "") -> Callable[[T], T]: ...
def placement(name: Any = None, /, *, summary: str = "") -> Any:
    """Decorator: make a class a placement, which any order can be combined with: ``fcfs@NAME``.

    It has ``prefill(call, view)``, asked when a call is released, and ``decode(call, view)``, asked when its prefill
    ends; each gives one of ``view.prefill``, ``view.decode``. The call waits there, and is not moved any more.

    Parameters
    ----------
    name, summary : str, optional
        As of ``order``.
    """

    def make(thing: Any, given: str | None) -> OwnPlacement:
        found = own(thing, "placement", "a class or object with prefill(call, view) and decode(call, view)")
        _need(found, "placement", "prefill", "decode")
        if found.options:
            raise InputError(f"placement {found.name!r} has arguments; a placement has no options")
        called = given or found.name
        made = OwnPlacement(called, summary or found.summary or "in plain Python", found)
        _check_name("placement", called, PLACEMENTS, _OWN_PLACEMENTS, made)
        _OWN_PLACEMENTS[called] = made
        _tell(f"@{called}")
        return _OWN_PLACEMENTS[called]

    return _decorate(name, make)


def _decorate(name: Any, make: Callable[[Any, str | None], Any]) -> Any:
    """With a name or nothing: the decorator; with the thing itself: what the decorator does."""

    def add(thing: Any, given: str | None = None) -> Any:
        made = make(thing, given)
        if isinstance(made, Policy):
            register(made)
        thing.__hexsched_policy__ = made  # found again by ``as_policy``
        return thing

    if name is None or isinstance(name, str):
        return lambda thing: add(thing, name)
    return add(name)


def _need(found: Own, what: str, *methods: str) -> None:
    missing = [name for name in methods if name not in found.methods]
    if missing and isinstance(found.thing, FunctionType):
        expected = {"key": "(call, now)", "decide": "(view)"}[missing[0]]
        raise InputError(f"{what} {found.name!r} takes {inspect.signature(found.thing)}, expected {expected}")
    if missing:
        raise InputError(f"{what} {found.name!r} has no {' and no '.join(f'method {name}' for name in missing)}")


def _as_order(thing: Any, name: str | None = None, summary: str = "", place: Any = None, source: str = "") -> Policy:
    found = own(thing)
    _need(found, "order", "key")
    where = {"placement": "plan", "placer": None} if place is None else _place(place)
    if place is None and {"prefill", "decode"} <= found.methods:
        where = {"placement": found.name, "placer": found}
    return _own_policy(found, name, summary or found.summary or "an order in plain Python", source, **where)


def _as_whole(thing: Any, name: str | None = None, summary: str = "", source: str = "") -> Policy:
    found = own(thing)
    _need(found, "policy", "decide")
    return _own_policy(found, name, summary or found.summary or "in plain Python", source)


def _own_policy(found: Own, name: str | None, summary: str, source: str, **where: Any) -> Policy:
    values = {key: option.default for key, option in found.options.items()} | found.values
    changed = [f"{key}={value}" for key, value in values.items() if value != found.options[key].default]
    called = (name or found.name) + (f"({','.join(changed)})" if changed else "")
    return Policy(called, summary, source or "your own", options=values, own=found, **where)


def _place(place: Any, where: str = "") -> dict[str, Any]:
    """Where calls go, as fields of a policy."""
    if isinstance(place, str):
        if place in PLACEMENTS:
            return {"placement": place, "placer": None}
        if place not in _OWN_PLACEMENTS and place not in list_placements():
            raise InputError(f"unknown placement {place!r}{where}{suggest(place, list_placements())}")
        return {"placement": place, "placer": _OWN_PLACEMENTS[place].own}
    known = vars(place).get("__hexsched_policy__") if hasattr(place, "__dict__") else None
    if isinstance(known, OwnPlacement):
        return {"placement": known.name, "placer": known.own}
    found = own(place, "placement", "a name, or a class or object with prefill(call, view) and decode(call, view)")
    _need(found, "placement", "prefill", "decode")
    return {"placement": found.name, "placer": found}


# --- reading ---------------------------------------------------------------------------------------------------------


def read_policy(text: str) -> Policy:
    """Read ``NAME``, ``NAME@PLACEMENT`` or ``NAME(option=value, ...)@PLACEMENT``.

    Raises
    ------
    InputError
        For an unknown name, option, value or placement, with what would be right.
    """
    match = re.fullmatch(r"\s*+([^\s()@]++)\s*+(?:\(((?:[^()]|\([^()]*+\))*+)\))?+\s*+(?:@\s*+(\S++))?+\s*+", text)
    if match is None:
        raise InputError(f"policy {text!r}: expected NAME, NAME@PLACEMENT or NAME(option=value, ...)@PLACEMENT")
    name, options, place = match.groups()
    base = _find(name)
    where = {}
    if place is not None:
        if base.decides:
            raise InputError(f"policy {name!r} does its own placement, '@{place}' does not apply")
        where = _place(place, f" in policy {text!r}")
    values = dict(base.options)
    for item in filter(None, (part.strip() for part in (options or "").split(","))):
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in values:
            has = choices(key, values, "it has") if values else "it has none"
            raise InputError(f"policy {name!r} has no option {key!r}; {has}")
        values[key] = base.declared[key].read(value, f"option {key!r} of policy {name!r}")
    return replace(base, name=re.sub(r"\s", "", text), options=values, **where)


def as_policy(thing: Any) -> Policy:
    """Whatever may stand where a policy is asked for, as a ``Policy``.

    Parameters
    ----------
    thing : str, Policy, Order, function, class or object
        A name as on the command line, what ``order`` or ``policy`` decorated, a plain function ``key(call, now)`` or
        ``decide(view)``, a class or object that has one of these as a method. An object is copied for each run.

    Raises
    ------
    InputError
        For anything else, and for an unknown name.
    """
    if isinstance(thing, Policy):
        return thing
    if isinstance(thing, str):
        return read_policy(thing)
    if isinstance(thing, Order):
        return _of_order(thing)
    known = vars(thing).get("__hexsched_policy__") if hasattr(thing, "__dict__") else None
    if isinstance(known, Policy):
        return known
    of_class = vars(type(thing)).get("__hexsched_policy__")
    found = own(thing)
    if isinstance(of_class, Policy):  # an object of a decorated class
        values = {key: option.default for key, option in found.options.items()} | found.values
        changed = [f"{key}={value}" for key, value in values.items() if value != found.options[key].default]
        name = of_class.name + (f"({','.join(changed)})" if changed else "")
        placer = found if of_class.placer is of_class.own else of_class.placer
        return replace(of_class, name=name, own=found, options=values, placer=placer)
    if "decide" in found.methods:
        return _as_whole(thing)
    if "key" in found.methods:
        return _as_order(thing)
    raise InputError(f"{found.name!r} is a placement, not a policy; give it as placement= of an order")
