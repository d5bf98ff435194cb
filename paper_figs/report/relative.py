"""Every policy relative to HexAGenT: on generated workloads, and on those that were read from files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from experiments.pages import table
from paper_figs.drawing.cells import number
from paper_figs.drawing.style import label
from paper_figs.figures import real, relative
from paper_figs.reading.reductions import HEADLINES
from paper_figs.reading.relative import COST, EACH, TOGETHER
from paper_figs.reading.selection import in_order
from paper_figs.reading.store import EXACT, StorePath

NOTHING = 0.005  # of what HexAGenT needs: of a gain below it no share is said


def beside_hexagent(store: StorePath) -> str:
    found = relative.read_policies(store)
    text = relative.as_table(found)
    parts = ["## Policies beside HexAGenT", text.note, table(text.columns, text.rows, text.alignment)]
    parts += filter(None, [kept_of_gains(found)])
    return "\n\n".join(parts)


def kept_of_gains(found: pd.DataFrame) -> str:
    """How much of a gain is left where output lengths are not known exactly, on the workloads that ran both ways."""
    on = ["load", "workload", "policy", "measure"]
    single = found[(~found["workload"].isin(TOGETHER)) & found["measure"].isin(HEADLINES)]
    exact = single[single["estimator"] == EXACT].set_index(on)["mean"]
    other = single[single["estimator"] != EXACT].join(exact.rename("exact"), on=on).dropna(subset=["exact"])
    other = other[1 - other["exact"] >= NOTHING]
    if other.empty:
        return ""
    rows = [
        (
            label(row["policy"]),
            label(row["workload"]),
            row["estimator"],
            label(row["measure"]),
            f"{100 * (1 - row['exact']):.1f} %",
            f"{100 * (1 - row['mean']):.1f} %",
            f"{100 * (1 - row['mean']) / (1 - row['exact']):.0f} %",
        )
        for row in other.to_dict("records")
    ]
    columns = ("policy", "workload", "estimator", "", "less with exact lengths", "less so", "share that is kept")
    return "\n\n".join(
        ["What is left of a gain where both policies know output lengths with an error:", table(columns, rows)]
    )


def workloads_of_files(store: StorePath) -> str:
    found = real.read_files(store)
    text = real.as_table(found)
    parts = [
        "## Workloads of files",
        f"The SLO scale that a policy needs on workloads that were not generated. {text.note}",
        table(text.columns, text.rows, text.alignment),
        "All files together, with 95 % intervals over seeds; the setting (cluster, file and load) where a policy needs "
        "most, and in how many settings it needs over 2 % more than HexAGenT, in brackets in how many of these the "
        "interval is above 2 %, too:",
        table(
            ("policy", "load", "", "all files", "worst setting", "which", "over 2 % more"),
            [
                (*_of(row), relative.ratio_text(row), number(row["worst"]), row["worst_at"], _share(row))
                for policy in in_order(found["policy"])
                for row in found[(found["workload"] == EACH) & (found["policy"] == policy)].to_dict("records")
            ],
        ),
    ]
    return "\n\n".join(parts)


def _of(row: Mapping[Any, Any]) -> tuple[str, str, str]:
    return label(row["policy"]), row["load"], "decision cost" if row["measure"] == COST else label(row["measure"])


def _share(row: Mapping[Any, Any]) -> str:
    return "–" if row["measure"] == COST else f"{row['over']} ({row['surely']}) of {row['settings']}"
