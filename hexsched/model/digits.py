"""Numbers as text that says exactly them."""

from __future__ import annotations


def written(value: float) -> str:
    """The shortest text that reads back as the same number, a whole one without a point: ``0.95``, ``4``, ``1e-07``."""
    text = repr(float(value))
    return text.removesuffix(".0")
