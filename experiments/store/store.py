"""The folder of a store: what is done, and writing so that a kill at any moment loses nothing that was done."""

from __future__ import annotations

import contextlib
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec

from experiments.store.schema import ERRORS, INSTANCES, SCHEDULES, markers, tables
from experiments.store.seal import is_of, is_whole
from hexsched.errors import InputError
from hexsched.model.files import decode_json, read_bytes

FORMAT = "hexsched-store/2"
STORE_JSON = "store.json"
LOCK = ".lock"
PARTIAL = ".partial"  # files on their way; hidden, so that readers of the store pass it by
FILES = (SCHEDULES, INSTANCES)  # folders that are no tables
WRITERS = 8  # syncs at a time: the disk takes several in about the time of one


@dataclass(frozen=True)
class CellFiles:
    """All files of one cell.

    Attributes
    ----------
    key : str
    marker : str
        The table whose file says that the cell is done; ``errors`` for a cell that failed.
    data : dict of str to bytes
        Contents by table (or ``schedules``); the marker's among them.
    """

    key: str
    marker: str
    data: Mapping[str, bytes]


class Store:
    """A store that exists; ``Store.open`` to look, ``Store.writing`` to change it.

    Attributes
    ----------
    path : Path
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._identity: tuple[int, int, int] | None = None  # of store.json, while this process writes

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """A store to read from.

        Raises
        ------
        InputError
            When there is none, or one of another format.
        """
        store = cls(path)
        if not os.path.isdir(store.path):
            what = "a store is a folder, this is a file" if os.path.exists(store.path) else "there is no such store"
            raise InputError(f"{what}; 'hexsched grid run GRID --store DIR' makes one", path)
        store._check_format()
        return store

    @classmethod
    @contextlib.contextmanager
    def writing(cls, path: str | Path, create: bool = True) -> Iterator[Store]:
        """A store to write to, made where there is none; locked, and rid of what a killed run left half done.

        Raises
        ------
        InputError
            When the folder is something else, cannot be written, has another format, or is being written by another
            process.
        """
        store = cls(path)
        with store._errors_as("cannot write to the store"):
            if create and not store._exists():
                store._create()
        store._check_format()
        with store._lock():
            with store._errors_as("cannot write to the store"):
                store._clean()
                store._identity = store._look()
            yield store

    def keys(self, table: str) -> set[str]:
        """Keys of the cells that have a file in a table, or in ``schedules``."""
        suffix = _suffix(table)
        with contextlib.suppress(FileNotFoundError):
            return {name.removesuffix(suffix) for name in os.listdir(self.path / table) if name.endswith(suffix)}
        return set()

    def stats(self, table: str) -> list[tuple[str, os.stat_result]]:
        """Key and file status of every file of a table."""
        suffix = _suffix(table)
        with contextlib.suppress(FileNotFoundError), os.scandir(self.path / table) as entries:
            return [(e.name.removesuffix(suffix), e.stat()) for e in entries if e.name.endswith(suffix)]
        return []

    def done(self) -> dict[str, str]:
        """The marking table of every cell that is done, by key."""
        return {key: table for table in markers() for key in self.keys(table)}

    def write(self, cells: Sequence[CellFiles]) -> None:
        """Make cells done (or failed), durably: other files first, the marker last, each whole or not at all.

        Raises
        ------
        InputError
            When the disk is full or the like. Cells written before are kept.
        """
        self.check_same()
        with self._errors_as("cannot write to the store, finished cells are kept"):
            files = [(cell, table, data) for cell in cells for table, data in cell.data.items()]
            folders = {table for _, table, _ in files}
            for folder in {PARTIAL, *folders} - set(os.listdir(self.path)):
                (self.path / folder).mkdir()
                _sync_folder(self.path)
            with ThreadPoolExecutor(WRITERS) as pool:
                list(pool.map(self._write_partial, files))
                # Renames of a cell's markers must not reach the disk before those of its other files.
                for last in (False, True):
                    moved = [(cell.key, table) for cell, table, _ in files if (table == cell.marker) == last]
                    for key, table in moved:
                        os.replace(self._partial(table, key), self._file(table, key))
                    list(pool.map(_sync_folder, {self.path / table for _, table in moved}))
            for cell in cells:
                if cell.marker != ERRORS:
                    self._file(ERRORS, cell.key).unlink(missing_ok=True)

    def check_same(self) -> None:
        """Raise ``InputError`` unless the folder still is the store that was opened for writing."""
        try:
            same = self._look() == self._identity
        except OSError:
            same = False
        if not same:
            raise InputError(
                "the store was removed or replaced while it was written; what was computed in it is lost, run again",
                self.path,
            )

    def damaged(self, keys: Iterable[str]) -> set[str]:
        """Which of the cells have a file that was changed after it was written, or cannot be read."""
        present = {table: self.keys(table) for table in {*tables(), *FILES}}
        return {
            key
            for key in keys
            if not all(_is_sound(self._file(table, key)) for table, there in present.items() if key in there)
        }

    def check_finished(self) -> None:
        """Raise ``InputError`` while another process writes to it."""
        import fcntl

        with contextlib.suppress(FileNotFoundError), (self.path / LOCK).open("rb") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                raise InputError("another process is writing to this store; wait for it to end", self.path) from None

    def remove(self, keys: Iterable[str]) -> None:
        """Remove cells and whatever belongs to them."""
        folders = [*markers(), *({*tables(), *FILES} - {*markers()})]  # markers first: half a cell is not a cell
        with self._errors_as("cannot remove cells from the store"):
            for key in keys:
                for folder in folders:
                    self._file(folder, key).unlink(missing_ok=True)

    def _look(self) -> tuple[int, int, int]:
        found = os.stat(self.path / STORE_JSON)
        return found.st_dev, found.st_ino, found.st_mtime_ns  # numbers of removed files are given again

    def _file(self, table: str, key: str) -> Path:
        return self.path / table / f"{key}{_suffix(table)}"

    def _partial(self, table: str, key: str) -> Path:
        return self.path / PARTIAL / f"{table}-{key}"

    def _write_partial(self, file: tuple[CellFiles, str, bytes]) -> None:
        cell, table, data = file
        path = self._partial(table, cell.key)
        try:
            with path.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _exists(self) -> bool:
        """Whether there is something here already, right or wrong; a folder with nothing of ours in it is nothing."""
        if not os.path.isdir(self.path):
            return os.path.exists(self.path)
        return any(name not in (LOCK, PARTIAL) for name in os.listdir(self.path))

    def _create(self) -> None:
        (self.path / PARTIAL).mkdir(parents=True, exist_ok=True)
        partial = self.path / PARTIAL / f"{STORE_JSON}-{os.getpid()}"  # two processes may start at once
        with partial.open("wb") as stream:
            stream.write(msgspec.json.encode({"format": FORMAT}) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, self.path / STORE_JSON)
        _sync_folder(self.path)

    def _check_format(self) -> None:
        path = self.path / STORE_JSON
        if not os.path.isfile(path):
            raise InputError(
                f"this is no store: it has no {STORE_JSON}; a new one needs a new or empty folder", self.path
            )
        try:
            content = decode_json(read_bytes(path), object, str(path))
        except InputError as error:
            raise InputError(f"cannot read the store's format: {error}") from None
        known = content.get("format") if isinstance(content, dict) else None
        if known != FORMAT:
            raise InputError(f"the store has format {known!r}, this version of hexsched reads {FORMAT!r} only", path)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        import fcntl

        with self._errors_as("cannot write to the store"):
            handle = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go by the kernel when this process ends
            except OSError:
                raise InputError("another process is writing to this store; wait for it to end", self.path) from None
            yield
        finally:
            os.close(handle)

    def _clean(self) -> None:
        """Remove half-written files, and files of cells that were never finished."""
        for name in os.listdir(self.path / PARTIAL) if (self.path / PARTIAL).is_dir() else ():
            (self.path / PARTIAL / name).unlink(missing_ok=True)
        done = self.done()
        for table in {*tables(), *FILES} - {*markers()}:
            strays = self.keys(table) & done.keys() if table == ERRORS else self.keys(table) - done.keys()
            for key in strays:
                self._file(table, key).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _errors_as(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"{what}: {error.strerror or error}", error.filename or self.path) from None


def _suffix(table: str) -> str:
    return ".json.gz" if table in FILES else ".parquet"


def _is_sound(path: Path) -> bool:
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            gzip.decompress(data)  # which has a checksum
            return True
    except (OSError, EOFError, zlib.error):
        return False
    return is_whole(data) and is_of(path.stem, data)


def fingerprint(key: str) -> str:
    """The part of a key that stands for the inputs."""
    return key.partition("-")[2]


def version_of(key: str) -> str:
    """The part of a key that stands for the code."""
    return key.partition("-")[0]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
