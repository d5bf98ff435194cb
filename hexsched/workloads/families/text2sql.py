"""Text-to-SQL by a team of agents (CHESS): retrieval, parallel candidates, revisions, unit tests, evaluations."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from hexsched.model import Call, Workflow
from hexsched.workloads.families.parts.builder import WorkflowBuilder
from hexsched.workloads.families.parts.copula import TwoLevelCopula, fit_copula, normal_scores
from hexsched.workloads.families.parts.family import FittedFamily
from hexsched.workloads.families.parts.tables import QuantileTable, count_labels, draw_label

RETRIEVE, KEYWORDS, CANDIDATE = "information_retriever", "extract_keywords", "generate_candidate"
REVISE, TESTER, WRITE_TEST, EVALUATE = "revise", "unit_tester", "generate_unit_test", "evaluate"
QUANTITIES = ("candidate_prompt", "long_output", "short_output", "test_prompt")


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prompt and output of a call that depends on nothing else."""

    prompt: QuantileTable
    output: QuantileTable


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What depends on whether keywords were extracted (the retrieved context then is longer)."""

    workflows: int
    candidate_prompt: QuantileTable
    test_prompt: QuantileTable


class Text2SqlParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tables of the pipeline.

    Attributes
    ----------
    questions : dict
        ``"plain"`` and ``"keywords"``.
    retrieve, tester : tuple of Step
        The agent's routing calls in order.
    keywords : Step
    candidate_less : int
        Prompt tokens that the second candidate lacks beside the first.
    long_output, short_output : QuantileTable
        Outputs of the two candidates.
    revisions, evaluations : dict of int to int
        How many of each; no evaluation means that no unit test was written.
    revise_offset : QuantileTable
        First revision's prompt less the second candidate's.
    revise_output, test_output, evaluate_output : QuantileTable
    evaluate_offset : QuantileTable
        An evaluation's prompt less that of the unit test's writer.
    copula : TwoLevelCopula
        Ties the candidates and the unit test of a workflow.
    """

    questions: dict[str, Question]
    retrieve: tuple[Step, ...]
    tester: tuple[Step, ...]
    keywords: Step
    candidate_less: int
    long_output: QuantileTable
    short_output: QuantileTable
    revisions: dict[int, int]
    evaluations: dict[int, int]
    revise_offset: QuantileTable
    revise_output: QuantileTable
    test_output: QuantileTable
    evaluate_offset: QuantileTable
    evaluate_output: QuantileTable
    copula: TwoLevelCopula


class Text2Sql(FittedFamily[Text2SqlParameters]):
    """A pipeline of stages; the calls of a stage run in parallel, except that revisions form a chain."""

    name = "text2sql"
    rank = 4
    summary = "text-to-SQL agents: retrieval, two parallel candidates, a chain of revisions, unit tests, evaluations"
    source = (
        "CHESS text-to-SQL runs (Relaxed-System-Lab/Text2SQL-Serving-System @ cde83ba4, Apache-2.0), token counts "
        "only; parallel candidates and evaluations by the authors' rule"
    )
    parameters_type = Text2SqlParameters

    def sample(self, rng: np.random.Generator, workflow_id: str) -> Workflow:
        p = self.parameters
        builder = WorkflowBuilder(workflow_id)
        sort = draw_label(rng, {name: q.workflows for name, q in p.questions.items()})
        question, level = p.questions[sort], p.copula.uniforms(rng, 1)[0]
        last: list[str] = []

        def routing(kind: str, step: Step) -> None:
            last[:] = [builder.add(kind, step.prompt.tokens(rng.random()), step.output.tokens(rng.random()), last)]

        routing(RETRIEVE, p.retrieve[0])
        if sort == "keywords":
            routing(KEYWORDS, p.keywords)
        for step in p.retrieve[1:]:
            routing(RETRIEVE, step)
        prompt = question.candidate_prompt.tokens(level["candidate_prompt"])
        shorter = max(1, prompt - p.candidate_less)
        last = [
            builder.add(CANDIDATE, prompt, p.long_output.tokens(level["long_output"]), last),
            builder.add(CANDIDATE, shorter, p.short_output.tokens(level["short_output"]), last),
        ]
        revised = max(1, shorter + round(p.revise_offset.at(rng.random())))
        for _ in range(draw_label(rng, p.revisions)):
            last = [builder.add(REVISE, revised, p.revise_output.tokens(rng.random()), last)]
        routing(TESTER, p.tester[0])
        evaluations = draw_label(rng, p.evaluations)
        if evaluations:
            test_prompt = question.test_prompt.tokens(level["test_prompt"])
            last = [builder.add(WRITE_TEST, test_prompt, p.test_output.tokens(rng.random()), last)]
        routing(TESTER, p.tester[1])
        if evaluations:
            base = test_prompt + round(p.evaluate_offset.at(rng.random()))
            last = [
                builder.add(EVALUATE, max(1, base), p.evaluate_output.tokens(rng.random()), last)
                for _ in range(evaluations)
            ]
        routing(TESTER, p.tester[2])
        return builder.build()

    def fit(self, workflows: Sequence[Workflow]) -> Text2SqlParameters:
        teams = [_by_kind(w) for w in workflows]
        rows = np.array([_row(t) for t in teams])
        sorts = np.array(["keywords" if t[KEYWORDS] else "plain" for t in teams])
        questions, scored = {}, np.empty_like(rows)
        for sort in sorted(set(sorts)):
            members = rows[sorts == sort]
            questions[sort] = Question(
                workflows=len(members),
                candidate_prompt=QuantileTable.fit(members[:, 0]),
                test_prompt=QuantileTable.fit(members[~np.isnan(members[:, 3]), 3]),
            )
            scored[sorts == sort] = np.column_stack([normal_scores(column) for column in members.T])
        tested = [t for t in teams if t[WRITE_TEST]]
        return Text2SqlParameters(
            questions=questions,
            retrieve=tuple(_step([t[RETRIEVE][k] for t in teams]) for k in range(4)),
            tester=tuple(_step([t[TESTER][k] for t in teams]) for k in range(3)),
            keywords=_step([c for t in teams for c in t[KEYWORDS]]),
            candidate_less=round(
                float(np.median([t[CANDIDATE][0].prompt_tokens - t[CANDIDATE][1].prompt_tokens for t in teams]))
            ),
            long_output=QuantileTable.fit(rows[:, 1]),
            short_output=QuantileTable.fit(rows[:, 2]),
            revisions=count_labels(len(t[REVISE]) for t in teams),
            evaluations=count_labels(len(t[EVALUATE]) for t in teams),
            revise_offset=QuantileTable.fit(
                t[REVISE][0].prompt_tokens - t[CANDIDATE][1].prompt_tokens for t in teams if t[REVISE]
            ),
            revise_output=QuantileTable.fit(c.output_tokens for t in teams for c in t[REVISE]),
            test_output=QuantileTable.fit(t[WRITE_TEST][0].output_tokens for t in tested),
            evaluate_offset=QuantileTable.fit(
                c.prompt_tokens - t[WRITE_TEST][0].prompt_tokens for t in tested for c in t[EVALUATE]
            ),
            evaluate_output=QuantileTable.fit(c.output_tokens for t in teams for c in t[EVALUATE]),
            copula=fit_copula(QUANTITIES, [row[None, :] for row in scored]),
        )


def _by_kind(workflow: Workflow) -> dict[str, list[Call]]:
    """Calls by stage, in order; the log suffixes the candidate's kind with its model."""
    stages = (RETRIEVE, KEYWORDS, CANDIDATE, REVISE, TESTER, WRITE_TEST, EVALUATE)
    return {stage: [c for c in workflow.calls if c.kind.startswith(stage)] for stage in stages}


def _row(team: dict[str, list[Call]]) -> tuple[float, float, float, float]:
    long, short = team[CANDIDATE]
    test = float(team[WRITE_TEST][0].prompt_tokens) if team[WRITE_TEST] else np.nan
    return float(long.prompt_tokens), float(long.output_tokens), float(short.output_tokens), test


def _step(calls: Sequence[Call]) -> Step:
    return Step(
        prompt=QuantileTable.fit(c.prompt_tokens for c in calls),
        output=QuantileTable.fit(c.output_tokens for c in calls),
    )


FAMILY = Text2Sql()
