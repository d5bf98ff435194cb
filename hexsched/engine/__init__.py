"""The engine: cluster physics as an event loop over flat arrays, compiled by numba. It knows no policy.

Read in this order: ``physics`` (the closed forms of the model), ``state`` (what is stored: what may be observed, and
what is true), ``loop`` (what happens when), ``actions`` (what a policy can do), ``kernel`` (how one source runs both
compiled and interpreted), ``compiler`` (how numba is told to).
"""
