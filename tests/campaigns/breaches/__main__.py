"""``python -m campaigns.breaches [--seeds N]``: break every rule in every way, and print what was named."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from campaigns.breaches import Tally, break_all
from campaigns.breaches.valid import every
from hexsched.verifier import RULES

WAYS = 30  # at least, to break each rule of the verifier and of the model


def main(words: Sequence[str] | None = None) -> int:
    """Print a row a rule; 1 where the verifier errs, or a rule has fewer ways."""
    parser = argparse.ArgumentParser(prog="campaigns.breaches", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args(words)
    tally, broken = Tally(), 0
    for seed in range(given.first, given.first + given.seeds):
        for valid in every(seed):
            break_all(valid, tally)
            broken += 1
        for sentence in tally.wrong[:10]:
            print(f"seed {seed}, {sentence}", flush=True)
        if tally.wrong:
            return 1
    print(f"{broken} valid schedules, broken:")
    print(f"{'rule':<18}{'ways':>6}{'schedules':>12}{'broken alone':>14}")
    for rule in RULES:
        print(f"{rule:<18}{len(tally.ways[rule]):>6}{tally.made[rule]:>12,}{tally.alone[rule]:>14,}")
    ways = {rule: len(found) for rule, found in tally.ways.items()}
    print(f"{'all':<18}{sum(ways.values()):>6}{tally.made.total():>12,}{tally.alone.total():>14,}")
    models = {rule: len(found) for rule, found in tally.of_model.items()}
    rules = sorted(models, key=lambda rule: int(rule[1:]))
    print("ways by rule of the model: " + ", ".join(f"{rule} {models[rule]}" for rule in rules))
    print(f"off by less than the tolerance, none of them named: {tally.harmless:,}")
    return int(min([*ways.values(), *models.values()]) < WAYS)


if __name__ == "__main__":
    sys.exit(main())
