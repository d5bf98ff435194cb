"""One contract for every registered workload family, and the fit of each to the real data behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from extension import extended, recipe

from experiments import cli
from hexsched.errors import InputError
from hexsched.model import read_workload, workload_bytes
from hexsched.workloads.families import FAMILIES, Family, FittedFamily, generate
from hexsched.workloads.families.bfcl import END
from hexsched.workloads.families.parts.copula import fit_copula, normal_scores
from hexsched.workloads.families.parts.tables import QuantileTable, count_labels, draw_label
from hexsched.workloads.fit_report import fit_report
from hexsched.workloads.fitting import fit, fit_bytes, main, with_fit

pytestmark = pytest.mark.quick

FITTED = [member for member in FAMILIES.values() if isinstance(member, FittedFamily)]

every_family = pytest.mark.parametrize("member", FAMILIES.values(), ids=lambda member: member.name)
fitted_families = pytest.mark.parametrize("member", FITTED, ids=lambda member: member.name)


# --- the contract -----------------------------------------------------------------------------------------------


@every_family
def test_workflows_are_valid(member: Family) -> None:
    workload = generate(member.name, 60, seed=3)
    assert [w.workflow_id for w in workload] == sorted(w.workflow_id for w in workload)
    assert len({w.workflow_id for w in workload}) == 60
    for workflow in workload:
        assert workflow.arrival == 0.0
        assert workflow.workflow_id.startswith(f"{member.name}-")
        assert len(workflow.topological_order()) == len(workflow.calls)
        assert [c.call_id for c in workflow.calls] == sorted(c.call_id for c in workflow.calls)
        for call in workflow.calls:
            assert all(type(x) is int for x in (call.prompt_tokens, call.output_tokens, call.cached_tokens))
            assert type(call.delay) is float
            assert call.kind


@every_family
def test_workload_is_a_function_of_the_seed(member: Family) -> None:
    first = workload_bytes(generate(member.name, 20, seed=7))
    assert workload_bytes(generate(member.name, 20, seed=7)) == first
    assert workload_bytes(generate(member.name, 20, seed=8)) != first


@every_family
def test_shorter_workload_is_a_prefix(member: Family) -> None:
    assert generate(member.name, 40, seed=1)[:10] == generate(member.name, 10, seed=1)


@every_family
def test_family_states_what_it_is(member: Family) -> None:
    assert member.summary
    assert member.source
    assert "\n" not in member.summary + member.source
    assert FAMILIES.find(member.name) is member


def test_families_draw_differently_from_one_seed() -> None:
    counts_by_family = {
        member.name: [len(w.calls) for w in generate(member.name, 30, seed=0)] for member in FAMILIES.values()
    }
    assert len({tuple(counts) for counts in counts_by_family.values()}) == len(counts_by_family)


@pytest.mark.parametrize(
    ("name", "workflows", "seed", "message"),
    [
        ("chat", 1, 0, "unknown workload family 'chat'; known are sharegpt, bfcl, lats"),
        ("lats", 0, 0, "workflows must be from 1 to"),
        ("lats", 10**9, 0, "workflows must be from 1 to"),
        ("lats", 1, -1, "seed must be a whole number >= 0, got -1"),
    ],
)
def test_bad_requests_are_told(name: str, workflows: int, seed: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        generate(name, workflows, seed)


PAIRS = recipe("A workload family")


def test_one_more_file_is_one_more_family(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "w.jsonl"
    with extended(FAMILIES, tmp_path, PAIRS):
        member = FAMILIES["pairs"]
        test_workflows_are_valid(member)
        test_workload_is_a_function_of_the_seed(member)
        test_family_states_what_it_is(member)
        assert cli.main(["families"]) == cli.OK
        assert "a draft and its revision" in capsys.readouterr().out
        assert cli.main(["workload", "generate", "pairs", "--workflows", "3", "-o", str(output)]) == cli.OK
        assert cli.main(["compile", "demo", str(output), "-o", str(tmp_path / "i.json")]) == cli.OK
    assert [len(workflow.calls) for workflow in read_workload(output)] == [2, 2, 2]
    assert "pairs" not in FAMILIES


# --- what the families look like ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sharegpt", "react", "bfcl"])
def test_chains_carry_their_whole_history(name: str) -> None:
    for workflow in generate(name, 50, seed=2):
        for before, after in zip(workflow.calls, workflow.calls[1:], strict=False):
            assert after.parents == (before.call_id,)
            assert after.prompt_tokens > before.prompt_tokens + before.output_tokens


def test_bfcl_turns_end_with_an_answer() -> None:
    assert all(w.calls[-1].kind == END for w in generate("bfcl", 50, seed=2))


def test_lats_reflects_on_every_child_so_far() -> None:
    searches = [w for w in generate("lats", 200, seed=0) if len(w.calls) > 40]
    assert searches
    for workflow in searches:
        kinds = Counter(c.kind for c in workflow.calls)
        assert kinds["init_impl"] == 1
        assert kinds["expand"] > 5
        calls = {c.call_id: c for c in workflow.calls}
        for call in workflow.calls:
            if call.kind == "re_reflect":
                assert [calls[p].kind for p in call.parents] == ["expand", "expand", "test_gen"]


def test_tree_of_thoughts_has_both_tasks() -> None:
    kinds = [frozenset(c.kind for c in w.calls) for w in generate("tree_of_thoughts", 40, seed=0)]
    assert set(kinds) == {frozenset({"generate", "vote"}), frozenset({"propose", "value"})}


def test_coding_agent_caches_whole_blocks_of_the_previous_prompt() -> None:
    for workflow in generate("coding_agent", 80, seed=0):
        calls = {c.call_id: c for c in workflow.calls}
        for call in workflow.calls:
            assert call.cached_tokens % 64 == 0
            assert call.prompt_tokens <= 131_072
            same_chain = [calls[p] for p in call.parents if calls[p].kind == call.kind]
            assert all(call.cached_tokens <= parent.prompt_tokens for parent in same_chain)


def test_coding_agent_waits_for_its_sub_agents() -> None:
    handed = [w for w in generate("coding_agent", 600, seed=0) if any(c.kind == "subagent" for c in w.calls)]
    assert handed
    joined = 0
    for workflow in handed:
        kinds = {c.call_id: c.kind for c in workflow.calls}
        joined += any(
            c.kind == "main" and {"main", "subagent"} == {kinds[p] for p in c.parents} for c in workflow.calls
        )
    assert joined


def test_mixed_has_equal_shares() -> None:
    kinds = Counter(w.calls[0].kind for w in generate("mixed", 900, seed=0))
    assert set(kinds) == {"chat_turn", "tool_step", "end_of_turn", "test_gen"}
    shares = (kinds["chat_turn"], kinds["tool_step"] + kinds["end_of_turn"], kinds["test_gen"])
    assert min(shares) > 250  # 300 expected, standard deviation 14


# --- the fit ------------------------------------------------------------------------------------------------------


def errors(name: str, workflows: int = 1000) -> Iterator[tuple[str, dict[str, float]]]:
    report = fit_report(name, workflows=workflows, seed=0)
    for row in report[report.series == "error"].to_dict("records"):
        yield str(row["quantity"]), row


@fitted_families
def test_generated_workflows_are_close_to_the_stored_quantiles(member: FittedFamily) -> None:
    compared = dict(errors(member.name))
    assert {"calls_per_workflow", "tokens_per_workflow", "prompt_tokens", "output_tokens"} <= set(compared)
    for quantity, error in compared.items():
        assert error["ks"] <= 0.09, quantity
    for quantity in ("calls_per_workflow", "tokens_per_workflow", "prompt_tokens", "output_tokens"):
        assert abs(compared[quantity]["p50"]) <= 0.15, quantity
        assert abs(compared[quantity]["p95"]) <= 0.2, quantity
    assert abs(compared["tokens_per_workflow"]["mean"]) <= 0.2


@fitted_families
def test_report_takes_workflows_of_ones_own(member: FittedFamily) -> None:
    real = generate(member.name, 150, seed=4)
    itself = fit_report(member.name, real=real, generated=real)
    error = itself[itself.series == "error"]
    assert error.worst_error.max() < 1e-3  # the table's rounding
    assert error.ks.max() <= 1 / len(real)  # quantiles lie between two workflows


def test_a_fit_of_generated_workflows_generates_the_same_sort(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_bytes(fit_bytes("sharegpt", generate("sharegpt", 300, seed=5)))
    own = with_fit("sharegpt", path)
    again, original = generate(own, 300, seed=0), generate("sharegpt", 300, seed=0)
    assert again != original
    means = [np.mean([len(w.calls) for w in workload]) for workload in (again, original)]
    assert means[0] == pytest.approx(means[1], rel=0.2)


def test_fit_command_tells_a_wrong_table_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "chat.jsonl"
    table.write_bytes(workload_bytes(generate("sharegpt", 5, seed=0)))
    assert main(["lats", str(table), "-o", str(tmp_path / "fit.json")]) == 2
    message = capsys.readouterr().err
    assert "do not have the structure of family 'lats'" in message
    assert message.count("\n") == 1
    assert main(["mixed", str(table), "-o", str(tmp_path / "fit.json")]) == 2
    assert "'mixed' has no real data of its own" in capsys.readouterr().err
    assert main(["sharegpt", str(table), "-o", str(tmp_path / "fit.json")]) == 0
    with pytest.raises(InputError, match="expected 'react'"):
        with_fit("react", tmp_path / "fit.json")


def test_fit_result_is_plain_data() -> None:
    result = fit("react", generate("react", 40, seed=0))
    assert result["family"] == "react"
    assert result["workflows"] == 40
    assert set(result["observed"]) >= {"prompt_tokens", "output_tokens"}


# --- tables and copula --------------------------------------------------------------------------------------------


def test_quantile_table_is_linear_between_its_levels() -> None:
    table = QuantileTable.fit(range(1001))
    for level in (0.0, 0.013, 0.37, 0.5, 0.999, 1.0):
        assert table.at(level) == pytest.approx(1000 * level, abs=0.02)
        assert table.level(table.at(level)) == pytest.approx(level, abs=1e-9)
    assert table.tokens(0.0) == 1  # a token count is at least 1


def test_quantile_table_refuses_what_is_no_table() -> None:
    with pytest.raises(ValueError, match="16 values"):
        QuantileTable("coarse", (1.0, 2.0))
    with pytest.raises(ValueError, match="must not decrease"):
        QuantileTable("coarse", tuple(float(x) for x in range(16, 0, -1)))


def test_labels_are_drawn_by_weight() -> None:
    counts = count_labels(["a"] * 3 + ["b"])
    rng = np.random.default_rng(0)
    labels = Counter(draw_label(rng, counts) for _ in range(4000))
    assert labels["a"] / 4000 == pytest.approx(0.75, abs=0.03)


def test_copula_recovers_both_levels_of_dependence() -> None:
    rng = np.random.default_rng(0)
    groups = []
    for _ in range(1500):
        shared = rng.standard_normal()
        own = rng.multivariate_normal([0, 0], [[1, -0.6], [-0.6, 1]], size=4)
        groups.append(np.column_stack([shared + own[:, 0], own[:, 1]]))
    scores = np.column_stack([normal_scores(column) for column in np.concatenate(groups).T])
    copula = fit_copula(("a", "b"), np.split(scores, 1500))
    between, within = (np.array([[f[0][0], 0.0], list(f[1])]) for f in (copula.between, copula.within))
    assert (between @ between.T)[0, 0] == pytest.approx(0.5, abs=0.05)
    assert (between @ between.T)[1, 1] == pytest.approx(0.0, abs=0.05)
    assert (within @ within.T)[0, 1] == pytest.approx(-0.6 / np.sqrt(2), abs=0.05)
    assert np.diag(between @ between.T + within @ within.T) == pytest.approx([1.0, 1.0], abs=0.01)
    levels = [level for _ in range(500) for level in copula.uniforms(rng, 4)]
    assert np.mean([level["a"] for level in levels]) == pytest.approx(0.5, abs=0.03)
