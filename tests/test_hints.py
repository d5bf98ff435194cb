"""Hints of applications, noisy oracles, and the horizon that orders are shown (model M40, M41)."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instances, one_pair, workflow
from msgspec.structs import replace

import hexsched as hx
from hexsched.engine import loop
from hexsched.engine.horizon import standalone_horizons
from hexsched.engine.kernel import interpreted
from hexsched.engine.tables import build_state, workload_columns
from hexsched.errors import InputError
from hexsched.model import Instance, Workflow, columnar, read_instance
from hexsched.model.files import decode_json
from hexsched.model.hint import Hint
from hexsched.model.rows import Rows
from hexsched.model.workload import workload_bytes
from hexsched.policies import as_policy
from hexsched.simulator import simulate
from hexsched.simulator.knowledge import noise, tell
from hexsched.workloads.source import read_workflows

pytestmark = pytest.mark.quick

amounts = st.floats(1, 1e9)
HINTS = st.builds(
    Hint, rounds=st.floats(0, 1e9), prompt_tokens=amounts, output_tokens=amounts, delay=st.floats(0, 1e12)
) | st.just(Hint(rounds=0))
SMALL = st.builds(
    Hint,
    rounds=st.integers(0, 9),
    prompt_tokens=st.floats(1, 500),
    output_tokens=st.floats(1, 50),
    delay=st.floats(0, 2),
)


@st.composite
def hinted_instances(draw: Any, hints: Any = HINTS) -> Instance:
    """Instances in which some workflows and some calls have hints."""
    drawn = draw(corner_instances(workflows=(1, 4), calls=(1, 4)))
    maybe = hints | st.just(msgspec.UNSET)
    flows = tuple(
        replace(flow, hint=draw(maybe), calls=tuple(replace(one, hint=draw(maybe)) for one in flow.calls))
        for flow in drawn.workflows
    )
    return replace(drawn, workflows=flows)


@settings(max_examples=40, deadline=None)
@given(drawn=hinted_instances())
def test_files_keep_hints(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    text = drawn.to_bytes()
    plain = replace(drawn, workflows=tuple(drawn.workflows))
    assert text == msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n"
    read = Instance.from_bytes(text)
    assert isinstance(read.workflows, Rows)  # the quick way, not object by object
    assert read == decode_json(text, Instance, "instance") == drawn
    assert read.to_bytes() == text
    drawn.save(folder / "i.parquet")
    table = read_instance(folder / "i.parquet")
    assert isinstance(table.workflows, Rows)
    assert table == drawn
    (folder / "w.jsonl").write_bytes(workload_bytes(drawn.workflows))
    assert {flow.hint for flow in read_workflows(folder / "w.jsonl", None).workflows} == {
        flow.hint for flow in drawn.workflows
    }


@given(drawn=hinted_instances())
@settings(max_examples=20, deadline=None)
def test_tables_are_the_same_row_by_row(drawn, tmp_path_factory):
    file = tmp_path_factory.mktemp("files") / "i.parquet"
    drawn.save(file)
    slowly = columnar._instance_row_by_row
    assert columnar._read(file, lambda *given: slowly(*given), slowly) == drawn  # type: ignore[arg-type]


def test_files_without_hints_do_not_speak_of_them():
    flow = workflow("A", 0, call("a", 10, 4))
    assert b"hint" not in workload_bytes([flow]) + one_pair(flow).to_bytes()
    given = json.loads(workload_bytes([flow]))
    given["hint"] = given["calls"][0]["hint"] = None
    assert decode_json(json.dumps(given).encode(), Workflow, "x") == flow


BAD = [
    ({}, "rounds"),
    ({"rounds": -1}, "rounds must be from 0 to 1e+09, got -1"),
    ({"rounds": 1e10}, "rounds must be from 0 to 1e+09"),
    ({"rounds": 2}, "prompt_tokens must be from 1 to 1e+09 where rounds are above 0, got 0"),
    ({"rounds": 2, "prompt_tokens": 5, "output_tokens": 0.5}, "output_tokens must be from 1"),
    ({"rounds": 0, "delay": 1e13}, "delay must be from 0 to 1e+12"),
    ({"rounds": "2"}, "Expected 'float', got 'str'"),
    ({"rounds": 2, "calls": 3}, "unknown field 'calls'"),
    ([1], "Expected 'object"),
]


@pytest.mark.parametrize(("hint", "words"), BAD)
@pytest.mark.parametrize("of_call", [True, False])
def test_bad_hints_are_told_in_a_line(tmp_path: Path, hint: Any, words: str, of_call: bool) -> None:
    data = json.loads(workload_bytes([workflow("A", 0, call("a", 10, 4))]))
    (data["calls"][0] if of_call else data)["hint"] = hint
    file = tmp_path / "bad.jsonl"
    file.write_text(json.dumps(data) + "\n")
    with pytest.raises(InputError) as caught:
        read_workflows(file, None)
    said = str(caught.value)
    assert said.startswith(f"{file}:1: ")
    assert words.casefold() in said.casefold()
    assert "hint" in said
    assert "\n" not in said


def test_bad_hints_in_tables_are_told_with_their_row(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tmp_path / "i.parquet"
    one_pair(replace(workflow("A", 0, call("a", 10, 4)), hint=Hint(rounds=0))).save(file)
    table = pq.read_table(file)
    rows = table.to_pylist()
    rows[0]["hint"]["rounds"] = 3.0
    pq.write_table(pa.Table.from_pylist(rows, table.schema), file)
    with pytest.raises(InputError, match="row 1: hint: prompt_tokens must be from 1"):
        read_instance(file)


# --- what is shown ---------------------------------------------------------------------------------------------------


def shown(instance: Instance, policy: str, seed: int = 0) -> dict[str, list[float]]:
    """The horizons that an order is shown of each workflow, one for each epoch in which it has one, seconds."""
    workload, places = workload_columns(instance)
    state = build_state(instance, workload, waiting=places.workflow)
    state.truth.workflows.horizon = horizon = standalone_horizons(instance, workload, compiled=False)
    tell(state, instance, places, horizon, as_policy(policy).in_effect["horizon"], seed)
    names = sorted(flow.workflow_id for flow in instance.workflows)
    seen: dict[str, list[float]] = {name: [] for name in names}
    step = interpreted(loop.advance)
    while step(state):  # nothing is ever served, so that what is shown follows from releases alone
        for name, value in zip(names, state.seen.workflows.horizon.tolist(), strict=True):
            if value > 0:
                seen[name].append(value)
    return seen


def naive_worth(instance: Instance, hint: Any) -> float:
    """Rounds times (delay + best time of the mean call), seconds, from the numbers of the instance file."""
    if not hint or not hint.rounds:
        return 0.0
    n, m = hint.prompt_tokens, hint.output_tokens
    best = math.inf
    for link in instance.links:
        (p,) = (one for one in instance.prefill if one.id == link.source)
        (d,) = (one for one in instance.decode if one.id == link.to)
        p0, p1, p2 = p.prefill_coeffs
        d0, d1, d2 = d.decode_coeffs
        first = d0 + d1 if d.batch_curve is None else d.batch_curve[0][1]
        decode = (first + d2 * n) * m + d2 * m * m / 2
        if instance.decode_model == "fixed":
            decode = d.fixed_iteration_time * m
        transfer = link.latency + n * instance.kv_bytes_per_token / link.bandwidth
        best = min(best, p0 + p1 * n + p2 * n * n + transfer + decode)
    return hint.rounds * (hint.delay + best)


def naive_factor(name: str, sigma: float, seed: int) -> float:
    """exp of a normal number, from the text of the rule: mean 1, standard deviation sigma."""
    digest = hashlib.blake2b(f"horizon/{seed}/{name}".encode(), digest_size=8).digest()
    z = np.random.default_rng(int.from_bytes(digest, "little")).standard_normal()
    variance = math.log(1 + sigma * sigma)
    return math.exp(z * math.sqrt(variance) - variance / 2)


@settings(max_examples=25, deadline=None)
@given(drawn=hinted_instances(SMALL), sigma=st.floats(0, 3), seed=st.integers(0, 9))
def test_the_horizon_shown_against_a_naive_twin(drawn, sigma, seed):
    plain, whole = shown(drawn, "hexagent"), shown(drawn, "hexagent(horizon=oracle)")
    hinted, noisy = shown(drawn, "hexagent(horizon=hint)"), shown(drawn, f"hexagent(horizon=hint({sigma}))", seed)
    for flow in drawn.workflows:
        name = flow.workflow_id
        roots = [one for one in flow.calls if not one.parents]  # all that is ever released here
        paths = {one.call_id: shown_alone(drawn, flow, one.call_id) for one in roots}
        ends = {one.call_id: paths[one.call_id] + naive_worth(drawn, one.hint) for one in roots}
        last = max(naive_worth(drawn, flow.hint), *ends.values())
        assert hinted[name][-1] == pytest.approx(max(plain[name][-1], last))
        told = whole[name][0] * naive_factor(name, sigma, seed)
        assert noisy[name] == pytest.approx([max(told, value) for value in plain[name]])


def shown_alone(instance: Instance, flow: Workflow, call_id: str) -> float:
    """delay + best of a call without parents: H_w(t) of a workflow that has no other."""
    (one,) = (each for each in flow.calls if each.call_id == call_id)
    alone = replace(flow, arrival=0.0, calls=(replace(one, hint=None),), hint=None)
    return shown(replace(instance, workflows=(alone,)), "hexagent")[flow.workflow_id][-1]


def test_what_a_hint_is_worth_by_hand():
    flow = workflow("A", 0, call("a", 10, 4), call("b", 10, 4, "a"))
    plain = shown(one_pair(flow), "hexagent")["A"][0]
    same = Hint(rounds=2, prompt_tokens=10, output_tokens=4)
    hint = "hexagent(horizon=hint)"
    whole = shown(one_pair(flow), "hexagent(horizon=oracle)")["A"][0]
    assert shown(one_pair(replace(flow, hint=same)), hint)["A"] == [pytest.approx(whole)]
    after = replace(same, rounds=1, delay=0.5)
    first, second = flow.calls
    assert shown(one_pair(replace(flow, calls=(replace(first, hint=after), second))), hint)["A"] == [
        pytest.approx(whole + 0.5)
    ]
    assert shown(one_pair(replace(flow, hint=Hint(rounds=0))), hint)["A"] == [plain]
    assert shown(one_pair(replace(flow, hint=same)), "hexagent")["A"] == [plain]
    late = one_pair(replace(flow, calls=(first, replace(second, hint=after))))
    assert shown(late, hint)["A"] == [plain]  # b is not released, so its hint is not known


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1])
def test_noise_has_mean_one_and_the_spread_asked_for(sigma):
    names = [f"w{k}" for k in range(5000)]
    factors = noise(names, sigma, 0)
    assert factors.mean() == pytest.approx(1, abs=0.05)
    assert factors.std() == pytest.approx(sigma, rel=0.15)
    assert noise(names[::-7], sigma, 0).tolist() == factors[::-7].tolist()  # none depends on another
    assert not set(noise(names, sigma, 1)) & set(factors)


@settings(max_examples=6, deadline=None)
@given(drawn=hinted_instances(SMALL))
def test_without_noise_it_is_the_oracle_and_machine_code_does_the_same(drawn):
    rows = {
        name: simulate(drawn, f"hexagent(horizon={name})").schedule.calls
        for name in ("revealed", "oracle", "hint", "hint(0)")
    }
    assert list(rows["hint(0)"]) == list(rows["oracle"])
    for name in ("hint", "hint(0.5)"):
        policy = f"hexagent(horizon={name})"
        compiled, plain = (simulate(drawn, policy, seed=3, compiled=way).schedule for way in (True, False))
        assert compiled.to_bytes() == plain.to_bytes()
    bare = tuple(
        replace(flow, hint=None, calls=tuple(replace(one, hint=None) for one in flow.calls)) for flow in drawn.workflows
    )
    unhinted = replace(drawn, workflows=bare)
    assert list(simulate(unhinted, "hexagent(horizon=hint)").schedule.calls) == list(rows["revealed"])


def test_declared_hints_keep_the_contract_and_noisy_oracles_do_not():
    assert hx.check_policy("hexagent(horizon=hint)", instances=12).ok
    broken = {one.name for one in hx.check_policy("hexagent(horizon=hint(0.3))", instances=12).checks if one.fault}
    assert "causality" in broken


def test_plain_python_sees_hints():
    hint = Hint(rounds=1, prompt_tokens=10, output_tokens=4)
    first, second = call("a", 10, 4), call("b", 10, 4, "a")
    flows = (
        replace(workflow("B", 0, first, second), hint=hint),
        workflow("A", 0, replace(first, hint=hint), second),
    )
    seen = {}

    def key(one: Any, now: float) -> float:
        seen[one.workflow_id, one.call_id] = one.workflow.hint, one.hint
        return 0.0

    simulate(one_pair(*flows), key)
    assert seen == {
        ("B", "a"): (hint, None),
        ("B", "b"): (hint, None),
        ("A", "a"): (None, hint),
        ("A", "b"): (None, None),
    }


def test_names_with_a_spread():
    policy = as_policy("hexagent( horizon = hint( 0.30 ), kv=off )@jsq")
    assert policy.options["horizon"] == "hint(0.3)"
    assert policy.options["kv"] == "off"
    assert policy.placement == "jsq"
    for text in ("hint(-1)", "hint(11)", "hint(x)", "hint(nan)", "hint()", "hint(1)(2)", "oracle(1)", "on"):
        with pytest.raises(InputError, match=r"must be revealed or oracle or hint or hint\(SIGMA\)") as caught:
            as_policy(f"hexagent(horizon={text})")
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="must be on or off"):
        as_policy("hexagent(risk=on(1))")
