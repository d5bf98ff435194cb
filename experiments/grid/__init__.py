"""Grids: many cells (a policy on a workload on a cluster, and the like) from one YAML file, run into a store.

The road: ``spec`` reads a file, ``expand`` turns axes into points, ``kinds`` turn points into cells, ``plan`` compares
them with a store, ``run`` has them computed by ``local`` processes or on ``dask``, and the store keeps the results.
"""
