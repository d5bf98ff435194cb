"""``python -m campaigns.clairvoyance [--families LIST]``: HexAGenT's distance from the best schedules, split."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import pandas as pd

from campaigns.clairvoyance.futures import futures, split


def main(words: Sequence[str] | None = None) -> int:
    """A line of JSON for each family and seed, and a table of them."""
    parser = argparse.ArgumentParser(prog="campaigns.clairvoyance", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cluster", default="demo")
    parser.add_argument("--families", default="sharegpt,bfcl,react,lats")
    parser.add_argument("--workflows", type=int, default=4)
    parser.add_argument("--shared", type=int, default=2, help="workflows that all futures have")
    parser.add_argument("--futures", type=int, default=2)
    parser.add_argument("--calls", type=int, default=4, help="of a workflow; those beyond are cut off")
    parser.add_argument("--spacing", type=float, default=0.1, help="mean time between arrivals, over the mean horizon")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--objective", default="mean_ratio")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the solver, for each of the two bounds")
    given = parser.parse_args(words)
    rows = []
    for family in given.families.split(","):
        for seed in range(given.seeds):
            scenarios = futures(
                given.cluster, family, given.workflows, given.shared, given.futures, given.calls, given.spacing, seed
            )
            found = split(scenarios, given.objective, given.seconds)
            rows.append({"family": family, "seed": seed, "objective": given.objective, **found})
            print(json.dumps(rows[-1]), flush=True)
    print(table(pd.DataFrame(rows)).to_string())
    return 0


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Distances as a share of the clairvoyant bound, per cent."""
    share = 100 / rows["clairvoyant"]
    return rows.assign(
        distance=(share * (rows["policy"] - rows["clairvoyant"])).round(1),
        clairvoyance=(share * (rows["online"] - rows["clairvoyant"])).round(1),
        rest=(share * (rows["policy"] - rows["online"])).round(1),
    )


if __name__ == "__main__":
    raise SystemExit(main())
