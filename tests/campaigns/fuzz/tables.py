"""CSV tables with something in them changed."""

from __future__ import annotations

from random import Random

from campaigns.fuzz import texts
from campaigns.fuzz.values import NUMBERS, RAW_NUMBERS, TEXTS

MOST = 20_000  # bytes that a repetition may add up to


def csv_table(data: bytes, donor: bytes, rng: Random, words: list[str]) -> bytes:
    """A table: cells, rows and columns changed, or the text of it."""
    if rng.random() < 0.15:
        return texts.bend_bytes(data, donor, rng, words)
    text, other = data.decode("utf-8", "replace"), donor.decode("utf-8", "replace")
    rows = [line.split(",") for line in text.split("\n")]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _bend(rows, [line.split(",") for line in other.split("\n")], rng, words)
    end = rng.choice(("\n",) * 8 + ("\r\n", "\r"))
    return end.join(",".join(row) for row in rows).encode("utf-8", "replace")


def _bend(rows: list[list[str]], others: list[list[str]], rng: Random, words: list[str]) -> None:
    kind = rng.randrange(12)
    at = rng.randrange(len(rows)) if rows else 0
    row = rows[at] if rows else []
    column = rng.randrange(len(row)) if row else 0
    if not rows or not row:
        rows.append(list(rng.choice(others)))
    elif kind < 5:
        row[column] = _cell(row[column], rng, words)
    elif kind == 5:
        rows.insert(at, list(rng.choice(others)))
    elif kind == 6:
        del rows[at]
    elif kind == 7:
        again = 1 if rng.random() < 0.9 else MOST // (1 + sum(map(len, row)))
        rows[at:at] = [list(row) for _ in range(again)]
    elif kind == 8:
        del row[column]
    elif kind == 9:
        row.insert(column, _cell("", rng, words))
    elif kind == 10:  # a column of all rows
        for each in rows:
            if column < len(each):
                each.append(each[column]) if rng.random() < 0.5 else each.pop(column)
    else:
        head = rows[0]
        if head:
            head[rng.randrange(len(head))] = rng.choice(words or TEXTS)


def _cell(cell: str, rng: Random, words: list[str]) -> str:
    kind = rng.randrange(8)
    if kind < 2:
        return str(rng.choice(NUMBERS))
    if kind == 2:
        return rng.choice(RAW_NUMBERS)
    if kind == 3:
        return rng.choice(TEXTS)
    if kind == 4 and words:
        return rng.choice(words)
    if kind == 5:
        return rng.choice((f'"{cell}"', f'"{cell}', f'{cell}"', f'"{cell}""', f'"{cell}\n{cell}"', f" {cell} ", ""))
    return texts.bend(cell, rng, words)
