"""What the strings may say that are taken in place of objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from hexsched.errors import InputError
from hexsched.registry import suggest


def _clusters() -> Iterable[str]:
    from hexsched.clusters.files import list_clusters

    return list_clusters()


def _workloads() -> Iterable[str]:
    from hexsched.workloads.families import FAMILIES

    return FAMILIES


def _arrivals() -> Iterable[str]:
    from hexsched.workloads.arrivals import PROCESSES

    return [process.example for process in PROCESSES.values()]


def _formats() -> Iterable[str]:
    from hexsched.workloads.importers import IMPORTERS

    return IMPORTERS


def _policies() -> Iterable[str]:
    from hexsched.policies.registry import policies

    return [policy.name for policy in policies()]


def _placements() -> Iterable[str]:
    from hexsched.policies.registry import list_placements

    return list_placements()


def _estimators() -> Iterable[str]:
    from hexsched.policies.estimators import ESTIMATORS

    return ESTIMATORS


def _metrics() -> Iterable[str]:
    from hexsched.metrics import METRICS

    return METRICS


def _gpus() -> Iterable[str]:
    from hexsched.profiles.catalogue import gpu_catalogue

    return [gpu.name for gpu in gpu_catalogue()]


def _models() -> Iterable[str]:
    from hexsched.profiles.catalogue import model_catalogue

    return [model.name for model in model_catalogue()]


SORTS: Mapping[str, Callable[[], Iterable[str]]] = {
    "clusters": _clusters,
    "workloads": _workloads,
    "arrivals": _arrivals,
    "formats": _formats,
    "policies": _policies,
    "placements": _placements,
    "estimators": _estimators,
    "metrics": _metrics,
    "gpus": _gpus,
    "models": _models,
}


def names(sort: str) -> list[str]:
    """The names of one sort that a string may say.

    Parameters
    ----------
    sort : str
        ``clusters``, ``workloads`` (families), ``arrivals`` (an example of each process), ``formats`` (of traces),
        ``policies``, ``placements``, ``estimators``, ``metrics``, ``gpus``, ``models``.

    Raises
    ------
    InputError
        For another sort.

    Examples
    --------
    >>> import hexsched as hx
    >>> hx.names("workloads")[:4]
    ['sharegpt', 'bfcl', 'lats', 'mixed']
    """
    if sort not in SORTS:
        raise InputError(f"there is no sort of names called {sort!r}{suggest(str(sort), SORTS)}")
    return list(SORTS[sort]())
