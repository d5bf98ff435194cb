"""Hints learned from workflows of the past, and the commands that learn and give them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaigns.learned import errors, halves
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instances, workflow
from msgspec.structs import replace

from experiments.cli import BAD_INPUT, OK, main
from hexsched.errors import InputError
from hexsched.model import Workflow, read_workload, write_workload
from hexsched.model.hint import Hint
from hexsched.workloads.families import generate
from hexsched.workloads.predictor import (
    ANY,
    DEEPEST,
    FORMAT,
    Predictor,
    State,
    check_halves,
    learn,
    read_predictor,
    rests,
    write_predictor,
)

pytestmark = pytest.mark.quick


def chain(name: str, rounds: int, prompt: int = 100, output: int = 10) -> Workflow:
    """Calls one after the other, each prompt ten tokens longer than the one before it."""
    calls = [
        call(f"c{k:03}", prompt + 10 * k, output + k, *([f"c{k - 1:03}"] if k else []), delay=0.5 * k)
        for k in range(rounds)
    ]
    return workflow(name, 0.0, *calls)


def naive_rest(flow: Workflow, call_id: str) -> tuple[int, int, int, float]:
    """The largest (calls, new prompt tokens, output tokens, delay) of any chain below a call, by trying all."""
    below = [(0, 0, 0, 0.0)]
    for one in flow.calls:
        if call_id in one.parents:
            n, p, o, d = naive_rest(flow, one.call_id)
            new = one.prompt_tokens - one.cached_tokens
            below.append((n + 1, p + new, o + one.output_tokens, d + one.delay))
    return max(below)


@settings(max_examples=40, deadline=None)
@given(drawn=corner_instances(workflows=(1, 3), calls=(1, 7)))
def test_rests_against_all_chains(drawn):
    for flow in drawn.workflows:
        place = {one.call_id: one for one in flow.calls}

        def depth(name: str, place: Any = place) -> int:
            return 1 + max((depth(parent) for parent in place[name].parents), default=0)

        found = list(rests(flow))
        assert [k for k, _, _ in found] == list(range(len(flow.calls)))
        for k, deep, rest in found:
            name = flow.calls[k].call_id
            assert deep == depth(name)
            assert tuple(rest) == pytest.approx(naive_rest(flow, name))


def test_what_is_learned_by_hand():
    flows = [chain(f"w{k}", 3 + k % 4) for k in range(99)]  # 25 of three rounds, 25 of four, ...
    learned = {(one.kind, one.depth): one for one in learn(flows, 0.02).states}
    first = learned["", 1]
    assert (first.workflows, first.rounds) == (99, 2)
    assert first.growth == 15  # prompts of 110 and 120 after one of 100
    assert first.output_tokens == 11.5
    assert first.delay == 0.75
    assert learned["", 3].rounds == 0  # some end here
    assert learned["", ANY].rounds == 0
    assert ("", 6) not in learned  # reached by 24: too few for one in fifty
    given_to = learn(flows, 0.02).hinted([replace(chain("x", 1), calls=(call("c", 400, 5),))])[0]
    assert given_to.calls[0].hint == Hint(rounds=2, prompt_tokens=415, output_tokens=11.5, delay=0.75)


def test_a_larger_share_promises_more():
    rng = np.random.default_rng(0)
    flows = [chain(f"w{k}", int(rng.integers(2, 30))) for k in range(300)]

    def promised(share: float) -> float:
        return next(one.rounds for one in learn(flows, share).states if one.depth == 1)

    rounds = sorted(len(flow.calls) - 1 for flow in flows)
    for share in (0.01, 0.05, 0.3, 0.5):
        assert promised(share) == rounds[int(share * 301) - 1]


def test_few_workflows_that_were_not_seen_are_promised_too_much():
    flows = generate("bfcl", workflows=600, seed=3)
    check = check_halves(flows, 0.02)
    assert check.calls <= 0.02
    assert 0.1 < check.promised < 0.9
    assert check_halves(flows, 0.2).workflows > check.workflows > 0
    # the same from the definition, of one half
    hinted = learn(flows[1::2], 0.02).hinted(flows[::2])
    wrong = [
        rest.rounds < (hint.rounds if isinstance(hint := flow.calls[k].hint, Hint) else 0)
        for flow in hinted
        for k, _, rest in rests(flow)
    ]
    assert sum(wrong) / len(wrong) <= 0.02
    assert check_halves(flows[:1]).promised == 0


@cache
def learned_from_lats() -> Predictor:
    return learn(generate("lats", workflows=80, seed=1), 0.1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), cut=st.integers(1, 6))
def test_a_hint_knows_nothing_of_what_comes_later(seed, cut):
    learned = learned_from_lats()
    (flow,) = generate("lats", workflows=1, seed=seed)
    order = flow.topological_order()[:cut]
    early = replace(flow, calls=tuple(replace(flow.calls[k], output_tokens=1) for k in sorted(order)))
    full = {one.call_id: one.hint for one in learned.hinted([flow])[0].calls}
    for one in learned.hinted([early])[0].calls:
        assert one.hint == full[one.call_id]


def test_deep_calls_count_as_the_deepest():
    flows = [chain(f"w{k}", DEEPEST + 20) for k in range(60)]
    learned = learn(flows, 0.02)
    assert max(one.depth for one in learned.states) == DEEPEST
    hints = [one.hint for one in learned.hinted(flows[:1])[0].calls]
    assert [hint.rounds for hint in hints if isinstance(hint, Hint)][:DEEPEST] == [
        *range(DEEPEST + 19, 20, -1),
        0,
    ]


def test_hints_that_are_there_stay():
    mine = Hint(rounds=7, prompt_tokens=1, output_tokens=1)
    flows = [chain(f"w{k}", 4) for k in range(60)]
    first, *others = flows[0].calls
    hinted = learn(flows).hinted([replace(flows[0], calls=(replace(first, hint=mine), *others))])[0]
    assert hinted.calls[0].hint == mine
    assert isinstance(hinted.calls[1].hint, Hint)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.builds(
            State,
            kind=st.text(max_size=4),
            depth=st.integers(0, DEEPEST),
            workflows=st.integers(1, 10**6),
            rounds=st.floats(0, 1e9),
            growth=st.floats(-1e9, 1e9),
            output_tokens=st.floats(1, 1e9),
            delay=st.floats(0, 1e12),
        ),
        unique_by=lambda one: (one.kind, one.depth),
        max_size=5,
    )
)
def test_a_predictor_is_read_as_it_was_written(tmp_path_factory, states):
    file = tmp_path_factory.mktemp("predictors") / "p.json"
    made = Predictor(format=FORMAT, share=0.02, workflows=3, sources=("a.jsonl",), states=tuple(states))
    write_predictor(file, made)
    assert read_predictor(file) == made
    assert read_predictor(file).to_bytes() == made.to_bytes()
    made.hinted([chain("w", 3)])  # whatever it says, hints are within their limits


def test_the_campaign_learns_from_workflows_that_it_does_not_run():
    flows = [chain(f"w{k}", 2 + k % 3) for k in range(40)]
    taught, others, run = halves(flows, 7)
    assert sorted(flow.workflow_id for flow in taught + others) == sorted(flow.workflow_id for flow in flows)
    assert len(run) == 300
    assert {flow.workflow_id.partition(".")[0] for flow in run} == {flow.workflow_id for flow in others}
    hint = Hint(rounds=3, prompt_tokens=1, output_tokens=1)
    first, *later = flows[0].calls  # of two calls
    found = errors([replace(flows[0], calls=(replace(first, hint=hint), *later)), flows[1]])
    assert found == pytest.approx({"err_now": (1 + 2 + 1) / 5, "err_hint": (2 + 2 + 1) / 5, "too_much": 1 / 2})


GOOD: dict[str, Any] = {
    "format": FORMAT,
    "share": 0.02,
    "workflows": 3,
    "sources": [],
    "states": [{"kind": "a", "depth": 1, "workflows": 3, "rounds": 2}],
}
STATE = GOOD["states"][0]
BAD = [
    ({**GOOD, "format": "hexsched-profile/1"}, "format"),
    ({**GOOD, "share": 0}, "share must be above 0 and below 1"),
    ({**GOOD, "code": "import os"}, "unknown field 'code'"),
    ({**GOOD, "states": [STATE, STATE]}, "kind 'a' at depth 1 appears twice"),
    ({**GOOD, "states": [{**STATE, "rounds": 1e10}]}, "states[0]: rounds must be from 0"),
    ({**GOOD, "states": [{**STATE, "depth": 65}]}, "states[0]: depth must be from 0 to 64"),
    ({**GOOD, "states": [{**STATE, "output_tokens": 0}]}, "states[0]: output_tokens must be from 1"),
    ({**GOOD, "states": [{"kind": "a"}]}, "states[0]: Object missing required field"),
    ([], "Expected 'object'"),
]


@pytest.mark.parametrize(("data", "words"), BAD)
def test_bad_predictors_are_told_in_a_line(tmp_path: Path, data: Any, words: str) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps(data))
    with pytest.raises(InputError) as caught:
        read_predictor(file)
    said = str(caught.value)
    assert said.startswith(f"{file}: ")
    assert words in said
    assert "\n" not in said


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    past, new = tmp_path / "past.jsonl", tmp_path / "new.jsonl"
    write_workload(past, generate("bfcl", workflows=200, seed=0))
    write_workload(new, generate("bfcl", workflows=5, seed=1))
    learned, hinted = tmp_path / "p.json", tmp_path / "hinted.jsonl"
    assert main(["learn", str(past), "-o", str(learned), "--json"]) == OK
    record = json.loads(capsys.readouterr().out)
    assert record["workflows"] == 200
    assert record["held_out"]["calls"] <= 0.04
    assert read_predictor(learned) == learn(read_workload(past), 0.02, ["past.jsonl"])
    assert main(["workload", "hint", str(new), "--predictor", str(learned), "-o", str(hinted)]) == OK
    assert read_workload(hinted) == read_predictor(learned).hinted(read_workload(new))
    assert any(one.hint for flow in read_workload(hinted) for one in flow.calls)
    capsys.readouterr()
    for command, words in (
        (["learn", str(past), "--share", "1", "-o", str(learned)], "share must be above 0 and below 1"),
        (["workload", "hint", str(new), "--predictor", str(past), "-o", str(hinted)], f"{past}"),
        (["learn", str(past), "-o", str(past)], "the output would overwrite this input"),
        (["learn", str(past), "-o", str(new)], "a predictor of hints would overwrite it"),
    ):
        assert main(command) == BAD_INPUT
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1
