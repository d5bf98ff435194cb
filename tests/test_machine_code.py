"""The cache of machine code: whose folder it is in, and what becomes of a file that was cut short or changed."""

from __future__ import annotations

import hashlib
import os
import resource
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hexsched.engine.compiler import machine_code
from hexsched.engine.compiler.digest import digest
from hexsched.engine.kernel import kernel

pytestmark = pytest.mark.quick

COMPILE = """
import sys
from hexsched.engine import kernel
from hexsched.engine.compiler import dispatchers
dispatchers.cache_directory = lambda digest: sys.argv[1]

@kernel.entry
def twice(x):
    return 2 * x

print(twice(21), *(sum(n.values()) for n in twice.dispatcher.stats[1:]))
"""


def run(folder: Path, script: Path) -> subprocess.CompletedProcess[str]:
    script.write_text(COMPILE)
    return subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, text=True, check=True)


def test_what_was_cut_short_or_changed_is_compiled_again(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    script = tmp_path / "twice.py"
    assert run(folder, script).stdout.split() == ["42", "0", "1"]
    assert run(folder, script).stdout.split() == ["42", "1", "0"]
    index, code = sorted(
        (p for p in folder.rglob("*") if p.suffix in (".nbi", ".nbc")), key=lambda p: p.suffix != ".nbi"
    )
    for file, kinds in ((index, (0, 1)), (code, (1, 2))):
        data = file.read_bytes()
        damages = (b"", data[: len(data) // 2], data[:-200] + bytes([data[-200] ^ 1]) + data[-199:])
        for damaged in (damages[kind] for kind in kinds):
            file.write_bytes(damaged)
            again = run(folder, script)
            assert again.stdout.split() == ["42", "0", "1"]
            assert again.stderr.count("is damaged or another version's; it is compiled again") == 1
    assert run(folder, script).stdout.split() == ["42", "1", "0"]


def test_what_another_version_left_is_compiled_again(tmp_path):
    """Whole files, by their digest, of a module that this version has not: `global name` in a pickle."""
    folder, script = tmp_path / "cache", tmp_path / "twice.py"
    folder.mkdir()
    run(folder, script)
    foreign = b"chexsched.engine.no_such_module\nThing\n."
    for file in sorted(p for p in folder.rglob("*") if p.suffix in (".nbi", ".nbc")):
        file.write_bytes(hashlib.sha256(foreign).digest() + foreign)
        again = run(folder, script)
        assert again.stdout.split() == ["42", "0", "1"]
        assert again.stderr.count("another version's; it is compiled again") == 1
    assert run(folder, script).stdout.split() == ["42", "1", "0"]


def test_another_installation_of_the_same_sources_finds_it(tmp_path):
    folder, first, second = (tmp_path / name for name in ("cache", "first", "second"))
    for place in (folder, first, second):
        place.mkdir()
    assert run(folder, first / "twice.py").stdout.split() == ["42", "0", "1"]
    assert run(folder, second / "twice.py").stdout.split() == ["42", "1", "0"]


def test_a_folder_is_named_by_the_code_that_was_loaded(tmp_path):
    """Whatever its file says by now: else an edit between loading and the first run would keep old code as new."""
    file, source = tmp_path / "thrice.py", "FACTOR = 3\ndef step(x):\n    return FACTOR * x\n"

    def loaded(text):
        names = {}
        file.write_text(text)
        exec(compile(text, str(file), "exec"), names)
        inner, outer = {"step": kernel(names["step"])}, {}
        exec(compile("def thrice(x):\n    return step(x)\n", str(file), "exec"), inner, outer)
        return outer["thrice"]

    first = loaded(source)
    told = digest(first)
    others = [digest(loaded(source.replace(*change))) for change in (("= 3", "= 4"), ("* x", "+ x"))]
    assert digest(first) == told == digest(loaded("# the same\n\n" + source))
    assert len({told, *others}) == 3


CHECKED = """
import sys
import numpy as np
from hexsched.engine import kernel
from hexsched.engine.compiler import dispatchers
dispatchers.cache_directory = lambda digest: sys.argv[1] + digest

@kernel.kernel
def element(values, k):
    return values[k]

@kernel.entry
def through_a_kernel(values, k):
    return element(values, k)

through_a_kernel(np.zeros(3), 2)
try:
    through_a_kernel(np.zeros(3), 3)
    print("read")
except IndexError as error:
    print(error)
"""


def test_a_build_with_checked_indices_is_kept_apart(tmp_path):
    script = tmp_path / "beyond.py"
    script.write_text(CHECKED)
    for checks, told in (("0", "read"), ("1", "index is out of bounds")):
        environment = {**os.environ, "NUMBA_BOUNDSCHECK": checks}
        words = [sys.executable, str(script), str(tmp_path / "cache-")]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == told
    assert len(list(tmp_path.glob("cache-*"))) == 2


def test_where_there_is_no_room_for_the_cache_all_works_without(tmp_path):
    """No file may grow beyond a few bytes, as on a full disk."""
    folder, script = tmp_path / "cache", tmp_path / "twice.py"
    folder.mkdir()
    script.write_text(COMPILE)
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16)),
    )
    assert done.stdout.split() == ["42", "0", "1"]
    assert done.stderr.count("machine code is not kept, the next run compiles it again") == 1
    assert run(folder, script).stdout.split() == ["42", "0", "1"]  # nothing half written is taken
    assert run(folder, script).stdout.split() == ["42", "1", "0"]


def test_the_folder_is_ours_and_closed_to_others(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_code, "user_cache_path", lambda name: tmp_path / "home" / name)
    folder = Path(machine_code.cache_directory("open"))
    assert folder.is_relative_to(tmp_path / "home")
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("trap", ["link", "file", "foreign", "writable"])
def test_a_folder_that_may_be_anothers_is_not_used(tmp_path, monkeypatch, trap):
    """The user's cache cannot be made, and somebody was there before us in the temporary folder."""
    (tmp_path / "no").write_text("in the way")
    monkeypatch.setattr(machine_code, "user_cache_path", lambda name: tmp_path / "no" / name)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = tmp_path / f"hexsched-{os.getuid()}"
    if trap == "link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    elif trap == "file":
        place.write_text("")
    elif trap == "writable":
        place.mkdir()
        place.chmod(0o777)
    else:
        us = os.getuid() + 1  # who the folder is not of
        place = tmp_path / f"hexsched-{us}"
        place.mkdir()
        monkeypatch.setattr(machine_code.os, "getuid", lambda: us)
    folder = Path(machine_code.cache_directory(f"trap-{trap}"))
    assert folder.parent == tmp_path
    assert not folder.is_relative_to(place)
    assert not list((tmp_path / "elsewhere").iterdir() if trap == "link" else [])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_nobody_has_used_for_long_goes_when_something_new_comes(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_code, "user_cache_path", lambda name: tmp_path / name)
    base = tmp_path / "hexsched"
    old = [f"{kind}-{digit * 16}" for kind in ("checked", "kernels") for digit in "ab"]
    kept = ["checked-cccccccccccccccc", "checked-notes", "notes"]
    first = Path(machine_code.cache_directory("0123456789abcdef"))
    for name in (*old, *kept):
        (base / name).mkdir(mode=0o700)
        (base / name / "f.nbc").write_text("")
    outside = tmp_path / "outside"
    outside.mkdir()
    (base / ("checked-" + "d" * 16)).symlink_to(outside)
    for name in (*old, "checked-notes", "notes"):
        os.utime(base / name, (1e9, 1e9))
    os.utime(outside, (1e9, 1e9))
    machine_code.cache_directory.cache_clear()
    assert Path(machine_code.cache_directory("0123456789abcdef")) == first
    assert all((base / name).exists() for name in old)  # nothing new came
    machine_code.cache_directory("fedcba9876543210")
    assert not any((base / name).exists() for name in old)
    assert all((base / name / "f.nbc").exists() for name in kept)
    assert first.exists()
    assert outside.exists()


def test_what_is_used_is_not_old(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_code, "user_cache_path", lambda name: tmp_path / name)
    folder = Path(machine_code.cache_directory("00000000000000aa"))
    os.utime(folder, (1e9, 1e9))
    machine_code.cache_directory.cache_clear()
    machine_code.cache_directory("00000000000000aa")
    machine_code.cache_directory("00000000000000bb")
    assert folder.exists()
