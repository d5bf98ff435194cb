"""Fitted service times of a set of (model, GPU, tensor-parallel degree), and the JSON file that holds them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from hexsched.errors import InputError
from hexsched.model.files import decode_json, read_bytes, write_bytes
from hexsched.profiles.catalogue import DATA, gpu_name, model_name, name_key
from hexsched.profiles.laws import BatchCurve, Coefficients, Laws

SHIPPED = DATA / "kernel_sums_vllm_bf16.json"


class FitError(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far a law is from the points it was fitted to.

    Attributes
    ----------
    mape : float
        Mean absolute relative error, a fraction.
    worst : float
        Signed relative error of the worst point, positive when the law is too slow.
    worst_batch, worst_context : int
        That point.
    points : int
        How many it was fitted to.
    """

    mape: float
    worst: float
    worst_batch: int
    worst_context: int
    points: int


class Fit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The laws of one model on one GPU type at one tensor-parallel degree.

    Attributes
    ----------
    model, gpu : str
        The catalogue's names where it has the entry, the table's otherwise.
    tp : int
        GPUs of one instance.
    prefill_coeffs : tuple of float
        [p0, p1, p2], seconds (model M5).
    decode_coeffs : tuple of float
        [d0, d1, d2], seconds (model M6); d0 and d1 are 0 where ``batch_curve`` takes their place.
    batch_curve : tuple of (batch, seconds) or None
        Points of g(B).
    prefill_error, decode_error : FitError
        How far the law is from the table.
    backend : str
        Version of the serving engine measured.
    """

    model: str
    gpu: str
    tp: int
    prefill_coeffs: Coefficients
    decode_coeffs: Coefficients
    batch_curve: BatchCurve | None
    prefill_error: FitError
    decode_error: FitError
    backend: str = ""

    def __post_init__(self) -> None:
        if self.tp < 1:
            raise ValueError(f"tp must be at least 1, got {self.tp}")
        self.laws()

    def laws(self) -> Laws:
        """What was fitted."""
        return Laws(prefill_coeffs=self.prefill_coeffs, decode_coeffs=self.decode_coeffs, batch_curve=self.batch_curve)


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fits of one table.

    Attributes
    ----------
    format : str
        Always ``"hexsched-profile/1"``.
    source : str
        The table they were fitted to.
    fits : tuple of Fit
        One for each model, GPU type and degree.
    """

    format: Literal["hexsched-profile/1"]
    source: str
    fits: tuple[Fit, ...]

    def __post_init__(self) -> None:
        seen: set[tuple[str, str, int]] = set()
        for fit in self.fits:
            key = _key(fit.model, fit.gpu, fit.tp)
            if key in seen:
                raise ValueError(f"fits: {fit.model} on {fit.gpu} at tp {fit.tp} appears twice")
            seen.add(key)

    def find(self, model: str, gpu: str, tp: int) -> Fit | None:
        """The fit for this configuration under any of its names, or None."""
        key = _key(model, gpu, tp)
        return next((fit for fit in self.fits if _key(fit.model, fit.gpu, fit.tp) == key), None)

    def measured(self, model: str) -> str:
        """What the fits are of, for people: GPUs and degrees for this model, or every model where it has none."""
        own = [fit for fit in self.fits if name_key(model_name(fit.model)) == name_key(model_name(model))]
        by_model: dict[str, list[str]] = {}
        for fit in own or self.fits:
            by_model.setdefault(fit.model, []).append(f"{fit.gpu} at tp {fit.tp}")
        return "; ".join(f"{name} on {', '.join(places)}" for name, places in by_model.items()) or "nothing"

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def read_profile(path: str | Path) -> Profile:
    """Read a fitted profile; raises ``InputError`` naming file and field."""
    if Path(path).suffix.casefold() == ".csv":
        raise InputError("this is a table of measurements; fit it first: hexsched calibrate TABLE.csv -o PROFILE", path)
    return decode_json(read_bytes(path), Profile, str(path))


def write_profile(path: str | Path, profile: Profile) -> None:
    """Write a fitted profile in canonical form."""
    write_bytes(path, profile.to_bytes())


@lru_cache(maxsize=1)
def shipped_profile() -> Profile:
    """The fits that come with the package (``data/README.md`` says of what)."""
    return read_profile(SHIPPED)


@lru_cache(maxsize=4096)  # as for names
def _key(model: str, gpu: str, tp: int) -> tuple[str, str, int]:
    return name_key(model_name(model)), name_key(gpu_name(gpu)), tp
