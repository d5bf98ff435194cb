"""Catalogues of GPUs and models: what data sheets and model cards say (``data/gpus.yaml``, ``data/models.yaml``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import msgspec
import yaml

from hexsched.errors import InputError
from hexsched.model.cluster import check_number
from hexsched.model.files import convert
from hexsched.registry import choices

DATA = Path(__file__).parent / "data"
BYTES_PER_VALUE = 2  # bf16, of weights and of KV cache


class Gpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A GPU type; every rate is of one GPU, links are one-way.

    Attributes
    ----------
    name : str
        Canonical name.
    flops : float
        Dense bf16 FLOP/s.
    hbm_bytes, hbm_bandwidth : float
        Memory in bytes and its bandwidth in bytes/s.
    nvlink_bandwidth, nic_bandwidth : float
        Bytes/s of the link inside a node and of the network card.
    link_latency : float
        Seconds of one small transfer between two GPUs of a node.
    mfu, mbu : float
        Share of ``flops`` and of ``hbm_bandwidth`` that serving reaches; only the roofline uses them.
    reserved_bytes : float
        Memory that is neither weights nor KV cache.
    aliases : tuple of str
        Other names for it.
    """

    name: str
    flops: float
    hbm_bytes: float
    hbm_bandwidth: float
    nvlink_bandwidth: float
    nic_bandwidth: float
    link_latency: float = 10e-6
    mfu: float = 0.45
    mbu: float = 0.8
    reserved_bytes: float = 0.0
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name(self.name)
        for field in ("flops", "hbm_bytes", "hbm_bandwidth", "nvlink_bandwidth", "nic_bandwidth"):
            check_number(field, getattr(self, field), positive=True)
        check_number("link_latency", self.link_latency)
        check_number("reserved_bytes", self.reserved_bytes)
        for field in ("mfu", "mbu"):
            if not 0 < getattr(self, field) <= 1:
                raise ValueError(f"{field} must be above 0 and at most 1, got {getattr(self, field)}")


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A transformer with grouped-query attention, dense or mixture-of-experts, in bf16.

    Attributes
    ----------
    name : str
        Canonical name.
    params, active_params : float
        All parameters, and those one token uses.
    layers, attention_heads, kv_heads, head_size : int
        Shape of the attention.
    experts, experts_per_token : int
        Experts of a layer and those a token wakes; 0 for a dense model.
    expert_params : float
        The part of ``params`` that lies in experts.
    aliases : tuple of str
        Other names for it; an organisation in front (``"meta-llama/"``) needs none.
    """

    name: str
    params: float
    active_params: float
    layers: int
    attention_heads: int
    kv_heads: int
    head_size: int
    experts: int = 0
    experts_per_token: int = 0
    expert_params: float = 0.0
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name(self.name)
        for field in ("params", "active_params", "layers", "attention_heads", "kv_heads", "head_size"):
            check_number(field, getattr(self, field), positive=True)
        if self.active_params > self.params:
            raise ValueError(f"active_params must be at most params ({self.params}), got {self.active_params}")
        if not 0 <= self.experts_per_token <= self.experts:
            raise ValueError(f"experts_per_token must be from 0 to experts ({self.experts})")
        if (self.experts > 0) != (self.experts_per_token > 0) or (self.experts > 0) != (self.expert_params > 0):
            raise ValueError("experts, experts_per_token and expert_params must be given together")
        if not 0 <= self.expert_params <= self.params:
            raise ValueError(f"expert_params must be from 0 to params ({self.params}), got {self.expert_params}")

    @property
    def moe(self) -> bool:
        """Whether the model is a mixture of experts."""
        return self.experts > 0

    @property
    def kv_bytes_per_token(self) -> int:
        """kappa: keys and values of one token over all layers and KV heads."""
        return 2 * self.layers * self.kv_heads * self.head_size * BYTES_PER_VALUE

    def stored_kv_bytes_per_token(self, tp: int) -> float:
        """Bytes one token takes on all GPUs of an instance; a KV head is copied when ``tp`` exceeds their number."""
        return self.kv_bytes_per_token * max(1.0, tp / self.kv_heads)

    @property
    def weight_bytes(self) -> float:
        """Bytes of all weights."""
        return self.params * BYTES_PER_VALUE


Entry = TypeVar("Entry", Gpu, Model)


@lru_cache(maxsize=1)
def gpu_catalogue() -> tuple[Gpu, ...]:
    """The GPUs known by name."""
    return _read("gpus.yaml", tuple[Gpu, ...])


@lru_cache(maxsize=1)
def model_catalogue() -> tuple[Model, ...]:
    """The models known by name."""
    return _read("models.yaml", tuple[Model, ...])


def find_gpu(name: str, extra: Sequence[Gpu] = ()) -> Gpu:
    """The GPU called ``name`` in ``extra``, else in the catalogue; case, spaces and punctuation do not matter.

    Raises
    ------
    InputError
        Naming the GPUs that are known.
    """
    return _find("GPU", name, (*extra, *gpu_catalogue()))


def find_model(name: str) -> Model:
    """The model called ``name``; errors as ``find_gpu``."""
    return _find("model", name, model_catalogue())


def gpu_name(name: str) -> str:
    """The catalogue's name for a GPU, or ``name`` itself when the catalogue has none."""
    entry = _match(name, gpu_catalogue())
    return name.strip() if entry is None else entry.name


def model_name(name: str) -> str:
    """The catalogue's name for a model, or ``name`` itself when the catalogue has none."""
    entry = _match(name, model_catalogue())
    return name.strip() if entry is None else entry.name


@lru_cache(maxsize=4096)  # a cluster asks for the same few names some hundred times
def name_key(name: str) -> str:
    """What spellings of one name share: ``"NVIDIA A100-SXM"`` and ``"a100_sxm"``, ``"org/Model"`` and ``"model"``."""
    return re.sub(r"[^a-z0-9]", "", name.rsplit("/", 1)[-1].casefold()).removeprefix("nvidia")


def _find(kind: str, name: str, entries: Sequence[Entry]) -> Entry:
    entry = _match(name, entries)
    if entry is not None:
        return entry
    known = list(dict.fromkeys(candidate.name for candidate in entries))
    raise InputError(f"unknown {kind} {name!r}; {choices(name, known, 'known:')}")


def _match(name: str, entries: Sequence[Entry]) -> Entry | None:
    key = name_key(name)
    return next((entry for entry in entries if key in _keys(entry)), None)


def _keys(entry: Gpu | Model) -> list[str]:
    return [name_key(name) for name in (entry.name, *entry.aliases)]


def _check_name(name: str) -> None:
    if not name_key(name):
        raise ValueError("name must have a letter or a digit")


def _read(file: str, kind: type[tuple[Entry, ...]]) -> tuple[Entry, ...]:
    path = DATA / file
    return convert(yaml.safe_load(path.read_bytes()), kind, str(path))
