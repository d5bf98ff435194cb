"""What no input may do, and the smallest input that does it."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

SECONDS = 2.0  # of CPU that an input may take
GROWTH = 500 * 2**20  # bytes by which an input may make the process grow
ATTEMPTS = 400  # runs to make an input smaller


class BreachError(AssertionError):
    """An input was accepted, and what comes of it is wrong."""


@dataclass(frozen=True)
class Finding:
    """An input that did what none may do.

    Attributes
    ----------
    reader : str
    number : int
        Of the input.
    seed : int
    what : str
        ``traceback``, ``breach``, ``hang``, ``memory`` or ``crash``.
    signature : str
        What inputs that show the same have in common: the exception and where it was raised.
    details : str
        The traceback, or how long it took.
    """

    reader: str
    number: int
    seed: int
    what: str
    signature: str
    details: str

    @property
    def name(self) -> str:
        """Of the folder that it is kept in: findings of one signature have one."""
        digest = hashlib.sha256(f"{self.what} {self.signature}".encode()).hexdigest()[:10]
        return f"{self.reader}-{self.what}-{digest}"

    def save(self, folder: Path, data: bytes, smallest: bytes) -> None:
        """Write the input, a smaller one that does the same, and what is known."""
        place = folder / self.name
        place.mkdir(parents=True, exist_ok=True)
        (place / "input").write_bytes(data)
        (place / "smallest").write_bytes(smallest)
        (place / "finding.json").write_text(json.dumps(asdict(self), indent=1) + "\n")


def signature_of(error: BaseException) -> str:
    """Kind of the exception, and the innermost line of the project that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    roots = ("hexsched", "solvers", "experiments")
    own = [
        f for f in frames if any(f"/{root}/" in f.filename for root in roots) and "/site-packages/" not in f.filename
    ]
    if isinstance(error, BreachError) or not own:
        return f"{type(error).__name__}: {str(error).partition(':')[0]}"
    return f"{type(error).__name__} at {'/'.join(Path(own[-1].filename).parts[-3:])}:{own[-1].lineno}"


def smaller(data: bytes, shows: Callable[[bytes], bool], attempts: int = ATTEMPTS) -> bytes:
    """The input with all taken out of it that it shows the same without: halves, quarters, … lines, bytes."""
    size = max(1, len(data) // 2)
    while attempts > 0:
        at, shorter = 0, False
        while at < len(data) and attempts > 0:
            less = data[:at] + data[at + size :]
            attempts -= 1
            if len(less) < len(data) and shows(less):
                data, shorter = less, True
            else:
                at += size
        if size == 1 and not shorter:
            break
        size = size if shorter and size == 1 else max(1, size // 2)
    return data
