"""What the planner has to decide, by the shortest way from docs/model.md (M22 to M25), with no thought of speed.

Every ready call is looked at on every pair of instances at every epoch, and nothing is remembered but which decode
instance a call is counted for. Only the memory that policies may look at is shared with hexsched.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from hexsched.engine import state as st
from hexsched.engine.tables import build_state, workload_columns
from hexsched.model import Call, DecodeInstance, Instance, Link, PrefillInstance, Workflow

PREFILL, DECODE = range(2)  # the two stages in which a call waits
PREFILLS = ((0.1, 1e-3, 1e-7), (0.3, 3e-3, 2e-7), (0.1, 1.2e-3, 1e-7), (0.1, 1e-3, 0.0))
DECODES = ((0.01, 1e-4, 1e-7), (0.03, 2e-4, 3e-7), (0.01, 0.0, 0.0), (0.013, 3e-4, 1e-6))
ROOMS = ((2_500, 2), (900, 64), (100_000, 64), (4_000, 5))  # KV tokens and most calls: either may be short, or both
ORDERS = ("fcfs", "workflow-llf", "sjf", "hexagent")
DEADLINE = 4.0  # of workflow-llf, times the horizon


Coefficients = tuple[float, float, float]


class Decision(NamedTuple):
    """What is decided at an epoch: calls by the prefill instance on which they start, by the one that admits them."""

    started: dict[int, int]
    admitted: dict[int, int]


@dataclass
class Row:
    """What a decode instance is thought to have, with all that is bound for it."""

    free: float  # KV tokens
    slots: int
    batch: int
    kv: float
    held: float  # KV tokens in the batch now
    iterations: float  # done by now


@dataclass
class Book:
    """A planner by the book.

    Parameters
    ----------
    seen : Seen
    order : str
        One of ``ORDERS``.
    joint, kv, transfer : bool
        The ingredients that can be switched off.
    allows : callable
        ``(call, stage, kind)``: whether a call may use instances of that kind.
    """

    seen: Any
    order: str
    joint: bool = True
    kv: bool = True
    transfer: bool = True
    allows: Callable[[int, int, int], bool] = lambda call, stage, kind: True
    planned: dict[int, int] = field(default_factory=dict)  # call: the decode instance that it is counted for
    entered: dict[int, float] = field(default_factory=dict)
    delta: dict[int, float] = field(default_factory=dict)
    ready: set[int] = field(default_factory=set)
    left_over: list[int] = field(default_factory=list)

    def decide(self, reserved: list[int], true_need: list[int]) -> Decision:
        """The decision of this epoch; ``reserved`` KV tokens of each decode instance and what calls truly need."""
        clock = self.seen.clock[0]
        self.look(reserved, true_need)
        admitted = self._admit(self.seen.prefilled[: clock.prefilled].tolist(), int(clock.completed))
        for c in self.seen.released[: clock.released].tolist():
            self.entered[c] = self.now
            self.ready.add(c)
        return Decision(self._start(), admitted)

    def look(self, reserved: list[int], true_need: list[int]) -> None:
        """Note how things stand at this epoch, before the decision."""
        self.now = float(self.seen.clock[0].now)
        self.calls = [dict(zip(st.CALL.names, row, strict=True)) for row in self.seen.calls.tolist()]
        self.servers = [dict(zip(st.DECODE.names, row, strict=True)) for row in self.seen.decodes.tolist()]
        self.machines = [dict(zip(st.PREFILL.names, row, strict=True)) for row in self.seen.prefills.tolist()]
        self.flows = [dict(zip(st.WORKFLOW.names, row, strict=True)) for row in self.seen.workflows.tolist()]
        self.members = [self.seen.seats[j, : d["admitted"]].tolist() for j, d in enumerate(self.servers)]
        self.counted: dict[int, list[int]] = {}
        self.reserved, self.true_need = list(reserved), true_need

    # --- admission (M24) ---------------------------------------------------------------------------------------------

    def _admit(self, fresh: list[int], completed: int) -> dict[int, int]:
        admitted: dict[int, int] = {}
        self.entered.update(dict.fromkeys(fresh, self.now))
        if fresh or (completed and self.left_over):
            for part in (self.left_over, fresh):
                admitted |= self._admit_in_order(part)
        self.left_over = [c for c in (*self.left_over, *fresh) if c not in admitted]
        return admitted

    def _admit_in_order(self, part: list[int]) -> dict[int, int]:
        admitted: dict[int, int] = {}
        for c in part:
            may_fit = any(self._has_room(c, j) for j in range(len(self.servers)))
            if self.entered[c] == self.now or (may_fit and self.order == "hexagent"):
                self.planned.pop(c)
                finishes = {j: self._finish_from(c, j) for j in self._able(c)}
                self.planned[c] = min(finishes, key=lambda j: (finishes[j], j))
                self.delta[c] = finishes[self.planned[c]]
        keys = {c: self._key(c, before_prefill=False) for c in part}
        for c in sorted(part, key=lambda c: (keys[c], c)):
            able = [j for j in self._allowed(c) if self._has_room(c, j)]
            if able:
                self.planned.pop(c)
                costs = {j: self._decode_cost(c, j) for j in able}
                j = min(costs, key=lambda j: (costs[j], j))
                admitted[c] = j
                self.members[j].append(c)
                self.reserved[j] += self.true_need[c]
                server, call = self.servers[j], self.calls[c]
                server["admitted"] += 1
                server["reserved"] += call["n"] + call["estimate"]
                server["in_transfer"] += call["n"]
                call["decode_start"] = self.now + self._transfer_seconds(c, call["prefill_instance"], j)
        return admitted

    def _has_room(self, c: int, j: int) -> bool:
        server = self.servers[j]
        fits = self.reserved[j] + self.true_need[c] <= server["kv_capacity"]
        return fits and server["admitted"] < server["max_batch"]

    def _decode_cost(self, c: int, j: int) -> float:
        if not self.joint:
            return self._kv_load(j)
        return self._transfer(c, self.calls[c]["prefill_instance"], j) + self._decode_seconds(c, j)

    def _finish_from(self, c: int, j: int) -> float:
        transfer = self._transfer(c, self.calls[c]["prefill_instance"], j)
        return self._room_wait(c, j) + transfer + self._decode_seconds(c, j)

    # --- prefill (M23) -----------------------------------------------------------------------------------------------

    def _start(self) -> dict[int, int]:
        self.waits = [max(m["busy_until"] - self.now, 0.0) if m["running"] >= 0 else 0.0 for m in self.machines]
        idle = {i for i, m in enumerate(self.machines) if m["running"] < 0}
        started: dict[int, int] = {}
        if idle and self.ready and self.order == "hexagent":
            self.delta.update({c: self._best_pair(c)[2] for c in self.ready})
        keys = {c: self._key(c, before_prefill=True) for c in self.ready} if idle else {}
        for c in sorted(keys, key=lambda c: (keys[c], c)):
            if not idle:
                break
            i, j, _ = self._best_pair(c) if self.joint else (*self._least_loaded(c), 0.0)
            self.waits[i] += self._prefill_seconds(c, i)
            if i in idle:
                idle.remove(i)
                started[c] = i
                self.planned[c] = j
            else:
                self.counted.setdefault(j, []).append(c)
        self.ready -= set(started)
        self.counted.clear()
        return started

    def _best_pair(self, c: int) -> tuple[int, int, float]:
        """Of equal pairs the one whose kind of decode instance comes first, then by decode instance, then prefill."""
        best: tuple[Any, ...] = (math.inf,)
        for j in self._allowed(c):
            room, decode = self._room_wait(c, j), self._decode_seconds(c, j)
            for i, machine in enumerate(self.machines):
                if not self.allows(c, PREFILL, machine["kind"]):
                    continue
                prefilled = self.waits[i] + self._prefill_seconds(c, i)
                cost = max(prefilled, room) + self._transfer(c, i, j) + decode
                kinds = self.servers[j]["kind"], machine["kind"]
                best = min(best, (cost, kinds[0], j, kinds[1], self.waits[i], i))
        return best[5], best[2], best[0]

    def _least_loaded(self, c: int) -> tuple[int, int]:
        i = min(range(len(self.machines)), key=lambda i: (self.waits[i], i))
        return i, min(self._able(c), key=lambda j: (self._kv_load(j), j))

    # --- keys --------------------------------------------------------------------------------------------------------

    def _key(self, c: int, *, before_prefill: bool) -> float:
        call = self.calls[c]
        flow = self.flows[call["workflow"]]
        arrival, horizon = flow["arrival"], flow["horizon"]
        if self.order == "fcfs":
            return self.entered[c]
        if self.order == "hexagent":
            return -((self.now - arrival) + self.delta[c]) / horizon
        left = call["best"]
        if not before_prefill:
            left = min(
                self._transfer_seconds(c, call["prefill_instance"], j) + self._alone_seconds(c, j)
                for j in self._able(c)
            )
        return left if self.order == "sjf" else arrival + DEADLINE * horizon - left

    # --- projections -------------------------------------------------------------------------------------------------

    def _able(self, c: int) -> list[int]:
        """Decode instances on which the call fits at all."""
        return [j for j, d in enumerate(self.servers) if d["kv_capacity"] >= self.calls[c]["needs_capacity"]]

    def _allowed(self, c: int) -> list[int]:
        return [j for j in self._able(c) if self.allows(c, DECODE, self.servers[j]["kind"])]

    def _bound_for(self, j: int) -> list[int]:
        return [c for c, place in self.planned.items() if place == j] + self.counted.get(j, [])

    def _row(self, j: int) -> Row:
        server, bound = self.servers[j], [self.calls[c] for c in self._bound_for(j)]
        done = self._iterations_done(j)
        held = server["kv"] + server["batch"] * done
        return Row(
            free=server["kv_capacity"] - server["reserved"] - sum(c["n"] + c["estimate"] for c in bound),
            slots=server["max_batch"] - server["admitted"] - len(bound),
            batch=server["admitted"] + len(bound),
            kv=held + server["in_transfer"] + sum(c["n"] for c in bound),
            held=held,
            iterations=server["iterations"] + done,
        )

    def _iterations_done(self, j: int) -> float:
        server = self.servers[j]
        seconds = self.now - server["settled_at"]
        if server["batch"] == 0 or seconds <= 0:
            return 0.0
        tau, growth = self._iteration(j, server["batch"], server["kv"]), server["d2"] * server["batch"]
        if self._fixed:
            return seconds / tau
        return 2.0 * seconds / (tau + math.sqrt(tau * tau + 2.0 * growth * seconds))

    def _room_wait(self, c: int, j: int) -> float:
        row, call, server = self._row(j), self.calls[c], self.servers[j]
        need, wait = call["n"] + call["estimate"], 0.0
        if not self.kv or (row.free >= need and row.slots > 0):
            return 0.0
        for seconds, tokens in sorted(self._leaving(j, row), key=lambda one: one[0]):
            wait = seconds
            row.free += tokens
            row.slots += 1
            if row.free >= need and row.slots > 0:
                return wait
        turns = max((need - row.free) / server["kv_capacity"], (1 - row.slots) / server["max_batch"], 0.0)
        return wait + turns * self._decode_seconds(c, j)

    def _leaving(self, j: int, row: Row) -> list[tuple[float, float]]:
        """When each admitted call is thought to complete, seconds from now, and the KV tokens that it frees."""
        tau = self._iteration(j, max(self.servers[j]["batch"], 1), row.held)
        found = []
        for member in self.members[j]:
            call = self.calls[member]
            if call["decode_start"] > self.now:
                seconds = (call["decode_start"] - self.now) + call["estimate"] * tau
            elif self._fixed:
                done = (self.now - call["decode_start"]) / self.servers[j]["theta"]
                seconds = max(call["estimate"] - done, 1.0) * tau
            else:
                seconds = max(call["estimate"] - (row.iterations - call["joined"]), 1.0) * tau
            found.append((seconds, call["n"] + call["estimate"]))
        return found

    def _decode_seconds(self, c: int, j: int) -> float:
        row, call = self._row(j), self.calls[c]
        return call["estimate"] * self._iteration(j, row.batch + 1, row.kv + call["n"])

    def _kv_load(self, j: int) -> float:
        bound = sum(self.calls[c]["n"] + self.calls[c]["estimate"] for c, place in self.planned.items() if place == j)
        return (self.servers[j]["reserved"] + bound) / self.servers[j]["kv_capacity"]

    # --- service times (M5 to M8, M18) -------------------------------------------------------------------------------

    @property
    def _fixed(self) -> bool:
        return bool(self.seen.clock[0].fixed)

    def _iteration(self, j: int, batch: int, kv: float) -> float:
        server = self.servers[j]
        if self._fixed:
            return float(server["theta"])
        table = self.seen.batch_seconds[server["kind"]]
        return float(table[min(batch, len(table) - 1)] + server["d2"] * kv)

    def _alone_seconds(self, c: int, j: int) -> float:
        n, m, server = self.calls[c]["n"], self.calls[c]["estimate"], self.servers[j]
        if self._fixed:
            return float(m * server["theta"])
        one = self.seen.batch_seconds[server["kind"], 1]
        return float((one + server["d2"] * n) * m + server["d2"] * m * m / 2.0)

    def _prefill_seconds(self, c: int, i: int) -> float:
        machine, n, h = self.machines[i], self.calls[c]["n"], self.calls[c]["h"]
        return float(machine["p0"] + machine["p1"] * (n - h) + machine["p2"] * (n * n - h * h))

    def _transfer(self, c: int, i: int, j: int) -> float:
        return self._transfer_seconds(c, i, j) if self.transfer else 0.0

    def _transfer_seconds(self, c: int, i: int, j: int) -> float:
        link = self.seen.links[self.machines[i]["kind"], self.servers[j]["kind"]]
        return float(link.latency + self.calls[c]["n"] * link.per_token)


# --- instances -------------------------------------------------------------------------------------------------------


def crowd(seed: int, scale: int = 1) -> Instance:
    """Several kinds of machines, twins among them, and bursts: calls wait although machines are idle, and for room."""
    rng = np.random.default_rng([seed, 77])
    fast, slow = _pool(rng, PREFILLS, scale), _pool(rng, DECODES, scale)
    room, batch = ROOMS[seed % len(ROOMS)]
    prefill = tuple(PrefillInstance(id=f"p{i:02}", gpu="X", prefill_coeffs=p) for i, p in enumerate(fast))
    decode = tuple(
        DecodeInstance(
            id=f"d{j:02}",
            gpu="X",
            decode_coeffs=d,
            kv_capacity_tokens=room if j < len(slow) - 1 else 2 * room,
            max_batch=batch,
            fixed_iteration_time=d[0],
        )
        for j, d in enumerate(slow)
    )
    far = float(rng.choice([0.0, 0.05, 0.5]))
    links = tuple(
        Link(source=p.id, to=d.id, latency=far * (p.prefill_coeffs[0] > 0.2), bandwidth=1e9)
        for p in prefill
        for d in decode
    )
    flows, arrival = [], 0.0
    for w in range(scale * int(rng.integers(6, 14))):
        arrival += float(rng.choice([0.0, 0.0, 0.2, 1.0])) / scale
        calls: list[Call] = []
        for k in range(int(rng.integers(1, 4))):
            n, m = (int(rng.choice([400, rng.integers(1, 1000)])), int(rng.choice([50, rng.integers(1, 200)])))
            parents = (f"c{k - 1}",) if k and rng.random() < 0.5 else ()
            calls.append(Call(call_id=f"c{k}", prompt_tokens=n, output_tokens=m, parents=parents))
        flows.append(Workflow(workflow_id=f"w{w:02}", arrival=arrival, calls=tuple(calls)))
    return Instance(
        format="hexsched-instance/1",
        decode_model="fixed" if seed % 3 == 2 else "fluid",
        kv_bytes_per_token=1000,
        prefill=prefill,
        decode=decode,
        links=links,
        workflows=tuple(flows),
    )


def _pool(rng: np.random.Generator, kinds: tuple[Coefficients, ...], scale: int) -> list[Coefficients]:
    chosen = rng.permutation(len(kinds))[: rng.integers(1, 3, endpoint=True)]
    return [kinds[k] for k in chosen for _ in range(scale * rng.integers(1, 3, endpoint=True))]


def fresh_state(instance: Instance) -> Any:
    """The state of an instance at time 0."""
    return build_state(instance, workload_columns(instance)[0])
