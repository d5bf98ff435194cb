"""What a file is, told from its beginning: so that a wrong one is named, and nothing of another kind is overwritten."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Collection
from pathlib import Path

from hexsched.errors import InputError
from hexsched.model.table_files import PARQUET, head_of_table

HEAD = 1 << 16  # bytes that are looked at

# What each kind is called, and what takes it.
KINDS = {
    "instance": ("an instance", "'hexsched simulate', 'compare', 'bound' and 'gap' take it"),
    "schedule": ("a schedule", "'hexsched verify INSTANCE SCHEDULE' takes it"),
    "workload": ("a workload", "'hexsched compile CLUSTER WORKLOAD' makes an instance of it"),
    "cluster": ("a cluster", "'hexsched compile CLUSTER WORKLOAD' makes an instance of it"),
    "grid": ("a grid of experiments", "'hexsched grid run GRID' takes it"),
    "profile": ("a profile of service times", "'profile:' in a cluster takes it"),
    "predictor": ("a predictor of hints", "'hexsched workload hint' takes it"),
    "python": ("a Python file", "'--plugin FILE' takes it"),
    "table": ("a table", "'hexsched workload import' reads traces in CSV, 'hexsched calibrate' measured service times"),
    "model": ("a model of a solver", "solvers read it"),
    "flat": ("a flat instance", "models of your own read it; docs/formats.md says what is in it"),
    "flat-solution": ("a solution of a flat instance", "'hexsched library submit' takes it"),
    "bracket": ("what 'hexsched gap --json' printed", "'hexsched gap --resume' takes it"),
}
OF_CLUSTERS = {"prefill", "decode"}
OF_GRIDS = {"kind", "clusters", "workloads", "policies", "grids", "instances", "formulations", "loads"}


def kind_of(path: str | Path) -> str | None:
    """One of ``KINDS``; None for what is none of them, a trace perhaps, and for what cannot be read as text."""
    try:
        with open(path, "rb") as file:
            data = file.read(HEAD)
        if data.startswith(PARQUET):
            return _declared(head_of_table(path).decode("utf-8", errors="replace"))
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=len(data) < HEAD).lstrip()
    except (OSError, ValueError):  # no text, or a name that no file can have
        return None
    suffix = os.path.splitext(path)[1].lower()
    if text.startswith("{"):
        if (declared := _declared(text)) is not None:
            return declared
        line = text.splitlines()[0]
        return "workload" if '"workflow_id"' in line and '"calls"' in line else None
    if suffix in (".py", ".ipynb"):
        return "python"
    if suffix in (".lp", ".mps", ".pb", ".pbtxt", ".mzn", ".dzn"):
        return "model"
    if suffix in (".yaml", ".yml", ""):
        keys = set(re.findall(r"^([a-z_]+)\s*:", text, re.MULTILINE))
        if keys >= OF_CLUSTERS:
            return "cluster"
        if keys & OF_GRIDS:
            return "grid"
    if suffix in (".csv", ".tsv") and text[:1].isprintable():
        return "table"
    return None


def _declared(text: str) -> str | None:
    """The kind that a JSON object says it is of."""
    found = re.search(r'"format"\s*:\s*"hexsched-([a-z-]+)/\d', text)
    return found[1] if found is not None and found[1] in KINDS else None


def check_kind(path: str | Path, wanted: str, but: Collection[str] = ()) -> None:
    """Refuse a file that is surely of another kind than the one ``wanted``, and of none in ``but``.

    Raises
    ------
    InputError
        Saying what it is, and which command takes it.
    """
    found = kind_of(path)
    if found is not None and found != wanted and found not in but:
        what, takes = KINDS[found]
        raise InputError(f"this is {what}, not {KINDS[wanted][0]}; {takes}", path)
