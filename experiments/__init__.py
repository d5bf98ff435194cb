"""Experiments: the command line, grids of runs and the store that keeps them, the instance library, benchmarks."""

from hexsched.beside import check_beside

check_beside("solvers")
