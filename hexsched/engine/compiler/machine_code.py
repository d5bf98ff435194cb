"""Where machine code is kept for the next process, and that only what we wrote there is ever run.

Code from this cache runs in the user's name, so the folder must be the user's own and closed to others. It runs as it
is, so every file begins with a digest of the rest: what was cut short or changed is compiled again, and so is what
speaks of modules or classes that are not here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import re
import shutil
import stat
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile
from platformdirs import user_cache_path

_config: Any = numba.config
_DIGEST = 32  # bytes
_DAYS_KEPT = 30  # that machine code stays which no process asks for: a checkout changes it often, a folder is a few MB
_NAME = re.compile(r"(checked|kernels)-[0-9a-f]{16}")  # the latter of earlier versions


@cache
def cache_directory(digest: str) -> str:
    """A folder for machine code of that digest: in the user's cache, else in the temporary folder, else a fresh one."""
    for base in (user_cache_path("hexsched"), Path(tempfile.gettempdir()) / f"hexsched-{os.getuid()}"):
        folder = base / f"checked-{digest}"  # not "kernels-", in which earlier versions kept files without a digest
        is_new = not folder.exists()
        if _make_private(base) and _make_private(folder) and os.access(folder, os.W_OK):
            with contextlib.suppress(OSError):
                os.utime(folder)  # when it was last used
            if is_new:
                _prune(base)
            return str(folder)
    return tempfile.mkdtemp(prefix="hexsched-")


def _prune(base: Path) -> None:
    """Remove the folders of states of the kernels that nobody has used for long; whoever wants one compiles it again.

    Only folders that are ours and called as ours are, and none through a link.
    """
    oldest = time.time() - _DAYS_KEPT * 86_400
    with contextlib.suppress(OSError):
        for folder in base.iterdir():
            if not _NAME.fullmatch(folder.name):
                continue
            with contextlib.suppress(OSError):  # another process may be at the same
                found = folder.lstat()
                if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and found.st_mtime < oldest:
                    shutil.rmtree(folder, ignore_errors=True)


def _make_private(folder: Path) -> bool:
    """Make a folder that we own and that nobody else may enter; whether it is one now."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()  # not through a link, which may lead to another's folder
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return False
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o022:  # others could write here, and may have: what lies in it is not to be trusted
            return False
        if mode != 0o700:
            folder.chmod(0o700)
    except OSError:
        return False
    return True


class KeptCode(FunctionCache):
    """Machine code of one function, in files of a folder that are checked when they are read.

    The folder stands for all that the code is made of. So, unlike numba, we do not ask where its source files are nor
    when they were written, and another installation of the same sources finds the machine code ready.
    """

    def __init__(self, function: Any, folder: str) -> None:
        saved = _config.CACHE_DIR
        _config.CACHE_DIR = folder  # for this function alone
        try:
            super().__init__(function)
        finally:
            _config.CACHE_DIR = saved
        self._cache_file = CheckedFile(folder, self._impl.filename_base, "")

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Without what numba loads first, all that it may need to compile: that takes longer than what is done here."""
        return self._load_overload(sig, target_context)

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return sig, codegen.magic_tuple()


class CheckedFile(IndexDataCacheFile):
    """numba's files of one function, each with a digest before its content."""

    def save(self, key: Any, data: Any) -> None:
        try:
            super().save(key, data)
        except OSError as error:  # a full disk, say: what was compiled works all the same
            _say_not_kept(self._cache_path, error.strerror or str(error))

    def _load_index(self) -> dict[Any, str]:
        try:
            version, stamp, overloads = self._read(self._index_path)
        except OSError:
            return {}
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        return self._read(self._data_path(name))  # numba takes an OSError for a file that is gone

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _read(self, path: str) -> Any:
        content = Path(path).read_bytes()
        if hashlib.sha256(content[_DIGEST:]).digest() == content[:_DIGEST]:
            with contextlib.suppress(Exception):  # whole, but another version's: it speaks of what is not here
                return pickle.loads(content[_DIGEST:])
        _say_damaged(self._cache_path)
        raise FileNotFoundError(path)

    def _write(self, path: str, value: Any) -> None:
        data = self._dump(value)
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(data).digest() + data)


@cache  # once a folder
def _say_not_kept(folder: str, why: str) -> None:
    if sys.stderr is not None:
        text = f"hexsched: machine code is not kept, the next run compiles it again: {folder}: {why}"
        print(text, file=sys.stderr, flush=True)


@cache  # once a folder
def _say_damaged(folder: str) -> None:
    if sys.stderr is not None:
        print(
            f"hexsched: machine code in {folder} is damaged or another version's; it is compiled again",
            file=sys.stderr,
            flush=True,
        )
