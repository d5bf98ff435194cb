"""Lower bounds at the scale of a real cluster: capacities are priced, and every workflow then plans for itself."""

from solvers.bounds.prices.bound import PricedBound, priced_bound, warm_up

__all__ = ["PricedBound", "priced_bound", "warm_up"]
