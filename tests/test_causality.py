"""Nothing that a policy does before the future is revealed depends on that future."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import numpy as np
import pytest
from conftest import ORACLE
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instance, corner_instances, named_calls, one_pair, workflow
from msgspec.structs import replace

from hexsched.contract import decisions, longer, other_future, pick_moment, releases
from hexsched.engine.tables import build_seen
from hexsched.model import Call, Instance, Workflow
from hexsched.policies import policy
from hexsched.simulator import Run, simulate

Names = set[tuple[str, str]]


def with_hidden_arrivals(rng: np.random.Generator, instance: Instance, moment: float) -> Instance:
    """The instance and workflows that arrive before ``moment``, but release nothing until after it."""
    late = Call(call_id="c0", prompt_tokens=1, output_tokens=1, delay=moment + 0.1)
    hidden = (
        Workflow(workflow_id=f"a-hidden-{k}", arrival=float(rng.uniform(0, moment)), calls=(late,)) for k in range(4)
    )
    return replace(instance, workflows=(*instance.workflows, *hidden))


@settings(max_examples=10)
@given(
    instance=corner_instances(workflows=(3, 6), calls=(2, 5)),
    estimator=st.sampled_from(["exact", "noise(0.3)", "class_mean"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_not_revealed_changes_nothing(online_policy_name, instance, estimator, seed):
    rng = np.random.default_rng(seed)
    run = simulate(instance, online_policy_name, estimator=estimator, seed=5)
    moment = pick_moment(rng, run)
    future = with_hidden_arrivals(rng, other_future(rng, instance, run, moment), moment)
    other = simulate(future, online_policy_name, estimator=estimator, seed=5)
    assert decisions(run, moment) == decisions(other, moment)


@settings(max_examples=10)
@given(instance=corner_instances(workflows=(3, 6), calls=(2, 5), room="loose"), seed=st.integers(0, 2**32 - 1))
def test_a_true_length_is_not_known_before_completion(online_policy_name, instance, seed):
    """With room for everything, so that admission, which knows the truth, gives nothing away."""
    rng = np.random.default_rng(seed)
    run = simulate(instance, online_policy_name, estimator="class_mean")
    moment = pick_moment(rng, run)
    running = {(row.workflow_id, row.call_id) for row in run.schedule.calls if row.decode_end > moment}
    other = simulate(longer(instance, running), online_policy_name, estimator="class_mean")
    assert decisions(run, moment) == decisions(other, moment)


@settings(max_examples=10)
@given(instance=corner_instances(workflows=(3, 6), calls=(2, 5)), seed=st.integers(0, 2**32 - 1))
def test_a_true_length_is_not_known_before_admission(online_policy_name, instance, seed):
    """Whatever the room, as long as the same decode instances can hold the call: that is known of it from release."""
    rng = np.random.default_rng(seed)
    run = simulate(instance, online_policy_name, estimator="class_mean")
    moment = pick_moment(rng, run)
    rooms = [machine.kv_capacity_tokens for machine in instance.decode]
    prefilled = {(row.workflow_id, row.call_id): row.prefill_end for row in run.schedule.calls}
    waiting = {
        name
        for name, _, one in named_calls(instance)
        if prefilled[name] > moment
        and not any(0 <= room - one.prompt_tokens - one.output_tokens < one.output_tokens for room in rooms)
        and one.prompt_tokens + 2 * one.output_tokens <= max(rooms)
    }
    other = simulate(longer(instance, waiting), online_policy_name, estimator="class_mean")
    assert decisions(run, moment) == decisions(other, moment)


def test_the_oracle_ablation_does_know_the_future():
    # so these tests can fail
    def knows(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        instance = corner_instance(rng, workflows=(6, 6), calls=(4, 5), arrivals="together")
        run = simulate(instance, ORACLE)
        moment = pick_moment(rng, run)
        other = simulate(other_future(rng, instance, run, moment), ORACLE)
        return decisions(run, moment) != decisions(other, moment)

    assert any(knows(seed) for seed in range(20))


# --- what a policy in plain Python can look at -----------------------------------------------------------------------

PROBES = (1, 2, 3, 8, 64)  # batches


def everything_public(view: Any) -> dict[str, object]:
    """All that a view says, attributes and answers of its methods, by where it says it."""
    said: dict[str, object] = {"now": view.now}
    for stage in ("ready", "prefilled"):
        for one in getattr(view, stage):
            said |= {f"{stage} {one!r} {name}": value for name, value in _attributes(one)}
            said |= {f"{one.workflow!r} {name}": value for name, value in _attributes(one.workflow)}
            said |= {f"{one!r} parent {parent!r} {k}": v for parent in one.parents for k, v in _attributes(parent)}
            said[f"{one!r} projected"] = repr(view.projected(one))
            for prefill in view.prefill:
                said[f"{one!r} {prefill.id} seconds"] = prefill.seconds(one)
                for decode in view.decode:
                    said[f"{one!r} {prefill.id} {decode.id} transfer"] = prefill.transfer_seconds(one, decode)
            for decode in view.decode:
                said[f"{one!r} {decode.id} can hold"] = decode.can_hold(one)
    for machine in (*view.prefill, *view.decode):
        said |= {f"{machine.id} {name}": value for name, value in _attributes(machine)}
    for decode in view.decode:
        said |= {f"{decode.id} iteration {b}": decode.iteration_seconds(b, 100.0) for b in PROBES}
    return said


def _attributes(thing: object) -> Iterator[tuple[str, object]]:
    for name in dir(thing):
        value = getattr(thing, name)
        if not name.startswith("_") and not callable(value):
            plain = value is None or isinstance(value, (bool, int, float, str))
            yield name, value if plain else repr(value)  # other views are looked at where they stand


class Recorder:
    """First come, first served on the first instance that will do, writing down all there is to see."""

    seen: list[dict[str, object]]

    def decide(self, view: Any) -> None:
        self.seen.append(everything_public(view))
        for one in list(view.ready):
            for prefill in view.prefill:
                if prefill.idle:
                    view.start(one, prefill)
                    break
        for one in list(view.prefilled):
            any(view.admit(one, decode) for decode in view.decode)


def recorded(instance: Instance, estimator: str) -> tuple[Run, list[dict[str, object]]]:
    """A run of the recorder and what it saw."""
    Recorder.seen = []
    return simulate(instance, "recorder", estimator=estimator), Recorder.seen


def given_away(seen: list[dict[str, object]], other: list[dict[str, object]], moment: float) -> dict[str, object]:
    """The first differences between what was seen in two runs at or before ``moment``."""
    assert seen != other  # the futures do differ, and in the end it shows
    for one, two in zip_longest(seen, other, fillvalue={"now": np.inf}):
        if min(one["now"], two["now"]) > moment:
            break
        if one != two:
            return {name: (one.get(name), two.get(name)) for name in one | two if one.get(name) != two.get(name)}
    return {}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("room", ["barely", "loose"])
@pytest.mark.parametrize("estimator", ["exact", "class_mean"])
def test_a_view_says_nothing_of_what_is_not_released(seed, room, estimator):
    policy("recorder", summary="sees")(Recorder)
    rng = np.random.default_rng(seed)
    instance = corner_instance(rng, workflows=(3, 6), calls=(2, 5), decode_model="fluid", room=room)
    run, seen = recorded(instance, estimator)
    moment = pick_moment(rng, run)
    _, other = recorded(other_future(rng, instance, run, moment), estimator)
    assert given_away(seen, other, moment) == {}


def test_no_decision_is_asked_for_before_anything_is_released():
    policy("recorder", summary="sees")(Recorder)
    _, seen = recorded(one_pair(workflow("w", 1, call("c", 10, 4, delay=2))), "exact")
    assert seen[0]["now"] == 3


@pytest.mark.parametrize("seed", range(4))
def test_a_view_says_nothing_of_true_lengths(seed):
    policy("recorder", summary="sees")(Recorder)
    rng = np.random.default_rng(seed)
    instance = corner_instance(rng, workflows=(3, 6), calls=(2, 5), room="loose")
    run, seen = recorded(instance, "class_mean")
    moment = pick_moment(rng, run)
    running = {(row.workflow_id, row.call_id) for row in run.schedule.calls if row.decode_end > moment}
    _, other = recorded(longer(instance, running), "class_mean")
    assert given_away(seen, other, moment) == {}


@pytest.mark.parametrize("estimator", ["exact", "noise(0.3)", "class_mean"])
def test_rows_are_blank_before_release(estimator):
    """Of calls and of workflows; compiled policies are handed the rows themselves."""
    instance = corner_instance(np.random.default_rng(3), workflows=(5, 5), calls=(3, 5))
    numbers = {name: k for k, name in enumerate(sorted(name for name, _, _ in named_calls(instance)))}
    flows = sorted(flow.workflow_id for flow in instance.workflows)
    blank = build_seen(instance, len(numbers), len(flows))
    checked = 0

    released: Names = set()

    class Looker(Recorder):
        def decide(self, view: Any) -> None:
            nonlocal checked
            released.update((one.workflow_id, one.call_id) for one in view.ready)
            for name, k in numbers.items():
                if name not in released:
                    assert view._views.seen.calls[k].tobytes() == blank.calls[k].tobytes()
                    checked += 1
            for k, flow in enumerate(flows):
                if flow not in {workflow for workflow, _ in released}:
                    assert view._views.seen.workflows[k].tobytes() == blank.workflows[k].tobytes()
                    checked += 1
            super().decide(view)

    Recorder.seen = []
    policy("looker", summary="looks")(Looker)
    run = simulate(instance, "looker", estimator=estimator)
    assert checked > len(numbers)
    assert released == releases(instance, run.schedule).keys()
