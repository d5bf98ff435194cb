"""What every online policy has to keep, tried on small instances: ``check_policy``, and ``hexsched check-policy``.

Nothing here is a proof. Instances are bent towards the corner cases (ties, caches that the largest call just fills, no
transfer time), and the smallest one that shows a fault is the example.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace

from hexsched.clusters import compile_instance, read_cluster
from hexsched.display import Summary, as_html
from hexsched.errors import InputError
from hexsched.model import Call, Instance, Schedule, Workflow
from hexsched.model.hint import Hint
from hexsched.policies import Policy, as_policy
from hexsched.policies.uncompiled import NotCompiledError
from hexsched.simulator import Run, simulate
from hexsched.simulator.run import UnservedError
from hexsched.verifier import verify
from hexsched.workloads.families import generate

if TYPE_CHECKING:
    import pandas as pd

CHECKS = {
    "runs": "it runs: finite keys, calls that wait, instances that are there",
    "serves": "every call is served",
    "rules": "no rule of the model is broken: capacity, times, precedence",
    "determinism": "two runs give the same bytes",
    "causality": "what is not released changes no decision",
    "lengths": "true output lengths change no decision before they show",
}
ESTIMATORS = ("exact", "noise(0.3)", "class_mean")
CLUSTERS = ("demo", "llama70b-hetero-1", "qwen235b-hetero-1")
FAMILIES = ("bfcl", "lats", "react", "sharegpt")
ROOMS = ("barely", "loose", "as it is")
MOST_WORKFLOWS, MOST_CALLS = 5, 5  # of an instance, and of each workflow
SEED = 5  # of random placements and estimators


@dataclass(frozen=True)
class Check:
    """How one check went.

    Attributes
    ----------
    name, meaning : str
        A key of ``CHECKS``, and what it says.
    tried : int
        Instances it was tried on.
    fault : str
        What went wrong, in a line; empty where nothing did.
    example : Instance or None
        The smallest instance found on which it did.
    error : BaseException or None
        What the policy raised there.
    """

    name: str
    meaning: str
    tried: int
    fault: str = ""
    example: Instance | None = field(default=None, repr=False)
    error: BaseException | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong."""
        return not self.fault


@dataclass(frozen=True)
class PolicyReport:
    """What came of checking a policy.

    Attributes
    ----------
    policy : str
    checks : tuple of Check
    """

    policy: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)

    def __repr__(self) -> str:
        lines = [f"{self.policy}: {'ok' if self.ok else 'breaks the contract'}"]
        for check in self.checks:
            mark = "NOT" if check.fault else "ok " if check.tried else "-  "
            lines.append(f"  {mark} {check.meaning}{check.fault and ': ' + check.fault}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            {
                "what it has to keep": check.meaning,
                "kept": None if check.ok and not check.tried else check.ok,
                "instances tried": check.tried,
                "fault": check.fault,
            }
            for check in self.checks
        ]
        verdict = "keeps the contract" if self.ok else "breaks the contract"
        return as_html("PolicyReport", Summary(f"{self.policy}: {verdict}", {}, rows, len(rows)))

    def to_frame(self) -> pd.DataFrame:
        """A row a check: ``check``, ``meaning``, ``tried`` (instances), ``ok``, ``fault``."""
        import pandas as pd

        fields = ("meaning", "tried", "ok", "fault")
        rows = [{"check": check.name} | {name: getattr(check, name) for name in fields} for check in self.checks]
        return pd.DataFrame(rows)


def check_policy(policy: Any, *, instances: int = 40, seed: int = 0) -> PolicyReport:
    """Try whether a policy keeps what every online policy has to keep.

    Parameters
    ----------
    policy : str, Policy, function, class or object
        As ``hexsched.policies.as_policy`` takes it.
    instances : int
        How many small instances it is tried on: several clusters and families, both decode models.
    seed : int
        Of the instances.

    Returns
    -------
    PolicyReport

    Raises
    ------
    InputError
        For what is no policy.

    Examples
    --------
    >>> import hexsched as hx
    >>> hx.check_policy("fcfs@jsq", instances=3).ok
    True
    """
    chosen = as_policy(policy)
    if instances < 1:
        raise InputError(f"at least one instance is needed, got {instances}")
    rng = np.random.default_rng(seed)
    drawn = sorted((small_instance(rng, k) for k in range(instances)), key=lambda each: each[0].call_count)
    trial = _Trial(chosen, rng)
    for k, (instance, room) in enumerate(drawn):
        trial.take(instance, room, ESTIMATORS[k % len(ESTIMATORS)])
    checks = (Check(name, meaning, trial.tried[name], *trial.faults.get(name, ())) for name, meaning in CHECKS.items())
    return PolicyReport(chosen.name, tuple(checks))


class _Trial:
    """Counts, and the first fault of each check."""

    def __init__(self, policy: Policy, rng: np.random.Generator) -> None:
        self.policy, self.rng = policy, rng
        self.ends_seen = any("on_workflow_end" in one.methods for one in (policy.own, policy.placer) if one is not None)
        self.tried = dict.fromkeys(CHECKS, 0)
        self.faults: dict[str, tuple[str, Instance, BaseException | None]] = {}

    def take(self, instance: Instance, room: str, estimator: str) -> None:
        """All checks on one instance, as far as the policy gets."""
        run = self._run(instance, estimator)
        if run is None:
            return
        self.tried["rules"] += 1
        report = verify(instance, run.schedule)
        if not report.ok:
            first = report.violations[0]
            self._fault("rules", f"{', '.join(report.counts())}: {first.message}", instance)
        self._same(instance, run, estimator)
        moment = pick_moment(self.rng, run)
        self._prefix(
            "causality", instance, run, other_future(self.rng, instance, run, moment, self.ends_seen), moment, estimator
        )
        if room == "loose":  # admission, which knows true lengths, gives nothing away
            blind = run if estimator == "class_mean" else self._run(instance, "class_mean")
            if blind is not None:
                ends = {(row.workflow_id, row.call_id): row.decode_end for row in blind.schedule.calls}
                running = {name for name, end in ends.items() if end > moment}
                self._prefix("lengths", instance, blind, longer(instance, running), moment, "class_mean")

    def _run(self, instance: Instance, estimator: str) -> Run | None:
        self.tried["runs"] += 1
        try:
            run = simulate(instance, self.policy, estimator=estimator, seed=SEED)
        except UnservedError as error:
            self.tried["serves"] += 1
            self._fault("serves", str(error), instance)
            return None
        except (KeyboardInterrupt, GeneratorExit, NotCompiledError):
            raise
        except BaseException as error:  # SystemExit too: a policy does not end the check
            said = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}{_place(error)}"
            self._fault("runs", said, instance, error)
            return None
        self.tried["serves"] += 1
        return run

    def _same(self, instance: Instance, run: Run, estimator: str) -> None:
        again = self._run(instance, estimator)
        self.tried["determinism"] += 1
        if again is None or again.schedule.to_bytes() != run.schedule.to_bytes():
            self._fault("determinism", _first_difference(decisions(run), decisions(again)), instance)

    def _prefix(self, name: str, instance: Instance, run: Run, other: Instance, moment: float, estimator: str) -> None:
        """Decisions up to a moment must be the same in a future that cannot be told apart before."""
        changed = self._run(other, estimator)
        if changed is None:
            return
        self.tried[name] += 1
        one, two = decisions(run, moment), decisions(changed, moment)
        if one != two:
            told = f"{_first_difference(one, two)}, and nothing that differs had been revealed by {moment:.6g} s"
            self._fault(name, told, instance)

    def _fault(self, name: str, text: str, instance: Instance, error: BaseException | None = None) -> None:
        self.faults.setdefault(name, (" ".join(text.split()), instance, error))


def _place(error: BaseException) -> str:
    """Where it was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f" ({last.filename}:{last.lineno})"


Decision = tuple[float, str, str, str, str]


def decisions(run: Run | None, until: float = np.inf) -> set[Decision]:
    """Starts of prefills and admissions at or before ``until``: when, what, workflow, call, where."""
    made: set[Decision] = set()
    for row in () if run is None else run.schedule.calls:
        made.add((row.prefill_start, "started", row.workflow_id, row.call_id, row.prefill_instance))
        made.add((row.admitted, "admitted", row.workflow_id, row.call_id, row.decode_instance))
    return {decision for decision in made if decision[0] <= until}


def _first_difference(one: set[Decision], other: set[Decision]) -> str:
    when, what, workflow, call, where = min(one ^ other)
    which = "the first run" if (when, what, workflow, call, where) in one else "the second run"
    return f"{which} alone {what} {workflow}/{call} on {where} at {when:.6g} s"


def pick_moment(rng: np.random.Generator, run: Run) -> float:
    """A time at which something was decided, not too late in the run."""
    times = sorted(row.prefill_start for row in run.schedule.calls)
    return times[rng.integers(max(len(times) * 2 // 3, 1))]


def releases(instance: Instance, schedule: Schedule) -> dict[tuple[str, str], float]:
    """r_c = max(a_w, completions of the parents) + delay of every call, seconds."""
    end = {(row.workflow_id, row.call_id): row.decode_end for row in schedule.calls}
    return {
        (flow.workflow_id, one.call_id): max([flow.arrival, *(end[flow.workflow_id, parent] for parent in one.parents)])
        + one.delay
        for flow in instance.workflows
        for one in flow.calls
    }


def other_future(
    rng: np.random.Generator, instance: Instance, run: Run, moment: float, ends_seen: bool = False
) -> Instance:
    """An instance that no one can tell from this one until after ``moment``.

    Calls released later get other sizes, delays, kinds and hints, or vanish together with what depends on them; new
    calls and a new workflow appear. With ``ends_seen`` workflows that have ended stay as they are.
    """
    room = max(machine.kv_capacity_tokens for machine in instance.decode)
    (of_hints,) = rng.spawn(1)  # which leaves the numbers of ``rng`` as they are
    released = releases(instance, run.schedule)
    ends = dict(zip((flow.workflow_id for flow in instance.workflows), run.completed.tolist(), strict=True))
    flows = []
    for flow in instance.workflows:
        if ends_seen and ends[flow.workflow_id] <= moment:
            flows.append(flow)
            continue
        calls: dict[str, Call] = {}
        for one in (flow.calls[k] for k in flow.topological_order()):
            if released[flow.workflow_id, one.call_id] <= moment:
                calls[one.call_id] = one
            elif all(parent in calls for parent in one.parents) and rng.random() < 0.7:
                calls[one.call_id] = resized(rng, replace(one, delay=moment + rng.uniform(0.1, 2), kind="other"), room)
        parents = tuple(calls)[: rng.integers(3)]
        new = Call(call_id="b-new", prompt_tokens=1, output_tokens=1, parents=parents, delay=moment + 0.1)
        calls["b-new"] = resized(rng, new, room)
        arrival = flow.arrival if flow.arrival <= moment else moment + rng.uniform(0.1, 5)
        seen = any(released[flow.workflow_id, one.call_id] <= moment for one in flow.calls)
        hint = flow.hint if seen else drawn_hint(of_hints)
        flows.append(replace(flow, arrival=float(arrival), calls=tuple(calls.values()), hint=hint))
    late = resized(rng, Call(call_id="c0", prompt_tokens=1, output_tokens=1), room)
    flows.append(Workflow(workflow_id="v-new", arrival=moment + 0.1, calls=(late,)))
    return replace(instance, workflows=tuple(flows))


def resized(rng: np.random.Generator, one: Call, room: int) -> Call:
    n = int(rng.integers(1, room))
    return replace(
        one,
        prompt_tokens=n,
        output_tokens=int(rng.integers(1, room - n, endpoint=True)),
        cached_tokens=int(rng.integers(n)),
        hint=drawn_hint(*rng.spawn(1)),
    )


def drawn_hint(rng: np.random.Generator) -> Hint:
    """Any hint."""
    prompt, output = rng.integers(1, 1000, 2).tolist()
    rounds, delay = int(rng.integers(9)), float(rng.uniform(0, 2))
    return Hint(rounds=rounds, prompt_tokens=prompt, output_tokens=output, delay=delay)


def longer(instance: Instance, chosen: set[tuple[str, str]]) -> Instance:
    """The same calls, but some of them have twice the output."""

    def changed(flow: Workflow, one: Call) -> Call:
        is_chosen = (flow.workflow_id, one.call_id) in chosen
        return replace(one, output_tokens=2 * one.output_tokens) if is_chosen else one

    flows = (replace(flow, calls=tuple(changed(flow, one) for one in flow.calls)) for flow in instance.workflows)
    return replace(instance, workflows=tuple(flows))


def small_instance(rng: np.random.Generator, k: int) -> tuple[Instance, str]:
    """A few short workflows on a cluster, bent towards the corner cases, and which room its KV caches have."""
    room = ROOMS[k % len(ROOMS)]
    flows = generate(
        FAMILIES[k % len(FAMILIES)], int(rng.integers(1, MOST_WORKFLOWS, endpoint=True)), int(rng.integers(1000))
    )
    together = rng.random() < 0.5
    cut = tuple(
        replace(_shortened(flow, int(rng.integers(1, MOST_CALLS, endpoint=True))), arrival=0.0 if together else 0.4 * w)
        for w, flow in enumerate(flows)
    )
    if k // len(FAMILIES) % 2:
        (of_hints,) = rng.spawn(1)
        cut = tuple(_hinted(of_hints, flow) for flow in cut)
    instance = compile_instance(read_cluster(CLUSTERS[k % len(CLUSTERS)]), cut)
    keep = int(rng.integers(1, 3)), int(rng.integers(1, 3))  # instances of each pool, so that calls wait
    prefill, decode = instance.prefill[: keep[0]], instance.decode[-keep[1] :]
    sizes = [one.prompt_tokens + one.output_tokens for flow in cut for one in flow.calls]
    if room == "loose":
        decode = tuple(replace(one, kv_capacity_tokens=4 * sum(sizes)) for one in decode)
    elif room == "barely":  # one cache that the largest call just fills; others hold some of the calls
        rooms = [max(sizes), *rng.choice(sizes, len(decode) - 1).tolist()]
        decode = tuple(replace(one, kv_capacity_tokens=int(tokens)) for one, tokens in zip(decode, rooms, strict=True))
    ids = {one.id for one in prefill} | {one.id for one in decode}
    links = tuple(link for link in instance.links if {link.source, link.to} <= ids)
    model = ("fluid", "fixed")[k % 2]
    return replace(instance, prefill=prefill, decode=decode, links=links, decode_model=model, sources=()), room


def _hinted(rng: np.random.Generator, flow: Workflow) -> Workflow:
    """The workflow with a hint, and some of its calls with one."""
    calls = tuple(replace(one, hint=drawn_hint(rng)) if rng.random() < 0.5 else one for one in flow.calls)
    return replace(flow, calls=calls, hint=drawn_hint(rng))


def _shortened(flow: Workflow, calls: int) -> Workflow:
    """Its first calls; parents come before children."""
    order = flow.topological_order()[:calls]
    return replace(flow, calls=tuple(flow.calls[k] for k in sorted(order)))
