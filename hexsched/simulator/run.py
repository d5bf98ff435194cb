"""Running a policy on an instance."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from hexsched.display import MOST_ROWS, Summary, displayed
from hexsched.engine.first_token import first_token_times
from hexsched.engine.horizon import standalone_horizons
from hexsched.engine.kernel import interpreted
from hexsched.engine.state import Array, State, bare
from hexsched.engine.tables import Places, build_state, narrow, workload_columns
from hexsched.engine.wallclock import mean_seconds, new_histogram, quantile_seconds
from hexsched.engine.window import MANY, Window
from hexsched.errors import InputError
from hexsched.metrics import Metrics, summarise
from hexsched.metrics.parts.call_times import CallTimes
from hexsched.metrics.parts.completions import Completions
from hexsched.metrics.parts.goodput import goodput
from hexsched.metrics.parts.thresholds import Thresholds, read_thresholds
from hexsched.model import Instance, Schedule
from hexsched.model.freed import hand_back
from hexsched.model.instance import as_instance
from hexsched.model.rows import Texts
from hexsched.model.schedule import ScheduleColumns, schedule_of
from hexsched.plotting import Accessor
from hexsched.policies import Policy, as_policy
from hexsched.policies.decide import compiled_epochs, each_time, epochs_of
from hexsched.policies.estimators import read_estimator
from hexsched.policies.orders.parts.horizon import HINT
from hexsched.progress import Progress, Wanted
from hexsched.simulator.knowledge import tell, tell_work
from hexsched.simulator.python_policy import python_turn

if TYPE_CHECKING:
    import pandas as pd

TURNS_A_REPORT = 256  # decisions of plain Python between two reports of progress, which take about as long as one
EPOCHS_AT_A_TIME = 200_000  # about a tenth of a second: how long compiled code keeps an interrupt waiting


class UnservedError(InputError):
    """A policy that leaves calls unserved: nothing happens any more, and they wait."""


class Served(NamedTuple):
    """Where and when each call ran, (N,) arrays in file order: positions of instances, and seconds."""

    released: Array
    prefill_instance: Array
    prefill_start: Array
    prefill_end: Array
    decode_instance: Array
    admitted: Array
    decode_start: Array
    decode_end: Array


@displayed
@dataclass(frozen=True, repr=False)
class Run:
    """What came of running a policy on an instance.

    Attributes
    ----------
    instance : Instance
    policy : str
        The policy's name with options and placement.
    horizon, arrival, completed : (W,) float arrays
        H_w, a_w and the completion of each workflow, seconds, in file order.
    engine_seconds : (float, float)
        What the event loop took with the decisions of the policy: seconds of the wall clock, and of CPU.
    """

    instance: Instance
    policy: str
    horizon: Array
    arrival: Array
    completed: Array
    _calls: Served = field(repr=False)
    _latency: Array = field(repr=False)
    engine_seconds: tuple[float, float] = (0.0, 0.0)

    @property
    def warm_up(self) -> int:
        """How many of the first workflows metrics leave out, with their calls (model M39)."""
        return 0 if self.instance.closed_loop is None else self.instance.closed_loop.warm_up

    @property
    def ratio(self) -> Array:
        """L_w / H_w of each workflow, (W,) in file order."""
        return (self.completed - self.arrival) / self.horizon

    @cached_property
    def metrics(self) -> Metrics:
        """Every metric of ``hexsched.metrics``."""
        return summarise(self.completions)

    @cached_property
    def completions(self) -> Completions:
        """What metrics are computed from: the times of workflows and calls in file order, without the warm-up."""
        k = self.warm_up
        return Completions(self.arrival[k:], self.completed[k:], self.horizon[k:], self.call_times.without(k))

    @cached_property
    def call_times(self) -> CallTimes:
        """The times of every call, in file order."""
        calls, workload = self._calls, self.instance.columns
        prompt, output = workload.prompt, workload.output
        return CallTimes(
            workflow=workload.workflow,
            output=output,
            released=calls.released,
            prefill_start=calls.prefill_start,
            prefill_end=calls.prefill_end,
            admitted=calls.admitted,
            decode_start=calls.decode_start,
            first_token=first_token_times(
                self.instance, calls.decode_instance, prompt, output, calls.decode_start, calls.decode_end
            ),
            decode_end=calls.decode_end,
        )

    def goodput(self, thresholds: str | Thresholds) -> dict[str, float | None]:
        """Shares of calls and workflows within thresholds such as ``"ttft=2s,tpot=50ms,ratio=4"`` (model M38).

        Returns
        -------
        dict
            As ``hexsched.metrics.parts.goodput.goodput``.
        """
        limits = read_thresholds(thresholds) if isinstance(thresholds, str) else thresholds
        return goodput(self.completions, limits)

    def open_instance(self) -> Instance:
        """The instance with the arrivals that came about, and no closed loop: what bounds and solvers take."""
        workflows = zip(self.instance.workflows, self.arrival.tolist(), strict=True)
        timed = tuple(msgspec.structs.replace(workflow, arrival=arrival) for workflow, arrival in workflows)
        return msgspec.structs.replace(self.instance, workflows=timed, closed_loop=None)

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
        """One row a workflow: arrival, completed, latency, horizon, ratio, and whether it is warm-up."""
        import pandas as pd

        return pd.DataFrame(
            {
                "workflow_id": list(self.instance.columns.workflow_id),
                "calls": np.diff(self.instance.columns.first),
                "arrival": self.arrival,
                "completed": self.completed,
                "latency": self.completed - self.arrival,
                "horizon": self.horizon,
                "ratio": self.ratio,
                "warm_up": np.arange(len(self.arrival)) < self.warm_up,
            }
        )

    def calls_to_frame(self) -> pd.DataFrame:
        """One row a call: when it was released, how long each stage took, TTFT and TPOT, all in seconds.

        The last column says whether its workflow is warm-up.
        """
        import pandas as pd

        calls, workload = self.call_times, self.instance.columns
        columns = ("released", "queueing", "prefill", "admission", "transfer", "decode", "ttft", "tpot")
        return pd.DataFrame(
            {
                "workflow_id": Texts(workload.workflow, workload.workflow_id).tolist(),
                "call_id": workload.call_id.tolist(),
                **{name: getattr(calls, name) for name in columns},
                "warm_up": calls.workflow < self.warm_up,
            }
        )

    @property
    def plot(self) -> Accessor:
        """Its plots: ``run.plot.NAME(ax=None)``; ``run.plot`` itself lists them."""
        return Accessor(self)

    def _summary(self) -> Summary:
        m = self.metrics
        facts = {"workflows": m.workflows, "calls": m.calls, "Req50": m.req50, "Req95": m.req95, "Req99": m.req99}
        facts |= {"mean latency s": m.mean_latency, "makespan s": m.makespan}
        times = zip(self.instance.columns.workflow_id, self.arrival, self.completed, self.ratio, strict=True)
        rows = [
            {"workflow": name, "arrival s": float(a), "completed s": float(c), "ratio": float(r)}
            for name, a, c, r in islice(times, MOST_ROWS)
        ]
        return Summary(self.policy, facts, rows, len(self.arrival))


def simulate(
    instance: Instance | str | Path,
    policy: Any = "hexagent",
    *,
    estimator: str = "exact",
    seed: int = 0,
    compiled: bool = True,
    progress: Wanted = None,
) -> Run:
    """Run ``policy`` online on ``instance``.

    Parameters
    ----------
    instance : Instance, str or Path
        An instance, or the path of its file.
    policy : str, Policy, function, class or object
        A name as in ``hexsched policies``, with options and placement if wished; or one of your own, as
        ``hexsched.policies.as_policy`` takes it.
    estimator : str
        How policies know output lengths: ``exact``, ``noise(SIGMA)``, ``class_mean``.
    seed : int
        Of random placements, of the estimator and of noisy hints.
    compiled : bool
        Run the engine as machine code, or as the Python it is written in; the schedule is the same to the byte.
    progress : bool or callable, optional
        False for no line that says how far it is; a function is called in its place with (calls completed, calls).

    Returns
    -------
    Run

    Raises
    ------
    InputError
        For an unknown policy or estimator, and for a policy that leaves calls unserved.

    Examples
    --------
    >>> import hexsched as hx
    >>> run = hx.simulate(hx.instance("demo", "bfcl", workflows=5), "hexagent(kv=off)")
    >>> run.metrics.calls == len(run.calls_to_frame())
    True
    """
    instance, chosen = as_instance(instance), as_policy(policy)
    finished, engine_seconds = _finish(instance, chosen, estimator, seed=seed, compiled=compiled, progress=progress)
    hand_back(instance.call_count)
    return replace(collect(instance, chosen.name, *finished), engine_seconds=engine_seconds)


def _finish(
    instance: Instance, chosen: Policy, estimator: str, *, seed: int, compiled: bool, progress: Wanted
) -> tuple[tuple[State, Places, Array, Array, Window | None], tuple[float, float]]:
    """What ``collect`` takes, when all calls are complete; what else it took to get there is gone."""
    estimates = read_estimator(estimator)
    workload, places = workload_columns(instance)
    guesses = estimates.estimates(instance, seed)
    if guesses is not None:
        in_engine_order = np.empty_like(guesses)
        in_engine_order[places.call] = guesses
        guesses = in_engine_order
    horizon = standalone_horizons(instance, workload, compiled)
    later = _is_long(instance, chosen)
    if later:
        workload = narrow(workload)
        hand_back(instance.call_count)
    state = build_state(instance, workload, estimates=guesses, waiting=places.workflow, rows_later=later)
    memory = chosen.memory(state.seen, seed, rows_later=later)
    window = None
    if later:
        rows = memory.calls, memory.planner.reach
        window = Window(state, memory.calls.planned, rows, workload, guesses, Served._fields)
    del workload, guesses
    hand_back(instance.call_count)
    state.truth.workflows.horizon = horizon
    tell(state, instance, places, horizon, chosen.in_effect["horizon"], seed)
    tell_work(state, instance, chosen.in_effect["work"], seed)
    state.truth.progress.class_mean = int(estimates.class_mean)
    latency = new_histogram()
    calls = instance.call_count
    settings, buffer = chosen.settings(), np.zeros(2, np.int64)
    run = compiled_epochs(chosen) if compiled else interpreted(epochs_of(chosen))
    ask_python = python_turn(state, memory, settings, chosen, instance, places, compiled)
    plain_turn, turns = memory.counters.plain_turn, 0
    given: Any = bare((state, memory, settings)) if compiled else (state, memory, settings)
    began = time.perf_counter(), time.process_time()
    with Progress(f"simulating {chosen.name}", wanted=progress) as report:
        for _ in each_time(run, *given, EPOCHS_AT_A_TIME if window is None else window.epochs, latency, buffer):
            if window is not None:
                window.move_on()
            if plain_turn[0]:
                ask_python()
                turns += 1
                if turns % TURNS_A_REPORT:
                    continue
            report(calls - int(state.truth.progress[0].incomplete), calls)
    engine_seconds = time.perf_counter() - began[0], time.process_time() - began[1]
    _check_all_served(state, chosen.name)
    if window is not None:
        window.move_on()
    return (state, places, horizon, latency, window), engine_seconds


def _is_long(instance: Instance, chosen: Policy) -> bool:
    """Whether rows of calls come and go: where somebody from outside may look at all of them, or fills them, they stay.

    In a closed loop any number of workflows may arrive before the next look.
    """
    is_ours = chosen.foreign is None and not chosen.is_plain
    of_calls = chosen.in_effect["horizon"] == HINT and len(instance.columns.call_hints.of)
    return instance.call_count >= MANY and instance.closed_loop is None and is_ours and not of_calls


def collect(
    instance: Instance,
    name: str,
    state: State,
    places: Places,
    horizon: Array,
    latency: Array,
    window: Window | None = None,
) -> Run:
    """The run that a finished state holds, in the order of the instance file; of a long one, that its window has."""
    calls: Any = state.seen.calls
    if window is None:
        completed = np.zeros(len(horizon))
        np.maximum.at(completed, calls.workflow, calls.decode_end)
    else:
        completed, calls = window.completed, window.served
    return Run(
        instance=instance,
        policy=name,
        horizon=horizon[places.workflow],
        arrival=state.truth.flows.arrival[places.workflow],
        completed=completed[places.workflow],
        _calls=Served(*(calls[name][places.call] for name in Served._fields)),
        _latency=latency,
    )


def _check_all_served(state: State, name: str) -> None:
    left = int(state.truth.progress[0].incomplete)
    if left:
        raise UnservedError(f"policy {name!r} left {left} of {len(state.seen.calls)} calls unserved")


def _schedule(instance: Instance, policy: str, calls: Served) -> Schedule:
    workload = instance.columns
    return schedule_of(
        policy,
        ScheduleColumns(
            workflow_id=Texts(workload.workflow, workload.workflow_id),
            call_id=workload.call_id,
            prefill_instance=Texts(calls.prefill_instance, tuple(machine.id for machine in instance.prefill)),
            prefill_start=calls.prefill_start,
            prefill_end=calls.prefill_end,
            decode_instance=Texts(calls.decode_instance, tuple(machine.id for machine in instance.decode)),
            admitted=calls.admitted,
            decode_start=calls.decode_start,
            decode_end=calls.decode_end,
        ),
    )
