"""How many small mistakes in the code the fast checks notice: the mutation score, room by room.

    cd tests && ../.venv/bin/python -m campaigns.mutation --room verifier engine --sample 300 --seed 1

A mutant is one change of one module (``operators``). It is compiled from the changed syntax tree in a process of its
own, which loads everything of ours anew; then the fast checks of its room (``rooms``) that reach the place run until
one fails.

- *killed*: a check failed.
- *survived*: all of them passed, or none reaches the place.
- *timed out*: more than 20 s of CPU and four times what these checks take. Counts as not killed, and is listed.
- *equivalent*: listed in ``equivalent.txt`` with the reason why no check can tell it from what is right. Shown apart,
  and not run.

The score is killed / (killed + survived + timed out). A change that does not compile is not counted.

Kernels run as the Python that they are written in, from the changed source (``interpreted``): to compile one takes
20 s. With ``--compiled`` the sample is judged a second time by machine code, each mutant in a copy of the tree, and
what comes of it is set beside the first verdict.

Not mutmut 3: it puts every changed function beside the original behind a trampoline that asks the environment which one
to call; numba cannot compile that, and ``interpreted``, which takes kernels apart, does not see through it. Not
cosmic-ray: it writes each mutant into the tree and starts a command for it, seconds of loading libraries before the
first check, and takes a time-out for a kill.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from campaigns.mutation.compiled import judge_compiled
from campaigns.mutation.operators import Mutant, mutants
from campaigns.mutation.rooms import ROOMS
from campaigns.mutation.worker import KILLED, ROOT, SURVIVED, TIMED_OUT, Check, Result, judge, survey

EQUIVALENT = Path(__file__).with_name("equivalent.txt")


def main() -> int:
    """Run the campaign; 1 where a room's score is below what was asked for."""
    parser = argparse.ArgumentParser(prog="campaigns.mutation", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--room", nargs="+", choices=list(ROOMS), default=list(ROOMS), help="rooms; all by default")
    parser.add_argument("--file", help="mutants of files with this text in their path alone")
    parser.add_argument("--lines", help="FROM-TO: mutants of these lines alone")
    parser.add_argument("--sample", type=int, help="so many mutants of each room, drawn at random; all by default")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    parser.add_argument("--least", type=float, default=0.0, help="the score in percent that is asked for")
    parser.add_argument("--again", type=Path, help="only mutants that are named in this report as not killed")
    parser.add_argument("--report", type=Path, help="write what was not killed to this file")
    parser.add_argument("--compiled", action="store_true", help="a second verdict on each, by machine code")
    parser.add_argument("--all", action="store_true", help="list those that were killed too, and by what")
    asked = parser.parse_args()
    reasons = Equivalent.read(EQUIVALENT)
    lines: list[str] = []
    total: Counter[str] = Counter()
    low = False
    for name in asked.room:
        room = ROOMS[name]
        drawn = [m for file in room.files for m in mutants(file, (ROOT / file).read_text())]
        if asked.file:
            drawn = [m for m in drawn if asked.file in m.file]
        if asked.lines:
            first, last = map(int, asked.lines.split("-"))
            drawn = [m for m in drawn if first <= m.line <= last]
        if asked.again:
            wanted = {line.split("  ")[-1] for line in asked.again.read_text().splitlines()}
            drawn = [m for m in drawn if m.name in wanted]
        every = len(drawn)
        if asked.sample and asked.sample < every:
            drawn = random.Random(f"{asked.seed}/{name}").sample(drawn, asked.sample)
        alike = [m for m in drawn if reasons.of(m)]
        began = time.monotonic()
        checks = survey(room.files, room.checks, room.without, room.first, room.conftest)
        print(f"{name}: {len(checks)} checks, {sum(c.seconds for c in checks):.1f} s of CPU", flush=True)
        judged: list[Result] = []

        def one(mutant: Mutant, checks: list[Check] = checks, conftest: bool = room.conftest) -> Result:
            return judge(mutant, checks, conftest)

        with ThreadPoolExecutor(asked.workers) as pool:
            for result in pool.map(one, [m for m in drawn if not reasons.of(m)]):
                judged.append(result)
                if result.outcome != KILLED or asked.all:
                    mutant = result.mutant
                    text = f"{mutant.file}:{mutant.line}  {result.outcome} ({result.by})  {mutant.name}"
                    lines.append(text)
                    print(text, flush=True)
        counted = Counter(result.outcome for result in judged)
        total += counted
        low |= _score(counted) < asked.least
        if asked.compiled:
            for result in judged:
                again = judge_compiled(result.mutant, checks, room.conftest)
                verb = "agrees" if again == result.outcome else "DIFFERS"
                print(f"compiled {verb}: {again}, {result.outcome} interpreted  {result.mutant.name}", flush=True)
        took = time.monotonic() - began
        print(
            f"{name}: {_said(counted)}, {len(alike)} equivalent; "
            f"{len(drawn)} of {every} mutants, {took:.0f} s, {took / max(len(judged), 1):.2f} s each",
            flush=True,
        )
    if len(asked.room) > 1:
        print(f"all: {_said(total)}")
    if asked.report:
        asked.report.write_text("".join(f"{line}\n" for line in lines))
    return int(low)


def _score(counted: Counter[str]) -> float:
    """Percent of what was judged."""
    return 100 * counted[KILLED] / max(counted.total(), 1)


def _said(counted: Counter[str]) -> str:
    outcomes = ", ".join(f"{counted[outcome]} {outcome}" for outcome in (KILLED, SURVIVED, TIMED_OUT))
    return f"score {_score(counted):.1f} %: {outcomes}"


@dataclass(frozen=True)
class Equivalent:
    """Mutants that are no mistakes, and why; ``*`` stands for any text.

    The file has paragraphs: a line that begins with ``#`` has the reason, each line after it a name.
    """

    reasons: dict[str, str]
    patterns: list[str]

    @staticmethod
    def read(file: Path) -> Equivalent:
        """What the file says."""
        reasons: dict[str, str] = {}
        why = ""
        for line in file.read_text().splitlines():
            if line.startswith("# "):
                why = line[2:]
            elif line:
                reasons[line] = why
        return Equivalent(reasons, [re.escape(name).replace(r"\*", ".*") for name in reasons if "*" in name])

    def of(self, mutant: Mutant) -> bool:
        """Whether a mutant is one of them."""
        return mutant.name in self.reasons or any(re.fullmatch(one, mutant.name) for one in self.patterns)


if __name__ == "__main__":
    sys.exit(main())
