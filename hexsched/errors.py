"""The one exception that means "your input is wrong", and how it reads."""

from __future__ import annotations

from pathlib import Path


class InputError(Exception):
    """Bad input, told in one line.

    The command line prints the message and exits with code 2; a library user catches it.

    Parameters
    ----------
    message : str
        What is wrong and what would be right, in one sentence.
    where : str or Path, optional
        The file (and line or field) it was found in; put in front of the message.
    """

    def __init__(self, message: str, where: str | Path | None = None) -> None:
        self.where = None if where is None else str(where)
        text = message if self.where is None else f"{self.where}: {message}"
        super().__init__(" ".join(text.split()))
