"""What a figure is, and how it is written to files."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
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
        From a store's folder to the table behind the figure; ``NoDataError`` when the store has nothing for it.
    draw : callable
        From that table to the figure, or to its pages.
    rank : int
        Its place in lists and in the report.
    """

    name: str
    summary: str
    data: Callable[[Path], pd.DataFrame]
    draw: Callable[[pd.DataFrame], MatplotlibFigure | Sequence[MatplotlibFigure]]
    rank: int = 100


def write_figure(chosen: Figure, store: Path, folder: Path) -> list[Path]:
    """Write the table behind a figure as CSV, all its pages as one PDF, and each page as PNG; the files written.

    The PNG of the first page has the name of the figure, the others ``NAME-2.png`` and so on.
    """
    from matplotlib import pyplot as plt

    from paper_figs.drawing.style import look

    table = chosen.data(store)
    written = [folder / f"{chosen.name}.csv"]
    write_bytes(written[0], table.to_csv(index=False).encode())
    with look():
        drawn = chosen.draw(table)
        pages = list(drawn) if isinstance(drawn, Sequence) else [drawn]
        try:
            written.append(folder / f"{chosen.name}.pdf")
            write_bytes(written[-1], _pdf(pages))
            for number, page in enumerate(pages, start=1):
                written.append(folder / f"{chosen.name}{f'-{number}' if number > 1 else ''}.png")
                write_bytes(written[-1], _png(page))
        finally:
            for page in pages:
                plt.close(page)
    return written


def _pdf(pages: Sequence[MatplotlibFigure]) -> bytes:
    from matplotlib.backends.backend_pdf import PdfPages

    data = io.BytesIO()
    # without the date, the same data make the same bytes
    with PdfPages(data, metadata={"CreationDate": None}) as document:
        for page in pages:
            document.savefig(page)
    return data.getvalue()


def _png(page: MatplotlibFigure) -> bytes:
    data = io.BytesIO()
    page.savefig(data, format="png")
    return data.getvalue()
