"""Readers that do what none may, each in its own way, to see that it is noticed: ``--self-check``."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from campaigns.fuzz.findings import GROWTH, BreachError
from campaigns.fuzz.readers import Reader
from campaigns.fuzz.texts import spec

WORD = b"wrong"
EXAMPLES = (b"right", b"wronX")  # one letter away from the word that sets a fault off


def _raise() -> None:
    raise ZeroDivisionError("as planted")


def _break() -> None:
    raise BreachError("as planted")


def _grow() -> None:
    bytearray(b"x") * (GROWTH + GROWTH // 4)


def _take_long() -> None:
    end = time.process_time() + 3.0
    while time.process_time() < end:
        pass


def _spin() -> None:
    while True:
        pass


FAULTS: dict[str, Callable[[], None]] = {
    "traceback": _raise,
    "breach": _break,
    "memory": _grow,
    "slow": _take_long,
    "hang": _spin,
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
}


def planted() -> dict[str, Reader]:
    """One for each fault, called ``planted-FAULT``."""

    def reader(name: str, fault: Callable[[], None]) -> Reader:
        def read(data: bytes, folder: Path) -> None:
            if WORD in data:
                fault()

        return Reader(f"planted-{name}", lambda folder: EXAMPLES, _one_letter, read)

    return {made.name: made for made in (reader(name, fault) for name, fault in FAULTS.items())}


def _one_letter(data, donor, rng, words):  # type: ignore[no-untyped-def]
    """Now and then the word itself, among other text."""
    changed = spec(data, donor, rng, words)
    return changed + WORD if rng.random() < 0.2 else changed
