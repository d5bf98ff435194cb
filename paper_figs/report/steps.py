"""The ladder from HexAGenT to the best possible."""

from __future__ import annotations

from experiments.pages import table
from paper_figs.drawing.cells import span
from paper_figs.drawing.setting import objective_label
from paper_figs.drawing.style import label
from paper_figs.reading.intervals import Interval, text
from paper_figs.reading.ladder import STEPS, read_ladder
from paper_figs.reading.store import StorePath, ordered


def ladder(store: StorePath) -> str:
    found = read_ladder(store)
    steps = ordered(found["step"], STEPS)
    rows = []
    for (objective, workload), group in found.groupby(["objective", "workload"], sort=True):
        by = group.set_index("step").to_dict("index")
        cells = []
        for step in steps:
            if step not in by:
                cells.append("–")
                continue
            row = by[step]
            ratio = text(Interval(row["mean"], row["low"], row["high"], int(row["n"])), digits=2)
            closed = f"; {100 * row['closed']:.0f} %" if row["closed"] == row["closed"] and row["closed"] else ""
            cells.append(f"{ratio}{closed}")
        rows.append((objective_label(str(objective)), label(str(workload)), span(group["n"]), *cells))
    about = found.iloc[0]
    return "\n\n".join(
        [
            "## From HexAGenT to the best possible",
            f"What is needed on {about['cluster']}, {about['workflows']} workflows, {about['load']}, relative to "
            "HexAGenT on the same instance [95 % interval over seeds]; then the share of the distance to the best "
            "schedule found that a step closes. No policy can be below the lower bound; the optimum lies between the "
            "last two.",
            table(("", "workload", "seeds", *(STEPS[step] for step in steps)), rows),
        ]
    )
