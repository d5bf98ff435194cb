"""The verifier names every rule that is broken, in each of many ways: a share of ``campaigns.breaches``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from campaigns.breaches import Tally, break_all
from campaigns.breaches.__main__ import WAYS
from campaigns.breaches.valid import every

from hexsched.verifier import RULES
from hexsched.verifier.report import MODEL_RULES

MODEL = Path(__file__).resolve().parents[1] / "docs" / "model.md"


@pytest.fixture(scope="module")
def tally() -> Tally:
    """Of the schedules of one seed, but two that have more calls than it takes."""
    counted = Tally()
    for valid in every(1):
        if valid.name not in ("crowd of 64 fluid", "crowd of 3 fixed"):
            break_all(valid, counted)
    return counted


def test_each_breach_is_named_and_nothing_else_is(tally: Tally) -> None:
    assert tally.wrong == []
    assert tally.harmless > WAYS


def test_each_rule_is_broken_in_many_ways(tally: Tally) -> None:
    few = {rule: len(ways) for rule, ways in tally.ways.items() if len(ways) < WAYS}
    assert not few


def test_so_is_each_rule_of_the_model_that_the_verifier_checks(tally: Tally) -> None:
    rows = re.findall(r"^\| (M\d+) \| ([a-z]\S*(?:, \S+)*) \|", MODEL.read_text(), re.MULTILINE)
    checked = {rule: names.split(", ") for rule, names in rows}
    assert {name for names in checked.values() for name in names} == set(RULES)
    assert {*checked, *MODEL_RULES.values()} <= set(tally.of_model)
