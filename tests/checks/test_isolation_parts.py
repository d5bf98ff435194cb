"""What is done with a child that works: how long it is waited for, what it says, and how its end is told."""

from __future__ import annotations

import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
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


@pytest.fixture(autouse=True)
def takes_ctrl_c() -> Iterator[None]:
    """What a shell begins in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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


# --- what it is given, and what it leaves ----------------------------------------------------------------------------


def descriptors() -> set[str]:
    """Those that are open in this process, but for the one that lists them."""
    return {name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}


def test_a_child_holds_its_own_ends_of_the_pipes_and_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int]] = []
    pipe = os.pipe

    def noted() -> tuple[int, int]:
        made.append(pipe())
        return made[-1]

    monkeypatch.setattr(os, "pipe", noted)
    before = descriptors()
    inside = in_child(lambda tell: descriptors(), print, 60.0)
    (ours, theirs), (lifeline, held) = made
    assert inside - before == {str(theirs), str(lifeline)}
    assert {str(ours), str(held)} & inside == set()
    assert descriptors() == before
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "killpg", lambda *sent: killed.append(sent))
    pid = in_child(lambda tell: os.getpid(), print, 60.0)
    assert killed == [(pid, signal.SIGKILL)]  # and with it what it started
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_nothing_that_was_said_is_lost_when_the_waiting_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes to hear it."""
    monkeypatch.setattr(isolation, "_wait", lambda hears, *_: os.waitid(os.P_PID, hears.pid, os.WEXITED | os.WNOWAIT))
    heard: list[int] = []

    def work(tell: Any) -> str:
        tell(1)
        tell(2)
        return "done"

    def slowly(said: int) -> None:
        time.sleep(0.1)
        heard.append(said)

    assert in_child(work, slowly, 60.0) == "done"
    assert heard == [1, 2]


def test_a_fork_beside_threads_warns_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    fork = os.fork

    def warns() -> int:
        warnings.warn("there are threads", DeprecationWarning, stacklevel=2)  # as Python 3.12 does
        return fork()

    monkeypatch.setattr(os, "fork", warns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert in_child(lambda tell: 3, print, 60.0) == 3


def test_a_child_takes_ctrl_c_as_any_program_does_unless_it_is_ignored() -> None:
    def handler(tell: Any) -> str:
        found = signal.getsignal(signal.SIGINT)
        return "default" if found is signal.default_int_handler else "ignored" if found == signal.SIG_IGN else "other"

    assert in_child(handler, print, 60.0) == "default"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert in_child(handler, print, 60.0) == "ignored"
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_before_the_child_begins_ends_it_at_once() -> None:
    outcome, status = isolation._converse(
        lambda tell: 5, print, isolation._Limits(60.0, math.inf), SimpleNamespace(count=1)
    )
    assert (outcome, status) == (None, 0)


def test_ctrl_c_is_the_childs_and_what_it_returns_then_counts() -> None:
    def returns(tell: Any) -> str:
        tell("here")
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            return "so far"
        return "slept"

    def ends(tell: Any) -> None:
        tell("here")
        time.sleep(60)

    def interrupt(said: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    assert in_child(returns, interrupt, 60.0) == "so far"
    with pytest.raises(KeyboardInterrupt):
        in_child(ends, interrupt, 60.0)


@pytest.mark.parametrize("who", ["parent", "child"])
def test_a_child_is_in_a_group_of_its_own_whoever_is_first(monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    """Both put it there; here only one of them does."""
    put, parent = os.setpgid, os.getpid()

    def one_of_them(pid: int, group: int) -> None:
        if (os.getpid() == parent) == (who == "parent"):
            put(pid, group)

    def leads(tell: Any) -> bool:
        until = time.monotonic() + 5
        while os.getpgrp() != os.getpid() and time.monotonic() < until:
            time.sleep(0.005)
        return os.getpgrp() == os.getpid()

    monkeypatch.setattr(os, "setpgid", one_of_them)
    assert in_child(leads, print, 60.0)


def test_a_child_that_cannot_even_begin_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise SystemExit(9)

    monkeypatch.setattr(isolation, "_be_the_child", fails)
    with pytest.raises(CrashedError, match=r"exit code 1\)"):
        in_child(lambda tell: 1, print, 60.0)
    monkeypatch.undo()
    outcome, status = isolation._converse(
        lambda tell: 7, print, isolation._Limits(60.0, math.inf), SimpleNamespace(count=0)
    )
    assert outcome == ("result", 7)
    assert status in (0, signal.SIGKILL)  # its own end, or that of its group, whichever is first


def test_a_child_dies_with_its_parent() -> None:
    ours, theirs = os.pipe()
    middle = os.fork()
    if middle == 0:
        try:
            in_child(lambda tell: (os.write(theirs, b"%d\n" % os.getpid()), time.sleep(60)), print, 60.0)
        finally:
            os._exit(0)
    os.close(theirs)
    child = int(os.read(ours, 20))
    time.sleep(0.1)
    assert _runs(child)
    os.kill(middle, signal.SIGKILL)
    os.waitpid(middle, 0)
    until = time.monotonic() + 10
    while _runs(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _runs(child)
    os.close(ours)


# --- how it is heard -------------------------------------------------------------------------------------------------


def listener(pid: int, pipe: int, hear: Any = print) -> Any:
    return isolation._Listener(pid, pipe, hear)


def ended_child() -> int:
    """A child that has ended, and is not waited for."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


def test_a_message_is_read_to_its_length_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    read = os.read
    monkeypatch.setattr(os, "read", lambda pipe, size: read(pipe, min(size, 3)))
    os.write(theirs, b"0123456789" * 2)
    part = SimpleNamespace(_pipe=ours, pid=os.getpid())
    assert [isolation._Listener._read(part, 8), isolation._Listener._read(part, 5)] == [b"01234567", b"89012"]  # type: ignore[arg-type]
    assert isolation._Listener._read(part, 0) == b""  # type: ignore[arg-type]
    os.close(theirs)
    assert isolation._Listener._read(part, 100) is None  # type: ignore[arg-type]
    os.close(ours)


def test_a_child_that_is_gone_is_not_listened_to_for_ever() -> None:
    """Though another process holds the other end of the pipe."""
    ours, theirs = os.pipe()
    pid = ended_child()
    assert isolation._ended(pid)
    hears = listener(pid, ours)
    assert hears.daemon
    assert hears.ended.wait(10)
    assert hears.outcome is None
    os.waitpid(pid, 0)
    assert isolation._ended(pid)
    sleeps = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
    try:
        assert not isolation._ended(sleeps.pid)
        hears = listener(sleeps.pid, ours)
        assert not hears.ended.wait(0.5)  # it may still say something
        said = pickle.dumps(("result", 7))
        os.write(theirs, len(said).to_bytes(8, "little") + said)
        assert hears.ended.wait(10)
        assert hears.outcome == ("result", 7)
    finally:
        sleeps.communicate(b"\n")
        os.close(theirs)
        os.close(ours)


def test_memory_is_what_is_resident() -> None:
    other = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        with open(f"/proc/{other.pid}/status") as file:
            resident = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))
        assert isolation.memory_of(other.pid) == pytest.approx(resident, rel=0.1)
    finally:
        other.communicate(b"\n")
