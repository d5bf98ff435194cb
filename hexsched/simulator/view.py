"""What a policy in plain Python sees and does: what may be observed, read through small objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hexsched.engine import physics
from hexsched.engine.kernel import interpreted
from hexsched.engine.state import Seen
from hexsched.errors import InputError
from hexsched.policies.memory import Memory

iteration_seconds = interpreted(physics.iteration_seconds)
prefill_seconds = interpreted(physics.prefill_seconds)
transfer_seconds = interpreted(physics.transfer_seconds)


class CallView:
    """A released call. Everything here was revealed; its true output length is not among it."""

    __slots__ = ("_memory", "_number", "_seen", "call_id", "kind", "workflow_id")

    def __init__(self, seen: Seen, memory: Memory, number: int, workflow_id: str, call_id: str, kind: str) -> None:
        self._seen = seen
        self._memory = memory
        self._number = number
        self.workflow_id = workflow_id
        self.call_id = call_id
        self.kind = kind

    @property
    def prompt_tokens(self) -> int:
        """n_c."""
        return int(self._seen.calls[self._number].n)

    @property
    def cached_tokens(self) -> int:
        """h_c."""
        return int(self._seen.calls[self._number].h)

    @property
    def estimated_output_tokens(self) -> float:
        """The estimate of m_c; m_c itself once the call is complete."""
        return float(self._seen.calls[self._number].estimate)

    @property
    def released(self) -> float:
        """r_c, seconds."""
        return float(self._seen.calls[self._number].released)

    @property
    def best(self) -> float:
        """best_c under the estimate, seconds."""
        return float(self._seen.calls[self._number].best)

    @property
    def path(self) -> float:
        """Longest standalone path of the workflow that ends with this call, seconds."""
        return float(self._seen.calls[self._number].path)

    @property
    def arrival(self) -> float:
        """a_w, seconds."""
        return float(self._seen.workflows[self._seen.calls[self._number].workflow].arrival)

    @property
    def horizon(self) -> float:
        """H_w(t), seconds."""
        return float(self._seen.workflows[self._seen.calls[self._number].workflow].horizon)

    @property
    def attained(self) -> float:
        """Service that completed calls of the workflow have had, seconds."""
        return float(self._memory.workflows[self._seen.calls[self._number].workflow].attained)

    def __repr__(self) -> str:
        return f"<call {self.workflow_id}/{self.call_id}>"


class PrefillView:
    """A prefill instance."""

    __slots__ = ("_number", "_seen", "id")

    def __init__(self, seen: Seen, number: int, name: str) -> None:
        self._seen = seen
        self._number = number
        self.id = name

    @property
    def idle(self) -> bool:
        """Whether a prefill can start now."""
        return bool(self._seen.prefills[self._number].running < 0)

    @property
    def free_at(self) -> float:
        """When it will be idle; now or earlier when it is."""
        return float(self._seen.prefills[self._number].busy_until)

    def seconds(self, call: CallView) -> float:
        """P_i(n_c, h_c)."""
        return float(prefill_seconds(self._seen.prefills[self._number], call.prompt_tokens, call.cached_tokens))

    def transfer_seconds(self, call: CallView, decode: DecodeView) -> float:
        """T_ij(n_c)."""
        return float(transfer_seconds(self._seen, self._number, decode._number, call.prompt_tokens))


class DecodeView:
    """A decode instance."""

    __slots__ = ("_number", "_seen", "id")

    def __init__(self, seen: Seen, number: int, name: str) -> None:
        self._seen = seen
        self._number = number
        self.id = name

    @property
    def admitted(self) -> int:
        """Calls with a reservation, in transfer or in the batch."""
        return int(self._seen.decodes[self._number].admitted)

    @property
    def max_batch(self) -> int:
        """Bmax_j."""
        return int(self._seen.decodes[self._number].max_batch)

    @property
    def kv_capacity(self) -> int:
        """M_j, tokens."""
        return int(self._seen.decodes[self._number].kv_capacity)

    @property
    def kv_reserved(self) -> float:
        """KV tokens that admitted calls are thought to reserve: prompts and estimated outputs."""
        return float(self._seen.decodes[self._number].reserved)

    def iteration_seconds(self, batch: int, kv_tokens: float) -> float:
        """tau_j(B, K)."""
        return float(iteration_seconds(self._seen, self._number, batch, kv_tokens))

    def can_hold(self, call: CallView) -> bool:
        """Whether the call fits here when nothing else is."""
        return bool(self.kv_capacity >= self._seen.calls[call._number].needs_capacity)


class View:
    """One decision epoch as a plain Python policy sees it.

    Attributes
    ----------
    now : float
    prefill, decode : tuple
        The instances, in the order of the instance file.
    ready : list of CallView
        Released calls whose prefill has not started, by (workflow id, call id).
    prefilled : list of CallView
        Calls that wait for admission, likewise.
    """

    def __init__(
        self,
        seen: Seen,
        prefill: Sequence[PrefillView],
        decode: Sequence[DecodeView],
        start: Callable[[int, int], None],
        admit: Callable[[int, int], bool],
    ) -> None:
        self._seen = seen
        self._start = start
        self._admit = admit
        self.prefill = tuple(prefill)
        self.decode = tuple(decode)
        self.ready: list[CallView] = []
        self.prefilled: list[CallView] = []

    @property
    def now(self) -> float:
        """Seconds."""
        return float(self._seen.clock[0].now)

    def start(self, call: CallView, prefill: PrefillView) -> None:
        """Start the prefill of a ready call on an idle instance.

        Raises
        ------
        InputError
            When the call is not ready or the instance is busy: the policy is wrong.
        """
        if call not in self.ready:
            raise InputError(f"the policy started {call!r}, which is not ready")
        if not prefill.idle:
            raise InputError(f"the policy started {call!r} on {prefill.id!r}, which is busy")
        self.ready.remove(call)
        self._start(call._number, prefill._number)

    def admit(self, call: CallView, decode: DecodeView) -> bool:
        """Admit a prefilled call if the instance has room for its true size; whether it was admitted.

        Raises
        ------
        InputError
            When the call does not wait for admission.
        """
        if call not in self.prefilled:
            raise InputError(f"the policy admitted {call!r}, which does not wait for admission")
        if not self._admit(call._number, decode._number):
            return False
        self.prefilled.remove(call)
        return True
