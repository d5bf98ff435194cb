"""Every stored row says where it comes from, and can be made again from that."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest
from tiny_grid import Inline, plan_of, write_grid

from experiments import environment
from experiments.cli import BAD_INPUT, CHECK_FAILED, OK, main
from experiments.formulations.rows import EARLIER, FORMULATIONS_CSV, Row, read_rows, write_rows
from experiments.grid.run import run_plan
from experiments.results import FILES
from experiments.store import CellFiles, Store, read_table
from experiments.store.reading import read_cells
from experiments.store.schema import DIGESTS, encode
from hexsched.model import write_instance
from hexsched.workloads.instances import instance

SMALL = """\
clusters: [demo, mine.yaml]
workloads: [react, w.jsonl]
workflows: 3
loads: "rate:1"
policies: "fcfs@jsq"
estimators: noise(0.25)
seeds: [7]
slo: ttft=2s
"""
SEARCHED = SMALL.replace('"rate:1"', '["rate:1", "saturation:0.9"]').replace('"fcfs@jsq"', "hexagent")
POLICY = """
import hexsched as hx

@hx.order("longest")
def longest(call, now):
    return -call.prompt_tokens
"""
BRACKETS = """
grids:
  gap: {kind: gap, clusters: demo, workloads: react, workflows: 2, loads: "saturation:0.9", objectives: mean_ratio,
        policies: [fcfs, hexagent], time_limit: 0.2}
  solve: {kind: solve, instances: contended-chain-4-0, formulations: cpsat, objectives: max_ratio, time_limit: 5}
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "hexsched/clusters/library/demo.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("name: demo", "name: mine"))
    main(["workload", "generate", "bfcl", "--workflows", "4", "-o", str(tmp_path / "w.jsonl")])
    (tmp_path / "longest.py").write_text(POLICY)


def stored(tmp_path: Path, text: str = SMALL, **options: bool) -> list[str]:
    """Keys of the grid's cells, computed into a store."""
    plan = plan_of(tmp_path, text, **options)
    with Store.writing(tmp_path / "s") as store:
        outcome = run_plan(plan, store, Inline())
    assert outcome.errors == []
    return list(plan.cells)


def rerun(tmp_path: Path, capsys: pytest.CaptureFixture[str], *argv: str, code: int = OK) -> dict:
    capsys.readouterr()
    assert main(["rerun", *argv, "--store", str(tmp_path / "s"), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def forge(store: Path, table: str, key: str, **values: object) -> None:
    """Other numbers in a file that is whole."""
    with Store.writing(store) as opened:
        row = read_cells(opened, table, [key]).to_pylist()[0]
        opened.write([CellFiles(key, table, {table: encode(table, [{**row, **values}])})])


def test_every_row_can_be_joined_to_versions_seeds_and_digests(tmp_path):
    stored(tmp_path, SEARCHED)
    runs, origin = read_table(tmp_path / "s", "runs"), read_table(tmp_path / "s", "provenance")
    joined = runs.merge(origin, on="key", suffixes=("", "_of"))
    assert len(joined) == len(runs) == 8
    assert (joined["seed"] == joined["seed_of"]).all()
    assert joined["cluster_sha256"].nunique() == 2
    assert joined["cluster_sha256"].notna().all()
    assert joined.groupby("workload")["workload_sha256"].nunique().to_dict() == {"react": 0, "w": 1}
    for name, version in environment.versions().items():
        assert joined[name].isna().all() if version is None else set(joined[name]) == {version}
    assert set(read_table(tmp_path / "s", "loads")["key"]) < set(origin["key"])
    assert all(json.loads(text)["seed"] == 7 for text in origin["inputs"])


def test_what_is_stored_is_made_again_to_the_last_digit(tmp_path, capsys):
    keys = stored(tmp_path, SEARCHED, schedules=True)
    record = rerun(tmp_path, capsys, *keys)
    assert {cell["key"]: cell["verdict"] for cell in record["cells"]} == dict.fromkeys(keys, "equal")
    assert all(cell["compared"] > 5 and not cell["differences"] for cell in record["cells"])


def test_brackets_are_made_again_and_what_is_a_matter_of_time_is_told(tmp_path, capsys):
    keys = stored(tmp_path, BRACKETS)
    for cell in rerun(tmp_path, capsys, *keys)["cells"]:
        assert cell["verdict"] == "equal"
        assert all(each["timed"] for each in cell["differences"])
    gap = next(key for key in keys if (tmp_path / "s" / "gaps" / f"{key}.parquet").exists())
    forge(tmp_path / "s", "gaps", gap, lower_bound=1e6)
    (cell,) = rerun(tmp_path, capsys, gap, code=CHECK_FAILED)["cells"]
    assert "lower_bound above upper_bound" in [each["column"] for each in cell["differences"] if not each["timed"]]


def test_a_number_that_is_not_what_comes_out_is_named(tmp_path, capsys):
    key = stored(tmp_path)[-1]
    value = read_table(tmp_path / "s", "runs").set_index("key")["req95"][key]
    forge(tmp_path / "s", "runs", key, req95=value + 1e-15)
    (cell,) = rerun(tmp_path, capsys, key, code=CHECK_FAILED)["cells"]
    assert cell["verdict"] == "differs"
    (difference,) = cell["differences"]
    assert (difference["table"], difference["column"], difference["now"]) == ("runs", "req95", value)
    assert main(["rerun", key, "--store", str(tmp_path / "s")]) == CHECK_FAILED
    assert "req95" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["mine.yaml", "w.jsonl"])
def test_an_input_that_changed_is_named(tmp_path, capsys, name):
    stored(tmp_path)
    rows = read_table(tmp_path / "s", "runs")
    rows = rows[(rows["cluster"] == "mine") & (rows["workload"] == "w")]
    key = rows["key"].iloc[0]
    path = tmp_path / name
    path.write_text(path.read_text().replace("count: 1", "count: 2").replace('"output_tokens":', '"output_tokens":1'))
    (cell,) = rerun(tmp_path, capsys, key, code=CHECK_FAILED)["cells"]
    assert cell["verdict"] == "inputs changed"
    (line,) = cell["changed"]
    assert line.startswith(f"{path}: not the same content")
    path.unlink()
    assert main(["rerun", key, "--store", str(tmp_path / "s")]) == BAD_INPUT
    error = capsys.readouterr().err
    assert str(path) in error
    assert "--folder says where" in error


def test_files_may_lie_elsewhere(tmp_path, capsys):
    keys = stored(tmp_path)
    (tmp_path / "moved").mkdir()
    for name in ("mine.yaml", "w.jsonl"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    assert rerun(tmp_path, capsys, keys[-1], "--folder", str(tmp_path / "moved"))["ok"]


def test_a_policy_of_one_s_own_is_run_only_where_that_is_allowed(tmp_path, capsys):
    text = "clusters: demo\nworkloads: react\nworkflows: 2\nloads: at-once\npolicies: longest\nplugins: longest.py\n"
    (key,) = stored(tmp_path, text)
    assert read_table(tmp_path / "s", "provenance")[DIGESTS[-1]].notna().all()
    assert main(["rerun", key, "--store", str(tmp_path / "s")]) == BAD_INPUT
    assert "--allow-plugins" in capsys.readouterr().err
    assert rerun(tmp_path, capsys, key, "--allow-plugins")["ok"]
    (tmp_path / "longest.py").write_text(POLICY.replace("-call", "call"))
    (cell,) = rerun(tmp_path, capsys, key, "--allow-plugins", code=CHECK_FAILED)["cells"]
    assert "longest.py: not the same content" in cell["changed"][0]


def test_versions_that_differ_are_told(tmp_path, capsys):
    key = stored(tmp_path)[-1]
    row = read_table(tmp_path / "s", "provenance").set_index("key").loc[key]
    with Store.writing(tmp_path / "s") as store:
        origin = read_cells(store, "provenance", [key]).to_pylist()[0]
        data = {"provenance": encode("provenance", [{**origin, "numpy": "1.0"}])}
        (tmp_path / "s" / "provenance" / f"{key}.parquet").write_bytes(data["provenance"])
    (cell,) = rerun(tmp_path, capsys, key)["cells"]
    assert cell["versions"] == {"numpy": {"then": "1.0", "now": row["numpy"]}}


def test_which_cells_are_meant(tmp_path, capsys):
    keys = stored(tmp_path)
    version, _, inputs = keys[-1].partition("-")
    assert rerun(tmp_path, capsys, inputs[:20], keys[-1])["cells"][0]["key"] == keys[-1]  # once
    for text, told in ((version[:3], "cells have a key that begins with"), ("xyz", "no finished cell")):
        assert main(["rerun", text, "--store", str(tmp_path / "s")]) == BAD_INPUT
        assert told in capsys.readouterr().err
    assert main(["rerun", keys[0], "--store", str(tmp_path / "nothing")]) == BAD_INPUT


def test_a_row_without_provenance_and_a_damaged_one_are_told(tmp_path, capsys):
    keys = stored(tmp_path)
    (tmp_path / "s" / "provenance" / f"{keys[-1]}.parquet").unlink()  # as earlier versions stored it
    path = tmp_path / "s" / "runs" / f"{keys[-2]}.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    for key, told in ((keys[-1], "does not say how cell"), (keys[-2], "was changed after it was written")):
        assert main(["rerun", key, "--store", str(tmp_path / "s")]) == BAD_INPUT
        assert told in capsys.readouterr().err


def test_results_of_compare_say_where_they_come_from(tmp_path, capsys):
    write_instance(tmp_path / "i.json", instance("demo", "react", workflows=2))
    argv = ["compare", str(tmp_path / "i.json"), "--policies", "fcfs,longest", "--plugin", str(tmp_path / "longest.py")]
    assert main([*argv, "--seed", "3", "-o", str(tmp_path / "out")]) == OK
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    summary, origin = pd.read_csv(tmp_path / "out/summary.csv"), pd.read_csv(tmp_path / "out/provenance.csv")
    joined = summary.merge(origin, on=["instance", "policy"])
    assert len(joined) == 2
    assert set(joined["seed"]) == {3}
    assert joined[["instance_sha256", "policy_sha256"]].map(len).eq(64).all(axis=None)
    assert set(joined["numpy"]) == {environment.versions()["numpy"]}


@pytest.mark.parametrize(
    "argv",
    [
        ("simulate", "i.json", "--policy", "longest", "--plugin", "longest.py", "--seed", "3"),
        ("compare", "i.json", "--policies", "fcfs,longest", "--plugin", "longest.py"),
        ("bound", "i.json", "--bounds", "load"),
        ("solve", "i.json", "--time-limit", "1", "--seed", "3"),
        ("gap", "i.json", "--policies", "longest", "--plugin", "longest.py", "--time-limit", "1", "--seed", "3"),
    ],
    ids=lambda argv: argv[0],
)
def test_records_say_where_they_come_from(tmp_path, capsys, monkeypatch, argv):
    monkeypatch.chdir(tmp_path)
    write_instance("i.json", instance("demo", "react", workflows=2, decode_model="fixed"))
    capsys.readouterr()
    assert main([*argv, "--json"]) == OK
    record = json.loads(capsys.readouterr().out)
    origin = record["provenance"]
    assert origin["versions"] == environment.versions()
    files = {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in ("i.json", "longest.py")}
    assert origin["inputs"] == {name: digest for name, digest in files.items() if name in argv}
    if "--seed" in argv:
        assert 3 in (record.get("seed"), origin.get("seed"))


def test_solves_say_with_which_versions(tmp_path):
    argv = ["compare-formulations", "unary-chain-6-0", "--formulations", "cpsat", "--time-limit", "5"]
    assert main([*argv, "-o", str(tmp_path / "c")]) == OK
    (row,) = read_rows(tmp_path / "c")
    assert row.environment == environment.as_text()
    path = tmp_path / "c" / FORMULATIONS_CSV
    lines = list(csv.reader(path.read_text().splitlines()))
    for count in EARLIER:  # as earlier versions wrote it
        with path.open("w") as file:
            csv.writer(file).writerows(line[:count] for line in lines)
        missing = {name: Row._field_defaults[name] for name in Row._fields[count:]}
        assert read_rows(tmp_path / "c") == [row._replace(**missing)]
    write_rows(tmp_path / "c", [row])
    assert read_rows(tmp_path / "c") == [row]


def test_a_grid_file_names_the_folder_its_paths_are_relative_to(tmp_path):
    stored(tmp_path)
    assert set(read_table(tmp_path / "s", "timings")["folder"]) == {str(tmp_path.resolve())}
    assert not read_table(tmp_path / "s", "provenance")["grid"].str.contains(str(tmp_path)).any()
    assert write_grid(tmp_path).parent == tmp_path
