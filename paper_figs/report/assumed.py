"""The paper's claims under what it does not state: which assumptions reproduce each, and which reproduce most."""

from __future__ import annotations

import pandas as pd

from experiments.pages import table
from paper_figs.reading.assumptions import ASSUMPTIONS, NAMES, SHIPPED, read_assumptions, reproduced, values
from paper_figs.reading.claims import WITHIN
from paper_figs.reading.store import NoDataError, StorePath

CLOSEST = 5  # sets of assumptions that are listed


def assumptions(store: StorePath) -> str:
    found = read_assumptions(store)
    sets = reproduced(found)
    if len(sets) < 2:
        raise NoDataError("a single set of assumptions, which is what all sections rest on", store)
    best = sets.head(CLOSEST)
    most, claims = int(best["within"].iloc[0]), int(sets["claims"].max())
    columns = (*(NAMES[name] for name in ASSUMPTIONS), "claims within", "mean distance, points")
    listed = [
        (*(row[name] for name in ASSUMPTIONS), f"{row['within']} of {row['claims']}", f"{100 * row['distance']:.1f}")
        for row in best.to_dict("records")
    ]
    everything = "No set of assumptions reproduces all of them" if most < claims else "Some reproduce all of them"
    return "\n\n".join(
        [
            "## The claims under what the paper does not state",
            f"{len(sets)} sets of assumptions: {_said(found)}. A claim is reproduced where the interval over seeds "
            "holds the paper's number, by the rule above. A load of `stress` is that of the strongest baseline under "
            f"the placement assumed. `{SHIPPED}` is what all other sections assume: baselines place as HexAGenT does "
            "(ATLAS where a call is projected to finish first), since a poorer placement would credit HexAGenT's order "
            "with what its placement does.",
            table(("claim", "paper", "ours, least to most", "sets that reproduce it", "where"), _rows(found)),
            f"{everything}. The closest:",
            table(columns, listed),
        ]
    )


def _rows(found: pd.DataFrame) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for _, claim in found.groupby("claim", sort=False):
        known = claim.dropna(subset=["ours"])
        hits = known[known["verdict"] == WITHIN]
        least, most = 100 * known["ours"].min(), 100 * known["ours"].max()
        paper = f"{100 * claim['paper'].iloc[0]:.1f} %"
        rows.append(
            (claim["text"].iloc[0], paper, f"{least:.1f} to {most:.1f} %", f"{len(hits)} of {len(known)}", _where(hits))
        )
    return rows


def _where(hits: pd.DataFrame) -> str:
    """By how many sets each placement reproduces the claim, the most first."""
    counts = hits["placement"].value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "nowhere"


def _said(found: pd.DataFrame) -> str:
    return "; ".join(f"{NAMES[column]}: {', '.join(values(found, column))}" for column in ASSUMPTIONS)
