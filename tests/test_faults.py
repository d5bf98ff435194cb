"""Faults in the middle of a run, a few; ``campaigns/faults.py`` brings on as many as one likes, at random moments."""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import time

import pytest
from campaigns.faults import KINDS, Running, bring, ended
from tiny_grid import TINY, Inline, contents, plan_of, write_grid

from experiments.cli import BAD_INPUT, INTERRUPTED, OK, main
from experiments.grid.run import run_plan
from experiments.library.archive import read_archive
from experiments.store import Store

SMALL = TINY.replace("seeds: 2", "seeds: 1")


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.grid.local.LocalBackend", lambda workers: Inline())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the small grid leaves."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with Store.writing(folder / "s") as store:
        run_plan(plan_of(folder, SMALL), store, Inline())
    return contents(folder / "s")


@pytest.mark.parametrize("room", [0, 40])
def test_a_disk_that_fills_up_is_one_line_and_the_rest_is_done_when_there_is_room(
    tmp_path, monkeypatch, capsys, inline, undisturbed, room
):
    argv = ["grid", "run", str(write_grid(tmp_path, SMALL)), "--store", str(tmp_path / "s")]
    left = itertools.count(room, -1)
    sync = os.fsync

    def full(handle: int) -> None:
        if next(left) <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    assert main(argv) == BAD_INPUT
    error = capsys.readouterr().err.splitlines()
    assert sum("No space left on device" in line for line in error) == 1
    monkeypatch.undo()
    monkeypatch.setattr("experiments.grid.local.LocalBackend", lambda workers: Inline())
    kept = contents(tmp_path / "s")
    assert main([*argv, "--json"]) == OK
    record = json.loads(capsys.readouterr().out)
    assert record["already_done"] == sum(name.startswith(("runs/", "loads/")) for name in kept)
    assert contents(tmp_path / "s") == undisturbed


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch, inline, undisturbed):
    """The time of day goes back by years at every look; ``campaigns/faults.py`` does so to compiled code as well."""
    looks = itertools.cycle((2e9, 0.0, 4e9, 1.0))
    monkeypatch.setattr(time, "time", lambda: next(looks))
    monkeypatch.setattr(time, "time_ns", lambda: int(next(looks) * 1e9))
    assert main(["grid", "run", str(write_grid(tmp_path, SMALL)), "--store", str(tmp_path / "s")]) == OK
    assert contents(tmp_path / "s") == undisturbed


def test_improving_is_stopped_by_sigterm_and_gone_on_with(tmp_path):
    archive = tmp_path / "archive.csv"
    argv = ("library", "improve", "unary-chain-6-0", "--archive", str(archive), "--time-limit", "1", "--json")
    running = Running.start(*argv)
    end = time.monotonic() + 120
    while not archive.exists() and not running.over() and time.monotonic() < end:
        time.sleep(0.01)
    before = read_archive(archive)
    running.process.send_signal(signal.SIGTERM)
    out, _ = ended(running, INTERRUPTED)
    record = json.loads(out)
    assert record["interrupted"]
    assert len(read_archive(archive)) == record["improved"] >= len(before) >= 1


@pytest.mark.campaign
@pytest.mark.parametrize("kind", KINDS)
def test_many_faults_are_survived(kind):
    tally = bring(kind, 10, seed=2)
    if tally.note:
        pytest.skip(tally.note)
    assert tally.lost == []
