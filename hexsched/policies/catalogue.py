"""The policies that come with hexsched."""

from __future__ import annotations

from hexsched.policies.registry import Policy, register

AUTELLIX = "Autellix, arXiv 2502.13965"

register(
    Policy(
        "hexagent",
        "highest projected risk of missing the horizon first, on the pair of least projected finish",
        "HexAGenT, arXiv 2605.16637",
        order="risk",
        placement="plan",
        options={
            "risk": "on",
            "joint": "on",
            "kv": "on",
            "transfer": "on",
            "horizon": "revealed",
            "replan": "on",
        },
    )
)
register(Policy("fcfs", "per-call first come, first served", "SGLang's default", order="fcfs"))
register(Policy("workflow-fcfs", "calls of the workflow that arrived first", "arXiv 2605.16637", order="workflow-fcfs"))
register(
    Policy(
        "workflow-llf",
        "least laxity: deadline a_w + s H_w(t), less the call's standalone time",
        "arXiv 2605.16637",
        order="workflow-llf",
        options={"slo_scale": 4.0},
    )
)
register(
    Policy(
        "edf",
        "earliest deadline a_w + s H_w(t)",
        "Liu and Layland 1973",
        order="edf",
        options={"slo_scale": 4.0},
    )
)
register(Policy("sjf", "shortest standalone time left of the call", "Smith 1956", order="sjf"))
register(
    Policy(
        "plas",
        "least attained service of the workflow, in discretised queues",
        AUTELLIX,
        order="plas",
        placement="earliest-finish",
        options={"quantum": 1.0, "levels": 8, "beta": 4.0},
    )
)
register(
    Policy(
        "atlas",
        "least attained service of the call's longest chain, in discretised queues",
        AUTELLIX,
        order="atlas",
        placement="earliest-finish",
        options={"quantum": 1.0, "levels": 8, "beta": 4.0},
    )
)
register(
    Policy(
        "critical-path",
        "longest revealed critical path that ends with the call",
        "Graham 1966; HEFT, Topcuoglu et al. 2002",
        order="critical-path",
    )
)
