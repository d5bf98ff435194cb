"""Mean times that calls spend neither in prefill nor in decode (model M36)."""

from hexsched.metrics.parts.metric import Metric

METRIC = (
    Metric("mean_queueing", "mean queueing", lambda run: float(run.calls.queueing.mean()), "s", detail=True, rank=50),
    Metric(
        "mean_admission",
        "mean wait for admission",
        lambda run: float(run.calls.admission.mean()),
        "s",
        detail=True,
        rank=51,
    ),
    Metric("mean_transfer", "mean transfer", lambda run: float(run.calls.transfer.mean()), "s", detail=True, rank=52),
)
