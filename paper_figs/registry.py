"""All figures by name. To add one: a module with a ``Figure`` in it, and its name here."""

from __future__ import annotations

from hexsched.errors import InputError
from hexsched.policies.registry import suggest
from paper_figs import attainment
from paper_figs.figure import Figure

FIGURES = {figure.name: figure for figure in (attainment.FIGURE,)}


def figure(name: str) -> Figure:
    """The figure of that name; ``InputError`` when there is none."""
    if name not in FIGURES:
        raise InputError(f"unknown figure {name!r}{suggest(name, FIGURES)}")
    return FIGURES[name]
