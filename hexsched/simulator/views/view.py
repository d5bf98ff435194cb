"""A decision epoch as it is seen.

What does not change any more is a plain attribute; what does is read where the engine keeps it (``Columns``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from hexsched.engine.state import Seen
from hexsched.errors import InputError
from hexsched.model.hint import Hint
from hexsched.policies.memory import Memory
from hexsched.simulator.views.calls import CallView, WorkflowView
from hexsched.simulator.views.columns import Columns
from hexsched.simulator.views.machines import DecodeView, PrefillView
from hexsched.simulator.views.numbers import numbers, numbers_of, physics_of
from hexsched.simulator.views.shown import Shown


class Projection(NamedTuple):
    """Where HexAGenT's planner would have a call complete first, all else left as it is now.

    Attributes
    ----------
    prefill : PrefillView
    decode : DecodeView
    seconds : float
        Delta, from now to its completion.
    """

    prefill: PrefillView
    decode: DecodeView
    seconds: float


class Views:
    """The views of instances, and of released calls and their workflows, each made once.

    Attributes
    ----------
    seen : Seen
    columns : Columns
    physics : object
        As ``hexsched.simulator.views.numbers.physics_of``.
    prefills, decodes : tuple
        In the order of the instance file.
    placed : tuple of lists
        For prefill and for decode the calls that a placement in plain Python puts on each instance in this decision,
        of which the engine does not know yet.
    """

    def __init__(
        self,
        seen: Seen,
        memory: Memory,
        names: Sequence[tuple[str, str, str]],
        prefill: Sequence[Any],
        decode: Sequence[Any],
        hints: tuple[Mapping[int, Hint], Mapping[int, Hint]] = ({}, {}),
    ) -> None:
        self.seen = seen
        self.columns = Columns(seen, memory)
        self.physics = physics_of(seen)
        self.prefills = tuple(PrefillView(self, i, machine.id, machine.gpu) for i, machine in enumerate(prefill))
        self.decodes = tuple(DecodeView(self, j, machine.id, machine.gpu) for j, machine in enumerate(decode))
        self.placed: tuple[list[list[CallView]], list[list[CallView]]] = (
            [[] for _ in self.prefills],
            [[] for _ in self.decodes],
        )
        self._names = names
        self._workflow_hints, self._call_hints = hints  # by number
        self._calls: dict[int, CallView] = {}
        self._workflows: dict[int, WorkflowView] = {}
        self._workflow_of, self._n, self._h, self._released = (
            numbers(seen.calls, name) for name in ("workflow", "n", "h", "released")
        )
        self._arrival = numbers(seen.workflows, "arrival")
        self._parents = numbers_of(seen.parents)

    def __getitem__(self, number: int) -> CallView:
        """The view of a call that has been released."""
        return self._calls[number]

    def reveal(self, number: int) -> CallView:
        """The view of a call that is released now."""
        workflow_id, call_id, kind = self._names[number]
        w = self._workflow_of[number]
        workflow = self._workflows.get(w)
        if workflow is None:
            arrival, hint = self._arrival[w], self._workflow_hints.get(w)
            workflow = self._workflows[w] = WorkflowView(self.columns, w, workflow_id, arrival, hint)
        view = CallView(
            self,
            number,
            call_id,
            kind,
            workflow,
            self._n[number],
            self._h[number],
            self._released[number],
            self._call_hints.get(number),
        )
        self._calls[number] = view
        workflow._calls.append(view)
        return view

    def parents(self, number: int) -> tuple[CallView, ...]:
        """The parents of a released call."""
        first = self.columns.first_parent[number]
        return tuple(self._calls[c] for c in self._parents[first : first + self.columns.parents[number]])

    def admitted_to(self, j: int) -> tuple[CallView, ...]:
        """The calls that are admitted to a decode instance."""
        seats = self.seen.seats[j, : self.columns.admitted[j]]
        return tuple(self._calls[c] for c in sorted(seats.tolist()))


class View(Shown):
    """One decision epoch as plain Python sees it.

    Whatever it gives is a copy: a loop over ``view.ready`` that starts calls visits every one of them.

    Attributes
    ----------
    prefill, decode : tuple
        The instances, in the order of the instance file.
    """

    noun = "a view"

    def __init__(
        self,
        views: Views,
        project: Callable[[int], tuple[int, int, float]],
        start: Callable[[int, int], None] | None = None,
        admit: Callable[[int, int], bool] | None = None,
    ) -> None:
        self._views = views
        self._now = views.columns.now
        self._project = project
        self._start = start
        self._admit = admit
        self.prefill = views.prefills
        self.decode = views.decodes
        self._ready: dict[int, CallView] = {}
        self._prefilled: dict[int, CallView] = {}
        self._ready_now: tuple[CallView, ...] | None = ()
        self._prefilled_now: tuple[CallView, ...] | None = ()

    def __repr__(self) -> str:
        return (
            f"<view at {self.now:g} s: {len(self._ready)} calls ready, {len(self._prefilled)} prefilled, "
            f"{sum(one.idle for one in self.prefill)} of {len(self.prefill)} prefill instances idle, "
            f"{len(self.decode)} decode instances>"
        )

    @property
    def now(self) -> float:
        """Seconds."""
        return self._now[0]

    @property
    def ready(self) -> tuple[CallView, ...]:
        """Released calls whose prefill has not started, by (workflow id, call id)."""
        if self._ready_now is None:
            self._ready_now = tuple(self._ready.values())
        return self._ready_now

    @property
    def prefilled(self) -> tuple[CallView, ...]:
        """Calls that wait for admission, by (workflow id, call id)."""
        if self._prefilled_now is None:
            self._prefilled_now = tuple(self._prefilled.values())
        return self._prefilled_now

    def start(self, call: CallView, prefill: PrefillView) -> None:
        """Start the prefill of a ready call on an idle instance.

        Raises
        ------
        InputError
            When the call is not ready or the instance is busy: the policy is wrong.
        """
        start = _allowed(self._start)
        if not isinstance(call, CallView) or self._ready.get(call._number) is not call:
            raise InputError(f"the policy started {call!r}, which is not ready")
        if not isinstance(prefill, PrefillView):
            raise InputError(f"the policy started {call!r} on {prefill!r}, which is no prefill instance")
        if not prefill.idle:
            raise InputError(f"the policy started {call!r} on {prefill.id!r}, which is busy")
        del self._ready[call._number]
        self._ready_now = None
        start(call._number, prefill._number)

    def admit(self, call: CallView, decode: DecodeView) -> bool:
        """Admit a prefilled call if the instance has room for its true size; whether it was admitted.

        Raises
        ------
        InputError
            When the call does not wait for admission.
        """
        admit = _allowed(self._admit)
        if not isinstance(call, CallView) or self._prefilled.get(call._number) is not call:
            raise InputError(f"the policy admitted {call!r}, which does not wait for admission")
        if not isinstance(decode, DecodeView):
            raise InputError(f"the policy admitted {call!r} to {decode!r}, which is no decode instance")
        if not admit(call._number, decode._number):
            return False
        del self._prefilled[call._number]
        self._prefilled_now = None
        return True

    def projected(self, call: CallView) -> Projection:
        """Delta of HexAGenT's planner (model M23): where a waiting call would complete first, and in how many seconds.

        Of a prefilled call ``prefill`` is where it was prefilled. Other calls that wait do not count, but for those
        that a placement put on an instance at an earlier moment.

        Raises
        ------
        InputError
            When the call does not wait.
        """
        if call._number not in self._ready and call._number not in self._prefilled:
            raise InputError(f"a projection is of a call that waits, {call!r} does not")
        i, j, seconds = self._project(call._number)
        return Projection(self.prefill[i], self.decode[j], seconds)

    def _enter(self, released: Sequence[CallView], prefilled: Sequence[CallView]) -> None:
        """Calls begin to wait."""
        if released:
            _merge(self._ready, released)
            self._ready_now = None
        if prefilled:
            _merge(self._prefilled, prefilled)
            self._prefilled_now = None

    def _leave(self) -> None:
        """Calls that the engine has started and admitted wait no more."""
        columns = self._views.columns
        for waiting, stage in ((self._ready, columns.prefill_instance), (self._prefilled, columns.decode_instance)):
            for number in [number for number in waiting if stage[number] >= 0]:
                del waiting[number]
        self._ready_now = self._prefilled_now = None


def _allowed(act: Callable[..., Any] | None) -> Callable[..., Any]:
    if act is None:
        raise InputError("a placement says where a call goes; what starts and admits calls is their order")
    return act


def _merge(waiting: dict[int, CallView], new: Sequence[CallView]) -> None:
    """Add calls, in ascending order, to those that wait, and keep all in the order of their numbers."""
    in_order = not waiting or next(reversed(waiting)) < new[0]._number
    for call in new:
        waiting[call._number] = call
    if not in_order:
        numbers = sorted(waiting)
        calls = [waiting[number] for number in numbers]
        waiting.clear()
        waiting.update(zip(numbers, calls, strict=True))
