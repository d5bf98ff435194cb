"""A cluster from whatever stands for one: a name, a file, what would stand in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from hexsched.clusters.compile import compile_with_notes
from hexsched.clusters.files import read_cluster
from hexsched.clusters.spec import ClusterSpec
from hexsched.clusters.yaml_lines import Document
from hexsched.errors import InputError
from hexsched.model.files import whole_floats


def cluster(source: str | Path | Mapping[str, Any] | ClusterSpec) -> ClusterSpec:
    """A cluster: one that comes with hexsched, one of your own.

    Parameters
    ----------
    source : str, Path, mapping or ClusterSpec
        A name (``hexsched.names("clusters")``; a file called the same needs ``./``), a YAML file, or a mapping with the
        keys of such a file. A ``ClusterSpec`` is returned as it is.

    Returns
    -------
    ClusterSpec

    Raises
    ------
    InputError
        For an unknown name, with the one that may be meant; for a file, naming line and key.

    Examples
    --------
    >>> import hexsched as hx
    >>> pool = {"gpu": "H100", "count": 2, "tensor_parallel": 4}
    >>> mine = hx.cluster({"name": "mine", "model": "llama-3.1-70b", "prefill": [pool], "decode": [pool]})
    >>> mine.prefill[0].gpu
    'H100'
    """
    if isinstance(source, ClusterSpec):
        return source
    if isinstance(source, str | Path):
        return read_cluster(source)
    if isinstance(source, Mapping):
        try:
            spec = msgspec.convert(whole_floats(dict(source)), ClusterSpec)
        except msgspec.ValidationError as error:
            raise Document(dict(source), {(): 0}, "cluster").input_error(error, ClusterSpec) from None
        compile_with_notes(spec)  # told to whoever compiles it
        return spec
    raise InputError(
        f"a cluster is a name, a YAML file, a mapping with the keys of such a file, or a ClusterSpec; "
        f"this is {type(source).__name__} {source!r:.40}"
    )
