"""How many tokens calls hold in the KV cache, and workflows in which one holds too many (model M9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hexsched.model.workload import Workflow


@dataclass(frozen=True)
class Oversize:
    """What of a workload has calls of more tokens, prompt and output together, than ``limit``.

    Attributes
    ----------
    limit : int
        Tokens that a call may have.
    kept : tuple of Workflow
        Those without such a call, in their order.
    workflows, of, calls : int
        Workflows with such a call, all workflows, and such calls.
    largest : int
        Tokens of the largest call; 0 when there is none above the limit.
    workflow_id, call_id : str
        That call, the first where several are as large.
    """

    limit: int
    kept: tuple[Workflow, ...]
    workflows: int
    of: int
    calls: int
    largest: int
    workflow_id: str
    call_id: str

    @property
    def share(self) -> str:
        """How many workflows that is, for people."""
        return f"{self.workflows:,} of {self.of:,} workflows"

    @property
    def reason(self) -> str:
        """What is too large, for people."""
        more = "1 call has" if self.calls == 1 else f"{self.calls:,} calls have"
        return (
            f"a call may have {self.limit:,} tokens of prompt and output, {more} more, up to {self.largest:,} "
            f"(call {self.call_id!r} of workflow {self.workflow_id!r})"
        )


def find_oversize(workflows: Sequence[Workflow], limit: int) -> Oversize:
    """The workflows in which every call has at most ``limit`` tokens, and how many have a larger one."""
    kept = []
    calls, largest, workflow_id, call_id = 0, 0, "", ""
    for workflow in workflows:
        fits = True
        for call in workflow.calls:
            tokens = call.prompt_tokens + call.output_tokens
            if tokens > limit:
                fits = False
                calls += 1
                if tokens > largest:
                    largest, workflow_id, call_id = tokens, workflow.workflow_id, call.call_id
        if fits:
            kept.append(workflow)
    left_out = len(workflows) - len(kept)
    return Oversize(limit, tuple(kept), left_out, len(workflows), calls, largest, workflow_id, call_id)
