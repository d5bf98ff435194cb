"""How much main memory there is left: of the machine, of the control group that a process is in, of its own limits."""

from __future__ import annotations

import importlib
import math
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hexsched.errors import InputError

# Solvers and linear programs leave so much alone. Below it Linux drops what it reads programs from, and all is slow,
# before it kills some process; between two looks a solver takes some hundred megabytes.
RESERVE = 200e6  # bytes
# Addresses, where a process has a limit of its own: solvers map their libraries and a stack for each thread, and some
# end the process, or never end, where that fails.
ADDRESSES = 500e6  # bytes
GROUPS = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60  # control groups of version 1 say a number like this for no limit


def check_memory() -> None:
    """Raise ``InputError`` where there is not the memory to load a solver and let it begin."""
    _check_what_is_left()
    importlib.import_module("numba")  # all of them run compiled code: what that needs is no longer left
    _check_what_is_left()


def _check_what_is_left() -> None:
    for left, least in ((memory_of_all(), RESERVE), (_of_limits(), ADDRESSES)):
        if left < least:
            raise InputError(
                f"{left / 1e6:.0f} MB of memory are left; solvers and bounds need {least / 1e6:.0f} at least"
            )


def memory_left() -> float:
    """Bytes that this process may still take; infinite where the system does not say."""
    return min(memory_of_all(), _of_limits())


def memory_of_all() -> float:
    """Bytes that are left for this process and those beside it."""
    return min(_of_machine(), _of_groups())


def _of_machine() -> float:
    with suppress(OSError, KeyError, ValueError):
        return 1024.0 * _numbers(Path("/proc/meminfo"))["MemAvailable:"]
    return math.inf


def _of_groups() -> float:
    """What is left in the control groups, each within its parent."""
    left = math.inf
    for folder, limit, used, cache in _groups():
        with suppress(OSError, KeyError, ValueError):  # "max" is no number
            most = int((folder / limit).read_text())
            if most < UNLIMITED:
                # files that were read count as used, and are dropped when memory is short
                dropped = _numbers(folder / "memory.stat").get(cache, 0)
                left = min(left, most - int((folder / used).read_text()) + dropped)
    return max(left, 0.0)


def _groups() -> Iterator[tuple[Path, str, str, str]]:
    """Folders of this process's control groups, with the names of what they say."""
    lines: list[str] = []
    with suppress(OSError):
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names = GROUPS, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = GROUPS / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inner = Path(path.lstrip("/"))
        for part in (inner, *inner.parents):  # in a container the innermost may stand at the root
            yield root / part, *names


def _of_limits() -> float:
    left = math.inf
    with suppress(OSError, KeyError, ValueError):
        sizes = _numbers(Path("/proc/self/status"))
        for limit, size in ((resource.RLIMIT_AS, "VmSize:"), (resource.RLIMIT_DATA, "VmData:")):
            most, _ = resource.getrlimit(limit)
            if most != resource.RLIM_INFINITY:
                left = min(left, most - 1024.0 * sizes[size])
    return max(left, 0.0)


def _numbers(path: Path) -> dict[str, int]:
    """From lines of a name and a number."""
    fields = (line.split() for line in path.read_text().splitlines())
    return {parts[0]: int(parts[1]) for parts in fields if len(parts) > 1 and parts[1].isdigit()}
