"""Instances and schedules as columns: the same rows, the same bytes, and the same refusals as object by object."""

from __future__ import annotations

import json
import pickle
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import corner_instances
from msgspec.structs import replace

from hexsched.errors import InputError
from hexsched.model import Instance, Schedule, instance, read_schedule, schedule
from hexsched.model.columns import columns_of, workflows_of
from hexsched.model.files import decode_json
from hexsched.model.quick_json import InDoubtError
from hexsched.model.rows import Rows, texts_of
from hexsched.simulator import simulate
from hexsched.verifier import verify

pytestmark = pytest.mark.quick

INSTANCES = corner_instances(workflows=(1, 4), calls=(1, 4))


def object_by_object(data: bytes) -> Instance:
    return decode_json(data, Instance, "instance")


@settings(max_examples=60, deadline=None)
@given(drawn=INSTANCES)
def test_an_instance_is_the_same_in_columns(drawn):
    text = msgspec.json.format(msgspec.json.encode(replace(drawn, workflows=tuple(drawn.workflows))), indent=1) + b"\n"
    assert drawn.to_bytes() == text
    read = Instance.from_bytes(text)
    assert isinstance(read.workflows, Rows)
    assert read == object_by_object(text) == drawn
    assert hash(read) == hash(drawn)
    assert read.to_bytes() == text
    assert pickle.loads(pickle.dumps(read)) == drawn
    assert workflows_of(columns_of(drawn.workflows)).all == drawn.workflows


@settings(max_examples=30, deadline=None)
@given(drawn=INSTANCES)
def test_a_schedule_is_the_same_in_columns(drawn, tmp_path_factory):
    made = simulate(drawn, "fcfs").schedule
    rows = replace(made, calls=tuple(made.calls))
    head = msgspec.json.encode({"format": made.format, "policy": made.policy})[:-1] + b',"calls":[\n'
    text = head + b",\n".join(msgspec.json.encode(row) for row in rows.calls) + b"\n]}\n"
    assert made.to_bytes() == rows.to_bytes() == text
    path = tmp_path_factory.mktemp("schedules") / "schedule.json"
    made.save(path)
    read = read_schedule(path)
    assert isinstance(read.calls, Rows)
    assert read == made == rows == schedule._read_slowly(text, path)
    assert pickle.loads(pickle.dumps(read)) == rows
    assert verify(drawn, read) == verify(drawn, rows) == verify(drawn, replace(rows, calls=rows.calls[::-1]))
    assert list(read.to_frame()["decode_end"]) == [row.decode_end for row in rows.calls]


def changed(path: tuple[Any, ...], value: Any) -> bytes:
    from test_hostile import an_instance

    data = an_instance()
    inside: Any = data
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return json.dumps(data).encode()


WRONG = [
    (("workflows", 1, "workflow_id"), "w0"),
    (("workflows", 1, "workflow_id"), ""),
    (("workflows", 0, "arrival"), -1),
    (("workflows", 0, "calls"), []),
    (("workflows", 0, "calls", 1, "call_id"), "c0"),
    (("workflows", 0, "calls", 1, "call_id"), ""),
    (("workflows", 0, "calls", 1, "parents"), ["c9"]),
    (("workflows", 0, "calls", 1, "parents"), ["c0", "c0"]),
    (("workflows", 0, "calls", 0, "parents"), ["c2"]),
    (("workflows", 0, "calls", 0, "parents"), ["c0"]),
    (("workflows", 0, "calls", 0, "prompt_tokens"), 0),
    (("workflows", 0, "calls", 0, "prompt_tokens"), 2**70),
    (("workflows", 0, "calls", 0, "output_tokens"), 0),
    (("workflows", 0, "calls", 0, "output_tokens"), 10**9 + 1),
    (("workflows", 0, "calls", 0, "output_tokens"), 290),
    (("workflows", 0, "calls", 0, "output_tokens"), 2.5),
    (("workflows", 0, "calls", 0, "cached_tokens"), -1),
    (("workflows", 0, "calls", 0, "cached_tokens"), 50),
    (("workflows", 0, "calls", 0, "delay"), -1),
    (("workflows", 0, "calls", 0, "delay"), 1e13),
    (("workflows", 0, "calls", 0, "delay"), "soon"),
    (("workflows", 0, "calls", 0, "depth"), 1),
    (("closed_loop",), {"sessions": 1}),
    (("format",), "hexsched-instance/2"),
    (("links",), []),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_what_is_wrong_is_told_as_object_by_object(path, value):
    data = changed(path, value)
    with pytest.raises(InputError) as told:
        object_by_object(data)
    for text in (data, msgspec.json.format(data, indent=1)):
        with pytest.raises(InDoubtError):
            instance._read_quickly(text)
        with pytest.raises(InputError) as again:
            Instance.from_bytes(text)
        assert str(again.value).removeprefix("instance: ").split("line")[0] == str(told.value).removeprefix(
            "instance: "
        )


@pytest.mark.parametrize(
    "where", [b'"kv_bytes_per_token":', b'"prompt_tokens":', b'"workflows":', b'"workflow_id":', b'"id":', b'"calls":']
)
def test_a_key_that_comes_twice_is_found_in_columns_too(where):
    data = Instance.from_bytes(changed(("decode_model",), "fixed")).to_bytes()
    first = data.index(where.replace(b":", b": ")) if where.replace(b":", b": ") in data else data.index(where)
    end = data.index(b",\n", first) if where not in (b'"workflows":', b'"calls":') else first
    piece = data[first:end] + b", " if end > first else where + b" [], "
    twice = data[:first] + piece + data[first:]
    with pytest.raises(InputError, match="comes twice"):
        Instance.from_bytes(twice)


@given(st.lists(st.text(max_size=3)))
def test_texts_are_what_they_were(texts):
    column = texts_of(texts)
    assert column.tolist() == texts
    assert len(set(column.distinct)) == len(column.distinct)
    assert [column[k] for k in range(len(texts))] == texts


def test_rows_are_made_once_and_equal_a_tuple():
    made = []

    def make(columns):
        made.append(1)
        return tuple(columns)

    rows = Rows([3, 4], 2, make)
    assert len(rows) == 2
    assert not made
    assert rows == (3, 4)
    assert rows == (3, 4)
    assert rows != (3,)
    assert rows != [3, 4]
    assert (rows + (5,), (1,) + rows) == ((3, 4, 5), (1, 3, 4))  # noqa: RUF005
    assert (rows[0], rows[1:], list(rows)) == (3, (4,), [3, 4])
    assert rows == Rows((3, 4), 2, tuple)
    assert made == [1]


def test_a_schedule_with_times_that_are_no_numbers_still_reaches_the_verifier(tmp_path):
    row = dict.fromkeys(("prefill_start", "prefill_end", "admitted", "decode_start", "decode_end"), float("nan"))
    row |= {"workflow_id": "w", "call_id": "c", "prefill_instance": "p", "decode_instance": "d"}
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"format": "hexsched-schedule/1", "policy": "x", "calls": [row]}))
    assert read_schedule(path).columns.admitted.tolist() != [0.0]
    assert Schedule(format="hexsched-schedule/1", policy="", calls=()).to_bytes().endswith(b'"calls":[\n\n]}\n')
