"""A coding agent (Claude Code): one workflow a user turn, a long chain of calls over a large, mostly cached prompt.

The context grows from call to call; the prefix store holds the previous prompt in whole blocks of 64 tokens, so a
call computes little more than what was added. A turn opens warm, on the context that the session left, or cold.
Some turns hand work to sub-agents, which run as parallel chains with a fresh context of their own while the main
chain waits; and in a few, two main chains run side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from hexsched.model import Call, Workflow
from hexsched.workloads.families.parts.builder import WorkflowBuilder
from hexsched.workloads.families.parts.copula import FloatArray, TwoLevelCopula, fit_copula, normal_scores
from hexsched.workloads.families.parts.family import FittedFamily
from hexsched.workloads.families.parts.tables import QuantileTable, count_labels, draw_label

EARLY = 5  # first growths of a chain, in which the agent reads itself in and the context grows fastest
BLOCK = 64  # tokens of a block of the prefix store
LIMIT = 131_072  # longest prompt kept upstream
CLASS_LIMITS = (1, 2, 4, 8, 16, 32)  # the most calls of each class but the last
QUANTITIES = ("first_prompt", "output", "growth", "delay")
MAIN, SUB = "main", "subagent"


class TurnClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tables of the turns of up to ``most_calls`` calls.

    Attributes
    ----------
    opening : dict of int to int
        First calls by whether (1) nothing was cached.
    cold_prompt, warm_prompt : QuantileTable
        The first prompt of either sort.
    warm_fresh : QuantileTable
        Prompt tokens of a warm first call that were not cached.
    last_prompt : QuantileTable
        The last prompt of a chain, where growth has to stop.
    output : QuantileTable
    early_growth, growth : QuantileTable
        Prompt growth from call to call, the first ``EARLY`` times and later; None where chains are shorter.
    delay : QuantileTable
        Seconds of tool time; None where turns have one call.
    """

    most_calls: int
    opening: dict[int, int]
    cold_prompt: QuantileTable
    warm_prompt: QuantileTable
    warm_fresh: QuantileTable
    last_prompt: QuantileTable
    output: QuantileTable
    early_growth: QuantileTable | None
    growth: QuantileTable | None
    delay: QuantileTable | None


class SubAgents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hand-overs to sub-agents: chains of each, calls of a chain, sizes."""

    chains: dict[int, int]
    calls: QuantileTable
    first_prompt: QuantileTable
    output: QuantileTable
    growth: QuantileTable
    delay: QuantileTable


class CodingParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All tables.

    ``main_calls`` counts workflows by shape (``plain``: one chain, ``twin``: two main chains, ``handed``: with
    sub-agents) and number of main calls; ``missed_blocks`` counts calls by whole blocks of the previous prompt that
    were not cached.
    """

    main_calls: dict[str, dict[int, int]]
    classes: tuple[TurnClass, ...]
    copula: TwoLevelCopula
    missed_blocks: dict[int, int]
    sub_agents: SubAgents


class CodingAgent(FittedFamily[CodingParameters]):
    """Long prompts, short outputs, mostly cached; tool time between calls."""

    name = "coding_agent"
    rank = 7
    summary = "coding agent: long chains over large, mostly cached prompts with tool time, a few with sub-agents"
    source = (
        "Claude Code sessions (callanjfox/kv-cache-tester @ 94f6046d, Apache-2.0), one workflow a user turn, "
        "prompts up to 131,072 tokens, token counts only"
    )
    parameters_type = CodingParameters

    def sample(self, rng: np.random.Generator, workflow_id: str) -> Workflow:
        p = self.parameters
        turn = _Turn(p, rng, WorkflowBuilder(workflow_id))
        shape = draw_label(rng, {name: sum(counts.values()) for name, counts in p.main_calls.items()})
        calls = draw_label(rng, p.main_calls[shape])
        if shape == "handed":
            turn.main_chain(calls, hand_over_after=int(rng.integers(1, calls + 1)))
        elif shape == "twin":
            second = max(1, calls // 3)
            turn.main_chain(max(1, calls - second))
            turn.main_chain(second)
        else:
            turn.main_chain(calls)
        return turn.builder.build()

    def fit(self, workflows: Sequence[Workflow]) -> CodingParameters:
        longest = max(len(w.calls) for w in workflows)
        limits = [limit for limit in CLASS_LIMITS if limit < longest] + [longest]
        classes, scores = [], []
        for low, high in zip([0, *limits], limits, strict=False):
            members = [w for w in workflows if low < len(w.calls) <= high]
            if members:
                fitted, scored = _fit_class(high, members)
                classes.append(fitted)
                scores += scored
        handed = [w for w in workflows if _shape(w) == "handed"]
        return CodingParameters(
            main_calls={
                shape: count_labels(_main_calls(w) for w in workflows if _shape(w) == shape)
                for shape in sorted({_shape(w) for w in workflows})
            },
            classes=tuple(classes),
            copula=fit_copula(QUANTITIES, scores),
            missed_blocks=count_labels(min(_missed(a, b), 8) for w in workflows for a, b in _main_pairs(w)),
            sub_agents=_fit_sub_agents(handed),
        )


class _Turn:
    """Writes the chains of one turn."""

    def __init__(self, parameters: CodingParameters, rng: np.random.Generator, builder: WorkflowBuilder) -> None:
        self.p = parameters
        self.rng = rng
        self.builder = builder

    def main_chain(self, calls: int, hand_over_after: int = 0) -> None:
        """A chain of ``calls`` calls; sub-agents start after call ``hand_over_after`` (from 1; 0: none)."""
        tables = next(c for c in self.p.classes if calls <= c.most_calls)  # the longest chain is in the last class
        levels = self.p.copula.uniforms(self.rng, calls)
        prompt, cached = self._open(tables, levels[0]["first_prompt"])
        growths = self._growths(tables, prompt, [level["growth"] for level in levels[:-1]])
        parents: list[str] = []
        delay = 0.0
        for number, level in enumerate(levels, start=1):
            output = tables.output.tokens(level["output"])
            last = self.builder.add(MAIN, prompt, output, parents, cached, delay)
            parents = [last]
            if number == hand_over_after:
                parents += self._hand_over(last)
            if number < calls and tables.delay is not None:
                cached = max(0, prompt // BLOCK - draw_label(self.rng, self.p.missed_blocks)) * BLOCK
                prompt += growths[number - 1]
                delay = float(round(tables.delay.at(level["delay"])))

    def _growths(self, tables: TurnClass, first_prompt: int, levels: Sequence[float]) -> list[int]:
        """Prompt growth from call to call, shrunk in proportion where the context would pass its limit."""
        growths = []
        for number, level in enumerate(levels):
            table = tables.growth if number >= EARLY and tables.growth is not None else tables.early_growth
            if table is not None:
                growths.append(table.tokens(level))
        if first_prompt + sum(growths) <= LIMIT:
            return growths
        last_prompt = tables.last_prompt.at(self.rng.uniform(2 / 3, 1.0))
        shrink = max(0.0, last_prompt - first_prompt) / sum(growths)
        return [max(1, round(tokens * shrink)) for tokens in growths]

    def _open(self, tables: TurnClass, level: float) -> tuple[int, int]:
        """Prompt and cached tokens of the first call."""
        if draw_label(self.rng, tables.opening):
            return tables.cold_prompt.tokens(level), 0
        prompt = tables.warm_prompt.tokens(level)
        fresh = min(tables.warm_fresh.tokens(self.rng.random()), prompt)
        return prompt, (prompt - fresh) // BLOCK * BLOCK

    def _hand_over(self, parent: str) -> list[str]:
        """Parallel sub-agent chains after ``parent``; returns their last calls."""
        p = self.p.sub_agents
        ends = []
        for _ in range(draw_label(self.rng, p.chains)):
            last, delay, cached = parent, 0.0, 0
            prompt = p.first_prompt.tokens(self.rng.random())
            for _ in range(p.calls.tokens(self.rng.random())):
                output = p.output.tokens(self.rng.random())
                last = self.builder.add(SUB, prompt, output, (last,), cached, delay)
                cached = prompt // BLOCK * BLOCK
                prompt += p.growth.tokens(self.rng.random())
                delay = float(round(p.delay.at(self.rng.random())))
            ends.append(last)
        return ends


def _shape(workflow: Workflow) -> str:
    if any(c.kind == SUB for c in workflow.calls):
        return "handed"
    return "twin" if sum(not c.parents for c in workflow.calls) > 1 else "plain"


def _main_calls(workflow: Workflow) -> int:
    return sum(c.kind != SUB for c in workflow.calls)


def _fit_class(most_calls: int, members: Sequence[Workflow]) -> tuple[TurnClass, list[FloatArray]]:
    """Tables and normal scores (a row a call) of one class of turns."""
    firsts = [w.calls[0] for w in members]
    warm = [c for c in firsts if c.cached_tokens]
    cold = [c for c in firsts if not c.cached_tokens]
    rows = [_call_rows(w) for w in members]
    every = np.concatenate(rows)
    growing = [r[~np.isnan(r[:, 2]), 2] for r in rows]
    early, later = np.concatenate([g[:EARLY] for g in growing]), np.concatenate([g[EARLY:] for g in growing])
    delay = every[~np.isnan(every[:, 3]), 3]
    tables = TurnClass(
        most_calls=most_calls,
        opening=count_labels(int(not c.cached_tokens) for c in firsts),
        cold_prompt=QuantileTable.fit(c.prompt_tokens for c in cold or firsts),
        warm_prompt=QuantileTable.fit(c.prompt_tokens for c in warm or firsts),
        warm_fresh=QuantileTable.fit(c.prompt_tokens - c.cached_tokens for c in warm or firsts),
        last_prompt=QuantileTable.fit(w.calls[-1].prompt_tokens for w in members),
        output=QuantileTable.fit(every[:, 1]),
        early_growth=QuantileTable.fit(early) if len(early) else None,
        growth=QuantileTable.fit(later) if len(later) else None,
        delay=QuantileTable.fit(delay) if len(delay) else None,
    )
    scored = np.column_stack([normal_scores(column) for column in every.T])
    return tables, np.split(scored, np.cumsum([len(r) for r in rows])[:-1])


def _call_rows(workflow: Workflow) -> FloatArray:
    """``QUANTITIES`` of the main calls; growth and delay are those on the way to the next call, NaN at an end."""
    following = {a.call_id: b for a, b in _main_pairs(workflow)}
    main = [c for c in workflow.calls if c.kind != SUB] or list(workflow.calls)
    rows = np.full((len(main), len(QUANTITIES)), np.nan)
    for row, call in zip(rows, main, strict=True):
        row[0], row[1] = workflow.calls[0].prompt_tokens, call.output_tokens
        if (after := following.get(call.call_id)) is not None:
            row[2], row[3] = after.prompt_tokens - call.prompt_tokens, after.delay
    return rows


def _main_pairs(workflow: Workflow) -> Iterable[tuple[Call, Call]]:
    """(parent, child) along the main chains."""
    return _pairs(workflow, MAIN)


def _pairs(workflow: Workflow, kind: str) -> Iterable[tuple[Call, Call]]:
    calls = {c.call_id: c for c in workflow.calls}
    for call in workflow.calls:
        for parent in call.parents:
            if call.kind == kind == calls[parent].kind:
                yield calls[parent], call


def _missed(before: Call, after: Call) -> int:
    """Whole blocks of ``before``'s prompt that were not cached for ``after``."""
    return max(0, before.prompt_tokens // BLOCK - after.cached_tokens // BLOCK)


def _fit_sub_agents(workflows: Sequence[Workflow]) -> SubAgents:
    chains, lengths, heads, pairs, calls = [], [], [], [], []
    for workflow in workflows:
        sub = [c for c in workflow.calls if c.kind == SUB]
        inner = list(_pairs(workflow, SUB))
        inside = {after.call_id for _, after in inner}
        starts = [c for c in sub if c.call_id not in inside]
        hand_overs: dict[tuple[str, ...], int] = {}
        for start in starts:
            hand_overs[start.parents] = hand_overs.get(start.parents, 0) + 1
        chains += list(hand_overs.values())
        lengths.append(len(sub) / len(starts))
        heads += starts
        pairs += inner
        calls += sub
    return SubAgents(
        chains=count_labels(chains),
        calls=QuantileTable.fit(lengths),
        first_prompt=QuantileTable.fit(c.prompt_tokens for c in heads),
        output=QuantileTable.fit(c.output_tokens for c in calls),
        growth=QuantileTable.fit(b.prompt_tokens - a.prompt_tokens for a, b in pairs),
        delay=QuantileTable.fit(b.delay for _, b in pairs),
    )


FAMILY = CodingAgent()
