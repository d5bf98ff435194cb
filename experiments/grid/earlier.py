"""Brackets of earlier stores, from which those of a grid set out.

A cell must not depend on which other cells of its own run ended first, so what it sets out from is content that is
there before the run: it is read when the grid is, its digest is one of the cell's inputs, and it travels with the cell.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from experiments.store.reading import read_cells
from experiments.store.schema import PROVENANCE, SCHEDULES
from experiments.store.store import Store
from hexsched.errors import InputError

if TYPE_CHECKING:
    from solvers.brackets.earlier import Earlier

GAPS, PRICES = "gaps", "gap_prices"
NOT_OF_THE_INSTANCE = ("kind", "policies", "time_limit", "cpu_time", "plugins", "start")  # inputs of a gap, that is


@dataclass(frozen=True)
class Start:
    """The best bracket of an instance and an objective in earlier stores.

    Attributes
    ----------
    lower_bound : float
    bound_source : str
    schedule : bytes
        Compressed file of the best schedule that was stored; empty where none was.
    upper_source : str
        Where it came from.
    prices : str
        Those of the best bound, as JSON; empty where it has none.
    """

    lower_bound: float
    bound_source: str
    schedule: bytes
    upper_source: str
    prices: str

    @property
    def sha256(self) -> str:
        """Of its content."""
        schedule = hashlib.sha256(gzip.decompress(self.schedule)).hexdigest() if self.schedule else ""
        content = (self.lower_bound, self.bound_source, schedule, self.upper_source, self.prices)
        return hashlib.sha256(msgspec.json.encode(content)).hexdigest()

    def earlier(self, source: str, objective: str) -> Earlier:
        """As ``solvers.brackets.gap.gap`` takes it; ``source`` says where it is from, for people."""
        from hexsched.model import Schedule
        from hexsched.model.files import decode_json
        from solvers.brackets.earlier import Earlier
        from solvers.problem.prices import KeptPrices

        schedule = decode_json(gzip.decompress(self.schedule), Schedule, source) if self.schedule else None
        prices = msgspec.json.decode(self.prices, type=KeptPrices) if self.prices else None
        return Earlier(source, objective, self.lower_bound, self.bound_source, schedule, self.upper_source, prices)


@dataclass(frozen=True)
class EarlierStores:
    """Stores to set out from.

    Attributes
    ----------
    entries : tuple of str
        As a grid file names them.
    paths : tuple of str
    """

    entries: tuple[str, ...]
    paths: tuple[str, ...]

    def start(self, inputs: Mapping[str, Any]) -> Start | None:
        """What a gap with these inputs sets out from; None where they have nothing of its instance and objective."""
        found = [bracket for path in self.paths for bracket in _brackets(path).get(_instance(inputs), ())]
        if not found:
            return None
        lower = max(found, key=lambda one: (one.lower_bound, bool(one.prices)))
        with_schedule = [one for one in found if one.has_schedule]
        upper = min(with_schedule, key=lambda one: one.upper_bound) if with_schedule else None
        return Start(
            lower.lower_bound,
            lower.bound_source,
            b"" if upper is None else (Path(upper.store) / SCHEDULES / f"{upper.key}.json.gz").read_bytes(),
            "" if upper is None else upper.upper_source,
            lower.prices,
        )


def read_earlier(value: str | Sequence[str], folder: Path) -> EarlierStores | None:
    """Look into the stores that a grid file names, relative to its folder; None where it names none.

    Raises
    ------
    InputError
        For what is no store, one that is being written, and one without brackets.
    """
    entries = tuple(filter(None, [value] if isinstance(value, str) else value))
    if not entries:
        return None
    paths = tuple(str(folder / entry) for entry in entries)
    _brackets.cache_clear()  # a store may have got more since
    for path in paths:
        if not _brackets(path):
            raise InputError("this store has no brackets to set out from; a grid of kind gap makes some", path)
    return EarlierStores(entries, paths)


@dataclass(frozen=True)
class _Bracket:
    """A cell of an earlier store."""

    store: str
    key: str
    lower_bound: float
    bound_source: str
    upper_bound: float
    upper_source: str
    prices: str
    has_schedule: bool


def _instance(inputs: Mapping[str, Any]) -> bytes:
    """What the instance and the objective of a gap with these inputs are, as JSON."""
    kept = {name: value for name, value in inputs.items() if name not in NOT_OF_THE_INSTANCE}
    return msgspec.json.encode(kept, order="deterministic")


@lru_cache(maxsize=16)
def _brackets(path: str) -> dict[bytes, list[_Bracket]]:
    """The brackets of a store, by instance and objective, in the order of their keys."""
    store = Store.open(path)
    store.check_finished()
    keys = sorted(store.keys(GAPS) & store.keys(PROVENANCE))
    if damaged := store.damaged(keys):
        raise InputError(f"{len(damaged):,} cells have a file that was changed or damaged", path)
    of_key = {row["key"]: row for row in read_cells(store, GAPS, keys).to_pylist()}  # one row of each: bounds are equal
    prices = {
        row["key"]: row["prices"]
        for row in read_cells(store, PRICES, sorted(store.keys(PRICES) & set(keys))).to_pylist()
    }
    schedules = store.keys(SCHEDULES)
    found: dict[bytes, list[_Bracket]] = {}
    for row in read_cells(store, PROVENANCE, keys).to_pylist():
        key, bracket = row["key"], of_key[row["key"]]
        instance = _instance(msgspec.json.decode(row["inputs"]))
        found.setdefault(instance, []).append(
            _Bracket(
                os.fspath(store.path),
                key,
                bracket["lower_bound"],
                bracket["bound_source"],
                bracket["upper_bound"],
                bracket["upper_source"],
                prices.get(key, ""),
                key in schedules,
            )
        )
    return found
