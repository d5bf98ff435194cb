"""What a run is judged by (model M19 to M21, M36 to M38), a module a metric or a small group.

``parts`` has what they share, and goodput, which depends on thresholds.

To add one: a module here with a ``METRIC`` in it. It is then an attribute of ``run.metrics``, a column of ``hexsched
simulate`` and ``compare`` and of the table ``runs`` of a store. The verifier computes the shipped ones a second time by
code of its own, so a metric of your own is not in the table of ``hexsched verify``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexsched.display import Summary, displayed
from hexsched.metrics.parts.metric import Metric
from hexsched.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

    from hexsched.metrics.parts.completions import Completions

METRICS: Registry[Metric] = Registry(__name__, "METRIC", "metric", rank=lambda metric: metric.rank)


@displayed
class Metrics(dict[str, int | float]):
    """The value of every metric, by name and as an attribute: ``metrics["req95"]`` is ``metrics.req95``."""

    def __getattr__(self, name: str) -> int | float:
        if name in self:
            return self[name]
        raise AttributeError(f"no metric is called {name!r}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def to_frame(self) -> pd.DataFrame:
        """A row a metric: ``metric``, ``value``, ``unit``."""
        import pandas as pd

        units = [METRICS[name].unit if name in METRICS else "" for name in self]
        return pd.DataFrame({"metric": list(self), "value": list(self.values()), "unit": units})

    def _summary(self) -> Summary:
        return Summary(facts={METRICS[name].label if name in METRICS else name: value for name, value in self.items()})


def summarise(completions: Completions) -> Metrics:
    """Every metric of a run."""
    return Metrics({metric.name: metric.compute(completions) for metric in METRICS.values()})


__all__ = ["METRICS", "Metric", "Metrics", "summarise"]
