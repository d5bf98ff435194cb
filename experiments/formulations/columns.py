"""The columns of what a solve found, in the tables of grids and of comparisons."""

from experiments.store.schema import REAL, TEXT, WHOLE

# All of it depends on how far the solve got in its time.
FOUND = {
    "status": TEXT,  # refused: the solver is not installed or has no licence; the message says so
    "value": REAL,
    "lower_bound": REAL,
    "bound_source": TEXT,
    "root_bound": REAL,  # the first that the solver proved
    "variables": WHOLE,
    "constraints": WHOLE,
    "nonzeros": WHOLE,
    "message": TEXT,
    "solver": TEXT,  # what solved the models; empty where bounds and start met before one was asked
    "solver_version": TEXT,
    "solver_threads": WHOLE,
    "solver_tolerance": REAL,
    "solver_status": TEXT,  # of its last model, which may be that of a target
    "solver_bound": REAL,
}
