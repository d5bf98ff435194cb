"""docs/model.md and the code say the same: every rule that is cited is there, every check that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hexsched.verifier.report import MODEL_RULES, RULES

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[1]
MODEL = (ROOT / "docs" / "model.md").read_text()
NUMBERS = re.findall(r"^### (M\d+) ", MODEL, re.MULTILINE)
ROWS = {number: cells for number, *cells in re.findall(r"^\| (M\d+) \|(.*)\|(.*)\|$", MODEL, re.MULTILINE)}
SOURCES = [
    file
    for folder in ("hexsched", "solvers", "experiments", "paper_figs", "tests", "docs")
    for pattern in ("*.py", "*.md", "*.yaml")
    for file in sorted((ROOT / folder).rglob(pattern))
] + sorted(ROOT.glob("*.md"))


def test_rules_are_numbered_from_one_without_a_gap():
    assert [f"M{k + 1}" for k in range(len(NUMBERS))] == NUMBERS
    assert list(ROWS) == NUMBERS


def test_every_citation_is_of_a_rule():
    cited = {}
    for file in SOURCES:
        for words in re.findall(r"model (M\d+(?:(?:,| and| to) M\d+)*)", file.read_text()):
            cited |= dict.fromkeys(re.findall(r"M\d+", words), file)
    assert len(cited) >= 20
    assert {number: file for number, file in cited.items() if number not in NUMBERS} == {}


def test_nobody_cites_sections():
    old = "model.md " + "section"
    assert [file for file in SOURCES if old in file.read_text()] == []


def test_every_rule_of_the_verifier_is_one_of_the_model():
    assert list(MODEL_RULES) == list(RULES)
    table = {rule: number for number, (rules, _) in ROWS.items() for rule in rules.strip().split(", ") if rule}
    assert table == MODEL_RULES


@pytest.mark.parametrize("number", NUMBERS)
def test_every_rule_is_checked_by_a_test_that_exists(number):
    tests = re.findall(r"(test_\w+\.py)::(test_\w+)", ROWS[number][1])
    assert tests
    for file, name in tests:
        assert re.search(rf"def {name}\(", (ROOT / "tests" / file).read_text()), f"{file}::{name}"
