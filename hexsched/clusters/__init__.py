"""Clusters as people write them, in YAML, and their compilation to the explicit instance."""

from hexsched.clusters.compile import FieldError, Machines, compile_cluster, compile_instance
from hexsched.clusters.describe import describe_cluster
from hexsched.clusters.files import list_clusters, read_cluster, write_cluster
from hexsched.clusters.spec import ClusterSpec, DecodePool, LinkOverride, Links, PrefillPool

__all__ = [
    "ClusterSpec",
    "DecodePool",
    "FieldError",
    "LinkOverride",
    "Links",
    "Machines",
    "PrefillPool",
    "compile_cluster",
    "compile_instance",
    "describe_cluster",
    "list_clusters",
    "read_cluster",
    "write_cluster",
]
