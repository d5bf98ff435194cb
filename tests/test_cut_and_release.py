"""Cuts from tables, and the library as a data set: by rules that give everybody the same bytes."""

from __future__ import annotations

import csv
import hashlib
import io
import json

import pytest
import yaml
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from experiments.cli import BAD_INPUT, OK, main
from experiments.library.archive import PACKAGED, read_archive
from experiments.library.cut import cut
from experiments.library.names import VERSION, names
from experiments.library.release import SUMS, files
from experiments.schemas import FORMATS
from hexsched.errors import InputError
from hexsched.model import read_instance
from hexsched.workloads.families import generate

TABLE = generate("react", 30, seed=4)


def test_a_cut_is_the_longest_stretch_that_fits():
    flows = tuple(TABLE)[::-1]  # the order of the file does not matter, that of arrivals does
    lengths = [len(flow.calls) for flow in sorted(flows, key=lambda flow: flow.arrival)]
    for calls in (40, 60, 100):
        for start in (0, 7):
            taken = cut(flows, calls, start)
            count = len(taken)
            assert [len(flow.calls) for flow in taken] == lengths[start : start + count]
            assert sum(lengths[start : start + count]) <= calls < sum(lengths[start : start + count + 1])
            assert taken[0].arrival == 0


def test_gaps_are_stretched():
    flows = [replace(flow, arrival=100.0 + 3 * k) for k, flow in enumerate(TABLE)]
    whole, half, none = (cut(flows, 60, 2, stretch) for stretch in (1.0, 0.5, 0.0))
    assert [flow.arrival for flow in whole] == [3.0 * k for k in range(len(whole))]
    assert [flow.arrival for flow in half] == [1.5 * k for k in range(len(whole))]
    assert {flow.arrival for flow in none} == {0.0}
    assert [flow.calls for flow in half] == [flow.calls for flow in flows[2 : 2 + len(half)]]


@pytest.mark.parametrize(("calls", "start"), [(2, 0), (30, 29), (30, 1000)])
def test_a_cut_of_fewer_than_two_workflows_is_refused(calls, start):
    with pytest.raises(InputError, match="and needs 2; take more calls, or begin elsewhere"):
        cut(TABLE, calls, start)


def test_gaps_that_no_double_holds_are_refused():
    with pytest.raises(InputError, match=r"1e\+308 times as long"):
        cut([replace(flow, arrival=3.0 * k) for k, flow in enumerate(TABLE)], 60, stretch=1e308)


def test_the_command_cuts_an_instance_that_can_be_solved(tmp_path, capsys):
    table, out = tmp_path / "table.jsonl", tmp_path / "cut.json"
    made = ["workload", "generate", "react", "--workflows", "20", "--arrivals", "poisson:1", "-o", str(table)]
    assert main(made) == OK
    asked = ["library", "cut", "demo", str(table), "--calls", "40", "--start", "3", "--stretch", "0.1", "-o"]
    assert main([*asked, str(out)]) == OK
    instance = read_instance(out)
    assert instance.decode_model == "fixed"
    assert instance.call_count <= 40
    again = tmp_path / "again.json"
    assert main([*asked, str(again)]) == OK
    assert again.read_bytes() == out.read_bytes()
    capsys.readouterr()
    for change in (["--stretch", "inf"], ["--stretch", "-1"], ["--start", "20"], ["--calls", "1"]):
        assert main([*asked, str(out), *change]) == BAD_INPUT
        assert capsys.readouterr().err.count("\n") == 1


def test_a_release_mixes_with_nothing(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["library", "release", "-o", str(tmp_path)]) == BAD_INPUT
    assert "the folder is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.fixture(scope="module")
def released() -> dict[str, bytes]:
    return dict(files(read_archive()))


def test_a_release_is_whole_and_its_checksums_are_right(released):
    assert set(released) == {
        *("README.md", "CITATION.cff", ".zenodo.json", "instances.csv", "best_known.csv", SUMS),
        *(f"instances/{name}.json" for name in names()),
    }
    sums = dict(line.split("  ")[::-1] for line in released[SUMS].decode().splitlines())
    assert sums == {n: hashlib.sha256(data).hexdigest() for n, data in released.items() if n != SUMS}
    assert released["best_known.csv"] == PACKAGED.read_bytes()
    rows = list(csv.DictReader(io.StringIO(released["instances.csv"].decode())))
    assert [row["instance"] for row in rows] == list(names())
    assert all(sums[f"instances/{row['instance']}.json"] == row["sha256"] for row in rows)
    Draft202012Validator(json.loads(json.dumps(FORMATS["instance"].schema()))).validate(
        json.loads(released[f"instances/{names()[-1]}.json"])
    )


def test_metadata_say_what_it_is(released):
    citation, zenodo = yaml.safe_load(released["CITATION.cff"]), json.loads(released[".zenodo.json"])
    assert citation["type"] == zenodo["upload_type"] == "dataset"
    assert citation["version"] == zenodo["version"] == VERSION
    assert citation["title"] == zenodo["title"]
    assert citation["license"].lower() == zenodo["license"] == "apache-2.0"
    assert citation["authors"][0]["name"] == zenodo["creators"][0]["name"]
    assert f"{len(names())} seeded instances" in zenodo["description"]


def test_the_command_writes_it(tmp_path, released, capsys):
    assert main(["library", "release", "-o", str(tmp_path / "out"), "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["files"] == len(released)
    assert (tmp_path / "out" / SUMS).read_bytes() == released[SUMS]
    assert (tmp_path / "out" / "instances" / f"{names()[0]}.json").read_bytes() == released[
        f"instances/{names()[0]}.json"
    ]
