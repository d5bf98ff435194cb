"""What is in a workload, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hexsched.errors import InputError
from hexsched.model import Workflow

if TYPE_CHECKING:
    import pandas as pd

Values = NDArray[np.float64]

UNITS = {
    "workflows": "workflows",
    **dict.fromkeys(("calls", "calls_per_workflow", "depth", "width"), "calls"),
    **dict.fromkeys(("tokens_per_workflow", "prompt_tokens", "output_tokens", "cached_tokens"), "tokens"),
    **dict.fromkeys(("delay", "arrival_span", "inter_arrival"), "s"),
    "arrival_rate": "workflows/s",
    "inter_arrival_cv": "ratio",
}
OF_KINDS = "calls; output tokens"  # of the row of a kind: what its value is, and what its other columns are of
MOST_KINDS = 24  # rows of kinds in a summary
QUANTILES = {"p5": 0.05, "p50": 0.5, "p95": 0.95, "p99": 0.99}


def measure(workflows: Sequence[Workflow]) -> dict[str, Values]:
    """The samples that a workload is described and compared by.

    Returns
    -------
    dict of str to array
        A value a workflow: ``calls_per_workflow``, ``tokens_per_workflow`` (prompt plus output), ``depth`` (calls on
        the longest chain), ``width`` (most calls at one depth). A value a call: ``prompt_tokens``, ``output_tokens``,
        ``cached_tokens``, ``delay`` (seconds).
    """
    calls = [call for workflow in workflows for call in workflow.calls]
    shapes = [_shape(workflow) for workflow in workflows]
    samples: dict[str, list[float] | list[int]] = {
        "calls_per_workflow": [len(w.calls) for w in workflows],
        "tokens_per_workflow": [sum(c.prompt_tokens + c.output_tokens for c in w.calls) for w in workflows],
        "depth": [depth for depth, _ in shapes],
        "width": [width for _, width in shapes],
        "prompt_tokens": [c.prompt_tokens for c in calls],
        "output_tokens": [c.output_tokens for c in calls],
        "cached_tokens": [c.cached_tokens for c in calls],
        "delay": [c.delay for c in calls],
    }
    return {name: np.asarray(values, dtype=float) for name, values in samples.items()}


def describe(workflows: Sequence[Workflow]) -> pd.DataFrame:
    """A summary of a workload, a row a quantity.

    Returns
    -------
    DataFrame
        Columns ``quantity``, ``unit`` (of the numbers of the row), ``value`` (a count, a total or the one number there
        is), ``mean``, ``p5``, ``p50``, ``p95``, ``p99``, ``max``; what does not apply is NaN. Rows: ``workflows``,
        ``calls``, the quantities of ``measure`` (``value`` is the total for tokens and delay), ``arrival_span`` (from
        first to last), ``arrival_rate`` (over that span), ``inter_arrival``, ``inter_arrival_cv``, and
        ``kind:<kind>`` with the calls of each kind (``value``) and their output tokens (the other columns); of more
        than ``MOST_KINDS`` those with the most calls, and the rest in a row ``<n> other kinds``.

    Raises
    ------
    InputError
        When there are no workflows.
    """
    import pandas as pd

    if not workflows:
        raise InputError("there are no workflows to describe; at least one is needed")
    samples = measure(workflows)
    rows: list[dict[str, str | float]] = [
        {"quantity": "workflows", "value": float(len(workflows))},
        {"quantity": "calls", "value": float(len(samples["prompt_tokens"]))},
    ]
    for name, values in samples.items():
        additive = name in ("prompt_tokens", "output_tokens", "cached_tokens", "delay")
        rows.append(_row(name, values, float(values.sum()) if additive else np.nan))
    rows += _arrival_rows(workflows)
    rows += _kind_rows(workflows)
    frame = pd.DataFrame(rows, columns=["quantity", "value", "mean", *QUANTILES, "max"])
    frame.insert(1, "unit", [UNITS.get(name, OF_KINDS) for name in frame["quantity"]])
    return frame


def _arrival_rows(workflows: Sequence[Workflow]) -> list[dict[str, str | float]]:
    arrivals = np.sort([w.arrival for w in workflows])
    gaps = np.diff(arrivals)
    span = float(arrivals[-1] - arrivals[0])
    rows: list[dict[str, str | float]] = [
        {"quantity": "arrival_span", "value": span},
        {"quantity": "arrival_rate", "value": len(gaps) / span if span > 0 else np.nan},
    ]
    if len(gaps):
        rows.append(_row("inter_arrival", gaps, np.nan))
        mean = float(gaps.mean())
        rows.append({"quantity": "inter_arrival_cv", "value": float(gaps.std()) / mean if mean > 0 else np.nan})
    return rows


def _kind_rows(workflows: Sequence[Workflow]) -> list[dict[str, str | float]]:
    outputs: dict[str, list[int]] = {}
    for workflow in workflows:
        for call in workflow.calls:
            outputs.setdefault(call.kind, []).append(call.output_tokens)
    by_calls = sorted(outputs.items(), key=lambda item: (-len(item[1]), item[0]))
    named = by_calls if len(by_calls) <= MOST_KINDS else by_calls[: MOST_KINDS - 1]
    rows = [_row(f"kind:{kind}", np.asarray(tokens, dtype=float), float(len(tokens))) for kind, tokens in named]
    rest = by_calls[len(named) :]
    if rest:
        tokens = np.concatenate([np.asarray(tokens, dtype=float) for _, tokens in rest])
        rows.append(_row(f"{len(rest):,} other kinds", tokens, float(len(tokens))))
    return rows


def _row(name: str, values: Values, value: float) -> dict[str, str | float]:
    quantiles = np.quantile(values, list(QUANTILES.values()))
    return {
        "quantity": name,
        "value": value,
        "mean": float(values.mean()),
        **{label: float(q) for label, q in zip(QUANTILES, quantiles, strict=True)},
        "max": float(values.max()),
    }


def _shape(workflow: Workflow) -> tuple[int, int]:
    """Depth and width of a workflow's DAG."""
    level: dict[str, int] = {}
    for k in workflow.topological_order():
        call = workflow.calls[k]
        level[call.call_id] = 1 + max((level[parent] for parent in call.parents), default=0)
    return max(level.values()), max(Counter(level.values()).values())
