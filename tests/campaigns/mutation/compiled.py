"""The second verdict on a mutant: by machine code that numba makes of the changed source, in a copy of the tree."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from campaigns.mutation.operators import Mutant, mutated
from campaigns.mutation.worker import KILLED, ROOT, SURVIVED, TIMED_OUT, Check, reaching

PARTS = ("hexsched", "solvers", "experiments", "paper_figs", "tests")
SECONDS = 900.0  # a minute of CPU to compile, on a machine that may be busy; nothing here takes so long otherwise


def judge_compiled(mutant: Mutant, checks: Sequence[Check], conftest: bool) -> str:
    """As ``worker.judge``, but compiled, from a cache of machine code of its own."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        for part in PARTS:
            shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", tree)
        (tree / mutant.file).write_text(ast.unparse(mutated((ROOT / mutant.file).read_text(), mutant.number)) + "\n")
        paths = os.pathsep.join([str(tree), str(tree / "tests")])
        surroundings = {**os.environ, "PYTHONPATH": paths, "XDG_CACHE_HOME": str(Path(folder) / "cache")}
        options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "", *([] if conftest else ["--noconftest"])]
        names = [f"tests/{check.name}" for check in reaching(mutant, checks)]
        command = [sys.executable, "-m", "pytest", *options, *names]
        try:
            done = subprocess.run(
                command, cwd=tree, env=surroundings, capture_output=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return TIMED_OUT
    return SURVIVED if done.returncode == 0 else KILLED
