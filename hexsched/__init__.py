"""hexsched: schedulers for agentic LLM workflows, and how far each is from the best possible.

    import hexsched as hx

    instance = hx.instance("qwen235b-hetero-1", "bfcl", workflows=100, arrivals="fixed:3")
    run = hx.simulate(instance, "hexagent")
    runs = hx.compare(instance, ["hexagent", "workflow-llf", "fcfs@jsq"])
    runs.to_frame()

``hx.names("policies")`` lists what a string may say; so it does for clusters, workloads, placements and more. What
``hexsched`` takes on the command line as a string can be a string here too, or the object that it stands for.
"""

from typing import TYPE_CHECKING

from hexsched.lazy import lazy_names

if TYPE_CHECKING:
    from hexsched.clusters.source import cluster as cluster
    from hexsched.clusters.spec import ClusterSpec as ClusterSpec
    from hexsched.contract import PolicyReport as PolicyReport
    from hexsched.contract import check_policy as check_policy
    from hexsched.errors import InputError as InputError
    from hexsched.errors import InputWarning as InputWarning
    from hexsched.model.instance import Instance as Instance
    from hexsched.model.schedule import Schedule as Schedule
    from hexsched.model.workload import Call as Call
    from hexsched.model.workload import Workflow as Workflow
    from hexsched.policies.registry import Policy as Policy
    from hexsched.policies.registry import order as order
    from hexsched.policies.registry import placement as placement
    from hexsched.policies.registry import policy as policy
    from hexsched.simulator.comparison import Comparison as Comparison
    from hexsched.simulator.comparison import compare as compare
    from hexsched.simulator.retime import retime as retime
    from hexsched.simulator.run import Run as Run
    from hexsched.simulator.run import simulate as simulate
    from hexsched.verifier.check import verify as verify
    from hexsched.vocabulary import names as names
    from hexsched.workloads.instances import instance as instance
    from hexsched.workloads.source import workload as workload
    from hexsched.workloads.workload import Workload as Workload

__version__ = "0.1.0"

_lazy, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Call": "hexsched.model.workload",
        "ClusterSpec": "hexsched.clusters.spec",
        "Comparison": "hexsched.simulator.comparison",
        "InputError": "hexsched.errors",
        "InputWarning": "hexsched.errors",
        "Instance": "hexsched.model.instance",
        "PolicyReport": "hexsched.contract",
        "check_policy": "hexsched.contract",
        "Policy": "hexsched.policies.registry",
        "Run": "hexsched.simulator.run",
        "Schedule": "hexsched.model.schedule",
        "Workflow": "hexsched.model.workload",
        "Workload": "hexsched.workloads.workload",
        "cluster": "hexsched.clusters.source",
        "compare": "hexsched.simulator.comparison",
        "instance": "hexsched.workloads.instances",
        "names": "hexsched.vocabulary",
        "order": "hexsched.policies.registry",
        "placement": "hexsched.policies.registry",
        "policy": "hexsched.policies.registry",
        "retime": "hexsched.simulator.retime",
        "simulate": "hexsched.simulator.run",
        "verify": "hexsched.verifier.check",
        "workload": "hexsched.workloads.source",
    },
)

if not TYPE_CHECKING:  # type checkers would take any name for one of these
    __getattr__ = _lazy
