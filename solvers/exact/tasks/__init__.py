"""The model of ``choco``: tasks on machines, and whether an objective can be as low as a target."""
