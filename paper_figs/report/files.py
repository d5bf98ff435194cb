"""Workloads that were read from files: every policy relative to HexAGenT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from paper_figs.drawing.style import label
from paper_figs.drawing.tables import table
from paper_figs.reading.files import EACH, read_files
from paper_figs.reading.intervals import Interval, text
from paper_figs.reading.reductions import HEADLINES
from paper_figs.reading.selection import in_order
from paper_figs.reading.store import StorePath
from paper_figs.report.tables import number, seeds_mark, span


def workloads_of_files(store: StorePath) -> str:
    found = read_files(store)
    policies = in_order(found["policy"])
    single = found[found["workload"] != EACH]
    parts = [
        "## Workloads of files",
        "The SLO scale that a policy needs on workloads that were not generated, relative to HexAGenT on the same "
        "instance: Req95 / Req99, means over seeds, then over clusters. Each policy is paired with HexAGenT at "
        "the seeds that both have; where these are fewer than others of the row have, the cell says how many.",
        table(
            ("workload", "load", "seeds", *map(label, policies)),
            [
                (workload, load, span(group["n"]), *(_both(group, policy) for policy in policies))
                for (workload, load), group in single.groupby(["workload", "load"], sort=True)
            ],
        ),
        "All files together, with 95 % intervals over seeds; the setting (cluster, file and load) where a policy needs "
        "most, and in how many settings it needs over 2 % more than HexAGenT:",
        table(
            ("policy", "load", "metric", "all files", "worst setting", "over 2 % more"),
            [
                (label(policy), row["load"], label(row["metric"]), _ratio(row), number(row["worst"]), _share(row))
                for policy in policies
                for row in found[(found["workload"] == EACH) & (found["policy"] == policy)].to_dict("records")
            ],
        ),
    ]
    return "\n\n".join(parts)


def _both(group: pd.DataFrame, policy: str) -> str:
    mine = group[group["policy"] == policy].set_index("metric")
    means = " / ".join(number(float(mean)) for mean in mine["mean"].reindex(list(HEADLINES)))
    return means + (seeds_mark(mine["n"].min(), group["n"].max()) if len(mine) else "")


def _ratio(row: Mapping[Any, Any]) -> str:
    return text(Interval(row["mean"], row["low"], row["high"], row["n"]), digits=2)


def _share(row: Mapping[Any, Any]) -> str:
    return f"{row['over']} of {row['settings']}"
