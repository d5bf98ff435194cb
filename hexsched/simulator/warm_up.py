"""Compiling before a clock starts: all that work takes, on an instance that is done in no time.

Machine code is kept for the next process, so the second time there is only reading it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from hexsched.engine.announcing import announce
from hexsched.model import Call, DecodeInstance, Instance, Link, PrefillInstance, Workflow
from hexsched.policies import Policy
from hexsched.policies.decide import replay_epochs, run_epochs
from hexsched.simulator.retime import retime
from hexsched.simulator.run import simulate

announce(run_epochs, "the simulator", 30)
announce(replay_epochs, "the replay of decisions", 2)


def warm_up_simulator(policies: Iterable[Policy] = ()) -> None:
    """Compile what ``simulate`` runs, for these policies too; what is plain Python is not called."""
    _simulator()
    for policy in policies:
        if not policy.is_plain:
            simulate(tiny_instance(), policy)


@cache
def warm_up_replay() -> None:
    """Compile what ``retime`` and ``simulate`` run."""
    _simulator()
    retime(tiny_instance(), simulate(tiny_instance(), "hexagent").schedule)


@cache
def _simulator() -> None:
    run = simulate(tiny_instance(), "hexagent")
    assert run.metrics.workflows  # they look at first tokens


@cache
def tiny_instance() -> Instance:
    """Two workflows of two calls on one prefill and two decode instances; the arrays are of the types of any other."""
    return Instance(
        format="hexsched-instance/1",
        decode_model="fluid",
        kv_bytes_per_token=1,
        prefill=(PrefillInstance(id="p", gpu="any", prefill_coeffs=(0.1, 0.001, 0.0)),),
        decode=tuple(
            DecodeInstance(
                id=f"d{j}",
                gpu="any",
                decode_coeffs=(0.01, 0.001, 1e-6),
                fixed_iteration_time=0.02,
                kv_capacity_tokens=1000,
                max_batch=4,
            )
            for j in range(2)
        ),
        links=tuple(Link(source="p", to=f"d{j}", latency=0.001, bandwidth=1e6) for j in range(2)),
        workflows=tuple(
            Workflow(
                workflow_id=f"w{k}",
                arrival=0.0,
                calls=(
                    Call(call_id="a", prompt_tokens=100, output_tokens=20),
                    Call(call_id="b", prompt_tokens=50, output_tokens=10, parents=("a",)),
                ),
            )
            for k in range(2)
        ),
    )
