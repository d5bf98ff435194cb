"""The two laws of service time (model M5, M6), with their coefficients."""

from __future__ import annotations

import msgspec

from hexsched.model.cluster import DecodeInstance, PrefillInstance

Coefficients = tuple[float, float, float]
BatchCurve = tuple[tuple[int, float], ...]


class Laws(msgspec.Struct, frozen=True, kw_only=True):
    """P(n, h) and tau(B, K) of one configuration, checked as those of an instance are.

    Attributes
    ----------
    prefill_coeffs : tuple of float
        [p0, p1, p2], seconds.
    decode_coeffs : tuple of float
        [d0, d1, d2], seconds; d0 and d1 are 0 where ``batch_curve`` takes their place.
    batch_curve : tuple of (batch, seconds) or None
    """

    prefill_coeffs: Coefficients
    decode_coeffs: Coefficients
    batch_curve: BatchCurve | None

    def __post_init__(self) -> None:
        self._prefill()
        self._decode()

    def prefill_seconds(self, n: int) -> float:
        """P(n, 0): seconds to prefill ``n`` tokens."""
        return self._prefill().prefill_seconds(n)

    def iteration_seconds(self, batch: int, kv_tokens: int) -> float:
        """tau(B, K): seconds of an iteration of ``batch`` calls that hold ``kv_tokens`` in all."""
        return self._decode().batch_seconds(batch) + self.decode_coeffs[2] * kv_tokens

    def _prefill(self) -> PrefillInstance:
        return PrefillInstance(id="laws", gpu="", prefill_coeffs=self.prefill_coeffs)

    def _decode(self) -> DecodeInstance:
        return DecodeInstance(
            id="laws",
            gpu="",
            decode_coeffs=self.decode_coeffs,
            batch_curve=self.batch_curve,
            fixed_iteration_time=1,
            kv_capacity_tokens=1,
            max_batch=1,
        )
