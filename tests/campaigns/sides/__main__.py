"""``python -m campaigns.sides [--workflows N] [--results FILE]``: where FILE has an instance, it is not done again."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from campaigns.sides.sides import instance_at, sides
from hexsched.workloads.families import FAMILIES
from solvers.brackets.gap import warm_up


def main(words: Sequence[str] | None = None) -> int:
    """One instance after another, a line of JSON each, and a table of them."""
    parser = argparse.ArgumentParser(prog="campaigns.sides", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cluster", default="qwen235b-hetero-1")
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--loads", default="stress:5.6,saturation:0.9")
    parser.add_argument("--workflows", type=int, default=20)
    parser.add_argument("--objective", default="req(0.95)")
    parser.add_argument("--prices", type=float, default=200.0, help="CPU seconds of the search for prices")
    parser.add_argument("--columns", type=float, default=200.0, help="of column generation")
    parser.add_argument("--search", type=float, default=200.0, help="of the search for schedules")
    parser.add_argument("--results", type=Path, help="append to this file, and go on where it ends")
    given = parser.parse_args(words)
    rows = []
    if given.results is not None and given.results.exists():
        rows = [json.loads(line) for line in given.results.read_text().splitlines()]
    warm_up()
    for load in given.loads.split(","):
        for family in given.families.split(","):
            case = {"family": family, "load": load, "workflows": given.workflows, "objective": given.objective}
            case |= {"prices": given.prices, "columns": given.columns, "search": given.search}
            if any(case.items() <= row.items() for row in rows):
                continue
            instance = instance_at(given.cluster, family, given.workflows, load)
            found = sides(instance, given.objective, given.prices, given.columns, given.search)
            rows.append({**case, "calls": instance.call_count, **found})
            print(json.dumps(rows[-1]), flush=True)
            if given.results is not None:
                with given.results.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    print(table(pd.DataFrame(rows)).to_string())
    return 0


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Widths as a share of the bound, per cent: what better prices could prove, and what lies beyond all prices."""
    share = 100 / rows["bound"]
    return pd.DataFrame(
        {
            "family": rows["family"],
            "load": rows["load"],
            "bound": rows["bound"].round(3),
            "schedule": rows["value"].round(3),
            "width": (share * (rows["value"] - rows["bound"])).round(1),
            "unfinished prices": (share * (rows["relaxation_at_most"] - rows["bound"])).round(1),
            "beyond all prices": (share * (rows["value"] - rows["relaxation_at_most"])).round(1),
            "prices, 2nd half": (share * (rows["bound"] - rows["half_bound"])).round(1),
            "search, 2nd half": (share * (rows["half_value"] - rows["value"])).round(1),
        }
    )


if __name__ == "__main__":
    raise SystemExit(main())
