"""What the verifier says: violations, and metrics when there are none."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from hexsched.display import MOST_ROWS, Summary, displayed
from hexsched.verifier.metrics import Metrics

if TYPE_CHECKING:
    import pandas as pd

RULES: dict[str, str] = {
    "unknown-call": "every row is a call of the instance",
    "duplicate-call": "no call has two rows",
    "missing-call": "every call of the instance has a row",
    "nan": "every time is a finite number",
    "unknown-instance": "prefill runs on a prefill instance, decode on a decode instance",
    "before-release": "prefill starts no earlier than max(arrival, completions of the parents) + delay",
    "short-prefill": "prefill takes no less than P(n, h)",
    "long-prefill": "prefill takes no more than P(n, h)",
    "overlap": "a prefill instance runs one call at a time",
    "admitted-early": "admission comes after the end of prefill",
    "instant-transfer": "the transfer takes no less than T(n)",
    "long-transfer": "the transfer takes no more than T(n)",
    "kv-over": "the KV reserved on a decode instance stays within its capacity",
    "batch-over": "the calls admitted to a decode instance stay within max_batch",
    "short-decode": "decode lasts until all output tokens are out",
    "long-decode": "decode ends when all output tokens are out",
}
"""Each rule's name and what it demands, in the order in which they are checked."""

MODEL_RULES: dict[str, str] = {
    "unknown-call": "M10",
    "duplicate-call": "M10",
    "missing-call": "M10",
    "nan": "M10",
    "unknown-instance": "M10",
    "before-release": "M3",
    "short-prefill": "M5",
    "long-prefill": "M5",
    "overlap": "M11",
    "admitted-early": "M12",
    "instant-transfer": "M8",
    "long-transfer": "M8",
    "kv-over": "M13",
    "batch-over": "M13",
    "short-decode": "M15",
    "long-decode": "M15",
}
"""The rule of docs/model.md that each one checks (decode in ``fixed``: M16)."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One broken rule.

    Attributes
    ----------
    rule : str
        A key of ``RULES``.
    workflow_id, call_id : str
        The call it was found at.
    instance : str
        The prefill or decode instance concerned; empty when none is.
    message : str
        What was claimed and what would be right.
    excess : float or None
        By how much the rule is broken, in ``unit``; None where there is nothing to measure.
    unit : {"s", "tokens", "calls", ""}
    """

    rule: str
    workflow_id: str
    call_id: str
    instance: str
    message: str
    excess: float | None = None
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.rule}: call {self.call_id!r} of workflow {self.workflow_id!r}: {self.message}"


@displayed
class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one schedule.

    Attributes
    ----------
    policy : str
        Copied from the schedule.
    violations : tuple of Violation
        In the order of ``RULES``; empty for a valid schedule.
    metrics : Metrics or None
        None when a rule is broken: a wrong schedule has no cost.
    """

    policy: str
    violations: tuple[Violation, ...]
    metrics: Metrics | None

    @property
    def ok(self) -> bool:
        """True when no rule is broken."""
        return not self.violations

    def counts(self) -> dict[str, int]:
        """Number of violations of each broken rule, in the order of ``RULES``."""
        found = Counter(violation.rule for violation in self.violations)
        return {rule: found[rule] for rule in RULES if rule in found}

    def to_frame(self) -> pd.DataFrame:
        """One row a violation, columns named as the fields of ``Violation``."""
        import pandas as pd

        rows = [msgspec.structs.astuple(violation) for violation in self.violations]
        return pd.DataFrame(rows, columns=list(Violation.__struct_fields__))

    def _summary(self) -> Summary:
        if self.metrics is not None:
            m = self.metrics
            facts = {"workflows": m.workflows, "calls": m.calls, "Req95": m.req95, "Req99": m.req99}
            facts |= {"max ratio": m.max_ratio, "mean latency s": m.mean_latency}
            return Summary(f"on {self.policy}", {"verdict": "valid", **facts})
        counts = ", ".join(f"{rule} ({count:,})" for rule, count in self.counts().items())
        rows = [
            {
                "rule": violation.rule,
                "call": f"{violation.workflow_id}/{violation.call_id}",
                "instance": violation.instance or None,
                "what is wrong": violation.message,
            }
            for violation in self.violations[:MOST_ROWS]
        ]
        return Summary(f"on {self.policy}", {"verdict": f"not valid, {counts}"}, rows, len(self.violations), text=True)
