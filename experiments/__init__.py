"""Studies: grids of runs into a store, load search, the instance library, benchmarks, and the command line.

import experiments

load = experiments.find_load("qwen235b-hetero-1", "bfcl", workflows=100)
done = experiments.run_grid("smoke", "runs")
experiments.read_table("runs", "runs")
"""

from typing import TYPE_CHECKING

from hexsched.beside import check_beside
from hexsched.lazy import lazy_names

if TYPE_CHECKING:
    from experiments.grid.rerun import Rerun as Rerun
    from experiments.grid.rerun import rerun as rerun
    from experiments.grid.start import GridRun as GridRun
    from experiments.grid.start import run_grid as run_grid
    from experiments.load import Load as Load
    from experiments.load import find_load as find_load
    from experiments.store.reading import read_table as read_table

check_beside("solvers")

_lazy, __dir__, __all__ = lazy_names(
    __name__,
    {
        "GridRun": "experiments.grid.start",
        "Load": "experiments.load",
        "Rerun": "experiments.grid.rerun",
        "find_load": "experiments.load",
        "read_table": "experiments.store.reading",
        "rerun": "experiments.grid.rerun",
        "run_grid": "experiments.grid.start",
    },
)

if not TYPE_CHECKING:  # type checkers would take any name for one of these
    __getattr__ = _lazy
