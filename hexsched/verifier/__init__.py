"""An independent check of schedules: every rule from model M3 to M17, every metric of model M20, M21 and M36 to M38.

Nothing here is shared with the simulator, the policies or the solvers: of the model types only the plain data fields
are read, and each formula is written anew. A mistake in one place therefore shows as a disagreement.
"""

from hexsched.verifier.calls import CallMetrics
from hexsched.verifier.check import verify
from hexsched.verifier.metrics import Metrics, WorkflowMetrics
from hexsched.verifier.report import RULES, Report, Violation
from hexsched.verifier.tolerance import ABSOLUTE_SECONDS, LARGEST_SECONDS, RELATIVE

__all__ = [
    "ABSOLUTE_SECONDS",
    "LARGEST_SECONDS",
    "RELATIVE",
    "RULES",
    "CallMetrics",
    "Metrics",
    "Report",
    "Violation",
    "WorkflowMetrics",
    "verify",
]
