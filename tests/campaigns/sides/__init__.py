"""Which side of a bracket is loose: prices that are not the best yet, the relaxation that they price, or the search.

The priced relaxation's own optimum is found a second way, by column generation: a linear program over the schedules of
all workflows, whose prices a solver finds (``solvers.bounds.prices.columns``). No search for prices proves more than
that. What is between it and the best schedule known, prices cannot close.
"""
