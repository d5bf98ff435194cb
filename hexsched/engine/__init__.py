"""The engine: cluster physics as an event loop over flat arrays, compiled by numba.

Read in this order: ``physics`` (the closed forms of model.md section 3), ``state`` (what is stored, and which part of
it a policy may see), ``loop`` (what happens when), ``kernel`` (how one source runs both compiled and interpreted).
"""
