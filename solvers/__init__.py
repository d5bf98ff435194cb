"""The offline problem (docs/model.md): schedules that are good, and values that no schedule can beat.

Rooms, each of which imports only those before it:

- ``problem``: an instance as arrays, what is minimised, what makes a claim certain;
- ``bounds``: what is below the optimum, a module a bound;
- ``schedules``: what is above it: list schedules, and the clairvoyant search;
- ``exact``: what closes in on it from both sides, a module a formulation;
- ``brackets``: what brings them together: ``solve``, ``best_bound``, ``gap``.
"""
