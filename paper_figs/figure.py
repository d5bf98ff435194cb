"""What a figure is, and how it is written to files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hexsched.model.files import write_bytes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as MatplotlibFigure


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes
    ----------
    name, summary : str
    data : callable
        From a store's folder to the table behind the figure.
    draw : callable
        From that table to the figure.
    """

    name: str
    summary: str
    data: Callable[[Path], pd.DataFrame]
    draw: Callable[[pd.DataFrame], MatplotlibFigure]


def write_figure(chosen: Figure, store: Path, folder: Path) -> list[Path]:
    """Write a figure as PDF and PNG, and the table behind it as CSV; the files written."""
    import io

    from matplotlib import pyplot as plt

    from paper_figs.style import look

    table = chosen.data(store)
    written = [folder / f"{chosen.name}.csv"]
    write_bytes(written[0], table.to_csv(index=False).encode())
    with look():
        drawn = chosen.draw(table)
        for kind in ("pdf", "png"):
            data = io.BytesIO()
            # without the date, the same data make the same bytes
            drawn.savefig(data, format=kind, metadata={"CreationDate": None} if kind == "pdf" else None)
            written.append(folder / f"{chosen.name}.{kind}")
            write_bytes(written[-1], data.getvalue())
        plt.close(drawn)
    return written
