"""Choco as a second CP solver: what it proves, what its 32 bits do not do, and being told where it is not installed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from instances import tiny_flow_shop
from reference.agreement import OBJECTIVES
from reference.exhaustive import optima
from test_formulations_agree import check

from experiments.cli import BAD_INPUT, main
from experiments.formulations.comparison import crossed
from experiments.library.names import instance
from hexsched.errors import InputError
from solvers.brackets.solve import solve_with
from solvers.exact import FORMULATIONS, choco
from solvers.problem.objective import read_objective
from solvers.problem.result import Options

needs_choco = pytest.mark.skipif(not choco.available(), reason="pychoco is not installed")
SEEN = [text for text in OBJECTIVES if read_objective(text).kind in choco.FORMULATION.objectives]


@needs_choco
@pytest.mark.parametrize("seed", range(3))
def test_it_proves_what_trying_everything_finds(seed: int) -> None:
    text = SEEN[seed % len(SEEN)]
    shop = tiny_flow_shop(seed)
    check(shop, "choco", text, optima(shop, {text: OBJECTIVES[text]})[text])


@needs_choco
def test_tokens_times_ticks_are_more_than_32_bits() -> None:
    """Said as one cumulative resource in tokens, this instance has no schedule for Choco."""
    result = solve_with(instance("kv-tight-dag-4-0"), "choco", options=Options(20.0, workers=1), start_policies=())
    assert result.status == "optimal"
    assert result.report is not None
    assert result.report.solver == "Choco"
    proven = solve_with(instance("kv-tight-dag-4-0"), "cpsat", options=Options(20.0, workers=1))
    assert result.objective == pytest.approx(proven.objective, rel=2e-4)


def test_what_is_not_installed_is_told_where_it_is_named(capsys) -> None:
    FORMULATIONS.put(replace(choco.FORMULATION, available=lambda: False))
    try:
        with pytest.raises(InputError, match=r"'choco' is not installed; pip install 'hexsched\[choco\]'"):
            solve_with(instance("unary-chain-4-0"), "choco")
        assert main(["compare-formulations", "unary-chain-4-0", "--formulations", "choco"]) == BAD_INPUT
        assert "hexsched[choco]" in capsys.readouterr().err
        assert "choco" not in {arm.formulation for arm in crossed(["exact"])}
    finally:
        FORMULATIONS.put(choco.FORMULATION)
