"""ReAct: a customer-service agent that reasons, calls tools and talks to a user in one loop (tau-bench)."""

from __future__ import annotations

from hexsched.workloads.families.parts.chain import ChainFamily


class ReAct(ChainFamily):
    """Chains of agent steps, cut by the benchmark at 30."""

    name = "react"
    rank = 6
    summary = "reason-act loop of a customer-service agent: a chain of steps, tool results added to the prompt"
    source = (
        "tau-bench airline runs of gpt-4o (sierra-research/tau-bench @ 59a200c6, MIT), token counts only; "
        "tool schemas were not recorded, so prompts are a lower bound"
    )
    kind = "agent_step"
    class_limits = (5, 7, 11, 16, 23)


FAMILY = ReAct()
