"""The peer's model says the same problem: it has the same optima."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("pyjobshop")

from experiments.bench import peer_ratio
from experiments.library.names import instance
from solvers.problem.objective import read_objective
from solvers.problem.offline import fixed_problem

NAMES = ("contended-dag-6-0", "unary-chain-6-0", "unary-dag-6-0", "kv-tight-dag-8-0")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["max_ratio", "mean_ratio", "mean_latency", "misses(1.1)"])
@pytest.mark.parametrize("share_start", [False, True])
def test_the_peer_finds_the_same_optimum(name: str, text: str, share_start: bool) -> None:
    problem, aim = fixed_problem(instance(name)), read_objective(text)
    ours = peer_ratio.run_ours(problem, aim, 20, 1, 0)
    peer = peer_ratio.run_peer(problem, aim, 20, 1, 0, share_start)
    assert ours.proved
    assert peer.proved
    assert ours.value == pytest.approx(peer.value, rel=peer_ratio.AGREEMENT, abs=1e-9)
    assert ours.seconds > 0
    assert peer.seconds > 0


def test_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert peer_ratio.main([*NAMES[:2], "--time-limit", "20", "--workers", "1", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["counted"] == 2
    assert record["disagree"] == []
    ratios = [row["ratio"] for row in record["instances"]]
    assert record["geometric_mean"] == pytest.approx((ratios[0] * ratios[1]) ** 0.5)
    assert peer_ratio.main([NAMES[0], "--time-limit", "20", "--workers", "1"]) == 0
    assert "1 of 1 instances proved by both" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["nonsense-6-0"], ["--objective", "req(0.5)"], ["--objective", "best"]])
def test_bad_input_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert peer_ratio.main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
