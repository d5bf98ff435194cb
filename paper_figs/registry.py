"""All figures by name. To add one: a module with a ``Figure`` in it, and its name here."""

from __future__ import annotations

from hexsched.errors import InputError
from hexsched.registry import suggest
from paper_figs.drawing.figure import Figure
from paper_figs.figures import (
    ablation,
    attainment,
    convergence,
    estimates,
    formulations,
    gantt,
    gaps,
    overhead,
    requirements,
    summary,
    sweeps,
    utilisation,
)

FIGURES = {
    figure.name: figure
    for figure in (
        attainment.FIGURE,
        requirements.FIGURE,
        requirements.REDUCTIONS,
        summary.FIGURE,
        ablation.FIGURE,
        estimates.FIGURE,
        sweeps.LOAD,
        sweeps.WORKFLOWS,
        sweeps.INSTANCES,
        overhead.FIGURE,
        gaps.FIGURE,
        convergence.FIGURE,
        formulations.PROFILES,
        formulations.SIZES,
        gantt.FIGURE,
        utilisation.FIGURE,
    )
}


def figure(name: str) -> Figure:
    """The figure of that name; ``InputError`` when there is none."""
    if name not in FIGURES:
        raise InputError(f"unknown figure {name!r}{suggest(name, FIGURES)}")
    return FIGURES[name]
