"""Things of which there are several, a module each: a folder is their list, and nothing else names them."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from hexsched.errors import InputError
from hexsched.outside import Package, complain, things


class Named(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str:
        """What people call it on the command line."""


T = TypeVar("T", bound=Named)
MOST_LISTED = 24  # names in a message
NEAR = 0.65  # share of letters in common (difflib) from which a name may stand for another


class Registry(Mapping[str, T], Generic[T]):
    """All entries of one sort, by name: what the modules of a package say of themselves.

    Every module in the package's folder is an entry, or several: it has the ``attribute``, an entry or a tuple of them.
    Folders inside it, and modules whose names begin with ``_``, are for what entries share. So to add an entry is to
    add a file. Modules are imported when the registry is first looked into.

    Parameters
    ----------
    package : str
        Its dotted name; ``__name__`` in the package's own ``__init__``.
    attribute : str
        What a module calls its entry: ``BOUND``.
    noun : str
        What people call one: ``bound``.
    rank : callable, optional
        Entries are listed by this, then by name.
    group : str, optional
        The group of entry points under which other packages bring entries along: each is an entry, a tuple of them, or
        a module with the ``attribute``. By default ``hexsched.`` and the last part of the package's name; "" for none.
        They are loaded when entries are listed, or a name is none of those in the package.
    """

    def __init__(
        self,
        package: str,
        attribute: str,
        noun: str,
        rank: Callable[[T], Any] = lambda entry: 0,
        group: str | None = None,
    ) -> None:
        self.package, self.attribute, self.noun, self._rank = package, attribute, noun, rank
        self.group = f"hexsched.{package.rpartition('.')[2]}" if group is None else group
        self._entries: dict[str, T] | None = None
        self._outside: dict[str, tuple[T, Package]] | None = None
        self._all: dict[str, T] | None = None

    def __getitem__(self, name: str) -> T:
        inside = self._inside()
        return inside[name] if name in inside else self._everything()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._everything())

    def __len__(self) -> int:
        return len(self._everything())

    def __repr__(self) -> str:
        return f"<{self.noun}s: {', '.join(self)}>"

    def find(self, name: str) -> T:
        """The entry of that name.

        Raises
        ------
        InputError
            When there is none, with what may have been meant.
        """
        if name not in self:
            raise InputError(f"unknown {self.noun} {name!r}{suggest(name, self)}")
        return self[name]

    def add(self, entry: T) -> None:
        """Add an entry that stands in no module of the package: a user's own.

        Raises
        ------
        InputError
            When the name is taken.
        """
        if entry.name in self:
            raise InputError(f"{self.noun} name {entry.name!r} is taken")
        self._entries, self._all = self._listed([*self._inside().values(), entry]), None

    def put(self, entry: T) -> None:
        """Add an entry, in the place of the one of its name where there is one."""
        others = [known for known in self._inside().values() if known.name != entry.name]
        self._entries, self._all = self._listed([*others, entry]), None

    def remove(self, name: str) -> None:
        """Take an entry out again; nothing happens when there is none of that name."""
        self._inside().pop(name, None)
        self._from_outside().pop(name, None)
        self._all = None

    def refresh(self) -> None:
        """Look into the package, and at other packages, anew: its ``__path__`` has another folder, or lost one."""
        self._entries = self._outside = self._all = None

    def packages(self) -> dict[str, Package]:
        """The packages that entries from outside come from, by the name of the entry."""
        inside = self._inside()
        return {name: package for name, (_, package) in self._from_outside().items() if name not in inside}

    def _inside(self) -> dict[str, T]:
        if self._entries is None:
            self._entries = self._listed(self._in_modules())
        return self._entries

    def _everything(self) -> dict[str, T]:
        if self._all is None:
            inside = self._inside()
            outside = [entry for name, (entry, _) in self._from_outside().items() if name not in inside]
            self._all = self._listed([*inside.values(), *outside])
        return self._all

    def _from_outside(self) -> dict[str, tuple[T, Package]]:
        """What other packages bring along; what is wrong with one is told, and the others do not suffer."""
        if self._outside is None:
            self._outside = {}
            for point, thing, package in things(self.group, self.noun) if self.group else ():
                given = getattr(thing, self.attribute, None) if isinstance(thing, ModuleType) else thing
                if given is None:
                    complain(point, self.noun, f"the module has no {self.attribute}")
                    continue
                for entry in given if type(given) is tuple else (given,):
                    if not isinstance(getattr(entry, "name", None), str):
                        complain(point, self.noun, f"{entry!r:.60} is no {self.noun}: it has no name")
                    elif entry.name in self._inside() or entry.name in self._outside:
                        complain(point, self.noun, f"the name {entry.name!r} is taken")
                    else:
                        self._outside[entry.name] = entry, package
        return self._outside

    def _in_modules(self) -> Iterator[T]:
        for module in pkgutil.iter_modules(import_module(self.package).__path__):
            if module.ispkg or module.name.startswith("_"):
                continue
            entry = getattr(import_module(f"{self.package}.{module.name}"), self.attribute, None)
            if entry is None:
                raise TypeError(f"{self.package}.{module.name} has no {self.attribute}, so it is no {self.noun}")
            yield from entry if type(entry) is tuple else (entry,)  # an entry may be a named tuple

    def _listed(self, entries: Iterable[T]) -> dict[str, T]:
        listed: dict[str, T] = {}
        for entry in sorted(entries, key=lambda entry: (self._rank(entry), entry.name)):
            if entry.name in listed:
                raise TypeError(f"two {self.noun}s are called {entry.name!r}")
            listed[entry.name] = entry
        return listed


def modules_of(package: str) -> list[str]:
    """Names of the modules of a package that are entries, found without importing it: for help that must be quick."""
    spec = find_spec(package)
    assert spec is not None
    return [m.name for m in pkgutil.iter_modules(spec.submodule_search_locations) if not (m.ispkg or m.name[0] == "_")]


def refuse_unknown(noun: str, name: str, names: Iterable[str], group: str) -> None:
    """Refuse a name that is none of ``names``, before anything is loaded that has them: a slip is told at once.

    Where other packages bring entries along (entry points of ``group``), it is for the registry to say.

    Raises
    ------
    InputError
    """
    known = list(names)
    if name not in known and not entry_points(group=group):
        raise InputError(f"unknown {noun} {name!r}{suggest(name, known)}")


def meant(name: str, known: Iterable[str]) -> str | None:
    """The one of the known names that a mistyped one stands for, if any is near: case and punctuation do not count."""
    import difflib  # 2 ms that ``hexsched --help`` need not wait for

    by_key: dict[str, str] = {}
    for plain in known:
        by_key.setdefault(_key(plain), plain)
    key = _key(name)
    if key in by_key:
        return by_key[key]
    close = difflib.get_close_matches(key, by_key, n=1, cutoff=NEAR)
    longer = [each for each in by_key if len(key) > 2 and key in each]
    shorter = [each for each in by_key if len(each) > 2 and each in key]
    near = [*close, *longer, *shorter]
    return by_key[near[0]] if near else None


def suggest(name: str, known: Iterable[str]) -> str:
    """``"; did you mean ...?"`` for a near miss, else what there is; both where the miss is not so near."""
    names = list(known)
    near = meant(name, names)
    if near is None:
        return f"; known are {listed(names)}" if names else "; there are none"
    is_part = _key(name) != _key(near) and (_key(name) in _key(near) or _key(near) in _key(name))
    return f"; did you mean {near!r}?" + (f" Known are {listed(names)}" if is_part else "")


def hint(name: str, known: Iterable[str]) -> str:
    """``"did you mean ...? "``, or nothing: before a list of what there is."""
    near = meant(name, known)
    return "" if near is None else f"did you mean {near}? "


def choices(name: str, known: Iterable[str], lead: str = "known are") -> str:
    """What there is, after the one that may be meant: ``"did you mean blue? known are red, blue"``."""
    names = list(known)
    return f"{hint(name, names)}{lead} {listed(names)}"


def listed(names: Sequence[str]) -> str:
    """Names with commas between them, as many as people read."""
    more = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _key(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
