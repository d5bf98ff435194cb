"""The numbers that views read where the engine keeps them."""

from __future__ import annotations

from hexsched.engine.state import Seen
from hexsched.policies.memory import Memory
from hexsched.simulator.views.numbers import Numbers, numbers


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
