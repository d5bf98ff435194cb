"""The arrival rates between which a load is searched, in workflows a second."""

SLOWEST, FASTEST = 1e-3, 1e3  # at the faster end workflows arrive as good as together
