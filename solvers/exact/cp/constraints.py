"""The rules of the model (M10 to M17), a function each, and what is implied by them."""

from __future__ import annotations

import itertools

from ortools.sat.python import cp_model

from solvers.exact.cp.ticked import TickedProblem
from solvers.exact.cp.variables import Variables


def add_rules(model: cp_model.CpModel, data: TickedProblem, variables: Variables) -> None:
    """All that makes a solution a schedule."""
    one_placement(model, data, variables)
    durations(model, data, variables)
    release(model, data, variables)
    admission_after_prefill(model, data, variables)
    one_prefill_at_a_time(model, data, variables)
    batch_and_kv(model, data, variables)


def one_placement(model: cp_model.CpModel, data: TickedProblem, variables: Variables) -> None:
    """A call is prefilled on one instance and decoded in one mode, which fits where it was prefilled (M10)."""
    for c, modes in enumerate(data.modes):
        on_prefill = variables.on_prefill[c]
        model.add_exactly_one(on_prefill)
        model.add_exactly_one(variables.in_mode[c])
        for mode, literal in zip(modes, variables.in_mode[c], strict=True):
            if len(mode.sources) < len(on_prefill):
                model.add_bool_or([literal.negated(), *(on_prefill[i] for i in mode.sources)])
        for j, here in data.modes_on(c).items():
            if len(here) > 1:
                taken = [variables.in_mode[c][k] for k in here]
                model.add_exactly_one([variables.on_decode[c][j].negated(), *taken])


def durations(model: cp_model.CpModel, data: TickedProblem, variables: Variables) -> None:
    """From admission to completion as long as the mode says; of prefills, the intervals say it (M14, M16)."""
    for c, modes in enumerate(data.modes):
        model.add(variables.completed[c] == variables.admitted[c] + variables.reserved[c])
        for mode, literal in zip(modes, variables.in_mode[c], strict=True):
            model.add(variables.reserved[c] == mode.ticks).only_enforce_if(literal)


def release(model: cp_model.CpModel, data: TickedProblem, variables: Variables) -> None:
    """Prefill starts no earlier than the completions of the parents and the delay after them (M3, M17)."""
    for c, parents in enumerate(data.problem.parents):
        for p in parents:
            model.add(variables.start[c] >= variables.completed[p] + int(data.delay[c]))


def admission_after_prefill(model: cp_model.CpModel, data: TickedProblem, variables: Variables) -> None:
    """A decode instance admits a call no earlier than the end of its prefill (M12)."""
    for c in range(data.problem.calls):
        model.add(variables.admitted[c] >= variables.prefilled[c])


def one_prefill_at_a_time(model: cp_model.CpModel, data: TickedProblem, variables: Variables) -> None:
    """A prefill instance runs one call at a time, without preemption (M11)."""
    for i in range(data.prefill.shape[1]):
        model.add_no_overlap(
            model.new_optional_interval_var(
                variables.start[c],
                int(data.prefill[c, i]),
                variables.prefilled[c],
                variables.on_prefill[c][i],
                f"prefill_on_{i}_{c}",
            )
            for c in range(data.problem.calls)
        )


def batch_and_kv(model: cp_model.CpModel, data: TickedProblem, variables: Variables) -> None:
    """From admission to completion a call holds n + m KV tokens and one slot of its decode instance (M13).

    One interval for each instance, not for each mode: 15 calls on three machines with a batch of one took 0.8 CPU
    seconds with the former and were not done after 8 with the latter.
    """
    problem = data.problem
    for j, (room, slots) in enumerate(zip(problem.capacity.tolist(), problem.max_batch.tolist(), strict=True)):
        calls = [c for c in range(problem.calls) if j in variables.on_decode[c]]
        tokens = [int(problem.kv[c]) for c in calls]
        held = [
            model.new_optional_interval_var(
                variables.admitted[c],
                variables.reserved[c],
                variables.completed[c],
                variables.on_decode[c][j],
                f"decode_on_{j}_{c}",
            )
            for c in calls
        ]
        if slots == 1 or sum(sorted(tokens)[:2]) > room:
            model.add_no_overlap(held)
            continue
        if sum(tokens) > room:
            model.add_cumulative(held, tokens, room)
        if len(calls) > slots:
            model.add_cumulative(held, [1] * len(held), slots)


def order_identical_instances(model: cp_model.CpModel, data: TickedProblem, variables: Variables) -> None:
    """Of identical instances the next is used only by calls after the first of the one before (symmetry)."""
    calls = range(data.problem.calls)
    for group in data.problem.prefill_types.groups:
        uses = [[[variables.on_prefill[c][i]] for c in calls] for i in group]
        _use_in_turn(model, uses)
    for group in data.problem.decode_types.groups:
        uses = [[[variables.on_decode[c][j]] if j in variables.on_decode[c] else [] for c in calls] for j in group]
        _use_in_turn(model, uses)


def _use_in_turn(model: cp_model.CpModel, uses: list[list[list[cp_model.IntVar]]]) -> None:
    """``uses[k][c]``: the literals of which one is true where call c is on the k-th of the identical instances."""
    for before, this in itertools.pairwise(uses):
        earlier: list[cp_model.IntVar] = []
        for c, literals in enumerate(this):
            for literal in literals:
                model.add_bool_or([literal.negated(), *earlier])
            earlier = [*earlier, *before[c]]
