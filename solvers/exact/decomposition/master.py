"""The master: where every call goes and which workflows count, with each call alone on its instances, and the cuts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ortools.sat.python import cp_model

from solvers.exact.cp.constraints import order_identical_instances
from solvers.exact.cp.energy import SEPARATION, add_energy
from solvers.exact.cp.objective import deadlines, minimise
from solvers.exact.cp.ticked import TickedProblem
from solvers.exact.decomposition.cuts import Cut
from solvers.exact.decomposition.relaxed import literal, relaxed, search
from solvers.problem.objective import Objective
from solvers.problem.result import Size


@dataclass(frozen=True)
class Placed:
    """What the master says.

    Attributes
    ----------
    status : str
    bound : int
        Of its objective; beyond ``most`` where there is nothing within it.
    prefill, decode : list of int
        Instances, by call; empty without a solution.
    kept : frozenset of int
        Workflows that count.
    value : int
        Of its objective.
    latency : list of int
        Ticks of each workflow, for the means.
    """

    status: str
    bound: int
    prefill: list[int]
    decode: list[int]
    kept: frozenset[int]
    value: int = 0
    latency: list[int] = field(default_factory=list)


class Master:
    """The model, which grows by cuts.

    Parameters
    ----------
    lower, upper : float
        What is known of the optimum. Only what is no worse than ``upper`` is looked for.
    energy : bool
        Windows of work on each instance against the largest ratio.
    """

    def __init__(
        self, data: TickedProblem, objective: Objective, lower: float, upper: float, symmetry: bool, energy: bool
    ) -> None:
        self.data, self.objective = data, objective
        self.model = cp_model.CpModel()
        self.variables = relaxed(self.model, data, deadlines(data, objective, upper))
        self.minimised = minimise(self.model, data, self.variables, objective, lower, upper)
        self.most = 2**62
        self.cuts: set[Cut] = set()
        if symmetry:
            order_identical_instances(self.model, data, self.variables)
        if energy and self.minimised.largest is not None and math.isfinite(upper):
            add_energy(self.model, data, self.variables, self.minimised.largest, lower, upper, SEPARATION)
        self.tighten(upper)

    @property
    def size(self) -> Size:
        """As it has grown by now."""
        return Size(variables=len(self.model.proto.variables), constraints=len(self.model.proto.constraints))

    def tighten(self, upper: float) -> None:
        """Look for nothing that is worse."""
        if not math.isfinite(upper):
            return
        most = self.minimised.at_most(upper)
        if most < self.most:
            self.most = most
            self.model.add(self._value() <= most)

    def add(self, cut: Cut) -> bool:
        """Add a cut; whether it was new."""
        if cut in self.cuts:
            return False
        self.cuts.add(cut)
        here = [literal(self.variables, one) for one in sorted(cut.placements)]
        minimised, workflows = self.minimised, sorted(cut.workflows)
        left_out = self._left_out
        # of these one is true, or else the objective is as the cut says
        otherwise: list[cp_model.LiteralT] = [
            *(x.negated() for x in here),
            *(left_out[w] for w in workflows if left_out),
        ]
        if self.objective.kind == "misses" or cut.value > self.most:
            self.model.add_bool_or(otherwise)
            return True
        if minimised.largest is not None:
            value: cp_model.LinearExprT = minimised.largest.ratio
        else:
            assert minimised.latencies is not None
            latencies = minimised.latencies
            value = cp_model.LinearExpr.weighted_sum(
                [latencies.latency[w] for w in workflows], [int(latencies.shares.share[w]) for w in workflows]
            )
        conditions: list[cp_model.LiteralT] = [*here, *(left_out[w].negated() for w in workflows if left_out)]
        self.model.add(value >= cut.value).only_enforce_if(conditions)
        return True

    def solve(self, seconds: float, workers: int, seed: int) -> Placed:
        """The best placement that no cut speaks against."""
        solver, status = search(self.model, seconds, workers, seed)
        if status == "infeasible":
            return Placed(status, self.most + 1, [], [], frozenset())
        found = solver.best_objective_bound
        bound = math.ceil(found - 1e-6) if math.isfinite(found) else 0
        if status == "unknown":
            return Placed(status, bound, [], [], frozenset())
        prefill = [[solver.boolean_value(x) for x in row].index(True) for row in self.variables.on_prefill]
        modes = [[solver.boolean_value(x) for x in row].index(True) for row in self.variables.in_mode]
        decode = [self.data.modes[c][k].decode for c, k in enumerate(modes)]
        left_out = self._left_out
        kept = {w for w in range(self.data.problem.workflows) if not left_out or not solver.boolean_value(left_out[w])}
        latencies = self.minimised.latencies
        latency = [] if latencies is None else [solver.value(x) for x in latencies.latency]
        return Placed(status, bound, prefill, decode, frozenset(kept), round(solver.objective_value), latency)

    @property
    def _left_out(self) -> list[cp_model.IntVar]:
        """By workflow, whether it does not count; empty where all do."""
        largest = self.minimised.largest
        return self.minimised.missed or (largest.dropped if largest is not None else [])

    def _value(self) -> cp_model.LinearExprT:
        if self.minimised.largest is not None:
            return self.minimised.largest.ratio
        if self.minimised.latencies is not None:
            latencies = self.minimised.latencies
            return cp_model.LinearExpr.weighted_sum(latencies.latency, latencies.shares.share.tolist())
        return cp_model.LinearExpr.sum(self.minimised.missed)
