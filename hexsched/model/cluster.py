"""Prefill instances, decode instances and the links between them (model M5 to M9)."""

from __future__ import annotations

import itertools
import math

import msgspec

Number = int | float

MAX_KV_TOKENS = 2**50  # sums of reservations must stay exact in a double
MAX_BATCH = 1_000_000
LARGEST = 1e18  # of any number: whole ones fit 64 bits, and products of three are finite


class PrefillInstance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model replica that prefills one call at a time.

    Attributes
    ----------
    id : str
        Unique in the cluster.
    gpu : str
        GPU type, for people; nothing is computed from it.
    prefill_coeffs : tuple of three numbers
        [p0, p1, p2] of P(n, h) = p0 + p1 (n - h) + p2 (n^2 - h^2), seconds.
    """

    id: str
    gpu: str
    prefill_coeffs: tuple[Number, Number, Number]

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("id must not be empty")
        for name, value in zip(("p0", "p1", "p2"), self.prefill_coeffs, strict=True):
            check_number(f"prefill_coeffs {name}", value)
        if not any(value > 0 for value in self.prefill_coeffs):
            raise ValueError("prefill_coeffs must not all be 0: a prefill takes time")

    def prefill_seconds(self, n: int, h: int = 0) -> float:
        """P(n, h): seconds to prefill ``n`` prompt tokens of which ``h`` are cached."""
        p0, p1, p2 = self.prefill_coeffs
        return float(p0 + p1 * (n - h) + p2 * (float(n) * n - float(h) * h))


class DecodeInstance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A model replica that decodes a batch of calls together.

    Attributes
    ----------
    id, gpu : str
        As for a prefill instance; the two pools share one name space.
    decode_coeffs : tuple of three numbers
        [d0, d1, d2] of tau(B, K) = g(B) + d2 K with g(B) = d0 + d1 B, seconds an iteration.
    batch_curve : tuple of (batch, seconds), optional
        Points of a piecewise linear g(B) that replaces d0 + d1 B; from B = 1 to at least ``max_batch``.
    fixed_iteration_time : number
        theta, seconds an iteration in the ``fixed`` decode model.
    kv_capacity_tokens : int
        M, tokens of KV cache.
    max_batch : int
        Bmax, most calls admitted at once.
    """

    id: str
    gpu: str
    decode_coeffs: tuple[Number, Number, Number]
    fixed_iteration_time: Number
    kv_capacity_tokens: int
    max_batch: int
    batch_curve: tuple[tuple[int, Number], ...] | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("id must not be empty")
        for name, value in zip(("d0", "d1", "d2"), self.decode_coeffs, strict=True):
            check_number(f"decode_coeffs {name}", value)
        check_number("fixed_iteration_time", self.fixed_iteration_time, positive=True)
        if not 1 <= self.kv_capacity_tokens <= MAX_KV_TOKENS:
            raise ValueError(f"kv_capacity_tokens must be from 1 to {MAX_KV_TOKENS}, got {self.kv_capacity_tokens}")
        if not 1 <= self.max_batch <= MAX_BATCH:
            raise ValueError(f"max_batch must be from 1 to {MAX_BATCH}, got {self.max_batch}")
        if self.batch_curve is not None:
            self._check_curve(self.batch_curve)
        if self.batch_seconds(1) + self.decode_coeffs[2] <= 0:
            raise ValueError("decode_coeffs must not all be 0: an iteration takes time")

    def _check_curve(self, curve: tuple[tuple[int, Number], ...]) -> None:
        if not curve or curve[0][0] != 1:
            raise ValueError("batch_curve must start at batch 1")
        if curve[-1][0] < self.max_batch:
            raise ValueError(f"batch_curve must reach max_batch ({self.max_batch}), it ends at {curve[-1][0]}")
        if curve[-1][0] > MAX_BATCH:
            raise ValueError(f"batch_curve must end at batch {MAX_BATCH} or before, it ends at {curve[-1][0]}")
        for _, seconds in curve:
            check_number("batch_curve seconds", seconds)
        for (b0, s0), (b1, s1) in itertools.pairwise(curve):
            if b1 <= b0:
                raise ValueError(f"batch_curve batches must increase, {b1} follows {b0}")
            if s1 < s0:
                raise ValueError(f"batch_curve must not decrease: {s1} s at batch {b1} after {s0} s at batch {b0}")

    def batch_seconds(self, batch: int) -> float:
        """g(B): seconds of one iteration of ``batch`` calls before the d2 K term."""
        if self.batch_curve is None:
            return float(self.decode_coeffs[0] + self.decode_coeffs[1] * batch)
        b0, s0 = self.batch_curve[0]
        for b1, s1 in self.batch_curve[1:]:
            if batch <= b1:
                return float(s0 + (s1 - s0) * ((batch - b0) / (b1 - b0)))
            b0, s0 = b1, s1
        return float(s0)

    def alone_seconds(self, n: int, m: int, decode_model: str) -> float:
        """alone(c): seconds to decode ``m`` tokens after an ``n`` token prompt with nothing else in the batch."""
        if decode_model == "fixed":
            return float(m * self.fixed_iteration_time)
        d2 = self.decode_coeffs[2]
        return float((self.batch_seconds(1) + d2 * n) * m + d2 * float(m) * m / 2)


class Link(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"source": "from", "to": "to"}
):
    """The way of a KV cache from a prefill instance to a decode instance.

    Attributes
    ----------
    source, to : str
        Instance ids (``"from"`` and ``"to"`` in files).
    latency : number
        lambda, seconds.
    bandwidth : number
        omega, bytes a second, above 0.
    """

    source: str
    to: str
    latency: Number
    bandwidth: Number

    def __post_init__(self) -> None:
        check_number("latency", self.latency)
        check_number("bandwidth", self.bandwidth, positive=True)

    def transfer_seconds(self, n: int, kv_bytes_per_token: Number) -> float:
        """T(n): seconds to move the KV of ``n`` prompt tokens."""
        return float(self.latency + n * kv_bytes_per_token / self.bandwidth)


def check_number(name: str, value: Number, positive: bool = False) -> None:
    """Raise ``ValueError`` unless ``value`` is a number >= 0 (> 0 when ``positive``) of at most ``LARGEST``."""
    if 0 < value <= LARGEST or (value == 0 and not positive):
        return
    if LARGEST < value < math.inf:
        raise ValueError(f"{name} must be at most {LARGEST:g}")
    # a whole number may have more digits than Python prints
    got = value if isinstance(value, float) or value > -LARGEST else "one far below"
    raise ValueError(f"{name} must be a finite number {'>' if positive else '>='} 0, got {got}")
