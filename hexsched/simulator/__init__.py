"""The online simulator: ``simulate`` runs a policy, ``retime`` replays the decisions of a schedule."""

from hexsched.simulator.retime import replay_run, retime
from hexsched.simulator.run import Run, simulate
from hexsched.simulator.warm_up import warm_up_replay, warm_up_simulator

__all__ = ["Run", "replay_run", "retime", "simulate", "warm_up_replay", "warm_up_simulator"]
