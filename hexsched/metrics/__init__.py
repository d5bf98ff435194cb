"""What a run is judged by (model M19 to M21), a module a metric or a small group; ``parts`` has what they share.

To add one: a module here with a ``METRIC`` in it. It is then an attribute of ``run.metrics``, a column of ``hexsched
simulate`` and ``compare`` and of the table ``runs`` of a store. The verifier computes the shipped ones a second time by
code of its own, so a metric of your own is not in the table of ``hexsched verify``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from hexsched.metrics.parts.metric import Metric
from hexsched.registry import Registry

if TYPE_CHECKING:
    from hexsched.metrics.parts.completions import Array

METRICS: Registry[Metric] = Registry(__name__, "METRIC", "metric", rank=lambda metric: metric.rank)


class Metrics(Mapping[str, int | float]):
    """The value of every metric, by name and as an attribute: ``metrics["req95"]`` is ``metrics.req95``."""

    def __init__(self, values: Mapping[str, int | float]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> int | float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> int | float:
        try:
            values: dict[str, int | float] = self.__dict__["_values"]  # not there yet while a copy is being made
            return values[name]
        except KeyError:
            raise AttributeError(f"no metric is called {name!r}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __repr__(self) -> str:
        return f"Metrics({', '.join(f'{name}={value!r}' for name, value in self.items())})"


def summarise(arrival: Array, completed: Array, horizon: Array, calls: int) -> Metrics:
    """Metrics from arrival, completion and horizon of each workflow, all (W,) seconds, and the number of calls."""
    from hexsched.metrics.parts.completions import Completions

    completions = Completions(arrival, completed, horizon, calls)
    return Metrics({metric.name: metric.compute(completions) for metric in METRICS.values()})


__all__ = ["METRICS", "Metric", "Metrics", "summarise"]
