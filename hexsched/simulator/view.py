"""What plain Python sees of the system and does to it: what may be observed, read through small objects.

What does not change any more is a plain attribute; what does is read where the engine keeps it (``Columns``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from hexsched.engine import physics
from hexsched.engine.kernel import interpreted
from hexsched.engine.state import Seen
from hexsched.errors import InputError
from hexsched.model.hint import Hint
from hexsched.policies.memory import Memory
from hexsched.registry import suggest
from hexsched.simulator.numbers import Numbers, numbers, numbers_of, physics_of

iteration_seconds = interpreted(physics.iteration_seconds)
iterations_since_settled = interpreted(physics.iterations_since_settled)
prefill_seconds = interpreted(physics.prefill_seconds)
transfer_seconds = interpreted(physics.transfer_seconds)


class Columns:
    """The numbers of what is seen and remembered, by name."""

    __slots__ = (
        "admitted",
        "attained",
        "batch",
        "best",
        "calls_admitted",
        "decode_end",
        "decode_instance",
        "estimate",
        "first_parent",
        "horizon",
        "kv",
        "needs_capacity",
        "now",
        "parents",
        "path",
        "planned",
        "prefill_end",
        "prefill_instance",
        "prefill_running",
        "prefill_until",
        "queued_calls",
        "queued_seconds",
        "queued_tokens",
        "reserved",
    )

    def __init__(self, seen: Seen, memory: Memory) -> None:
        calls, decodes, prefills, queues = seen.calls, seen.decodes, seen.prefills, memory.queues.prefills
        self.now: Numbers = numbers(seen.clock, "now")
        self.estimate: Numbers = numbers(calls, "estimate")
        self.best: Numbers = numbers(calls, "best")
        self.needs_capacity: Numbers = numbers(calls, "needs_capacity")
        self.path: Numbers = numbers(calls, "path")
        self.first_parent: Numbers = numbers(calls, "first_parent")
        self.parents: Numbers = numbers(calls, "parents")
        self.prefill_instance: Numbers = numbers(calls, "prefill_instance")
        self.prefill_end: Numbers = numbers(calls, "prefill_end")
        self.decode_instance: Numbers = numbers(calls, "decode_instance")
        self.calls_admitted: Numbers = numbers(calls, "admitted")
        self.decode_end: Numbers = numbers(calls, "decode_end")
        self.horizon: Numbers = numbers(seen.workflows, "horizon")
        self.attained: Numbers = numbers(memory.workflows, "attained")
        self.prefill_running: Numbers = numbers(prefills, "running")
        self.prefill_until: Numbers = numbers(prefills, "busy_until")
        self.admitted: Numbers = numbers(decodes, "admitted")
        self.reserved: Numbers = numbers(decodes, "reserved")
        self.batch: Numbers = numbers(decodes, "batch")
        self.kv: Numbers = numbers(decodes, "kv")
        self.planned: Numbers = numbers(memory.planner.decodes, "planned")
        self.queued_calls: Numbers = numbers(queues, "calls")
        self.queued_tokens: Numbers = numbers(queues, "tokens")
        self.queued_seconds: Numbers = numbers(queues, "seconds")


class _Shown:
    """One thing as it is seen: a name that it does not have is told with those that it has."""

    __slots__ = ()
    noun: ClassVar[str]
    hidden: ClassVar[Mapping[str, str]] = {}  # what is not shown on purpose, and why

    def __getattr__(self, name: str) -> Any:  # asked for missing ones only
        if name.startswith("_"):  # of Python's protocols
            raise AttributeError(name)
        why = self.hidden.get(name) or suggest(name, (one for one in vars(type(self)) if one[0] != "_")).lstrip("; ")
        raise AttributeError(f"{self.noun} has no {name!r}: {why}")


class WorkflowView(_Shown):
    """A workflow, as far as it has been revealed.

    Attributes
    ----------
    workflow_id : str
    arrival : float
        a_w, seconds.
    hint : Hint or None
        What its application declared of the whole at its arrival.
    """

    noun = "a workflow"
    __slots__ = ("_calls", "_columns", "_number", "arrival", "hint", "workflow_id")

    def __init__(self, columns: Columns, number: int, workflow_id: str, arrival: float, hint: Hint | None) -> None:
        self._columns = columns
        self._number = number
        self._calls: list[CallView] = []
        self.workflow_id = workflow_id
        self.arrival = arrival
        self.hint = hint

    @property
    def calls(self) -> tuple[CallView, ...]:
        """Its calls that have been released so far, in that order."""
        return tuple(self._calls)

    @property
    def horizon(self) -> float:
        """H_w(t), seconds."""
        return self._columns.horizon[self._number]

    @property
    def attained(self) -> float:
        """Service that its completed calls have had, seconds."""
        return self._columns.attained[self._number]

    def __repr__(self) -> str:
        return f"<workflow {self.workflow_id}>"


class CallView(_Shown):
    """A released call. Everything here was revealed; its true output length is not among it.

    Attributes
    ----------
    call_id, workflow_id, kind : str
    workflow : WorkflowView
    prompt_tokens, cached_tokens : int
        n_c, h_c.
    released, arrival : float
        r_c and a_w, seconds.
    hint : Hint or None
        What its application declared with it of what comes after it.
    """

    noun = "a call"
    hidden = dict.fromkeys(
        ("output_tokens", "output", "output_length", "decode_tokens", "m"),
        "policies do not know it; estimated_output_tokens is the estimate, and true once the call is complete",
    )
    __slots__ = (
        "_columns",
        "_depth",
        "_number",
        "_parents",
        "_views",
        "arrival",
        "cached_tokens",
        "call_id",
        "hint",
        "kind",
        "prompt_tokens",
        "released",
        "workflow",
        "workflow_id",
    )

    def __init__(
        self,
        views: Views,
        number: int,
        call_id: str,
        kind: str,
        workflow: WorkflowView,
        n: int,
        h: int,
        released: float,
        hint: Hint | None,
    ) -> None:
        self._views = views
        self._columns = views.columns
        self._number = number
        self._parents: tuple[CallView, ...] | None = None
        self._depth = -1
        self.call_id = call_id
        self.kind = kind
        self.workflow = workflow
        self.workflow_id = workflow.workflow_id
        self.prompt_tokens = n
        self.cached_tokens = h
        self.released = released
        self.hint = hint
        self.arrival = workflow.arrival

    @property
    def parents(self) -> tuple[CallView, ...]:
        """The calls it waited for, all complete."""
        if self._parents is None:
            self._parents = self._views.parents(self._number)
        return self._parents

    @property
    def depth(self) -> int:
        """Calls on the longest chain of parents above it; 0 for one without parents."""
        unknown = [self] if self._depth < 0 else []
        while unknown:  # not by recursion: chains can be long
            call = unknown[-1]
            above = [parent for parent in call.parents if parent._depth < 0]
            if above:
                unknown += above
            else:
                call._depth = 1 + max((parent._depth for parent in call.parents), default=-1)
                unknown.pop()
        return self._depth

    @property
    def estimated_output_tokens(self) -> float:
        """The estimate of m_c; m_c itself once the call is complete."""
        return self._columns.estimate[self._number]

    @property
    def best(self) -> float:
        """best_c under the estimate, seconds."""
        return self._columns.best[self._number]

    @property
    def path(self) -> float:
        """Longest standalone path of the workflow that ends with this call, seconds."""
        return self._columns.path[self._number]

    @property
    def horizon(self) -> float:
        """H_w(t) of its workflow, seconds."""
        return self.workflow.horizon

    @property
    def attained(self) -> float:
        """Service that completed calls of its workflow have had, seconds."""
        return self.workflow.attained

    @property
    def prefill(self) -> PrefillView | None:
        """Where its prefill runs or ran; None before it starts."""
        number = self._columns.prefill_instance[self._number]
        return None if number < 0 else self._views.prefills[number]

    @property
    def prefill_end(self) -> float | None:
        """When its prefill ends or ended, seconds; None before it starts."""
        started = self._columns.prefill_instance[self._number] >= 0
        return self._columns.prefill_end[self._number] if started else None

    @property
    def decode(self) -> DecodeView | None:
        """Where it was admitted; None before that."""
        number = self._columns.decode_instance[self._number]
        return None if number < 0 else self._views.decodes[number]

    @property
    def admitted(self) -> float | None:
        """When it was admitted, seconds; None before that."""
        is_in = self._columns.decode_instance[self._number] >= 0
        return self._columns.calls_admitted[self._number] if is_in else None

    @property
    def completed(self) -> float | None:
        """When it completed, seconds; None before that."""
        end = self._columns.decode_end[self._number]
        return end if end > 0 else None

    def __repr__(self) -> str:
        return f"<call {self.workflow_id}/{self.call_id}>"


class PrefillView(_Shown):
    """A prefill instance.

    Attributes
    ----------
    id, gpu : str
    """

    noun = "a prefill instance"
    __slots__ = ("_columns", "_number", "_physics", "_record", "_views", "gpu", "id")

    def __init__(self, views: Views, number: int, name: str, gpu: str) -> None:
        self._views = views
        self._columns = views.columns
        self._physics = views.physics
        self._record = views.physics.prefills[number]
        self._number = number
        self.id = name
        self.gpu = gpu

    @property
    def idle(self) -> bool:
        """Whether a prefill can start now."""
        return self._columns.prefill_running[self._number] < 0

    @property
    def running(self) -> CallView | None:
        """The call whose prefill it computes; None when it is idle."""
        number = self._columns.prefill_running[self._number]
        return None if number < 0 else self._views[number]

    @property
    def free_at(self) -> float:
        """When it will be idle, seconds; now or earlier when it is."""
        return self._columns.prefill_until[self._number]

    @property
    def waiting(self) -> int:
        """Calls placed here whose prefill has not started; where a policy decides all, calls wait nowhere."""
        return self._columns.queued_calls[self._number] + len(self._views.placed[0][self._number])

    @property
    def waiting_tokens(self) -> int:
        """Prompt tokens of theirs that are to be computed."""
        new = self._views.placed[0][self._number]
        return self._columns.queued_tokens[self._number] + sum(c.prompt_tokens - c.cached_tokens for c in new)

    @property
    def waiting_seconds(self) -> float:
        """Seconds that their prefills take."""
        new = self._views.placed[0][self._number]
        return self._columns.queued_seconds[self._number] + sum(map(self.seconds, new))

    def seconds(self, call: CallView) -> float:
        """P_i(n_c, h_c)."""
        return float(prefill_seconds(self._record, call.prompt_tokens, call.cached_tokens))

    def transfer_seconds(self, call: CallView, decode: DecodeView) -> float:
        """T_ij(n_c)."""
        return float(transfer_seconds(self._physics, self._number, decode._number, call.prompt_tokens))

    def __repr__(self) -> str:
        return f"<prefill instance {self.id}>"


class DecodeView(_Shown):
    """A decode instance.

    Attributes
    ----------
    id, gpu : str
    max_batch : int
        Bmax_j.
    kv_capacity : int
        M_j, tokens.
    """

    noun = "a decode instance"
    __slots__ = ("_columns", "_number", "_physics", "_views", "gpu", "id", "kv_capacity", "max_batch")

    def __init__(self, views: Views, number: int, name: str, gpu: str) -> None:
        self._views = views
        self._columns = views.columns
        self._physics = views.physics
        self._number = number
        self.id = name
        self.gpu = gpu
        self.max_batch = int(views.seen.decodes[number].max_batch)
        self.kv_capacity = int(views.seen.decodes[number].kv_capacity)

    @property
    def admitted(self) -> int:
        """Calls with a reservation, in transfer or in the batch."""
        return self._columns.admitted[self._number]

    @property
    def running(self) -> tuple[CallView, ...]:
        """These calls, by (workflow id, call id)."""
        return self._views.admitted_to(self._number)

    @property
    def waiting(self) -> int:
        """Calls placed here and not admitted; where a policy decides all, calls wait nowhere."""
        return self._columns.planned[self._number] + len(self._views.placed[1][self._number])

    @property
    def kv_reserved(self) -> float:
        """KV tokens that admitted calls are thought to reserve: prompts and estimated outputs."""
        return self._columns.reserved[self._number]

    @property
    def kv_room(self) -> float:
        """KV tokens that are thought to be free: capacity less what is reserved."""
        return self.kv_capacity - self.kv_reserved

    @property
    def kv_tokens(self) -> float:
        """KV tokens that the batch holds now: K of ``iteration_seconds``."""
        kv, batch = self._columns.kv[self._number], self._columns.batch[self._number]
        return float(kv + batch * iterations_since_settled(self._physics, self._number))

    @property
    def batch(self) -> int:
        """Calls that decode now; those in transfer are not among them."""
        return self._columns.batch[self._number]

    def iteration_seconds(self, batch: int, kv_tokens: float) -> float:
        """tau_j(B, K)."""
        return float(iteration_seconds(self._physics, self._number, batch, kv_tokens))

    def can_hold(self, call: CallView) -> bool:
        """Whether the call fits here when nothing else is."""
        return self.kv_capacity >= self._columns.needs_capacity[call._number]

    def __repr__(self) -> str:
        return f"<decode instance {self.id}>"


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
        As ``hexsched.simulator.numbers.physics_of``.
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


class View(_Shown):
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
