"""Runs of the simulator: by hand, against direct recounts, and compiled against interpreted."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest
from conftest import policy_names
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instance, corner_instances, named_calls, one_pair, workflow
from msgspec.structs import replace
from reference.formulas import base_time

from hexsched.contract import releases
from hexsched.errors import InputError
from hexsched.model import DecodeInstance, Instance, Schedule, Workflow
from hexsched.policies import order, policies
from hexsched.policies.estimators import read_estimator
from hexsched.simulator import simulate
from hexsched.simulator.views.calls import CallView
from hexsched.verifier import verify

# Whatever the policy, there is nothing to choose on these instances.
NO_CHOICE = ("hexagent", "fcfs@jsq", "plas@earliest-finish")


def times(schedule: Schedule) -> dict[str, tuple[float, ...]]:
    """(prefill start, prefill end, admitted, decode start, decode end) by "workflow/call"."""
    return {
        f"{row.workflow_id}/{row.call_id}": (
            row.prefill_start,
            row.prefill_end,
            row.admitted,
            row.decode_start,
            row.decode_end,
        )
        for row in schedule.calls
    }


def check_times(instance: Instance, name: str, expected: dict[str, tuple[float, ...]]) -> None:
    """Both ways of running give the expected times."""
    for compiled in (True, False):
        found = times(simulate(instance, name, compiled=compiled).schedule)
        assert found.keys() == expected.keys()
        for key, wanted in expected.items():
            assert found[key] == pytest.approx(wanted, abs=1e-9), key


@pytest.mark.parametrize("name", NO_CHOICE)
class TestByHand:
    """On ``one_pair``: n = 10 takes 3 s of prefill and 1.5 s of transfer."""

    def test_one_call_fluid(self, name):
        # alone: (1.5 + 0.01 * 10) * 4 + 0.01 * 4^2 / 2 = 6.48
        instance = one_pair(workflow("A", 10, call("c", 10, 4)))
        check_times(instance, name, {"A/c": (10, 13, 13, 14.5, 20.98)})

    def test_one_call_fixed(self, name):
        instance = one_pair(workflow("A", 10, call("c", 10, 4)), decode_model="fixed")
        check_times(instance, name, {"A/c": (10, 13, 13, 14.5, 22.5)})

    def test_cached_tokens_are_moved_but_not_computed(self, name):
        # P = 1 + 0.1 * 4 + 0.01 * (100 - 36) = 2.04
        instance = one_pair(workflow("A", 10, call("c", 10, 4, h=6)))
        check_times(instance, name, {"A/c": (10, 12.04, 12.04, 13.54, 20.02)})

    @pytest.mark.parametrize("curve", [None, ((1, 1.5), (3, 2.5))])  # both: 1.5 s alone, 2 s together
    def test_two_calls_in_a_batch(self, name, curve):
        # B comes when A has two of its tokens, 1.6 * 2 + 0.01 * 2^2 / 2 = 3.22 s. Together they hold 22 tokens:
        # two each take 2.22 * 2 + 0.02 * 2^2 / 2 = 4.48 s. B's last two, alone: 1.62 * 2 + 0.01 * 2^2 / 2 = 3.26 s.
        instance = one_pair(
            workflow("A", 0, call("c", 10, 4)), workflow("B", 3.22, call("c", 10, 4)), max_batch=3, batch_curve=curve
        )
        expected = {"A/c": (0, 3, 3, 4.5, 12.2), "B/c": (3.22, 6.22, 6.22, 7.72, 15.46)}
        check_times(instance, name, expected)

    def test_two_calls_in_a_batch_fixed(self, name):
        flows = workflow("A", 0, call("c", 10, 4)), workflow("B", 3.22, call("c", 10, 4))
        expected = {"A/c": (0, 3, 3, 4.5, 12.5), "B/c": (3.22, 6.22, 6.22, 7.72, 15.72)}
        check_times(one_pair(*flows, decode_model="fixed"), name, expected)

    @pytest.mark.parametrize("limit", [{"max_batch": 1}, {"kv_capacity_tokens": 27}])
    def test_no_room_for_two(self, name, limit):
        instance = one_pair(workflow("A", 0, call("c", 10, 4)), workflow("B", 0, call("c", 10, 4)), **limit)
        check_times(instance, name, {"A/c": (0, 3, 3, 4.5, 10.98), "B/c": (3, 6, 10.98, 12.48, 18.96)})

    def test_just_room_for_two(self, name):
        flows = workflow("A", 0, call("c", 10, 4)), workflow("B", 0, call("c", 10, 4))
        found = times(simulate(one_pair(*flows, kv_capacity_tokens=28, max_batch=2), name).schedule)
        assert found["B/c"][2] == 6

    def test_children_wait_for_all_parents_and_the_delay(self, name):
        # n = 1: P = 1.11, T = 0.6, alone: (1.5 + 0.01) * 1 + 0.005 = 1.515; 3.225 in all
        one = {"n": 1, "m": 1}
        flow = workflow("w", 1, call("a", **one), call("b", 1, 1, "a", delay=2), call("c", 1, 1, "a", "b", delay=0.5))
        check_times(
            one_pair(flow),
            name,
            {
                "w/a": (1, 2.11, 2.11, 2.71, 4.225),
                "w/b": (6.225, 7.335, 7.335, 7.935, 9.45),
                "w/c": (9.95, 11.06, 11.06, 11.66, 13.175),
            },
        )

    def test_a_delay_before_the_first_call(self, name):
        instance = one_pair(workflow("w", 1, call("a", 1, 1, delay=3)))
        check_times(instance, name, {"w/a": (4, 5.11, 5.11, 5.71, 7.225)})

    def test_late_times_lose_nothing_but_their_last_digits(self, name):
        # Unix time stamps
        early = corner_instance(np.random.default_rng(5), workflows=(6, 6), arrivals="together")
        late = replace(early, workflows=tuple(replace(w, arrival=w.arrival + 1.8e9) for w in early.workflows))
        run = simulate(late, name)
        assert verify(late, run.schedule).violations == ()
        assert run.ratio == pytest.approx(simulate(early, name).ratio, rel=1e-4)


# --- conservation ----------------------------------------------------------------------------------------------------


def tokens_out(instance: Instance, machine: DecodeInstance, schedule: Schedule) -> dict[tuple[str, str], float]:
    """Tokens that each call decoded on an instance gets, by going through its batches."""
    rows = [row for row in schedule.calls if row.decode_instance == machine.id]
    prompt = {name: one.prompt_tokens for name, _, one in named_calls(instance)}
    out = {(row.workflow_id, row.call_id): 0.0 for row in rows}
    d2 = machine.decode_coeffs[2]
    for start, end in itertools.pairwise(sorted({t for row in rows for t in (row.decode_start, row.decode_end)})):
        batch = [(r.workflow_id, r.call_id) for r in rows if r.decode_start <= start and end <= r.decode_end]
        if not batch:
            continue
        if instance.decode_model == "fixed":
            done = (end - start) / machine.fixed_iteration_time
        else:
            tau = base_time(machine, len(batch)) + d2 * sum(prompt[name] + out[name] for name in batch)
            done = max(np.roots([d2 * len(batch) / 2, tau, start - end]).real)
        for name in batch:
            out[name] += done
    return out


@settings(max_examples=60)
@given(instance=corner_instances(), name=st.sampled_from(policy_names()))
def test_tokens_in_are_tokens_out(instance, name):
    schedule = simulate(instance, name).schedule
    expected = {name: one.output_tokens for name, _, one in named_calls(instance)}
    found: dict[tuple[str, str], float] = {}
    for machine in instance.decode:
        found |= tokens_out(instance, machine, schedule)
    assert found == pytest.approx(expected, rel=1e-5)


@settings(max_examples=60)
@given(instance=corner_instances(transfers="instant"), name=st.sampled_from(policy_names()))
def test_transfers_may_take_no_time(instance, name):
    schedule = simulate(instance, name).schedule
    assert all(row.decode_start == row.admitted for row in schedule.calls)
    assert verify(instance, schedule).violations == ()


@settings(max_examples=60)
@given(instance=corner_instances(), name=st.sampled_from([policy.name for policy in policies()]))
def test_nothing_waits_for_an_idle_cluster(instance, name):
    """When a call is released and no other is in the cluster, it starts at once (under the policies as they come)."""
    schedule = simulate(instance, name).schedule
    released = releases(instance, schedule)
    rows = {(row.workflow_id, row.call_id): row for row in schedule.calls}
    for one, row in rows.items():
        others = (released[other] <= released[one] < rows[other].decode_end for other in rows if other != one)
        if not any(others):
            assert row.prefill_start == released[one]


# --- compiled and interpreted ----------------------------------------------------------------------------------------

ESTIMATORS = ("exact", "noise(0.3)", "class_mean")
EVERY_KIND_OF_RUN = [(name, ESTIMATORS[k % 3]) for k, name in enumerate(policy_names())] + [
    (policy.name, ESTIMATORS[(k + shift) % 3]) for k, policy in enumerate(policies()) for shift in (1, 2)
]


@pytest.mark.parametrize(("name", "estimates"), EVERY_KIND_OF_RUN)
def test_interpreted_runs_give_the_same_bytes(name, estimates):
    seed = sum(map(ord, name + estimates))
    instance = corner_instance(np.random.default_rng(seed), workflows=(5, 6), calls=(2, 4))
    compiled, interpreted = (
        simulate(instance, name, estimator=estimates, seed=3, compiled=way).schedule for way in (True, False)
    )
    assert compiled.to_bytes() == interpreted.to_bytes()


# --- estimators ------------------------------------------------------------------------------------------------------


def many_calls(count: int, m: int = 1000) -> Instance:
    flows = (workflow(f"w{k}", 0, call("a", 10, m), call("b", 10, m)) for k in range(count))
    return one_pair(*flows, kv_capacity_tokens=20 * m)


def estimates_of(instance: Instance, text: str, seed: int) -> np.ndarray:
    estimates = read_estimator(text).estimates(instance, seed)
    assert estimates is not None
    return estimates


@pytest.mark.parametrize("sigma", [0.1, 0.3, 1.0])
def test_noise_has_mean_one_and_the_spread_asked_for(sigma):
    factors = estimates_of(many_calls(5000), f"noise({sigma})", 0) / 1000
    assert factors.mean() == pytest.approx(1, abs=4 * sigma / 100)  # 10,000 draws: four standard errors
    assert factors.std() == pytest.approx(sigma, rel=0.1)
    assert np.corrcoef(factors[::2], factors[1::2])[0, 1] == pytest.approx(0, abs=0.06)


def test_noise_of_a_call_does_not_depend_on_other_calls():
    instance = many_calls(50)
    fewer = replace(instance, workflows=tuple(reversed(instance.workflows[::2])))
    factors = estimates_of(instance, "noise(0.3)", 1)
    assert list(estimates_of(fewer, "noise(0.3)", 1)) == list(factors.reshape(50, 2)[::2][::-1].ravel())
    assert not set(estimates_of(instance, "noise(0.3)", 2)) & set(factors)


def test_noise_scales_the_true_length_and_stays_above_one():
    short, long = (estimates_of(many_calls(200, m), "noise(0.5)", 4) for m in (1, 500))
    assert short == pytest.approx(np.maximum(long / 500, 1))
    assert estimates_of(many_calls(5), "noise(0)", 4) == pytest.approx(1000)


def test_exact_estimates_are_those_without_noise():
    instance = corner_instance(np.random.default_rng(2), workflows=(6, 6), calls=(3, 5))
    exact, none = (simulate(instance, estimator=text).schedule.to_bytes() for text in ("exact", "noise(0.0)"))
    assert exact == none


def test_class_mean_by_hand():
    seen: dict[str, float] = {}

    @order("look", summary="first come, first served")
    def look(one: CallView, now: float) -> float:
        seen.setdefault(one.call_id, one.estimated_output_tokens)
        return now

    lengths = [("a", 40, "plan"), ("b", 20, "plan"), ("c", 90, "plan"), ("d", 10, "vote"), ("e", 30, "vote")]
    chain = [
        call(name, 10, m, *([before] if before else []), kind=kind)
        for (name, m, kind), before in zip(lengths, [None, "a", "b", "c", "d"], strict=True)
    ]
    simulate(one_pair(workflow("w", 0, *chain)), "look", estimator="class_mean")
    # nothing yet: 256; then the mean of plans; of all kinds for the first vote; then of votes
    assert seen == {"a": 256, "b": 40, "c": 30, "d": 50, "e": 10}


@pytest.mark.parametrize(
    "text", ["", "nosie(0.1)", "noise", "noise(x)", "noise(-1)", "noise(nan)", "noise(11)", "mean"]
)
def test_bad_estimators(text):
    with pytest.raises(InputError, match="estimator") as caught:
        simulate(many_calls(1), estimator=text)
    assert "\n" not in str(caught.value)


# --- the run ---------------------------------------------------------------------------------------------------------


def test_a_run_tells_what_it_did():
    instance = corner_instance(np.random.default_rng(4), workflows=(6, 6), calls=(2, 4))
    told: list[tuple[int, int]] = []
    run = simulate(instance, "hexagent", progress=lambda done, total: told.append((done, total)))
    assert all(total == instance.call_count for _, total in told)
    frame = run.to_frame()
    assert list(frame["workflow_id"]) == [w.workflow_id for w in instance.workflows]
    assert list(frame["calls"]) == [len(w.calls) for w in instance.workflows]
    last = run.schedule.to_frame().groupby("workflow_id")["decode_end"].max()
    assert list(frame["completed"]) == [last[w.workflow_id] for w in instance.workflows]
    assert run.decisions >= instance.call_count
    assert 0 < run.decision_latency < 1
    assert 0 < run.decision_latency_p99 < 1
    assert "hexagent" in run._repr_html_()


def test_schedule_rows_are_in_file_order():
    calls = (call("z", 10, 4), call("a", 10, 4, "z"))
    instance = one_pair(Workflow(workflow_id="y", arrival=3, calls=calls), workflow("b", 0, call("c", 10, 4)))
    run = simulate(instance, "fcfs")
    assert [(r.workflow_id, r.call_id) for r in run.schedule.calls] == [("y", "z"), ("y", "a"), ("b", "c")]
    assert msgspec.json.decode(run.schedule.to_bytes(), type=Schedule) == run.schedule
