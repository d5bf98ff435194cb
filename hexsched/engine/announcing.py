"""That something is compiled, which takes so long that people wonder, is said on standard error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

_announced: dict[Any, tuple[str, int]] = {}  # by entry: what it is, and the seconds it takes
_to_say = [""]  # the line that comes before that of the next part to be compiled


def announce(function: Any, what: str, seconds: int) -> None:
    """Say on standard error when an entry is compiled; reading it from the cache is quick, and nothing is said.

    Parameters
    ----------
    function : entry
        One that takes long enough for people to wonder.
    what : str
        ``"the simulator"``: what cannot run before.
    seconds : int
        About how long that takes on one core; it is said, and has no other effect.
    """
    _announced[function] = what, seconds


@contextlib.contextmanager
def compiled_together() -> Iterator[None]:
    """Say, where something is compiled meanwhile, one line first: how many parts may follow, and what all of it costs.

    Parts are what is announced so far and not yet loaded in this process; some of them may come from the cache.
    Inside another of these nothing more is said.
    """
    if _to_say[0]:
        yield
        return
    cold = [seconds for function, (_, seconds) in _announced.items() if not function.signatures]
    if len(cold) > 1:
        _to_say[0] = (
            f"hexsched: compiling up to {len(cold)} parts, once, about {sum(cold)} s of CPU; "
            "a time limit starts after it"
        )
    try:
        yield
    finally:
        _to_say[0] = ""


def say_compiling(function: Any) -> None:
    """An entry is about to be compiled: say so, if it was announced."""
    if function not in _announced or sys.stderr is None:
        return
    what, seconds = _announced[function]
    text = f"hexsched: compiling {what}, once, about {seconds} s"
    erase = "\r\x1b[K" if sys.stderr.isatty() else ""  # a line of progress may stand there
    lines = [text] if not _to_say[0] else [_to_say[0], text]
    _to_say[0] = ""
    print(erase + "\n".join(lines), file=sys.stderr, flush=True)
