"""A chain of turns whose prompt grows by the last output and by new tokens: chat, and tool use in a loop.

Turn k + 1 reads n[k+1] = n[k] + m[k] + added[k] tokens. The first prompt, the outputs (the last apart: it is what
ended the chain) and the added tokens have their own tables for each class of chain length, since long chains are made
of short turns; a two-level copula ties them together within a class.

Turns drawn like this still add up to contexts that are too spread out: upstream limits (where chats were split) make
the turns of one chain give way to each other. So the last prompt is calibrated: a drawn chain is stretched or shrunk
in proportion until its last prompt, the q-quantile of what is drawn, is the q-quantile of the real last prompts.
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

QUANTITIES = ("first_prompt", "output", "added")
CALIBRATION_DRAWS = 2000  # chains of each class drawn while fitting, to know the spread of their last prompts
CALIBRATION_SEED = 0


class Growth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How chains of more than one turn grow.

    Attributes
    ----------
    output, added : QuantileTable
        Of every turn but the last.
    last_prompt : QuantileTable
        Prompt of the last turn.
    """

    output: QuantileTable
    added: QuantileTable
    last_prompt: QuantileTable


class ChainClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tables of the chains of one class.

    Attributes
    ----------
    least_turns, most_turns : int
        Lengths of the chains in it, both included.
    first_prompt, last_output : QuantileTable
    growth : Growth, optional
        None where chains have one turn.
    drawn_last_prompt : QuantileTable, optional
        Last prompts as they come out of the tables, before calibration.
    """

    least_turns: int
    most_turns: int
    first_prompt: QuantileTable
    last_output: QuantileTable
    growth: Growth | None
    drawn_last_prompt: QuantileTable | None = None


class ChainParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of a chain family; ``turns`` counts real chains by length."""

    turns: dict[int, int]
    classes: tuple[ChainClass, ...]
    copula: TwoLevelCopula


class ChainFamily(FittedFamily[ChainParameters]):
    """Base of the families that are chains of turns."""

    parameters_type = ChainParameters
    kind: str
    class_limits: tuple[int, ...]  # the longest chain of each class but the last

    def sample(self, rng: np.random.Generator, workflow_id: str) -> Workflow:
        turns = draw_label(rng, self.parameters.turns)
        tables = next(c for c in self.parameters.classes if turns <= c.most_turns)
        chain = _Chain(tables, turns, self.parameters.copula, rng)
        if tables.growth is not None and tables.drawn_last_prompt is not None:
            level = tables.drawn_last_prompt.level(chain.last_prompt)
            chain.stretch(tables.growth.last_prompt.at(level) / chain.last_prompt)
        return chain.write(WorkflowBuilder(workflow_id), self.kind)

    def fit(self, workflows: Sequence[Workflow]) -> ChainParameters:
        classes, scores = [], []
        longest = max(len(w.calls) for w in workflows)
        limits = [limit for limit in self.class_limits if limit < longest] + [longest]
        for low, high in zip([0, *limits], limits, strict=False):
            members = [w for w in workflows if low < len(w.calls) <= high]
            if members:
                rows = [turn_rows(w.calls) for w in members]
                classes.append(_fit_class((low + 1, high), members, np.concatenate(rows)))
                scored = np.column_stack([normal_scores(column) for column in np.concatenate(rows).T])
                scores += np.split(scored, np.cumsum([len(r) for r in rows])[:-1])
        turns = count_labels(len(w.calls) for w in workflows)
        copula = fit_copula(QUANTITIES, scores)
        return ChainParameters(turns, tuple(_calibrate(c, turns, copula) for c in classes), copula)


class _Chain:
    """One chain in the making: its first prompt, then what each turn puts out and adds."""

    def __init__(self, tables: ChainClass, turns: int, copula: TwoLevelCopula, rng: np.random.Generator) -> None:
        *levels, last = copula.uniforms(rng, turns)
        self.start = tables.first_prompt.tokens((levels or [last])[0]["first_prompt"])
        self.outputs = [tables.growth.output.tokens(level["output"]) for level in levels] if tables.growth else []
        self.added = [tables.growth.added.tokens(level["added"]) for level in levels] if tables.growth else []
        self.last_output = tables.last_output.tokens(last["output"])

    @property
    def last_prompt(self) -> int:
        return self.start + sum(self.outputs) + sum(self.added)

    def stretch(self, factor: float) -> None:
        """Scale what makes up the last prompt."""
        self.start = max(1, round(self.start * factor))
        self.outputs = [max(1, round(tokens * factor)) for tokens in self.outputs]
        self.added = [max(1, round(tokens * factor)) for tokens in self.added]

    def write(self, builder: WorkflowBuilder, kind: str) -> Workflow:
        prompt, parents = self.start, list[str]()
        for output, added in zip(self.outputs, self.added, strict=True):
            parents = [builder.add(kind, prompt, output, parents)]
            prompt += output + added
        builder.add(kind, prompt, self.last_output, parents)
        return builder.build()


def turn_rows(calls: Sequence[Call]) -> FloatArray:
    """Rows (first prompt, output, added) for each turn; the last turn adds nothing (NaN)."""
    prompts = np.array([c.prompt_tokens for c in calls], dtype=float)
    outputs = np.array([c.output_tokens for c in calls], dtype=float)
    added = np.append(prompts[1:] - prompts[:-1] - outputs[:-1], np.nan)
    return np.column_stack([np.full(len(calls), prompts[0]), outputs, added])


def _fit_class(turns: tuple[int, int], members: Sequence[Workflow], rows: FloatArray) -> ChainClass:
    earlier = rows[~np.isnan(rows[:, 2])]
    growth = None
    if len(earlier):
        growth = Growth(
            output=QuantileTable.fit(earlier[:, 1]),
            added=QuantileTable.fit(earlier[:, 2]),
            last_prompt=QuantileTable.fit(w.calls[-1].prompt_tokens for w in members),
        )
    return ChainClass(
        least_turns=turns[0],
        most_turns=turns[1],
        first_prompt=QuantileTable.fit(w.calls[0].prompt_tokens for w in members),
        last_output=QuantileTable.fit(w.calls[-1].output_tokens for w in members),
        growth=growth,
    )


def _calibrate(tables: ChainClass, turns: dict[int, int], copula: TwoLevelCopula) -> ChainClass:
    """The class with the spread of the last prompts that it draws."""
    if tables.growth is None:
        return tables
    rng = np.random.default_rng(CALIBRATION_SEED)
    lengths = {t: n for t, n in turns.items() if tables.least_turns <= t <= tables.most_turns}
    prompts = (_Chain(tables, draw_label(rng, lengths), copula, rng).last_prompt for _ in range(CALIBRATION_DRAWS))
    return msgspec.structs.replace(tables, drawn_last_prompt=QuantileTable.fit(prompts))
