"""What stored settings lack beside each other: runs of a policy at seeds that others of the setting have."""

from __future__ import annotations

import pandas as pd

from paper_figs.reading.store import CELL

COLUMNS = [*CELL, "policy", "has", "of"]


def missing_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """A row a setting and policy with fewer seeds than the setting has.

    Parameters
    ----------
    runs : DataFrame
        As ``read_runs`` gives it.

    Returns
    -------
    DataFrame
        ``CELL``, policy, has (seeds of the policy), of (seeds that any policy of the setting has). Which runs a grid
        asks for is not stored, so what a setting lacks altogether is not among them: ``not_everywhere``.
    """
    has = runs.groupby([*CELL, "policy"])["seed"].nunique().rename("has").reset_index()
    of = runs.groupby(CELL)["seed"].nunique().rename("of").reset_index()
    found = has.merge(of, on=CELL)
    return found.loc[found["has"] < found["of"], COLUMNS].reset_index(drop=True)


def not_everywhere(runs: pd.DataFrame, column: str) -> dict[object, int]:
    """The values of a column that some settings lack altogether, with the number of settings that have them."""
    count = runs.drop_duplicates([*CELL, column])[column].value_counts()
    settings = len(runs[CELL].drop_duplicates())
    return {value: int(count[value]) for value in sorted(count.index) if count[value] < settings}
