"""The program ``hexsched``: solvers, experiments and paper_figs are those beside this package, whatever is called so.

A person may well have a folder ``experiments`` or ``solvers`` of their own, and ``PYTHONPATH=.``. This module is what
the program loads first, and its worker processes too, as they load what the program has loaded.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from hexsched.beside import BESIDE, spec_beside


class _Beside(MetaPathFinder):
    """Finds the packages beside hexsched before anybody looks along ``sys.path``, and nothing else."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return spec_beside(name) if name in BESIDE and path is None else None


sys.meta_path.insert(0, _Beside())

YOUNG = 50_000  # objects made between two looks for garbage: with 700, a tenth of the time to load modules goes there


def main() -> int:
    """Run one command with the arguments of the process; the exit code."""
    gc.set_threshold(YOUNG)
    try:
        # by name: what hexsched imports points downwards, and only the program knows what stands above
        code: int = import_module("experiments.cli").main()
        return code
    finally:
        gc.freeze()  # the process ends: to look for garbage in all that was loaded would take longer than many commands
