"""Workflows and calls as they are seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexsched.model.hint import Hint
from hexsched.simulator.views.columns import Columns
from hexsched.simulator.views.shown import Shown

if TYPE_CHECKING:
    from hexsched.simulator.views.machines import DecodeView, PrefillView
    from hexsched.simulator.views.view import Views


class WorkflowView(Shown):
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


class CallView(Shown):
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
