"""Logic-based Benders decomposition: the master that places, the subproblems that sequence, the cuts between them."""
