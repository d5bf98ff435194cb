"""What is known of the optimum, while solvers, bounds and searches close in on it from both sides."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from hexsched.model import Schedule
from solvers.problem.left import Clock, wall_clock
from solvers.problem.objective import Objective
from solvers.problem.prices import KeptPrices

OPTIMALITY_TOLERANCE = 1e-4  # relative distance of value and bound, both in real time, below which we say optimal
CONTRADICTION = 1e-6  # relative; a bound this far above a verified schedule is wrong, not rounded
WHOLE = 1e-6  # a count this far above a whole number, or less, is that number: more is proved by no solver's tolerance

# called with (seconds, value or None, bound or None) whenever one of the two got better
OnProgress = Callable[[float, float | None, float | None], None]


class ContradictionError(AssertionError):
    """A lower bound above a verified schedule: a mistake in a formulation or bound, never in the input."""


class Progress(NamedTuple):
    """One row of a bracket's history.

    Attributes
    ----------
    seconds : float
        Since the bracket was made.
    value, bound : float or None
        The best schedule's value and the best bound by then; None where there was none.
    """

    seconds: float
    value: float | None
    bound: float | None


class _Knowledge:
    """What all views of one bracket share."""

    def __init__(self, objective: Objective, on_progress: OnProgress | None, clock: Clock) -> None:
        self.objective, self.on_progress, self.clock = objective, on_progress, clock
        self.began = clock()
        self.lock = threading.RLock()  # of one thread, as ``on_progress`` may look into the bracket
        self.value, self.source = math.inf, ""
        self.schedule: Schedule | None = None
        self.announced = math.inf
        self.bound, self.bound_source = 0.0, ""
        self.bounds: dict[str, float] = {}
        self.binding: dict[str, float] = {}
        self.prices: KeptPrices | None = None
        self.series: list[Progress] = []
        self.interrupted = False


class Bracket:
    """LB <= optimum <= UB, for as long as there is time: what a solve, a bound or a search reports to and looks at.

    All of it may be used from several threads at once.

    Parameters
    ----------
    objective : Objective
        What is minimised; no value of it is below 0, which is the first bound.
    time_limit : float
        Seconds from now to the deadline.
    on_progress : callable, optional
        Called with (seconds, value or None, bound or None) whenever one of the two got better.
    width : float
        (value - bound) / bound that is narrow enough to end.
    clock : callable
        What seconds are told by.

    Attributes
    ----------
    deadline : float
        Time of ``clock`` at which work has to end.
    width : float
    clock : callable
    """

    def __init__(
        self,
        objective: Objective,
        time_limit: float = math.inf,
        on_progress: OnProgress | None = None,
        width: float = 0.0,
        clock: Clock = wall_clock,
    ) -> None:
        self._known = _Knowledge(objective, on_progress, clock)
        self.width, self.clock = width, clock
        self.deadline = self._known.began + time_limit

    def within(self, seconds: float) -> Bracket:
        """The same bracket for whoever may use only so many of the seconds that are left; it shares all that is known.

        Never later than the deadline of this one.
        """
        view = copy.copy(self)
        view.deadline = min(self.deadline, self.clock() + seconds)
        return view

    def on_the_wall(self, seconds: float) -> Bracket:
        """The same for so many seconds as they pass: for work in another process, whose CPU time is not seen here."""
        view = copy.copy(self)
        view.clock, view.deadline = wall_clock, wall_clock() + seconds
        return view

    # --- what is known ------------------------------------------------------------------------------------------------

    @property
    def objective(self) -> Objective:
        """What is minimised."""
        return self._known.objective

    @property
    def value(self) -> float:
        """The objective of the best schedule, in real time; inf where there is none."""
        return self._known.value

    @property
    def schedule(self) -> Schedule | None:
        """The best schedule, which has been verified."""
        return self._known.schedule

    @property
    def source(self) -> str:
        """What that schedule comes from: a policy, a formulation, the search."""
        return self._known.source

    @property
    def bound(self) -> float:
        """A value that no schedule can beat: the best of those proved."""
        return self._known.bound

    @property
    def bound_source(self) -> str:
        """What has proved it; empty while nothing has."""
        return self._known.bound_source

    @property
    def bounds(self) -> dict[str, float]:
        """The best value that each source has proved."""
        return dict(self._known.bounds)

    @property
    def binding(self) -> dict[str, float]:
        """Share of a proof that each resource carries, where a bound has said so; the shares add up to 1."""
        return dict(self._known.binding)

    @property
    def prices(self) -> KeptPrices | None:
        """The prices last kept: those of an earlier bracket to begin with, where there are any."""
        return self._known.prices

    @property
    def series(self) -> tuple[Progress, ...]:
        """A row for each time that value or bound got better, announced values among them."""
        return tuple(self._known.series)

    # --- how long to go on --------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Seconds since the bracket was made."""
        return self._known.clock() - self._known.began

    @property
    def left(self) -> float:
        """Seconds until the deadline; 0 after it, and after Ctrl-C."""
        return 0.0 if self.is_interrupted else max(self.deadline - self.clock(), 0.0)

    @property
    def is_interrupted(self) -> bool:
        """Whether a person wants it to end: Ctrl-C."""
        return self._known.interrupted

    @property
    def is_closed(self) -> bool:
        """Whether the best schedule is optimal, within ``OPTIMALITY_TOLERANCE`` of the bound."""
        with self._known.lock:
            return self._closed_with(self.value)

    def is_enough(self, value: float = math.inf) -> bool:
        """Whether it is closed, or as narrow as was asked for; or would be with a schedule of that value."""
        with self._known.lock:
            value = min(value, self.value)
            return self._closed_with(value) or value - self.bound <= self.width * self.bound

    def _closed_with(self, value: float) -> bool:
        if self.objective.kind == "misses":
            return value - self.bound < 1 - WHOLE
        return value - self.bound <= OPTIMALITY_TOLERANCE * abs(value) if math.isfinite(value) else False

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do: it is closed or narrow enough, the time is up, or Ctrl-C came."""
        return self.left <= 0 or self.is_enough()

    @property
    def open_for(self) -> float:
        """Seconds for which to go on: those that are left, and 0 where there is nothing left to do."""
        return 0.0 if self.is_over else self.left

    # --- what is learnt -----------------------------------------------------------------------------------------------

    def improve(self, value: float, schedule: Schedule, source: str) -> bool:
        """A verified schedule of that value; whether it is better than the best.

        Raises
        ------
        ContradictionError
            When it is below what has been proved.
        """
        with self._known.lock:
            better = value < self._known.value
            if better:
                self._known.value, self._known.schedule, self._known.source = value, schedule, source
                self._note()
            return better

    def announce(self, value: float) -> None:
        """A schedule of that value is on its way and not verified yet: it is shown, and counts for nothing else."""
        with self._known.lock:
            if value < self._known.announced:
                self._known.announced = value
                self._note()

    def prove(self, bound: float, source: str, binding: Mapping[str, float] | None = None) -> None:
        """A value that no schedule can beat. Above the best schedule by rounding alone, it is that schedule's value.

        Parameters
        ----------
        bound : float
        source : str
            The name of the bound, or of the formulation that was solved.
        binding : mapping of str to float, optional
            Share of this proof that each resource carries; kept where the best bound is of this source.

        Raises
        ------
        ContradictionError
            When it is above the best schedule's value: one of the two is wrong.
        """
        known = self._known
        with known.lock:
            if known.objective.kind == "misses":
                bound = float(math.ceil(bound - WHOLE))
            known.bounds[source] = max(bound, known.bounds.get(source, bound))
            if bound > known.bound or not known.bound_source:
                if source != known.bound_source:
                    known.binding = {}  # of another proof
                known.bound, known.bound_source = max(bound, known.bound), source
                self._note()
            if binding is not None and known.bound_source == source:
                known.binding = dict(binding)

    def keep_prices(self, prices: KeptPrices | None) -> None:
        """Prices to go on from: here, or in a later bracket."""
        self._known.prices = prices

    def interrupt(self) -> None:
        """Ctrl-C came: nobody has time left."""
        self._known.interrupted = True

    def check(self) -> None:
        """Raise the contradiction that a report in another thread came upon, if one did.

        Raises
        ------
        ContradictionError
        """
        known = self._known
        if known.bound > known.value * (1 + CONTRADICTION) + 1e-12:
            raise ContradictionError(
                f"{known.bound_source} claims {known.objective} >= {known.bound!r}, "
                f"but a verified schedule of {known.source} has {known.value!r}"
            )

    def _note(self) -> None:
        self.check()
        known = self._known
        known.bound = min(known.bound, known.value)
        value = min(known.value, known.announced)
        row = Progress(
            self.seconds, value if math.isfinite(value) else None, known.bound if known.bound_source else None
        )
        if not known.series or row[1:] != known.series[-1][1:]:
            known.series.append(row)
            if known.on_progress is not None:
                known.on_progress(*row)
