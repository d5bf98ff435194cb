"""The commands, one small module each; a module's ``add(app)`` registers what it has.

To add one: write the module, and name it in ``COMMANDS`` of ``experiments.cli.app``. Imports of numpy, pandas, numba
and the like belong inside the commands, so that ``hexsched --help`` stays instant.
"""
