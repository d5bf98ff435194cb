"""Tree of Thoughts: breadth-first search over partial answers, on two tasks in equal shares.

Creative writing (``generate``, ``vote``): five plans, five votes, five passages, five votes, always 20 calls.
Game of 24 (``propose``, ``value``): four levels; a level proposes next steps from each of the five best states, then
values the new ones, each valuation waiting only for its own proposal; states seen before are not valued again, so a
level can have few valuations or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from hexsched.model import Call, Workflow
from hexsched.workloads.families.parts.builder import WorkflowBuilder
from hexsched.workloads.families.parts.copula import TwoLevelCopula, fit_copula, normal_scores
from hexsched.workloads.families.parts.family import FittedFamily
from hexsched.workloads.families.parts.tables import QuantileTable, count_labels, draw_label

BREADTH = 5  # states kept at each level
LEVELS = 4  # of Game of 24


class Writing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Creative writing.

    ``second_prompt`` is the passage prompt less the first prompt; ``plan_vote`` and ``passage_vote`` are the vote
    prompts less the first prompt and the five texts voted on. A workflow's votes are all of one size: the log has
    only their total.
    """

    prompt: QuantileTable
    plan: QuantileTable
    second_prompt: QuantileTable
    passage: QuantileTable
    plan_vote: QuantileTable
    passage_vote: QuantileTable
    vote_output: QuantileTable
    copula: TwoLevelCopula


class GameLevel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One level of Game of 24; ``answers`` counts proposals by whether (1) they write out the final answer."""

    answers: dict[int, int]
    propose_prompt: QuantileTable
    propose_output: QuantileTable
    answer_prompt: QuantileTable | None
    answer_output: QuantileTable | None
    values: QuantileTable
    value_prompt: QuantileTable


class Game(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Game of 24; the copula ties the numbers of valuations of the levels and their common output size."""

    levels: tuple[GameLevel, ...]
    value_output: QuantileTable
    copula: TwoLevelCopula


class TreeParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both tasks and how many workflows of each were seen."""

    tasks: dict[str, int]
    writing: Writing
    game: Game


class TreeOfThoughts(FittedFamily[TreeParameters]):
    """Wide, shallow trees of short calls."""

    name = "tree_of_thoughts"
    rank = 5
    summary = "breadth-first tree search: creative writing (generate, vote) and Game of 24 (propose, value)"
    source = (
        "Tree-of-Thoughts logs, creative writing and Game of 24 (princeton-nlp/tree-of-thought-llm @ ab400345, MIT), "
        "token counts only; vote and value outputs were spread evenly from recorded totals"
    )
    parameters_type = TreeParameters

    def sample(self, rng: np.random.Generator, workflow_id: str) -> Workflow:
        builder = WorkflowBuilder(workflow_id)
        if draw_label(rng, self.parameters.tasks) == "writing":
            _write(self.parameters.writing, rng, builder)
        else:
            _play(self.parameters.game, rng, builder)
        return builder.build()

    def fit(self, workflows: Sequence[Workflow]) -> TreeParameters:
        writing = [w for w in workflows if any(c.kind == "vote" for c in w.calls)]
        game = [w for w in workflows if any(c.kind == "propose" for c in w.calls)]
        return TreeParameters(
            tasks={"game": len(game), "writing": len(writing)},
            writing=_fit_writing(writing),
            game=_fit_game(game),
        )


def _write(p: Writing, rng: np.random.Generator, builder: WorkflowBuilder) -> None:
    levels = p.copula.uniforms(rng, BREADTH)
    prompt, vote_output = p.prompt.tokens(rng.random()), p.vote_output.tokens(rng.random())
    second = prompt + round(p.second_prompt.at(rng.random()))
    votes: list[str] = []
    for table, name, size, overhead in (
        (p.plan, "plan", prompt, p.plan_vote),
        (p.passage, "passage", second, p.passage_vote),
    ):
        outputs = [table.tokens(level[name]) for level in levels]
        texts = [builder.add("generate", size, output, votes) for output in outputs]
        vote_prompt = max(1, prompt + sum(outputs) + round(overhead.at(rng.random())))
        votes = [builder.add("vote", vote_prompt, vote_output, texts) for _ in range(BREADTH)]


def _play(p: Game, rng: np.random.Generator, builder: WorkflowBuilder) -> None:
    level = p.copula.uniforms(rng, 1)[0]
    value_output = p.value_output.tokens(level["output"])
    parents: list[str] = []
    for number, tables in enumerate(p.levels):
        proposals = [_propose(tables, rng, builder, parents) for _ in range(BREADTH if number else 1)]
        count = round(tables.values.at(level[f"values{number}"]))
        owners = sorted(int(k) for k in rng.integers(len(proposals), size=count))
        values = [
            builder.add("value", tables.value_prompt.tokens(rng.random()), value_output, (proposals[k],))
            for k in owners
        ]
        parents = values or proposals


def _propose(tables: GameLevel, rng: np.random.Generator, builder: WorkflowBuilder, parents: Sequence[str]) -> str:
    prompt, output = tables.propose_prompt, tables.propose_output
    if draw_label(rng, tables.answers) and tables.answer_prompt is not None and tables.answer_output is not None:
        prompt, output = tables.answer_prompt, tables.answer_output
    return builder.add("propose", prompt.tokens(rng.random()), output.tokens(rng.random()), parents)


def _fit_writing(workflows: Sequence[Workflow]) -> Writing:
    tokens = [np.array([(c.prompt_tokens, c.output_tokens) for c in w.calls], dtype=float) for w in workflows]
    prompts, outputs = np.array([t[:, 0] for t in tokens]), np.array([t[:, 1] for t in tokens])
    plans, passages = outputs[:, 0:5], outputs[:, 10:15]
    scores = np.stack([normal_scores(plans.ravel()), normal_scores(passages.ravel())], axis=1)
    return Writing(
        prompt=QuantileTable.fit(prompts[:, 0]),
        plan=QuantileTable.fit(plans.ravel()),
        second_prompt=QuantileTable.fit(prompts[:, 10] - prompts[:, 0]),
        passage=QuantileTable.fit(passages.ravel()),
        plan_vote=QuantileTable.fit(prompts[:, 5] - prompts[:, 0] - plans.sum(1)),
        passage_vote=QuantileTable.fit(prompts[:, 15] - prompts[:, 0] - passages.sum(1)),
        vote_output=QuantileTable.fit(outputs[:, 5]),
        copula=fit_copula(("plan", "passage"), list(scores.reshape(len(workflows), BREADTH, 2))),
    )


ANSWER_FROM = 400  # prompt tokens; Game of 24 switches to a longer prompt once the numbers are used up


def _fit_game(workflows: Sequence[Workflow]) -> Game:
    games = [_levels(w) for w in workflows]
    rows = np.array(
        [
            [float(len(level["value"])) for level in game]
            + [float(next(c.output_tokens for c in w.calls if c.kind == "value"))]
            for w, game in zip(workflows, games, strict=True)
        ]
    )
    levels = []
    for number in range(LEVELS):
        proposals = [c for game in games for c in game[number]["propose"]]
        answers = [c for c in proposals if c.prompt_tokens >= ANSWER_FROM]
        steps = [c for c in proposals if c.prompt_tokens < ANSWER_FROM]
        values = [c for game in games for c in game[number]["value"]]
        levels.append(
            GameLevel(
                answers=count_labels(int(c.prompt_tokens >= ANSWER_FROM) for c in proposals),
                propose_prompt=QuantileTable.fit(c.prompt_tokens for c in steps),
                propose_output=QuantileTable.fit(c.output_tokens for c in steps),
                answer_prompt=QuantileTable.fit(c.prompt_tokens for c in answers) if answers else None,
                answer_output=QuantileTable.fit(c.output_tokens for c in answers) if answers else None,
                values=QuantileTable.fit(rows[:, number]),
                value_prompt=QuantileTable.fit(c.prompt_tokens for c in values),
            )
        )
    scores = np.column_stack([normal_scores(column) for column in rows.T])
    names = (*(f"values{number}" for number in range(LEVELS)), "output")
    return Game(
        levels=tuple(levels),
        value_output=QuantileTable.fit(rows[:, -1]),
        copula=fit_copula(names, [row[None, :] for row in scores]),
    )


def _levels(workflow: Workflow) -> list[Mapping[str, list[Call]]]:
    """Proposals and valuations of each level, told by order: 1 proposal opens, then 5 a level."""
    levels: list[dict[str, list[Call]]] = [{"propose": [], "value": []} for _ in range(LEVELS)]
    number = 0
    for call in workflow.calls:
        if call.kind == "propose" and len(levels[number]["propose"]) == (BREADTH if number else 1):
            number += 1
        levels[number][call.kind].append(call)
    return list(levels)


FAMILY = TreeOfThoughts()
