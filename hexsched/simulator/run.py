"""Running a policy on an instance."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from hexsched.engine.horizon import standalone_horizons
from hexsched.engine.kernel import interpreted
from hexsched.engine.state import Array, Records, State
from hexsched.engine.tables import Places, build_state, workload_columns
from hexsched.engine.wallclock import mean_seconds, new_histogram, quantile_seconds, record
from hexsched.errors import InputError
from hexsched.metrics import Metrics, summarise
from hexsched.model import Instance, Schedule, ScheduledCall
from hexsched.policies import Policy
from hexsched.policies import policy as read_policy
from hexsched.policies.decide import run_epochs
from hexsched.simulator.estimators import estimator as read_estimator
from hexsched.simulator.steps import admit_step, advance_step, decide_step, start_step
from hexsched.simulator.view import CallView, DecodeView, PrefillView, View

if TYPE_CHECKING:
    import pandas as pd

EPOCHS_AT_A_TIME = 200_000  # about a tenth of a second: how long compiled code keeps an interrupt waiting

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Run:
    """What came of running a policy on an instance.

    Attributes
    ----------
    instance : Instance
    policy : str
        The policy's name with options and placement.
    horizon, completed : (W,) float arrays
        H_w and the completion of each workflow, seconds, in file order.
    """

    instance: Instance
    policy: str
    horizon: Array
    completed: Array
    _calls: Records = field(repr=False)
    _latency: Array = field(repr=False)

    @cached_property
    def arrival(self) -> Array:
        """a_w of each workflow, (W,) seconds in file order."""
        return np.array([w.arrival for w in self.instance.workflows])

    @property
    def ratio(self) -> Array:
        """L_w / H_w of each workflow, (W,) in file order."""
        return (self.completed - self.arrival) / self.horizon

    @cached_property
    def metrics(self) -> Metrics:
        """The summary of model.md section 4."""
        return summarise(self.arrival, self.completed, self.horizon, self.instance.call_count)

    @property
    def decisions(self) -> int:
        """How many decision epochs there were."""
        return int(self._latency[-2])

    @property
    def decision_latency(self) -> float:
        """Mean wall-clock seconds that the policy took for one decision epoch."""
        return mean_seconds(self._latency)

    @property
    def decision_latency_p99(self) -> float:
        """The 99 % quantile of it."""
        return quantile_seconds(self._latency, 0.99)

    @cached_property
    def schedule(self) -> Schedule:
        """Where and when every call ran, in file order."""
        return _schedule(self.instance, self.policy, self._calls)

    def to_frame(self) -> pd.DataFrame:
        """One row a workflow: arrival, completed, latency, horizon, ratio."""
        import pandas as pd

        return pd.DataFrame(
            {
                "workflow_id": [w.workflow_id for w in self.instance.workflows],
                "calls": [len(w.calls) for w in self.instance.workflows],
                "arrival": self.arrival,
                "completed": self.completed,
                "latency": self.completed - self.arrival,
                "horizon": self.horizon,
                "ratio": self.ratio,
            }
        )

    def _repr_html_(self) -> str:
        m = self.metrics
        return (
            f"<b>{self.policy}</b>: {m.workflows} workflows, {m.calls} calls; "
            f"Req50 {m.req50:.3f}, Req95 {m.req95:.3f}, Req99 {m.req99:.3f}, max {m.max_ratio:.3f}"
        )


def simulate(
    instance: Instance,
    policy: str | Policy = "hexagent",
    *,
    estimator: str = "exact",
    seed: int = 0,
    compiled: bool = True,
    progress: Progress | None = None,
) -> Run:
    """Run ``policy`` online on ``instance``.

    Parameters
    ----------
    instance : Instance
    policy : str or Policy
        A name as in ``hexsched policies``, with options and placement if wished.
    estimator : str
        How policies know output lengths: ``exact``, ``noise(SIGMA)``, ``class_mean``.
    seed : int
        Of random placements and of the estimator.
    compiled : bool
        Run the engine as machine code, or as the Python it is written in; the schedule is the same to the byte.
    progress : callable, optional
        Called with (calls completed, calls) now and then.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        For an unknown policy or estimator, and for a policy that leaves calls unserved.
    """
    chosen = read_policy(policy) if isinstance(policy, str) else policy
    estimates = read_estimator(estimator)
    workload, places = workload_columns(instance)
    guesses = estimates.estimates(instance, seed)
    if guesses is not None:
        in_engine_order = np.empty_like(guesses)
        in_engine_order[places.call] = guesses
        guesses = in_engine_order
    state = build_state(instance, workload, estimates=guesses, promotes=chosen.promotes, seed=seed)
    horizon = standalone_horizons(instance, workload, compiled)
    state.workflows.horizon = horizon
    state.progress.oracle_horizon = int(chosen.oracle_horizon)
    state.progress.class_mean = int(estimates.class_mean)
    latency = new_histogram()
    if chosen.order_function or chosen.decider:
        _run_in_python(state, chosen, instance, places, latency, compiled, progress)
    else:
        run = run_epochs if compiled else interpreted(run_epochs)
        buffer = np.zeros(2, np.int64)
        while run(state, chosen.settings(), EPOCHS_AT_A_TIME, latency, buffer):
            if progress is not None:
                progress(instance.call_count - int(state.progress[0].incomplete), instance.call_count)
    _check_all_served(state, chosen.name)
    return _result(instance, chosen.name, state, places, horizon, latency)


def _result(instance: Instance, name: str, state: State, places: Places, horizon: Array, latency: Array) -> Run:
    calls = state.board.calls
    completed = np.zeros(len(horizon))
    np.maximum.at(completed, calls.workflow, calls.decode_end)
    return Run(
        instance=instance,
        policy=name,
        horizon=horizon[places.workflow],
        completed=completed[places.workflow],
        _calls=calls[places.call].view(np.recarray),
        _latency=latency,
    )


def _check_all_served(state: State, name: str) -> None:
    left = int(state.progress[0].incomplete)
    if left:
        raise InputError(f"policy {name!r} left {left} of {len(state.calls)} calls unserved")


def _run_in_python(
    state: State,
    chosen: Policy,
    instance: Instance,
    places: Places,
    latency: Array,
    compiled: bool,
    progress: Progress | None,
) -> None:
    """The loop of ``run_epochs`` with the policy, or its order alone, in plain Python."""
    step = advance_step if compiled else interpreted(advance_step)
    note = interpreted(record)
    clock = state.board.clock
    seen = CallViews(state, instance, places)
    settings = chosen.settings()
    if chosen.decider is not None:
        decision = _python_decider(state, chosen, instance, seen, compiled)
    else:
        decision = _python_order(state, chosen, settings, seen, compiled)
    while step(state):
        if clock[0].released + clock[0].prefilled + clock[0].completed == 0:
            continue  # as in ``decide``: the end of a transfer asks for no decision
        start = time.perf_counter_ns()
        decision()
        note(latency, time.perf_counter_ns() - start)
        if progress is not None and clock[0].epoch % 1000 == 0:
            progress(instance.call_count - int(state.progress[0].incomplete), instance.call_count)


class CallViews:
    """The views of released calls, made when first asked for."""

    def __init__(self, state: State, instance: Instance, places: Places) -> None:
        self._board = state.board
        self._names = [("", "", "")] * len(places.call)
        files = ((w.workflow_id, c.call_id, c.kind) for w in instance.workflows for c in w.calls)
        for number, names in zip(places.call, files, strict=True):
            self._names[number] = names
        self._views: dict[int, CallView] = {}

    def __getitem__(self, number: int) -> CallView:
        if number not in self._views:
            self._views[number] = CallView(self._board, number, *self._names[number])
        return self._views[number]


def _python_order(state: State, chosen: Policy, settings: Array, seen: CallViews, compiled: bool) -> Callable[[], None]:
    board = state.board
    key = chosen.order_function
    choose = decide_step if compiled else interpreted(decide_step)
    assert key is not None

    def decision() -> None:
        clock = board.clock[0]
        now = float(clock.now)
        for calls, count in ((board.lists.released, clock.released), (board.lists.prefilled, clock.prefilled)):
            for c in calls[:count]:
                priority = key(seen[int(c)], now)
                if not isinstance(priority, Real) or not np.isfinite(float(priority)):
                    given = f"gave {seen[int(c)]!r} the priority {priority!r}"
                    raise InputError(f"policy {chosen.name!r} {given}; expected a finite number")
                board.calls[c].python_key = priority
        choose(state, settings)

    return decision


def _python_decider(
    state: State, chosen: Policy, instance: Instance, seen: CallViews, compiled: bool
) -> Callable[[], None]:
    board = state.board
    start = start_step if compiled else interpreted(start_step)
    admit = admit_step if compiled else interpreted(admit_step)
    view = View(
        board,
        [PrefillView(board, i, machine.id) for i, machine in enumerate(instance.prefill)],
        [DecodeView(board, j, machine.id) for j, machine in enumerate(instance.decode)],
        lambda c, i: start(state, c, i),
        lambda c, j: bool(admit(state, c, j)),
    )
    assert chosen.decider is not None
    policy = chosen.decider()
    if not callable(getattr(policy, "decide", None)):
        raise InputError(f"policy {chosen.name!r} has no method decide(view)")

    def by_ids(call: CallView) -> int:
        return call._number

    def decision() -> None:
        clock = board.clock[0]
        view.ready.extend(seen[int(c)] for c in board.lists.released[: clock.released])
        view.prefilled.extend(seen[int(c)] for c in board.lists.prefilled[: clock.prefilled])
        view.ready.sort(key=by_ids)
        view.prefilled.sort(key=by_ids)
        policy.decide(view)

    return decision


def _schedule(instance: Instance, policy: str, calls: Records) -> Schedule:
    prefill = [machine.id for machine in instance.prefill]
    decode = [machine.id for machine in instance.decode]
    ids = ((w.workflow_id, c.call_id) for w in instance.workflows for c in w.calls)
    columns = zip(
        ids,
        calls.prefill_instance.tolist(),
        calls.prefill_start.tolist(),
        calls.prefill_end.tolist(),
        calls.decode_instance.tolist(),
        calls.admitted.tolist(),
        calls.decode_start.tolist(),
        calls.decode_end.tolist(),
        strict=True,
    )
    return Schedule(
        format="hexsched-schedule/1",
        policy=policy,
        calls=tuple(
            ScheduledCall(
                workflow_id=workflow_id,
                call_id=call_id,
                prefill_instance=prefill[i],
                prefill_start=prefill_start,
                prefill_end=prefill_end,
                decode_instance=decode[j],
                admitted=admitted,
                decode_start=decode_start,
                decode_end=decode_end,
            )
            for (workflow_id, call_id), i, prefill_start, prefill_end, j, admitted, decode_start, decode_end in columns
        ),
    )
