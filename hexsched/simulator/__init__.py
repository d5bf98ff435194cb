"""The online simulator: ``simulate`` runs a policy, ``retime`` replays the decisions of a schedule."""

from hexsched.simulator.retime import replay_run, retime
from hexsched.simulator.run import Run, simulate

__all__ = ["Run", "replay_run", "retime", "simulate"]
