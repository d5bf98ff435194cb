"""Rows that are made of columns when somebody looks at one: a million small objects are not made for nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

T = TypeVar("T")

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Rows(Sequence[T], Generic[T]):
    """A sequence that equals the tuple of its rows.

    Parameters
    ----------
    columns : object
        What the rows are made of; it is not to be changed.
    length : int
        How many there are.
    make : callable
        From the columns to all rows; a function of a module, so that what has rows can be pickled.
    """

    __slots__ = ("_length", "_made", "_make", "columns")

    def __init__(self, columns: Any, length: int, make: Callable[[Any], tuple[T, ...]]) -> None:
        self.columns = columns
        self._length = length
        self._make = make
        self._made: tuple[T, ...] | None = None

    @property
    def all(self) -> tuple[T, ...]:
        """The rows; they are made once."""
        if self._made is None:
            self._made = self._make(self.columns)
        return self._made

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...

    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        return self.all[index]

    def __iter__(self) -> Iterator[T]:
        return iter(self.all)

    def __add__(self, other: Iterable[T]) -> tuple[T, ...]:
        return (*self.all, *other)

    def __radd__(self, other: Iterable[T]) -> tuple[T, ...]:
        return (*other, *self.all)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Rows):
            return self is other or (len(self) == len(other) and self.all == other.all)
        return self.all == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.all)

    def __repr__(self) -> str:
        return repr(self.all)

    def __reduce__(self) -> tuple[Any, ...]:
        return Rows, (self.columns, self._length, self._make)


class Texts:
    """A column of texts, each known by its place among the distinct ones.

    Attributes
    ----------
    codes : (N,) int array
        The place of each.
    distinct : tuple of str
        In the order in which they first appear.
    """

    __slots__ = ("codes", "distinct")

    def __init__(self, codes: Integers, distinct: tuple[str, ...]) -> None:
        self.codes = codes
        self.distinct = distinct

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, k: int) -> str:
        return self.distinct[self.codes[k]]

    def tolist(self, first: int = 0, last: int | None = None) -> list[str]:
        """The texts from ``first`` to before ``last``."""
        return list(map(self.distinct.__getitem__, self.codes[first:last].tolist()))


class TextsBuilder:
    """Makes ``Texts``, a piece at a time."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._codes: list[Integers] = []

    def add(self, texts: Sequence[str]) -> None:
        """The next texts."""
        places = self._places
        for text in dict.fromkeys(texts):
            places.setdefault(text, len(places))
        self._codes.append(np.fromiter(map(places.__getitem__, texts), np.int64, len(texts)))

    def add_coded(self, distinct: Sequence[str], codes: Integers) -> None:
        """The next texts, by their places in ``distinct``."""
        places = self._places
        found = [places.setdefault(text, len(places)) for text in distinct]
        self._codes.append(np.array(found, np.int64)[codes])

    def texts(self) -> Texts:
        """All that were added."""
        return Texts(joined(self._codes, np.int64), tuple(self._places))


def texts_of(texts: Sequence[str]) -> Texts:
    """A column of texts."""
    builder = TextsBuilder()
    builder.add(texts)
    return builder.texts()


def joined(pieces: Sequence[npt.NDArray[Any]], kind: type) -> Any:
    """The pieces of an array behind each other; one that nobody can write to."""
    array = np.concatenate(pieces) if pieces else np.empty(0, kind)
    array.flags.writeable = False
    return array
