"""The paper's Mixed workload: ShareGPT, BFCL and LATS together."""

from __future__ import annotations

import numpy as np

from hexsched.model import Workflow
from hexsched.workloads.families.bfcl import Bfcl
from hexsched.workloads.families.lats import Lats
from hexsched.workloads.families.parts.family import Family
from hexsched.workloads.families.sharegpt import ShareGPT


class Mixed(Family):
    """Each workflow is of one of the three families with probability 1/3.

    The paper (arXiv 2605.16637) does not state the shares; equal ones are our choice.
    """

    name = "mixed"
    rank = 3
    summary = "each workflow from sharegpt, bfcl or lats with equal probability (the shares are our choice)"
    source = "the families sharegpt, bfcl and lats"

    def __init__(self) -> None:
        self.parts: tuple[Family, ...] = (ShareGPT(), Bfcl(), Lats())

    def sample(self, rng: np.random.Generator, workflow_id: str) -> Workflow:
        return self.parts[int(rng.integers(len(self.parts)))].sample(rng, workflow_id)


FAMILY = Mixed()
