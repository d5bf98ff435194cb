"""One policy on one instance, as the commands run it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli.plugins import plugin_errors
from hexsched.progress import Progress

if TYPE_CHECKING:
    from hexsched.model import Instance
    from hexsched.policies import Policy
    from hexsched.simulator import Run


def run_policy(
    instance: Instance, policy: Policy, *, estimator: str, seed: int, plugins: Sequence[Path], label: str
) -> Run:
    """Simulate with progress on the terminal; mistakes in ``plugins`` raise ``InputError``."""
    from hexsched.simulator import simulate

    with Progress(label) as progress, plugin_errors(plugins, policy):
        return simulate(instance, policy, estimator=estimator, seed=seed, progress=progress)
