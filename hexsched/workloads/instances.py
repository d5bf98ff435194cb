"""The instance of a cluster and a workload, each from whatever stands for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hexsched.clusters.compile import Machines, compile_instance, compile_with_notes
from hexsched.clusters.source import cluster as find_cluster
from hexsched.clusters.spec import ClusterSpec
from hexsched.errors import InputError
from hexsched.model.instance import ClosedLoop, Instance, read_instance
from hexsched.model.table_files import PARQUET_ENDING
from hexsched.model.workload import Workflow
from hexsched.workloads.arrivals import ArrivalProcess, at_once
from hexsched.workloads.families import Family
from hexsched.workloads.source import select_fitting, set_arrivals
from hexsched.workloads.source import workload as find_workload
from hexsched.workloads.workload import Workload


def instance(
    cluster: str | Path | Mapping[str, Any] | ClusterSpec | Instance,
    workload: str | Path | Family | Iterable[Workflow] | None = None,
    *,
    workflows: int | None = None,
    arrivals: str | ArrivalProcess | None = None,
    closed_loop: int | None = None,
    warm_up: int = 0,
    decode_model: str | None = None,
    max_context: int | None = None,
    leave_out_oversize: bool = False,
    seed: int = 0,
    format: str | None = None,
    **options: Any,
) -> Instance:
    """What is scheduled, and on what: a workload on a cluster, with every number explicit.

    ``hexsched.instance("instance.json")`` reads the file of one.

    Parameters
    ----------
    cluster : str, Path, mapping or ClusterSpec
        As in ``hexsched.cluster``; the path of an instance file where there is no workload.
    workload : str, Path, Family or iterable of Workflow
        As in ``hexsched.workload``.
    workflows : int, optional
        How many of them.
    arrivals : str or ArrivalProcess, optional
        New arrival times, such as ``"poisson:2.0"``, in workflows a second.
    closed_loop : int, optional
        In place of arrivals: so many workflows are under way, and the next arrives when one ends (model M39).
    warm_up : int
        Of a closed loop: metrics leave out the first so many workflows.
    decode_model : {"fluid", "fixed"}, optional
        In place of what the cluster says.
    max_context : int, optional
        Leave out workflows with a call of more tokens, prompt and output together.
    leave_out_oversize : bool
        Leave out workflows with a call that no KV cache holds, in place of an error.
    seed : int
        Of the family and of the arrivals.
    format, **options
        Of a trace.

    Returns
    -------
    Instance

    Raises
    ------
    InputError
        For a cluster or workload that is not right, and workflows that do not fit.

    Warns
    -----
    InputWarning
        For what is left out, and service times that are not measured.

    Examples
    --------
    >>> import hexsched as hx
    >>> small = hx.instance("demo", "bfcl", workflows=5, arrivals="poisson:2")
    >>> len(small.workflows), len(small.prefill), len(small.decode)
    (5, 2, 2)
    """
    if isinstance(cluster, Instance) and workload is None:
        return cluster
    if workload is None:
        if isinstance(cluster, str | Path) and Path(cluster).suffix in (".json", PARQUET_ENDING):
            return read_instance(cluster)
        raise InputError(
            f"an instance needs a cluster and a workload, or the path of an instance file (.json, {PARQUET_ENDING}); "
            f"this is {cluster!r:.40} alone"
        )
    if isinstance(cluster, Instance):
        raise InputError("this is an instance already; its cluster and its workload make another one")
    return compose(
        find_cluster(cluster),
        find_workload(workload, workflows=workflows, seed=seed, format=format, **options),
        arrivals=arrivals,
        closed_loop=closed_loop,
        warm_up=warm_up,
        decode_model=decode_model,
        max_context=max_context,
        leave_out_oversize=leave_out_oversize,
        seed=seed,
    ).instance


class Composed(NamedTuple):
    """An instance, and how it came about.

    Attributes
    ----------
    instance : Instance
    machines : Machines
        The compiled cluster.
    left_out : dict of str to int
        How many workflows were left out, by the parameter that did it.
    """

    instance: Instance
    machines: Machines
    left_out: dict[str, int]


def compose(
    cluster: ClusterSpec,
    workload: Workload,
    *,
    arrivals: str | ArrivalProcess | None = None,
    closed_loop: int | None = None,
    warm_up: int = 0,
    decode_model: str | None = None,
    max_context: int | None = None,
    leave_out_oversize: bool = False,
    seed: int = 0,
    where: str = "",
) -> Composed:
    """As ``instance``, with how it came about; ``where`` the workload comes from is for messages."""
    if closed_loop is not None and arrivals is not None:
        raise InputError(
            "in a closed loop arrivals follow from completions; give --arrivals or --closed-loop, not both"
        )
    if closed_loop is None and warm_up:
        raise InputError("a warm-up is of a closed loop; give --closed-loop as well", "--warm-up")
    machines, _ = compile_with_notes(cluster)  # compile_instance tells them
    where = where or (f"workload {workload.name}" if workload.name else "workload")
    kept, left_out = select_fitting(workload, machines.largest_kv_cache, max_context, leave_out_oversize, where)
    if closed_loop is None:
        made = compile_instance(cluster, set_arrivals(kept, arrivals, seed), decode_model)
    else:
        if warm_up >= len(kept):
            raise InputError(f"the warm-up must leave some of the {len(kept)} workflows, got {warm_up}", "--warm-up")
        try:
            sessions = ClosedLoop(sessions=closed_loop, warm_up=warm_up)
        except ValueError as error:
            raise InputError(str(error), "closed loop") from None
        made = compile_instance(cluster, at_once(kept), decode_model, sessions)
    return Composed(made, machines, left_out)
