"""What is done with a child that works: how long it is waited for, what it says, and how its end is told."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from solvers.brackets import isolation
from solvers.brackets.isolation import CrashedError, StoppedError, in_child

pytestmark = [
    pytest.mark.campaign,  # of mutants, which run it whatever its mark
    pytest.mark.skipif(not isolation.AVAILABLE, reason="solves are not isolated here"),
]


# --- how long --------------------------------------------------------------------------------------------------------


class Child:
    """Stands where the listener to a child would: each look takes a second, and the child ends after so many looks."""

    pid = 4242

    def __init__(self, looks: float) -> None:
        self.now = self.looked = 0.0
        self.ended: Any = self
        self.killed: list[tuple[int, int, float]] = []
        self.at: dict[int, Any] = {}
        self._looks = looks

    def wait(self, seconds: float) -> bool:
        assert seconds == isolation.LOOK
        self.now += 1.0
        self.looked += 1
        self.at.get(int(self.looked), lambda: None)()
        assert self.looked < 100, "it is waited for for ever"
        return self.looked > self._looks


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A machine with room for all, where nothing is killed and only looks take time."""
    there = SimpleNamespace(child=Child(5), own=1.0, all_of=math.inf)
    monkeypatch.setattr(isolation, "time", SimpleNamespace(monotonic=lambda: there.child.now))
    monkeypatch.setattr(isolation, "memory_of", lambda pid: there.own if pid == Child.pid else math.nan)
    monkeypatch.setattr(isolation, "memory_of_all", lambda: there.all_of)
    monkeypatch.setattr(os, "kill", lambda *sent: there.child.killed.append((*sent, there.child.now)))
    yield there
    monkeypatch.undo()


def wait(machine: Any, patience: float = 50.0, memory: float = math.inf, interrupts: Any = None) -> Child:
    isolation._wait(machine.child, isolation._Limits(patience, memory), interrupts or SimpleNamespace(count=0))
    return machine.child


def test_a_child_is_waited_for_until_it_ends(machine: Any) -> None:
    assert wait(machine).looked == 6
    assert machine.child.killed == []
    machine.child = Child(0)
    assert wait(machine, patience=-1.0).looked == 1  # it has ended: nothing else counts


def test_a_child_is_stopped_at_its_time_and_at_its_memory(machine: Any) -> None:
    with pytest.raises(StoppedError, match="did not end at its time limit"):
        wait(machine, patience=3.0)
    assert machine.child.looked == 4  # not at the limit itself
    machine.child, machine.own = Child(5), 2e9
    with pytest.raises(StoppedError, match=r"more than 1\.5 GB of memory"):
        wait(machine, memory=1.5e9)
    assert machine.child.looked == 1
    machine.child = Child(5)
    assert wait(machine, memory=2e9).looked == 6
    machine.child, machine.own, machine.all_of = Child(5), 1.0, isolation.RESERVE - 1.0
    with pytest.raises(StoppedError, match=f"less than {isolation.RESERVE / 1e9:g} GB of memory was left"):
        wait(machine)
    machine.child, machine.all_of = Child(5), isolation.RESERVE
    assert wait(machine).looked == 6


def test_an_interrupt_is_passed_on_once_and_shortens_the_time(machine: Any) -> None:
    interrupts = SimpleNamespace(count=0)
    machine.child = Child(90)
    machine.child.at[3] = lambda: setattr(interrupts, "count", 1)
    assert wait(machine, 80.0, interrupts=interrupts).killed == [(4242, signal.SIGINT, 3.0)]
    assert machine.child.now == 3.0 + isolation.AFTER_INTERRUPT + 1
    machine.child, interrupts.count = Child(90), 0
    machine.child.at[3] = lambda: setattr(interrupts, "count", 1)
    assert wait(machine, 10.0, interrupts=interrupts).now == 11.0  # its own limit is nearer
    machine.child, interrupts.count = Child(90), 0
    machine.child.at = {3: lambda: setattr(interrupts, "count", 1), 5: lambda: setattr(interrupts, "count", 2)}
    assert wait(machine, 80.0, interrupts=interrupts).now == 5.0
    assert len(machine.child.killed) == 1


def test_interrupts_are_counted_meanwhile_and_raise_again_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with isolation._Interrupts() as found:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        assert found.count == 2
    assert signal.getsignal(signal.SIGINT) is before
    inside: list[Any] = []

    def elsewhere() -> None:
        with isolation._Interrupts():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert inside == [before]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with isolation._Interrupts():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# --- what it says ----------------------------------------------------------------------------------------------------


class UnportableError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("text")


def test_what_a_child_says_is_heard_in_order_and_its_result_comes_back() -> None:
    heard: list[Any] = []

    def work(tell: Any) -> int:
        for k in range(3):
            tell("x" * 100_000 * k)  # more than a pipe holds
        return os.getpid()

    assert in_child(work, heard.append, 60.0) != os.getpid()
    assert [len(text) for text in heard] == [0, 100_000, 200_000]


def test_errors_and_ends_of_a_child_are_told() -> None:
    def fails(tell: Any) -> None:
        raise KeyError("k")

    def cannot_say(tell: Any) -> None:
        raise UnportableError(1, 2)

    with pytest.raises(KeyError, match="k"):
        in_child(fails, print, 60.0)
    with pytest.raises(RuntimeError, match="UnportableError: text"):
        in_child(cannot_say, print, 60.0)
    with pytest.raises(CrashedError, match=r"without a result \(exit code 3\)"):
        in_child(lambda tell: os._exit(3), print, 60.0)
    with pytest.raises(CrashedError, match="killed by signal SIGKILL, perhaps for want of memory"):
        in_child(lambda tell: os.kill(os.getpid(), signal.SIGKILL), print, 60.0)
    with pytest.raises(CrashedError, match=r"killed by signal SIGTERM$"):
        in_child(lambda tell: os.kill(os.getpid(), signal.SIGTERM), print, 60.0)

    def deaf(content: Any) -> None:
        raise ValueError("not this")

    with pytest.raises(ValueError, match="not this"):
        in_child(lambda tell: tell(1), deaf, 60.0)
    assert isolation._cause(signal.SIGRTMAX - 3) == f"it was killed by signal {signal.SIGRTMAX - 3}"
    assert isolation._cause(signal.SIGABRT).endswith("SIGABRT, perhaps for want of memory")


def test_what_a_child_started_ends_with_it_and_its_memory_counts() -> None:
    """Also where it is stopped: a process of its group that would sleep for a minute is gone."""
    pids: list[int] = []

    def stays(tell: Any) -> None:
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        tell(other.pid)
        time.sleep(60)

    with pytest.raises(StoppedError, match="time limit"):
        in_child(stays, pids.append, 0.4)
    until = time.monotonic() + 10
    while _runs(pids[0]) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _runs(pids[0])


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_memory_is_that_of_a_process_and_of_what_it_started() -> None:
    own = isolation.memory_of(os.getpid())
    assert own > 2**20
    other = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        alone = isolation.memory_of(other.pid)
        assert alone > 2**20
        assert isolation.memory_of(os.getpid()) >= own / 2 + alone
    finally:
        other.communicate(b"\n")
    assert isolation.memory_of(other.pid) == 0
    assert isolation._ended(other.pid)


def test_a_message_is_written_whole_however_little_goes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []

    def write(pipe: int, content: bytes) -> int:
        written.append(content[:3])
        return min(3, len(content))

    monkeypatch.setattr(os, "write", write)
    isolation._write(9, b"0123456789")
    monkeypatch.undo()
    assert b"".join(written) == b"0123456789"
