"""Lower bound <= optimum <= every schedule, on instances from the corners of the model (M27).

``python -m campaigns.chain`` in ``tests`` goes through a thousand of them and prints a table. ``corners`` draws them,
``examine`` lets bounds, policies, search, exhaustive search and an exact formulation loose on one.
"""
