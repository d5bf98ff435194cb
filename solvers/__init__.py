"""The offline problem of model.md section 6: formulations that find schedules, bounds that no schedule can beat.

Read in this order: ``problem`` (the instance as arrays), ``objective`` (what is minimised), ``result`` (what a solve
gives back), ``certificate`` (from a solver's claim to one that holds in real time), then ``formulations`` and
``bounds``, a module each behind a registry.
"""
