"""What a schedule conserves does not drift over a long busy run: a share of ``campaigns.drift``."""

from __future__ import annotations

import pytest
from campaigns.drift import EVENTS, PRECISION, measure, runs
from msgspec.structs import replace

EVENTS_TRIED = 50_000
RUNS = list(range(0, 16, 3))  # of those of the campaign; both models, open and closed


@pytest.fixture(scope="module")
def drawn():
    """(name, instance, schedule) of each."""
    return [run for k, run in enumerate(runs(EVENTS_TRIED * 16 // len(RUNS), seed=1)) if k in RUNS]


def test_nothing_drifts(drawn):
    assert sum(EVENTS * len(schedule.calls) for _, _, schedule in drawn) >= EVENTS_TRIED
    assert {name.split(", ")[1] for name, _, _ in drawn} == {"fluid", "fixed"}
    for name, instance, schedule in drawn:
        found = measure(instance, schedule)
        assert found.broken == [], name
        assert found.worst <= PRECISION, name


@pytest.mark.parametrize("k", [0, -1])
def test_a_drift_would_be_seen(drawn, k):
    _, instance, schedule = drawn[k]
    late = [replace(row, decode_end=row.decode_end * (1 + 1e-7)) for row in schedule.calls]
    assert measure(instance, replace(schedule, calls=tuple(late))).worst > PRECISION
    target = schedule.calls[0].decode_instance
    crowd = [replace(row, decode_instance=target) for row in schedule.calls]
    assert measure(instance, replace(schedule, calls=tuple(crowd))).broken
