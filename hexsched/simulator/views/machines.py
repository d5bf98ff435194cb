"""Instances as they are seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexsched.engine import physics
from hexsched.engine.kernel import interpreted
from hexsched.simulator.views.shown import Shown

if TYPE_CHECKING:
    from hexsched.simulator.views.calls import CallView
    from hexsched.simulator.views.view import Views

iteration_seconds = interpreted(physics.iteration_seconds)
iterations_since_settled = interpreted(physics.iterations_since_settled)
prefill_seconds = interpreted(physics.prefill_seconds)
transfer_seconds = interpreted(physics.transfer_seconds)


class PrefillView(Shown):
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


class DecodeView(Shown):
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
