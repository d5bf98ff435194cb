"""What results rest on, in the words of titles."""

from __future__ import annotations

import re

import pandas as pd

from paper_figs.drawing.style import label

NAMED = 3  # values of a column that are named; more are counted


def objective_label(objective: str) -> str:
    """``"req(0.95)"`` as "Req95", ``"misses(4)"`` as "workflows beyond SLO scale 4"."""
    found = re.fullmatch(r"(req|misses)\(([^)]*)\)", objective)
    if found is None:
        return label(objective)
    return f"Req{100 * float(found[2]):g}" if found[1] == "req" else f"workflows beyond SLO scale {found[2]}"


def setting_text(rows: pd.DataFrame) -> str:
    """``"qwen235b-hetero-1; BFCL-v3, LATS; 100 to 400 workflows; stress:5.6; 3 seeds"`` of the columns there are.

    Columns cluster, workload, workflows, load and seed; one that is empty is left out.
    """
    parts = []
    for column, noun in (("cluster", "clusters"), ("workload", "workloads"), ("load", "loads")):
        values = list(dict.fromkeys(str(value) for value in rows.get(column, ()) if value != "" and value == value))
        if values:
            named = [label(value, values) if column == "workload" else value for value in values]
            parts.append(", ".join(named) if len(values) <= NAMED else f"{len(values)} {noun}")
    sizes = sorted({int(value) for value in rows.get("workflows", ()) if value != "" and value == value})
    if sizes:
        text = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        parts.insert(min(2, len(parts)), f"{text} workflows")
    seeds = {value for value in rows.get("seed", ()) if value != "" and value == value}
    if len(seeds) > 1:
        parts.append(f"{len(seeds)} seeds")
    return "; ".join(parts)
