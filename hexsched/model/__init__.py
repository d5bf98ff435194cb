"""The shared model: workflows, clusters, instances and schedules as small immutable types."""

from hexsched.model.cluster import DecodeInstance, Link, PrefillInstance
from hexsched.model.context import Oversize, find_oversize
from hexsched.model.instance import ClosedLoop, Instance, Source, read_instance, write_instance
from hexsched.model.schedule import Schedule, ScheduledCall, read_schedule, write_schedule
from hexsched.model.workload import Call, Workflow, read_workload, workload_bytes, write_workload

__all__ = [
    "Call",
    "ClosedLoop",
    "DecodeInstance",
    "Instance",
    "Link",
    "Oversize",
    "PrefillInstance",
    "Schedule",
    "ScheduledCall",
    "Source",
    "Workflow",
    "find_oversize",
    "read_instance",
    "read_schedule",
    "read_workload",
    "workload_bytes",
    "write_instance",
    "write_schedule",
    "write_workload",
]
