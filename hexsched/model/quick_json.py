"""JSON with a million rows, read to columns some rows at a time: what is in doubt is left to whoever names faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from hexsched.model.hint import Given

S = TypeVar("S", bound=msgspec.Struct)

BYTES_AT_A_TIME = 1 << 20  # of text whose rows are objects at one time


class PlainCall(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The fields of ``Call``, in its order, unchecked but for its hint."""

    call_id: str
    prompt_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    parents: tuple[str, ...] = ()
    delay: float = 0.0
    kind: str = ""
    hint: Given = msgspec.UNSET


class PlainWorkflow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The fields of ``Workflow``, in its order, unchecked but for hints."""

    workflow_id: str
    arrival: float
    calls: tuple[PlainCall, ...]
    hint: Given = msgspec.UNSET


def plain_workflow(workflow_id: str, arrival: float, calls: Iterable[dict[str, Any]], hint: Given) -> PlainWorkflow:
    """A workflow to be written."""
    return PlainWorkflow(workflow_id, arrival, tuple(PlainCall(**call) for call in calls), hint)


class InDoubtError(Exception):
    """The text is not that of one of our files, or breaks a rule."""


def head_of(kind: type[msgspec.Struct], rows: str) -> Any:
    """A struct with the fields of ``kind`` and unchecked, in which the field ``rows`` keeps the text of each row."""
    fields = []
    for field in msgspec.structs.fields(kind):
        if field.name == rows:
            fields.append((field.name, list[msgspec.Raw]))
        elif field.required:
            fields.append((field.name, field.type))
        else:
            fields.append((field.name, field.type, field.default))  # type: ignore[arg-type]
    made: Any = msgspec.defstruct(
        f"{kind.__name__}Head", fields, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
    )
    return made


def read_head(data: bytes, head: Any, rows: str) -> tuple[dict[str, Any], list[msgspec.Raw]]:
    """What stands beside the rows, by field, and the text of each row.

    Raises
    ------
    InDoubtError
        Unless what stands beside the rows is spelled as we spell it, so that no key comes twice.
    """
    try:
        compact = msgspec.json.format(data, indent=-1)
        found = msgspec.json.decode(compact, type=head)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise InDoubtError from None
    texts: list[msgspec.Raw] = getattr(found, rows)
    spelled = msgspec.json.encode(msgspec.structs.replace(found, **{rows: []}))
    before, mark, after = spelled.partition(b'"%s":[' % rows.encode())
    inside = sum(map(_size, texts)) + max(len(texts) - 1, 0)
    is_ours = compact.startswith(before + mark) and compact.endswith(after)
    if not is_ours or len(compact) != len(spelled) + inside:
        raise InDoubtError
    return {name: getattr(found, name) for name in found.__struct_fields__ if name != rows}, texts


def read_rows(texts: Sequence[msgspec.Raw], kind: type[S]) -> Iterator[list[S]]:
    """The rows, some at a time.

    Raises
    ------
    InDoubtError
        Unless they are spelled as we spell them.
    """
    decoder, encoder = msgspec.json.Decoder(list[kind]), msgspec.json.Encoder()  # type: ignore[valid-type]
    first, size = 0, 0
    for k, text in enumerate(texts, 1):
        size += _size(text)
        if size >= BYTES_AT_A_TIME or k == len(texts):
            piece = b"[" + b",".join(texts[first:k]) + b"]"
            try:
                found: list[S] = decoder.decode(piece)
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                raise InDoubtError from None
            if encoder.encode(found) != piece:
                raise InDoubtError
            yield found
            first, size = k, 0


def _size(text: Any) -> int:
    return len(memoryview(text))
