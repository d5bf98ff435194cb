"""Mutated input for everything that reads: ``cd tests && ../.venv/bin/python -m campaigns.fuzz --help``.

A reader is a file kind, a trace format or a text of the command line (``readers``). Its inputs are made of examples by
changing their structure, their text and their bytes (``documents``, ``tables``, ``texts``, ``packing``). An input that
reaches a branch of the code that none before it reached is kept and changed further (``branches``). Inputs run in a
worker (``worker``) that is watched from outside (``watch``), so that one that crashes it or hangs it is known and the
campaign goes on. What must not happen is in ``findings``.

The n-th input of a reader follows from the seed, the reader's name and n.
"""
