"""Plots of results, and the figures and the report that are drawn from a store.

``paper_figs.attainment(results, ax=None)``, and so for each plot: from what ``simulate``, ``compare`` and ``gap`` gave
back, or from the folder of a store, on axes of yours or on new ones; the axes come back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hexsched.beside import check_beside

if TYPE_CHECKING:
    from paper_figs.plots.attainment import attainment
    from paper_figs.plots.convergence import convergence
    from paper_figs.plots.dag import dag
    from paper_figs.plots.gantt import gantt
    from paper_figs.plots.gaps import gaps
    from paper_figs.plots.kv import kv
    from paper_figs.plots.requirements import requirements
    from paper_figs.plots.utilisation import utilisation

check_beside("solvers", "experiments")

__all__ = ["attainment", "convergence", "dag", "gantt", "gaps", "kv", "requirements", "utilisation"]


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hexsched.registry import suggest
    from paper_figs.plots import PLOTS

    if name not in PLOTS:
        raise AttributeError(f"unknown plot {name!r}{suggest(name, PLOTS)}")
    return PLOTS[name].draw


def __dir__() -> list[str]:
    from paper_figs.plots import PLOTS

    return sorted({*globals(), *PLOTS})
