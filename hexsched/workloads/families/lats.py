"""LATS on HumanEval: tree search over programs with self-written tests and self-reflection.

A problem starts with tests and a first program in parallel. If that program passes, it is done. Otherwise a
reflection opens up to eight rounds; a round writes fresh tests and expands up to five children one after another,
and after each child that fails reflects on *every* child so far. The released code does so (earlier children are
reflected on again and again, kind ``re_reflect``), and so do we: the paper's LATS ran it. The log without the
repeats has 36 % fewer calls.

How a search ends is one label: ``"at_once"``, ``"<round>.<child>"`` for the last child expanded, or
``"stalled.<round>"`` where from that round on every child passes its own tests and fails the real ones, so nothing is
reflected on until the last round. A search that ends in the last round ran out of budget: its last child is
reflected on too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from hexsched.model import Call, Workflow
from hexsched.workloads.families.parts.builder import WorkflowBuilder
from hexsched.workloads.families.parts.copula import TwoLevelCopula, fit_copula, normal_scores
from hexsched.workloads.families.parts.family import FittedFamily
from hexsched.workloads.families.parts.tables import QuantileTable, count_labels, draw_label

ROUNDS, CHILDREN = 8, 5
AT_ONCE = "at_once"
PROBLEM = ("problem", "tests_output", "reflect_base")


class LatsParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tables of a search.

    Attributes
    ----------
    ends : dict of str to int
        How often the search ended in which way.
    tests_extra : int
        Tokens that a test-writing prompt has beyond the program-writing prompt.
    problem, tests_output : QuantileTable
        First program's prompt, first tests' output.
    reflect_base : QuantileTable
        A reflection's prompt less the program it reflects on.
    easy_output, hard_output : QuantileTable
        First program's output, solved at once or not.
    tests_ratio : QuantileTable
        A later round's tests over the first tests, output tokens.
    expand_extra : QuantileTable
        First round's expansion prompt less problem, first program and first reflection.
    expand_later : QuantileTable
        A later round's expansion prompt less that of the first round.
    expand_output, reflect_output : QuantileTable
    copula : TwoLevelCopula
        Ties ``problem``, ``tests_output`` and ``reflect_base`` of a workflow.
    programs : TwoLevelCopula
        Ties the programs of a workflow.
    """

    ends: dict[str, int]
    tests_extra: int
    problem: QuantileTable
    tests_output: QuantileTable
    reflect_base: QuantileTable
    easy_output: QuantileTable
    hard_output: QuantileTable
    tests_ratio: QuantileTable
    expand_extra: QuantileTable
    expand_later: QuantileTable
    expand_output: QuantileTable
    reflect_output: QuantileTable
    copula: TwoLevelCopula
    programs: TwoLevelCopula


class Lats(FittedFamily[LatsParameters]):
    """Most problems take two calls; a few take more than a hundred."""

    name = "lats"
    rank = 2
    summary = "tree search over programs: two calls when solved at once, up to 8 rounds of 5 children and reflections"
    source = (
        "LATS GPT-4 HumanEval log (lapisrocks/LanguageAgentTreeSearch @ 853d816, MIT), token counts only; half of the "
        "outputs were estimated; with the released code's repeated reflections"
    )
    parameters_type = LatsParameters

    def sample(self, rng: np.random.Generator, workflow_id: str) -> Workflow:
        return _Search(self.parameters, rng, workflow_id).run()

    def fit(self, workflows: Sequence[Workflow]) -> LatsParameters:
        searches = [{c.call_id: c for c in w.calls} for w in workflows]
        failed = [s for s in searches if "reflect0" in s]
        problem_rows = np.array([_problem_row(s) for s in searches])
        scored = np.column_stack([normal_scores(column) for column in problem_rows.T])
        expands = [[c for i, c in s.items() if ".expand" in i] for s in failed]
        programs = np.concatenate([[float(c.output_tokens) for c in calls] for calls in expands])
        program_scores = np.split(normal_scores(programs)[:, None], np.cumsum([len(e) for e in expands])[:-1])
        later = [(s, r) for s in failed for r in range(2, ROUNDS + 1) if f"i{r}.expand1" in s]
        return LatsParameters(
            ends=count_labels(end_of(s) for s in searches),
            tests_extra=round(
                float(np.median([s["tests0"].prompt_tokens - s["impl0"].prompt_tokens for s in searches]))
            ),
            problem=QuantileTable.fit(problem_rows[:, 0]),
            tests_output=QuantileTable.fit(problem_rows[:, 1]),
            reflect_base=QuantileTable.fit(problem_rows[~np.isnan(problem_rows[:, 2]), 2]),
            easy_output=QuantileTable.fit(s["impl0"].output_tokens for s in searches if "reflect0" not in s),
            hard_output=QuantileTable.fit(s["impl0"].output_tokens for s in failed),
            tests_ratio=QuantileTable.fit(
                c.output_tokens / s["tests0"].output_tokens
                for s in failed
                for i, c in s.items()
                if i.endswith(".tests")
            ),
            expand_extra=QuantileTable.fit(
                s["i1.expand1"].prompt_tokens
                - s["impl0"].prompt_tokens
                - s["impl0"].output_tokens
                - s["reflect0"].output_tokens
                for s in failed
            ),
            expand_later=QuantileTable.fit(
                s[f"i{r}.expand1"].prompt_tokens - s["i1.expand1"].prompt_tokens for s, r in later
            ),
            expand_output=QuantileTable.fit(programs),
            reflect_output=QuantileTable.fit(c.output_tokens for s in failed for i, c in s.items() if "reflect" in i),
            copula=fit_copula(PROBLEM, [row[None, :] for row in scored]),
            programs=fit_copula(("expand_output",), program_scores),
        )


class _Search:
    """One search, written call by call."""

    def __init__(self, parameters: LatsParameters, rng: np.random.Generator, workflow_id: str) -> None:
        self.p = parameters
        self.rng = rng
        self.builder = WorkflowBuilder(workflow_id)
        level = parameters.copula.uniforms(rng, 1)[0]
        self.problem = parameters.problem.tokens(level["problem"])
        self.tests_output = parameters.tests_output.tokens(level["tests_output"])
        self.reflect_base = parameters.reflect_base.tokens(level["reflect_base"])

    def run(self) -> Workflow:
        end = draw_label(self.rng, self.p.ends)
        tests = self._write_tests(self.tests_output, ())
        table = self.p.easy_output if end == AT_ONCE else self.p.hard_output
        program = table.tokens(self.rng.random())
        first = self.builder.add("init_impl", self.problem, program)
        if end != AT_ONCE:
            self._search(end, program, (tests, first))
        return self.builder.build()

    def _search(self, end: str, program: int, start: tuple[str, ...]) -> None:
        reflection = self.p.reflect_output.tokens(self.rng.random())
        parents = [self.builder.add("reflect", self.reflect_base + program, reflection, start)]
        first_prompt = self.problem + program + reflection + round(self.p.expand_extra.at(self.rng.random()))
        levels = iter(self.p.programs.uniforms(self.rng, ROUNDS * CHILDREN))
        how, _, where = end.partition(".")
        stalled = how == "stalled"
        last_round = ROUNDS if stalled else int(how)
        quiet_from = int(where) if stalled else ROUNDS + 1
        for number in range(1, last_round + 1):
            later = round(self.p.expand_later.at(self.rng.random())) if number > 1 else 0
            prompt = max(1, first_prompt + later)
            ratio = self.p.tests_ratio.at(self.rng.random())
            tests = self._write_tests(max(1, round(self.tests_output * ratio)), parents)
            children: list[tuple[str, int]] = []
            reflections: list[str] = []
            count = int(where) if number == last_round and not stalled else CHILDREN
            for child in range(count):
                output = self.p.expand_output.tokens(next(levels)["expand_output"])
                children.append((self.builder.add("expand", prompt, output, parents), output))
                if number < quiet_from:
                    solved = number == last_round and child == count - 1
                    reflections += self._reflect(children, tests, skip_newest=solved and number < ROUNDS)
            if number == ROUNDS and stalled:
                reflections = self._reflect(children, tests, alone=True)
            parents = reflections or [call_id for call_id, _ in children]

    def _reflect(
        self, children: Sequence[tuple[str, int]], tests: str, skip_newest: bool = False, alone: bool = False
    ) -> list[str]:
        """Reflect on every child so far; ``alone``: without waiting for the newest."""
        newest = children[-1][0]
        calls = []
        for child, program in children:
            if child == newest and skip_newest:
                continue
            waits = (child, tests) if alone or child == newest else (child, newest, tests)
            kind = "reflect" if alone or child == newest else "re_reflect"
            output = self.p.reflect_output.tokens(self.rng.random())
            calls.append(self.builder.add(kind, self.reflect_base + program, output, waits))
        return calls

    def _write_tests(self, output: int, parents: Sequence[str]) -> str:
        return self.builder.add("test_gen", self.problem + self.p.tests_extra, output, parents)


def end_of(search: Mapping[str, Call]) -> str:
    """How a search (calls by the log's ids) ended; see the module's text for the labels."""
    children = {m.groups() for i in search if (m := re.fullmatch(r"i(\d+)\.expand(\d+)", i))}
    if not children:
        return AT_ONCE
    last = max(int(number) for number, _ in children)
    full = CHILDREN * (CHILDREN + 1) // 2
    reflections = (sum(i.startswith(f"i{r}.reflect") for i in search) for r in range(1, last))
    quiet = next((r for r, count in enumerate(reflections, start=1) if count < full), None)
    if quiet is not None and last == ROUNDS:
        return f"stalled.{quiet}"
    return f"{last}.{max(int(child) for number, child in children if int(number) == last)}"


def _problem_row(search: Mapping[str, Call]) -> tuple[float, float, float]:
    first = search["impl0"]
    base = search["reflect0"].prompt_tokens - first.output_tokens if "reflect0" in search else np.nan
    return float(first.prompt_tokens), float(search["tests0"].output_tokens), float(base)


FAMILY = Lats()
