"""BFCL-v3 multi-turn: user turns, each a run of tool calls and a closing answer.

The benchmark has four categories of equal size: base, a function missing at first, a parameter missing at first, and
long context (inflated tool results). A workflow belongs to one; the tables are by category and by kind of call.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from hexsched.model import Call, Workflow
from hexsched.workloads.families.parts.builder import WorkflowBuilder
from hexsched.workloads.families.parts.copula import FloatArray, TwoLevelCopula, fit_copula, normal_scores
from hexsched.workloads.families.parts.family import FittedFamily
from hexsched.workloads.families.parts.tables import QuantileTable, count_labels, draw_label

CATEGORIES = ("long_context", "miss_func", "miss_param")  # a workflow whose id names none of them is "base"
STEP, END = "tool_step", "end_of_turn"
QUANTITIES = ("first_prompt", "step_output", "step_added", "end_output", "end_added")


class Category(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One category.

    ``shapes`` counts workflows by user turns, then by tool steps in all (many turns have few steps each); ``idle``
    counts workflows by turns without any tool step, in which the missing function or parameter is asked for.
    """

    workflows: int
    shapes: dict[int, dict[int, int]]
    idle: dict[int, int]
    first_prompt: QuantileTable
    step_output: QuantileTable
    step_added: QuantileTable
    end_output: QuantileTable
    end_added: QuantileTable


class BfclParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tables by category and the dependence common to all."""

    categories: dict[str, Category]
    copula: TwoLevelCopula


class Bfcl(FittedFamily[BfclParameters]):
    """Chains of tool steps, closed by an ``end_of_turn`` call in every user turn."""

    name = "bfcl"
    rank = 1
    summary = "multi-turn function calling: chains of tool steps and closing answers under long tool schemas"
    source = (
        "BFCL-v3 multi-turn (ShishirPatil/gorilla @ ea13468e, Apache-2.0), token counts only; "
        "end-of-turn outputs were estimated"
    )
    parameters_type = BfclParameters

    def sample(self, rng: np.random.Generator, workflow_id: str) -> Workflow:
        categories = self.parameters.categories
        tables = categories[draw_label(rng, {name: c.workflows for name, c in categories.items()})]
        kinds = [kind for steps in _draw_steps(tables, rng) for kind in [STEP] * steps + [END]]
        builder = WorkflowBuilder(workflow_id)
        prompt, parents = 0, list[str]()
        for kind, level in zip(kinds, self.parameters.copula.uniforms(rng, len(kinds)), strict=True):
            if not parents:
                prompt = tables.first_prompt.tokens(level["first_prompt"])
            if kind == STEP:
                output = tables.step_output.tokens(level["step_output"])
                added = tables.step_added.tokens(level["step_added"])
            else:
                output = tables.end_output.tokens(level["end_output"])
                added = tables.end_added.tokens(level["end_added"])
            parents = [builder.add(kind, prompt, output, parents)]
            prompt += output + added
        return builder.build()

    def fit(self, workflows: Sequence[Workflow]) -> BfclParameters:
        categories, scores = {}, []
        for name in sorted({category_of(w) for w in workflows}):
            members = [w for w in workflows if category_of(w) == name]
            groups = [call_rows(w.calls) for w in members]
            rows = np.concatenate(groups)
            columns = {q: rows[~np.isnan(rows[:, k]), k] for k, q in enumerate(QUANTITIES)}
            steps = [_steps_by_turn(w.calls) for w in members]
            categories[name] = Category(
                workflows=len(members),
                shapes={
                    turns: count_labels(sum(s) for s in steps if len(s) == turns)
                    for turns in count_labels(len(s) for s in steps)
                },
                idle=count_labels(s.count(0) for s in steps),
                first_prompt=QuantileTable.fit(w.calls[0].prompt_tokens for w in members),
                **{q: QuantileTable.fit(columns[q]) for q in QUANTITIES[1:]},
            )
            scored = np.column_stack([normal_scores(column) for column in rows.T])
            scores += np.split(scored, np.cumsum([len(g) for g in groups])[:-1])
        return BfclParameters(categories=categories, copula=fit_copula(QUANTITIES, scores))


def _draw_steps(tables: Category, rng: np.random.Generator) -> list[int]:
    """Tool steps of each turn: one for every turn that is not idle, the rest split evenly over all splits."""
    turns = draw_label(rng, {t: sum(counts.values()) for t, counts in tables.shapes.items()})
    total = draw_label(rng, tables.shapes[turns])
    idle = min(draw_label(rng, tables.idle), turns - 1) if total else turns
    active = min(turns - idle, total)
    steps = np.zeros(turns, dtype=int)
    if active:
        cuts = np.sort(rng.choice(total - 1, size=active - 1, replace=False)) + 1
        steps[np.sort(rng.choice(turns, size=active, replace=False))] = np.diff([0, *cuts, total])
    return steps.tolist()


def category_of(workflow: Workflow) -> str:
    """The benchmark category named in the workflow id."""
    return next((name for name in CATEGORIES if name in workflow.workflow_id), "base")


def call_rows(calls: Sequence[Call]) -> FloatArray:
    """A row of ``QUANTITIES`` for each call; NaN where the call is of the other kind or the last."""
    rows = np.full((len(calls), len(QUANTITIES)), np.nan)
    rows[:, 0] = calls[0].prompt_tokens
    for k, call in enumerate(calls):
        column = 1 if call.kind == STEP else 3
        rows[k, column] = call.output_tokens
        if k + 1 < len(calls):
            rows[k, column + 1] = calls[k + 1].prompt_tokens - call.prompt_tokens - call.output_tokens
    return rows


def _steps_by_turn(calls: Sequence[Call]) -> list[int]:
    """Tool steps of each user turn."""
    ends = [k for k, call in enumerate(calls) if call.kind == END]
    return [end - start - 1 for start, end in zip([-1, *ends], ends, strict=False)]


FAMILY = Bfcl()
