"""What is changed, room by room, and the fast checks that have to notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from campaigns.mutation.worker import ROOT

# of the engine, what runs: not how it is compiled and where machine code is kept
ENGINE = (
    "actions",
    "first_token",
    "heap",
    "horizon",
    "loop",
    "pairing_heap",
    "physics",
    "state",
    "tables",
    "tournament",
    "wallclock",
    "window",
)


# of the simulator, all but what it warms up with: that is an instance, and any other would do
SIMULATOR = (
    "comparison.py",
    "knowledge.py",
    "python_policy.py",
    "retime.py",
    "run.py",
    "steps.py",
    "views",
)
# of the offline problem, what certifies: not what looks at the machine's memory
PROBLEM = ("bracket", "certificate", "idle", "objective", "offline", "result", "ticks")
# of the bounds, what proves: not what looks for prices (ascent, mixture, tuning) and asks groups, which decides how
# soon and how much
BOUNDS = (
    *("critical_path.py", "load.py", "single_machine.py", "preemptive_lp.py", "time_indexed_lp.py", "parts", "windows"),
    *(f"prices/{name}.py" for name in ("decode", "grid", "planner", "program", "relaxation", "tables")),
    *("grouped/late.py", "grouped/partition.py"),
)
GROUPS = (
    *("every_workflow_is_in_one_group", "groups_are_cut_where_least_is_under_way"),
    *("what_is_proved_at_a_scale_holds_below_it", "groups_weigh_as_much_as_they_have_workflows"),
)
HINTS = (
    *("plain_python_sees_hints", "the_horizon_shown_against_a_naive_twin", "what_a_hint_is_worth_by_hand"),
    "noise_has_mean_one_and_the_spread_asked_for",
)
GOES_ON = (
    *("a_bracket_is_enough_when_it_is_narrow_or_closed", "a_gap_goes_on_from_an_earlier_one"),
    *("what_is_no_earlier_bracket_of_this_one_is_refused", "a_record_that_is_none_says_why"),
)
# tests of every policy in turn
BY_POLICY = ("test_a_retimed_run", "nothing_gets_later", "first_come", "twice_changes_nothing", "interpreted_replay")


@dataclass(frozen=True)
class Room:
    """Modules and their checks.

    Attributes
    ----------
    targets : tuple of str
        Files and folders, from the root of the tree.
    checks : tuple of str
        Files of tests, or tests, from ``tests`` on.
    without : tuple of str
        Tests with such a text in their name are left out: those that take long, or say nothing of the targets.
    first : tuple of str
        Tests with such a text in their name run before all others, which else begin with the quickest: those that end
        what would go on for ever.
    conftest : bool
        Whether the tests need ``conftest.py``, which takes half a second to load.
    """

    targets: tuple[str, ...]
    checks: tuple[str, ...]
    without: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    conftest: bool = False

    @property
    def files(self) -> list[str]:
        """Every module of the targets, in order."""
        found: list[Path] = []
        for target in self.targets:
            path = ROOT / target
            found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
        return [str(path.relative_to(ROOT)) for path in found]


ROOMS: dict[str, Room] = {
    "verifier": Room(
        ("hexsched/verifier",),
        (
            *("checks/test_verifier_edges.py", "checks/test_against_naive.py", "test_verify.py", "test_call_times.py"),
            "test_verifier_batches.py",
        ),
        ("the_engine_makes",),
    ),
    "engine": Room(
        tuple(f"hexsched/engine/{name}.py" for name in ENGINE),
        (
            "checks/test_engine_parts.py",
            "checks/test_against_naive.py",
            "checks/test_what_policies_see.py",
            "test_engine.py",
            "test_call_times.py",
        ),
        ("its_metrics_are", "has_its_times", "the_stages_add_up", "recomputes_every_share"),
        ("steps", "epochs"),
    ),
    "planner": Room(
        ("hexsched/policies/planning",),
        ("checks/test_planner_parts.py", "test_planner.py"),
        ("told_without_a_plan", "that_are_passed_over"),
        ("by_halves", "no_more_than_there_are", "by_the_book", "passed_over"),
    ),
    "simulator": Room(
        ("hexsched/policies/estimators.py", *(f"hexsched/simulator/{name}" for name in SIMULATOR)),
        (
            "checks/test_simulator_parts.py",
            "checks/test_against_naive.py",
            "checks/test_what_policies_see.py",
            *(f"test_hints.py::test_{name}" for name in HINTS),
            "test_plugins.py",
            "test_retime.py",
        ),
        ("its_metrics_are", "has_its_times", "equals_the_built_in", "any_order", *BY_POLICY),
        ("takes_a_few_looks", "sees_what_it_has_placed"),
        conftest=True,
    ),
    "ticks and certificates": Room(
        tuple(f"solvers/problem/{name}.py" for name in PROBLEM),
        ("checks/test_offline_parts.py", "test_bracket.py"),
    ),
    "bounds": Room(
        tuple(f"solvers/bounds/{name}" for name in BOUNDS),
        (
            *("checks/test_bound_searches.py", "checks/test_small_bounds.py", "test_slack_grid.py"),
            *(f"test_groups.py::test_{name}" for name in GROUPS),
        ),
        (),
        ("bound_searches",),
    ),
    "brackets": Room(
        ("solvers/brackets",),
        (
            *("checks/test_brackets.py", "checks/test_bracket_parts.py", "checks/test_choice_parts.py"),
            "checks/test_isolation_parts.py",
            "test_choice.py",
            "test_clairvoyance.py",
            *(f"test_goes_on.py::test_{name}" for name in GOES_ON),
        ),
        ("takes_auto", "the_commands"),
        conftest=True,
    ),
}
