"""Text from files of strangers, made harmless for a terminal and for a spreadsheet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

MOST_OF_A_WORD = 160  # characters; paths are kept whole
_MANY = f"{{{MOST_OF_A_WORD + 1},}}"
# a quotation, not what stands between two of them, or a word
_LONG = re.compile(rf"""(?<![\w)])(?:'[^']{_MANY}'|"[^"]{_MANY}")(?![\w(-])|(?<![^\s/])[^\s/]{_MANY}""")

# control characters, which move the cursor or recolour the screen, those that turn the direction of text, and halves of
# surrogate pairs, which no encoding has; a line break is one too
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = re.compile(r"[=+\-@\t\r]")  # what a cell begins with that a spreadsheet runs
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def printable(text: str) -> str:
    """The text with control characters written out: ``"\\x1b[31m"`` as seven visible characters."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: str) -> str:
    """The text with what is too long in it cut in the middle: somebody's number of 400 digits, a quoted page."""

    def cut(found: re.Match[str]) -> str:
        whole = found[0]
        is_path = "/" in whole and " " not in whole
        return whole if is_path else f"{whole[:40]}... ({len(whole):,} characters) ...{whole[-20:]}"

    return _LONG.sub(cut, text)


def cell(value: object) -> object:
    """A cell of a CSV file: text that a spreadsheet would take for a formula begins with an apostrophe."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """A data frame as CSV without its index, every cell as ``cell`` has it."""
    texts = [name for name in frame if frame[name].dtype.kind not in "biufc"]
    safe = frame.assign(**{str(name): frame[name].map(cell, na_action="ignore") for name in texts})
    safe.columns = [cell(str(name)) for name in frame]
    text: str = safe.to_csv(index=False, lineterminator="\n")
    return text.encode("utf-8", errors="backslashreplace")
