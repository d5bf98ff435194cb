"""Collects the calls of one generated workflow under zero-padded ids."""

from __future__ import annotations

from collections.abc import Sequence

from hexsched.model import Call, Workflow


class WorkflowBuilder:
    """Adds calls one by one and hands out their ids (``c000``, ``c001``, ...)."""

    def __init__(self, workflow_id: str) -> None:
        self._workflow_id = workflow_id
        self._calls: list[Call] = []

    def add(
        self,
        kind: str,
        prompt_tokens: int,
        output_tokens: int,
        parents: Sequence[str] = (),
        cached_tokens: int = 0,
        delay: float = 0.0,
    ) -> str:
        """Append a call and return its id."""
        call_id = f"c{len(self._calls):03d}"
        self._calls.append(
            Call(
                call_id=call_id,
                prompt_tokens=prompt_tokens,
                output_tokens=output_tokens,
                cached_tokens=cached_tokens,
                parents=tuple(parents),
                delay=delay,
                kind=kind,
            )
        )
        return call_id

    def build(self) -> Workflow:
        """The workflow, arriving at 0."""
        return Workflow(workflow_id=self._workflow_id, arrival=0.0, calls=tuple(self._calls))
