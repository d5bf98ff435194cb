"""What a sound policy keeps, and that each breach of it is found."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import hexsched as hx
from experiments.cli import main
from hexsched.contract import CHECKS
from hexsched.errors import InputError
from hexsched.policies.registry import unregister
from hexsched.simulator.views.calls import CallView
from hexsched.simulator.views.view import View

pytestmark = pytest.mark.quick


class Plain:
    """First come, first served on the first that will do."""

    def decide(self, view: View) -> None:
        for call, prefill in zip(view.ready, [one for one in view.prefill if one.idle], strict=False):
            view.start(call, prefill)
        for call in view.prefilled:
            any(view.admit(call, decode) for decode in view.decode)


class Picky(Plain):
    """Leaves prefilled calls with long prompts where they are."""

    def decide(self, view: View) -> None:
        for call in view.ready:
            if call.prompt_tokens < 1000:
                for prefill in view.prefill:
                    if prefill.idle and call in view.ready:
                        view.start(call, prefill)
        for call in view.prefilled:
            any(view.admit(call, decode) for decode in view.decode)


class Forgetful(Plain):
    """Goes by what is left over from earlier runs."""

    runs = itertools.count()

    def __init__(self) -> None:
        self.backwards = next(self.runs) % 2 == 1

    def key(self, call: CallView, now: float) -> float:
        return -call.prompt_tokens if self.backwards else call.prompt_tokens

    decide: Any = None


def peek(call: CallView, now: float) -> float:
    """Looks at the number of a call, which says how many there are before it: not of what is revealed."""
    return -call._number


def all_there_will_be(call: CallView, now: float) -> float:
    """Looks at how large the arrays are."""
    return call.prompt_tokens * (-1) ** len(call._views.seen.calls)


def at_the_estimate(call: CallView, now: float) -> float:
    return call.estimated_output_tokens


def raises(call: CallView, now: float) -> float:
    raise ZeroDivisionError("mine")


def broken(policy: object, **options: int) -> set[str]:
    return {check.name for check in hx.check_policy(policy, **options).checks if check.fault}


@pytest.mark.parametrize("policy", ["hexagent", "atlas@power-of-two", Plain, Plain(), at_the_estimate])
def test_sound_policies_pass(policy):
    report = hx.check_policy(policy)
    assert report.ok
    assert [check.name for check in report.checks] == list(CHECKS)
    assert all(check.tried for check in report.checks)
    assert "NOT" not in repr(report)


@pytest.mark.parametrize(
    ("policy", "faults"),
    [
        (raises, {"runs"}),
        (lambda call, now: float("nan"), {"runs"}),
        (Picky, {"serves"}),
        (Forgetful, {"determinism"}),
        (all_there_will_be, {"causality"}),
        ("hexagent(horizon=oracle)", {"causality", "lengths"}),
    ],
)
def test_each_breach_is_found(policy, faults):
    assert broken(policy) >= faults


def test_a_report_is_a_table_too():
    report = hx.check_policy(Picky, instances=5)
    assert report.to_frame().query("not ok")["check"].tolist() == [check.name for check in report.checks if check.fault]
    assert "breaks the contract" in report._repr_html_()


def test_the_smallest_example_is_given():
    (check,) = [check for check in hx.check_policy(Picky).checks if check.fault]
    sizes = [max(one.prompt_tokens for flow in check.example.workflows for one in flow.calls)]
    assert sizes[0] >= 1000
    with pytest.raises(InputError, match="calls unserved"):
        hx.simulate(check.example, Picky)


def test_the_end_of_a_workflow_may_be_used():
    class Counts(Plain):
        def __init__(self) -> None:
            self.ended = 0

        def on_workflow_end(self, workflow: object) -> None:
            self.ended += 1

        def key(self, call: CallView, now: float) -> float:
            return call.prompt_tokens * (-1) ** self.ended

        decide: Any = None

    assert hx.check_policy(Counts).ok


FILE = """
import hexsched as hx

@hx.order
def mine(call, now, *, alpha=1.0):
    return call.prompt_tokens / (alpha - 2)

class Other:
    def decide(self, view):
        pass
"""


def test_the_command(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(FILE)
    assert main(["check-policy", f"{file}:mine", "--instances", "1"]) == 0
    assert "not tried" in capsys.readouterr().out  # whether true lengths show, on a single instance without room
    assert main(["check-policy", f"{file}:mine(alpha=2)", "-o", str(tmp_path / "i.json")]) == 1
    said = capsys.readouterr()
    assert f"ZeroDivisionError: float division by zero ({file}:6)" in said.out
    assert "the smallest example found: " in said.err
    assert "Traceback" not in said.err
    assert main(["simulate", str(tmp_path / "i.json"), "--policy", "mine(alpha=2)", "--plugin", str(file)]) == 2
    assert f"{file}:6: ZeroDivisionError: float division by zero; --traceback shows" in capsys.readouterr().err
    gap = ["gap", str(tmp_path / "i.json"), "--objective", "max_ratio", "--policies", "mine(alpha=2)"]
    assert main([*gap, "--plugin", str(file)]) == 2
    assert f"{file}:6: ZeroDivisionError: float division by zero; --traceback shows" in capsys.readouterr().err
    assert main(["check-policy", f"{file}:mine(alpha=2)", "--traceback"]) == 1
    assert "in mine\n    return call.prompt_tokens / (alpha - 2)" in capsys.readouterr().err
    assert main(["check-policy", f"{file}:Other", "--json"]) == 1
    assert '"name":"serves","ok":false' in capsys.readouterr().out
    assert main(["check-policy", f"{file}:Othr"]) == 2
    assert f"{file}: there is no 'Othr'; did you mean 'Other'?" in capsys.readouterr().err
    assert main(["check-policy", str(file)]) == 2
    assert f"name one of its policies: {file}:mine" in capsys.readouterr().err
    unregister("mine")  # by the commands before, which run in this process
    capsys.readouterr()
    assert main(["check-policy", f"{file}:mine", "--plugin", str(file), "--instances", "1"]) == 0
    assert "defined again" not in capsys.readouterr().err
