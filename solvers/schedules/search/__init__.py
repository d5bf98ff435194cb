"""Clairvoyant search: the best schedule that can be found at any size, an upper bound on the optimum.

Read in this order: ``plan`` (what is decided), ``kernels`` and ``evaluator`` (what becomes of it), ``merit`` (how good
that is), ``starts``, ``tuning`` (of the rules behind all priorities), ``moves``, ``chain`` (local search),
``decisions``, ``windows`` and ``window_model`` (large neighbourhoods of the schedule itself), ``run`` (``search``, the
one public function).
"""

from solvers.schedules.search.result import MoveCount, SearchResult
from solvers.schedules.search.run import default_starts, search

__all__ = ["MoveCount", "SearchResult", "default_starts", "search"]
