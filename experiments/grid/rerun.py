"""Making a stored row again, from what the store says of it, and comparing every number."""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from experiments.environment import versions
from experiments.grid.cell import Answer, Cell
from experiments.grid.kind import Kind
from experiments.grid.plan import make_plan
from experiments.grid.spec import check_allowed, read_grid
from experiments.grid.work import prepare
from experiments.store.reading import AGAIN, read_cells
from experiments.store.schema import PROVENANCE, SCHEDULES, TIMINGS, as_arrow, tables
from experiments.store.store import Store, fingerprint, version_of
from hexsched.display import Summary, displayed
from hexsched.errors import InputError

ROUNDING = 1e-6  # relative: a bound this far above another run's value is wrong, not rounded
MOST_NAMED = 5  # keys that are told where several are meant

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Difference:
    """A column that is not what is stored.

    Attributes
    ----------
    table, column : str
    rows : int
        In how many rows.
    then, now : object
        In the first of them, what is stored and what it is now.
    timed : bool
        Whether it depends on how far the cell got in its time limit: told, and no fault.
    """

    table: str
    column: str
    rows: int
    then: object
    now: object
    timed: bool = False


@displayed
@dataclass(frozen=True, repr=False)
class Rerun:
    """What came of making a cell again.

    Attributes
    ----------
    key, description : str
    compared : int
        Numbers and texts that were compared.
    differences : list of Difference
    changed : list of str
        What is not the same among the inputs; nothing is computed then.
    versions : dict of str to (str or None, str or None)
        What has another version now, with the one then and the one now.
    error : str
        Why it could not be computed now.
    """

    key: str
    description: str
    compared: int = 0
    differences: list[Difference] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    versions: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    error: str = ""

    @property
    def verdict(self) -> str:
        """``equal``, ``differs``, ``inputs changed`` or ``failed``."""
        if self.changed:
            return "inputs changed"
        if self.error:
            return "failed"
        return "differs" if any(not each.timed for each in self.differences) else "equal"

    @property
    def ok(self) -> bool:
        """Whether all is as it is stored."""
        return self.verdict == "equal"

    def _summary(self) -> Summary:
        facts = {
            "verdict": self.verdict,
            "compared": self.compared,
            "changed": "; ".join(self.changed) or None,
            "error": self.error or None,
            "other versions of": ", ".join(self.versions) or None,
        }
        rows = [asdict(each) for each in self.differences]
        return Summary(self.key, facts, rows[:10], len(rows), text=True)


def find_cells(store: Store, texts: Sequence[str]) -> list[str]:
    """Keys of the finished cells that are meant: a key, its part after the hyphen, or the first digits of either.

    Raises
    ------
    InputError
        When there is none, or more than one.
    """
    done = sorted(store.done())
    found: dict[str, None] = {}
    for text in texts:
        exact = [key for key in done if text in (key, fingerprint(key))]
        keys = exact or [key for key in done if text and (key.startswith(text) or fingerprint(key).startswith(text))]
        if not keys:
            raise InputError(
                f"no finished cell has a key that begins with {text!r}; see 'hexsched grid export'", "CELL"
            )
        if len(keys) > 1:
            some = ", ".join(keys[:MOST_NAMED]) + (", ..." if len(keys) > MOST_NAMED else "")
            raise InputError(f"{len(keys)} cells have a key that begins with {text!r}: {some}", "CELL")
        found[keys[0]] = None
    return list(found)


def rerun(
    store: str | Path | Store, cell: str, *, folder: str | Path | None = None, allow_plugins: bool = False
) -> Rerun:
    """Make a finished cell of a grid again, its load search too, and compare every number with what is stored.

    Parameters
    ----------
    store : str, Path or Store
    cell : str
        Its key, as in the column ``key`` of every table, or the first digits.
    folder : str or Path, optional
        What paths are relative to; by default the folder of the grid file that the cell comes from.
    allow_plugins : bool
        Run the Python files that it needs.

    Returns
    -------
    Rerun

    Raises
    ------
    InputError
        When there is no such cell, the store does not say where it comes from, is damaged, or an input cannot be read.
    """
    store = store if isinstance(store, Store) else Store.open(store)
    (key,) = find_cells(store, [cell])
    if store.damaged([key]):
        raise InputError(f"a file of cell {key} was changed after it was written; {AGAIN}", store.path)
    row = next(iter(read_cells(store, PROVENANCE, _present(store, PROVENANCE, key)).to_pylist()), None)
    if row is None or row["grid"] is None:
        raise InputError(f"the store does not say how cell {key} was made; {AGAIN} and then does", store.path)
    where = _folder(store, key) if folder is None else Path(folder)
    made = _cell(row, key, where, allow_plugins, schedules=key in store.keys(SCHEDULES))
    other = {name: (row[name], now) for name, now in versions().items() if row[name] != now}
    if version_of(key) != version_of(made.key):
        other["code"] = (version_of(key), version_of(made.key))
    changed = _changes(msgspec.json.decode(row["inputs"]), msgspec.json.decode(made.identity), made, where)
    if changed:
        return Rerun(key, made.description, changed=changed, versions=other)
    try:
        answer = _answer(made)
    except InputError as error:
        return Rerun(key, made.description, versions=other, error=str(error))
    compared, differences = _compare(store, key, made.kind, answer)
    return Rerun(key, made.description, compared, differences, versions=other)


def _present(store: Store, table: str, key: str) -> list[str]:
    return [key] if key in store.keys(table) else []


def _folder(store: Store, key: str) -> Path:
    timing = read_cells(store, TIMINGS, _present(store, TIMINGS, key)).to_pylist()
    return Path((timing[0]["folder"] if timing else None) or ".")


def _cell(row: Mapping[str, Any], key: str, folder: Path, allow_plugins: bool, schedules: bool) -> Cell:
    """The cell that the stored grid has now."""
    try:
        grid = read_grid(msgspec.json.decode(row["grid"]), load_plugins=allow_plugins, folder=folder)
    except InputError as error:
        raise InputError(
            f"the inputs of cell {key} cannot be read from {folder}: {error}; --folder says where"
        ) from None
    check_allowed(grid, allow_plugins)
    cells = make_plan(grid, schedules).cells.values()
    return next(cell for cell in cells if cell.kind.name == row["kind"])


def _changes(then: Mapping[str, Any], now: Mapping[str, Any], cell: Cell, folder: Path) -> list[str]:
    """What is not the same among the inputs, a sentence each; files by their paths."""
    entries = {"cluster": cell.grid.get("clusters"), "workload": cell.grid.get("workloads"), "start": "earlier store"}
    sentences = []
    for name in sorted(then.keys() | now.keys()):
        old, new = then.get(name), now.get(name)
        if old == new:
            continue
        if name == "plugins":
            files = [str(getattr(plugin, "path", getattr(plugin, "name", ""))) for plugin in cell.plugins]
            pairs = zip_longest(old or (), new or (), files, fillvalue=None)
            sentences += [f"{file or name}: {_digests(a, b)}" for a, b, file in pairs if a != b]
        elif isinstance(old, Mapping) and isinstance(new, Mapping) and old.get("sha256") != new.get("sha256"):
            entry = str(entries.get(name) or name)
            path = folder / entry.partition(",")[0]
            what = path if path.exists() else f"{name} {entry}"
            sentences.append(f"{what}: {_digests(old.get('sha256'), new.get('sha256'))}")
        else:
            sentences.append(f"{name}: {_short(old)} then, {_short(new)} now")
    return sentences


def _digests(old: str | None, new: str | None) -> str:
    return f"not the same content, sha256 {_short(old)} then, {_short(new)} now"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 16 else f"{text[:12]}..."


def _answer(cell: Cell) -> Answer:
    needed = cell.needs
    rate = None if needed is None else _answer(needed).rate
    try:
        prepare(cell)
        return cell.compute(rate)
    except InputError:
        raise
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit too: a plugin does not end the program
        raise InputError(f"{type(error).__name__}: {error}") from None


def _compare(store: Store, key: str, kind: Kind, answer: Answer) -> tuple[int, list[Difference]]:
    compared = 0
    differences: list[Difference] = []
    for table, rows in answer.tables.items():
        then = read_cells(store, table, _present(store, table, key)).to_pylist()
        now = as_arrow(table, [{**row, "key": key} for row in rows]).to_pylist()
        slow = kind.timed.get(table, ())
        columns = list(tables()[table].columns)
        if len(then) != len(now):
            differences.append(Difference(table, "rows", 1, len(then), len(now), timed={*columns} - {"key"} <= {*slow}))
        for column in columns:
            pairs = [(a[column], b[column]) for a, b in zip(then, now, strict=False)]
            compared += len(pairs)
            apart = [(a, b) for a, b in pairs if repr(a) != repr(b)]  # every digit
            if apart:
                differences.append(Difference(table, column, len(apart), *apart[0], timed=column in slow))
        if kind.bracket is not None and table == kind.marker:
            differences += _contradictions(table, kind.bracket, then, now)
    if answer.schedule is not None:
        compared += 1
        stored = (store.path / SCHEDULES / f"{key}.json.gz").read_bytes()
        if gzip.decompress(stored) != gzip.decompress(answer.schedule):
            timed = bool(kind.timed)
            differences.append(Difference(SCHEDULES, "schedule", 1, "one schedule", "another", timed))
    return compared, differences


def _contradictions(table: str, columns: tuple[str, str], then: Rows, now: Rows) -> list[Difference]:
    """A bound of one run above the value of the other: both cannot be right, whatever time they had."""
    lower, upper = columns
    found = []
    for old, new in zip(then, now, strict=False):
        for one, other in ((old, new), (new, old)):
            bound, value = one[lower], other[upper]
            if bound is not None and value is not None and bound > value + ROUNDING * max(abs(value), math.ulp(1.0)):
                found.append(Difference(table, f"{lower} above {upper}", 1, old[lower], new[upper]))
    return found
