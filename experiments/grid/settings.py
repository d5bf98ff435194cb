"""Settings of cells: numbers and switches that no filter speaks of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.grid.axes import Texts
from experiments.grid.earlier import read_earlier
from hexsched.errors import InputError
from hexsched.metrics.parts.thresholds import EXAMPLE, Thresholds, read_thresholds


@dataclass(frozen=True)
class Setting:
    """A setting.

    Attributes
    ----------
    name : str
        Its key in the grid file.
    type : type
        Of its value in the file.
    default : object
        Its value where the file gives none.
    meaning : str
        What it does, for people.
    allowed : callable
        Whether a value of that type will do.
    expected : str
        What will do, for the message when a value does not.
    read : callable
        From a value and the folder of the grid file to what cells are given; raises ``InputError``.
    """

    name: str
    type: Any
    default: Any
    meaning: str
    allowed: Callable[[Any], bool] = lambda value: True
    expected: str = ""
    read: Callable[[Any, Path], Any] = lambda value, folder: value


def are_thresholds(text: str) -> bool:
    """Whether ``read_thresholds`` takes the text."""
    try:
        read_thresholds(text)
    except InputError:
        return False
    return True


LEAVE_OUT_OVERSIZE = Setting(
    "leave_out_oversize",
    bool,
    False,
    "whether workflows with a call that no KV cache holds are left out; else an error",
)
MAX_CONTEXT = Setting(
    "max_context",
    int,
    0,
    "workflows with a call of more prompt and output tokens are left out; 0 for no limit",
    lambda value: value >= 0,
    "tokens, or 0",
)
SAMPLE = Setting(
    "sample",
    bool,
    False,
    "whether workflows of a file are drawn: all of them in an order by the seed, and again where more are asked for; "
    "else its first",
)
SLO = Setting(
    "slo",
    str,
    "",
    f"thresholds that calls and workflows are counted within, such as {EXAMPLE}",
    lambda value: value == "" or are_thresholds(value),
    f"thresholds such as {EXAMPLE}, of {', '.join(Thresholds.names)}; times with a unit",
)
SCHEDULES = Setting("schedules", bool, False, "whether schedules are stored")
WARM_UP = Setting(
    "warm_up",
    int,
    0,
    "of loads closed-loop:N, how many of the first workflows metrics leave out",
    lambda value: value >= 0,
    "workflows, or 0",
)
EARLIER = Setting(
    "earlier",
    Texts,
    "",
    "other stores, finished ones: a gap sets out from the best schedule and the best bound of the same instance and "
    "objective in them (relative to the grid file)",
    read=read_earlier,
)
CPU_TIME = Setting(
    "cpu_time", bool, False, "whether a gap's time limit is CPU seconds a thread, whatever else the machine does"
)
THREADS = Setting("threads", int, 1, "threads of one solve", lambda value: value >= 1, "at least 1")
TIME_LIMIT = Setting(
    "time_limit", float, 60.0, "seconds of one gap or solve", lambda value: 0 < value < 1e6, "seconds above 0"
)
