"""An order and a placement of one's own, each by one new file: listed, compiled, valid, the same in plain Python."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from extension import environment, recipe
from instances import call, corner_instance, one_pair, workflow

from hexsched.model import Instance
from hexsched.policies.orders import ORDERS
from hexsched.policies.placements import PLACEMENTS

WIDEST = recipe("An order")

LAST = recipe("A placement")

RUN = """
import json, sys
from hexsched.model import read_instance
from hexsched.simulator import simulate
from hexsched.verifier import verify
ways = {"interpreted": [False], "compiled": [False, True]}[sys.argv[1]]
for file, policy in zip(sys.argv[2::2], sys.argv[3::2]):
    instance = read_instance(file)
    plain, *compiled = (simulate(instance, policy, compiled=way).schedule for way in ways)
    rows = sorted((row.prefill_start, row.workflow_id, row.prefill_instance) for row in plain.calls)
    same = all(each.to_bytes() == plain.to_bytes() for each in compiled)
    print(json.dumps([verify(instance, plain).ok, same, rows]))
"""


def python(env: dict[str, str], *argv: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run([sys.executable, *argv], env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


LIST = "import sys; from experiments.cli import main; sys.exit(main())"


def together(*prompts: int) -> Instance:
    """Workflows of one call each that arrive at once on one pair of instances, called by their prompts."""
    return one_pair(*(workflow(f"w{n}", 0, call("c", n, 4)) for n in prompts))


@pytest.mark.parametrize("way", ["interpreted", pytest.param("compiled", marks=pytest.mark.campaign)])
def test_an_order_and_a_placement_are_a_file_each(way, tmp_path):
    orders, placements = tmp_path / "orders", tmp_path / "placements"
    for folder in (orders, placements):
        folder.mkdir()
    env = environment(ORDERS, orders, WIDEST)
    (placements / "last.py").write_text(LAST)
    with (orders / "start" / "sitecustomize.py").open("a") as start:  # compiled once for both
        start.write(f"import {PLACEMENTS.package} as it\nit.__path__.append({str(placements)!r})\n")
    listed = json.loads(python(env, "-c", LIST, "policies", "--json"))
    assert {"name": "widest", "options": {"weight": 2.0}}.items() <= listed["policies"][-1].items()
    assert listed["placements"][-1] == {"name": "last", "summary": "the last instance"}
    drawn = corner_instance(np.random.default_rng(4), workflows=(6, 6), calls=(2, 4), room="loose")
    runs = [(together(30, 10, 50, 40), "widest(weight=3)"), (together(30, 10, 50), "widest@jsq"), (drawn, "fcfs@last")]
    words = []
    for k, (instance, policy) in enumerate(runs):
        file = tmp_path / f"{k}.json"
        file.write_bytes(instance.to_bytes())
        words += [str(file), policy]
    results = [json.loads(line) for line in python(env, "-c", RUN, way, *words).splitlines()]
    assert [(valid, same) for valid, same, _ in results] == [(True, True)] * 3
    planned, queued, last = ([(flow, place) for _, flow, place in rows] for _, _, rows in results)
    assert [flow for flow, _ in planned] == ["w50", "w40", "w30", "w10"]
    assert [flow for flow, _ in queued] == ["w50", "w30", "w10"]
    assert {place for _, place in last} == {drawn.prefill[-1].id}
