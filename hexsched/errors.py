"""What says that your input is wrong, or not what it seems, and how it reads."""

from __future__ import annotations

import os
import sys
import traceback
import warnings

from hexsched.printable import printable, shortened

MOST_CHARACTERS = 2000  # of a message


class InputError(Exception):
    """Bad input, told in one line.

    The command line prints the message and exits with code 2; a library user catches it.

    Parameters
    ----------
    message : str
        What is wrong and what would be right, in one sentence.
    where : str or path, optional
        The file (and line or field) it was found in; put in front of the message.
    """

    def __init__(self, message: str, where: str | os.PathLike[str] | None = None) -> None:
        self.where = None if where is None else str(where)
        text = message if self.where is None else f"{self.where}: {message}"
        line = printable(shortened(" ".join(text.split())))
        if len(line) > MOST_CHARACTERS:  # somebody's long name; what would be right stands at the end
            line = f"{line[: MOST_CHARACTERS // 2]} ... {line[-MOST_CHARACTERS // 2 :]}"
        super().__init__(line)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: one line, and where another error is the cause, where that came from."""
        cause = [] if self.__cause__ is None else traceback.format_exception(self.__cause__)
        return ["".join(cause) + f"{type(self).__name__}: {self}"]


class InputWarning(UserWarning):
    """Input that is taken, but perhaps not as its author thinks; told in one line.

    The command line prints it as a note on standard error; a library user gets a Python warning.
    """


def warn(text: str) -> None:
    """Warn of input, at the line outside this package that gave it."""
    package = __name__.partition(".")[0]
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(InputWarning(text), stacklevel=level)
