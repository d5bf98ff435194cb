"""Which policies of a store are looked at, and which of them is under study."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hexsched.errors import InputError
from hexsched.registry import suggest
from paper_figs.reading.paper_numbers import BASELINES, HEXAGENT

BASELINES_WORD, ALL = "baselines", "all"
PAPER = (*BASELINES, HEXAGENT)  # the order in which figures show them; others come after, by name
VARIANT = re.compile(rf"{HEXAGENT}\(.*\)")  # HexAGenT with options and its own placement: what an ablation compares
KEPT = {"policy": "", "load": "load ", "estimator": "estimator ", "workflows": ""}  # what notes call a value


@dataclass(frozen=True)
class Selection(os.PathLike[str]):
    """A store seen through a choice of its policies; takes the place of the store's path.

    Attributes
    ----------
    store : Path
    policies : tuple of str
        Those looked at, the one under study first; all there are, and HexAGenT under study, when empty.
    """

    store: Path
    policies: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: str | os.PathLike[str]) -> Selection:
        """The selection itself, or all of a store."""
        return store if isinstance(store, Selection) else cls(Path(store))

    @property
    def study(self) -> str:
        """The policy whose reductions are shown."""
        return self.policies[0] if self.policies else HEXAGENT

    @property
    def rivals(self) -> tuple[str, ...]:
        """The policies of which the strongest is the measure: the paper's baselines, or all others that were named."""
        return self.policies[1:] if self.policies else BASELINES

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of the policies that are looked at; all of a table that knows no policies."""
        return frame[frame["policy"].isin(self.policies)] if self.policies and "policy" in frame else frame

    def __fspath__(self) -> str:
        return str(self.store)

    def __str__(self) -> str:
        return str(self.store)


def select(store: str | os.PathLike[str], names: Sequence[str], present: Iterable[str]) -> Selection:
    """The policies of a list, each once, in its order.

    Parameters
    ----------
    store : path
    names : sequence of str
        As the store has them; ``baselines`` stands for those of the paper that it has, ``all`` for all.
    present : iterable of str
        The policies that the store has.

    Raises
    ------
    InputError
        For one that the store lacks, with what may have been meant.
    """
    known = in_order(present)
    groups = {BASELINES_WORD: [name for name in known if name in BASELINES], ALL: known}
    chosen: dict[str, None] = {}
    for name in (re.sub(r"\s", "", name) for name in names):
        if name not in groups and name not in known:
            raise InputError(f"no policy {name!r} in this store{suggest(name, known)}", store)
        chosen |= dict.fromkeys(groups.get(name, [name]))
    if not chosen:
        raise InputError(f"none of these policies is in this store; it has {', '.join(known)}", store)
    return Selection(Path(store), tuple(chosen))


def in_order(policies: Iterable[str]) -> list[str]:
    """Distinct policies: the paper's in its order, then the others by name."""
    found = set(policies)
    return [name for name in PAPER if name in found] + sorted(found.difference(PAPER))


def left_out(every: pd.DataFrame, shown: pd.DataFrame) -> str:
    """What a figure does not show of what is stored: policies, loads, estimators, numbers of workflows; "" for none."""
    parts = []
    for column, word in KEPT.items():
        if column not in every or column not in shown:
            continue
        gone = set(every[column]) - set(shown[column])
        names = in_order(gone) if column == "policy" else list(map(str, sorted(gone)))
        if names and column == "policy" and all(VARIANT.fullmatch(name) for name in names):
            hints = [name for name in names if name.startswith(f"{HEXAGENT}(horizon=hint")]
            told = any(name.startswith(f"{HEXAGENT}(horizon=hint(") for name in hints)
            where = ["ablation"] * (len(hints) < len(names)) + ["information"] * told
            figures = f" (figure{'s' * (len(where) > 1)} {' and '.join(where)})" if where else ""
            parts.append(f"{len(names)} variant{'s' * (len(names) > 1)} of HexAGenT{figures}: {', '.join(names)}")
        elif names:
            parts.append(word + ", ".join(names) + (" workflows" if column == "workflows" else ""))
    return f"stored, not shown here: {'; '.join(parts)}" if parts else ""


def one_trace(runs: pd.DataFrame) -> str:
    """That seeds changed nothing, where a setting's workflows are those of a file; "" elsewhere."""
    same = runs[runs["repeats"] > 1]
    names = ", ".join(sorted(set(same["workload"])))
    return f"{names}: one trace, the same at all {same['repeats'].max()} seeds, so no interval" if names else ""
