"""Packed files and binary tables of what was changed, and such files with changed bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from campaigns.fuzz import documents, texts

REPEATS = (1, 2, 3, 100)  # members of a packed file one after another


def _zstd(data: bytes) -> bytes:
    import pyarrow as pa

    return bytes(pa.compress(data, "zstd", asbytes=True))


def _table(rows: list[Any]) -> Any:
    import pyarrow as pa

    return pa.Table.from_pylist([row if isinstance(row, dict) else {"value": row} for row in rows])


def _parquet(data: bytes) -> bytes:
    import pyarrow.parquet as pq

    made = io.BytesIO()
    pq.write_table(_table(_rows(data)), made, compression="zstd")
    return made.getvalue()


def _arrow(data: bytes) -> bytes:
    import pyarrow as pa

    made, table = io.BytesIO(), _table(_rows(data))
    with pa.ipc.new_file(made, table.schema) as writer:
        writer.write_table(table)
    return made.getvalue()


def _rows(data: bytes) -> list[Any]:
    return [msgspec.json.decode(line) for line in data.split(b"\n") if line.strip()]


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1, mtime=0),
    "bzip2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zstd": _zstd,
    "parquet": _parquet,
    "arrow": _arrow,
}


def packer(kind: str) -> Callable[[bytes, bytes, Random, list[str]], bytes]:
    """Changes inputs of one kind: half of them before they are packed, half of them after it.

    An input that is not packed is text of JSON Lines, to be changed and then packed.
    """
    pack = PACKERS[kind]

    def packed(data: bytes, donor: bytes, rng: Random, words: list[str]) -> bytes:
        is_text = data[:1] == b"{"
        if is_text:
            made = documents.json_lines(data, donor if donor[:1] == b"{" else data, rng, words)
            try:
                made = pack(made)
            except Exception:  # no table can be made of such rows
                made = pack(data)
            if rng.random() < 0.5:
                return made * rng.choice(REPEATS) if rng.random() < 0.05 else made
            data = made
        return _bend(data, donor, rng)

    return packed


def columnar(data: bytes, donor: bytes, rng: Random, words: list[str]) -> bytes:
    """A Parquet file of an instance or a schedule with changed rows, another head, or changed bytes."""
    import pyarrow.parquet as pq

    from hexsched.model.table_files import DIGEST_KEY, HEAD_KEY

    try:
        table = pq.read_table(io.BytesIO(data))
        beside = dict(table.schema.metadata)
        beside.pop(DIGEST_KEY, None)  # other programs need not write it
        rows = b"\n".join(msgspec.json.encode(row) for row in table.to_pylist())
        if rng.random() < 0.7:
            table = _table(_rows(documents.json_lines(rows, rows, rng, words)))
        else:
            beside[HEAD_KEY] = documents.json_document(beside[HEAD_KEY], beside[HEAD_KEY], rng, words)
        made = io.BytesIO()
        pq.write_table(table.replace_schema_metadata(beside), made)
    except Exception:  # not such a file any more, or no table can be made of such rows
        return _bend(data, donor, rng)
    return _bend(made.getvalue(), donor, rng) if rng.random() < 0.3 else made.getvalue()


def _bend(data: bytes, donor: bytes, rng: Random) -> bytes:
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        at = rng.randrange(len(made) + 1)
        kind = rng.randrange(6)
        if kind < 2 and made:
            made[at % len(made)] ^= 1 << rng.randrange(8)
        elif kind == 2 and made:
            made[at % len(made)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 3:
            return texts.bend_bytes(bytes(made), donor, rng, [])
        elif kind == 4 and made:  # the ends of such files hold lengths and places
            made[-1 - rng.randrange(min(len(made), 64))] = rng.randrange(256)
        elif made:
            made[rng.randrange(min(len(made), 32))] = rng.randrange(256)
    return bytes(made)
