"""``python -m campaigns.chain [--instances N] [--results FILE]``: where FILE has an instance, it is not done again."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from campaigns.chain.corners import draw
from campaigns.chain.examine import Found, examine
from hexsched.errors import InputWarning
from hexsched.model import write_instance


def main(words: Sequence[str] | None = None) -> int:
    """Examine instances, a line of JSON each, and print a table of them; 1 where anything contradicts."""
    parser = argparse.ArgumentParser(prog="campaigns.chain", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--results", type=Path, help="append to this file, and go on where it ends")
    parser.add_argument("--keep", type=Path, help="write instances with a contradiction into this folder")
    given = parser.parse_args(words)
    warnings.simplefilter("ignore", InputWarning)  # programs that are left out for their size
    rows = {}
    if given.results is not None and given.results.exists():
        rows = {row["number"]: row for row in map(json.loads, given.results.read_text().splitlines())}
    for number in range(given.first, given.first + given.instances):
        if number in rows:
            continue
        rows[number] = look(number, given.keep)
        if given.results is not None:
            with given.results.open("a") as file:
                file.write(json.dumps(rows[number]) + "\n")
    chosen = [rows[n] for n in range(given.first, given.first + given.instances)]
    print(table(chosen))
    wrong = [(row["number"], row["corner"], sentence) for row in chosen for sentence in row["wrong"]]
    for number, corner, sentence in wrong:
        print(f"{number}, {corner}: {sentence}")
    print(f"{len(chosen)} instances, {len(wrong)} contradictions")
    return int(bool(wrong))


def look(number: int, keep: Path | None) -> dict[str, object]:
    """What came of an instance, an exception included."""
    began = time.process_time()
    corner, instance = draw(number)
    try:
        found = examine(instance, number)
    except Exception as error:  # of whatever is examined: a finding like others
        found = Found(wrong=[f"{type(error).__name__}: {error}", traceback.format_exc()])
    if found.wrong:
        print(f"{number}, {corner}: {found.wrong[0]}", file=sys.stderr, flush=True)
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            write_instance(keep / f"{number}.json", instance)
    about = {"number": number, "corner": corner, "model": instance.decode_model, "calls": instance.call_count}
    return {**about, **found.as_dict(), "cpu_seconds": time.process_time() - began}


def table(rows: Sequence[dict[str, object]]) -> str:
    """A row a corner and decode model, and one of all."""
    frame = pd.DataFrame(rows)
    frame["contradictions"] = frame["wrong"].map(len)
    sums = {
        name: (name, "sum") for name in ("bounds", "schedules", "optima", "proved", "contradictions", "cpu_seconds")
    }
    corners = frame.groupby("corner", sort=False).agg(
        instances=("number", "count"), **sums, nearest=("nearest", "mean")
    )
    corners.loc["all"] = [len(frame), *(frame[name].sum() for name in sums), frame["nearest"].mean()]
    whole = [name for name in corners.columns if name not in ("nearest", "cpu_seconds")]
    corners = corners.astype(dict.fromkeys(whole, int))
    return corners.round({"nearest": 4, "cpu_seconds": 1}).to_string()


if __name__ == "__main__":
    sys.exit(main())
