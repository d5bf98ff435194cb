"""Clairvoyant search: the best schedule that can be found at any size, an upper bound on the optimum.

Read in this order: ``guide`` (what is decided), ``kernels`` and ``evaluator`` (what becomes of it), ``merit`` (how good
that is), ``starts``, ``rules`` (priorities changed as a whole), ``moves``, ``chain`` (local search), ``decisions``,
``neighbourhoods`` and ``neighbourhood_model`` (parts of the schedule itself), ``tuning`` (how effort is spent), ``run``
(``search``, the one public function).
"""

from solvers.schedules.search.result import MoveCount, SearchResult
from solvers.schedules.search.run import default_starts, search
from solvers.schedules.search.warm_up import warm_up

__all__ = ["MoveCount", "SearchResult", "default_starts", "search", "warm_up"]
