"""What a figure is, and how it is written to files."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hexsched.errors import InputError
from hexsched.model.files import write_bytes
from hexsched.printable import csv_bytes
from hexsched.registry import suggest
from paper_figs.drawing.tables import TableText
from paper_figs.reading.notes import notes_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as MatplotlibFigure

PDF, PNG, SVG, TEX, MD = "pdf", "png", "svg", "tex", "md"
FORMATS = (PDF, PNG, SVG, TEX, MD)
TEXTS = (TEX, MD)
USUAL = (PDF, PNG)


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes
    ----------
    name, summary : str
    data : callable
        From a store's folder, or a ``Selection`` of its policies, to the table behind the figure; ``NoDataError`` when
        the store has nothing for it.
    draw : callable
        From that table to the figure, or to its pages.
    rank : int
        Its place in lists and in the report.
    table : callable, optional
        From that table to one that is read, for a figure that has one: as LaTeX and Markdown.
    """

    name: str
    summary: str
    data: Callable[[Any], pd.DataFrame]
    draw: Callable[[pd.DataFrame], MatplotlibFigure | Sequence[MatplotlibFigure]]
    rank: int = 100
    table: Callable[[pd.DataFrame], TableText] | None = None


class Written(NamedTuple):
    """A figure's files, and what a reader must know beside them.

    Attributes
    ----------
    files : list of Path
        The CSV first, then what was drawn, in the order of the formats.
    notes : tuple of str
    """

    files: list[Path]
    notes: tuple[str, ...]


def read_formats(text: str) -> tuple[str, ...]:
    """Formats with commas between them, each once.

    Raises
    ------
    InputError
        For one that is not among ``FORMATS``.
    """
    names = [name.strip().lower().removeprefix(".") for name in text.split(",")]
    for name in names:
        if name not in FORMATS:
            raise InputError(f"unknown format {name!r}{suggest(name, FORMATS)}", "--format")
    return tuple(dict.fromkeys(names))


def write_figure(
    chosen: Figure, store: str | os.PathLike[str], folder: Path, formats: Sequence[str] = USUAL
) -> Written:
    """Write the table behind a figure as CSV, and the figure itself; the same data make the same bytes.

    A PDF has all pages, PNG and SVG one each: the first has the name of the figure, others are ``NAME-2.png`` and so
    on. LaTeX and Markdown are there for figures that have a table; others say so in a note.
    """
    from matplotlib import pyplot as plt

    from paper_figs.drawing.style import look

    table = chosen.data(store)
    notes = notes_of(table)
    written = [folder / f"{chosen.name}.csv"]
    write_bytes(written[0], csv_bytes(table))
    for text in TEXTS if chosen.table is None else ():
        if text in formats:
            none = f"it is no table, so there is no {chosen.name}.{text}; its numbers are in {chosen.name}.csv"
            notes = (*notes, none)
    with look():
        drawn = chosen.draw(table) if set(formats) - {*TEXTS} else []
        pages = list(drawn) if isinstance(drawn, Sequence) else [drawn]
        try:
            for name in formats:
                for page, data in _files(name, chosen, table, pages):
                    written.append(folder / f"{chosen.name}{f'-{page}' if page > 1 else ''}.{name}")
                    write_bytes(written[-1], data)
        finally:
            for drawing in pages:
                plt.close(drawing)
    return Written(written, notes)


def _files(
    name: str, chosen: Figure, table: pd.DataFrame, pages: Sequence[MatplotlibFigure]
) -> list[tuple[int, bytes]]:
    """Number and contents of each file of a format."""
    if name in TEXTS:
        if chosen.table is None:
            return []
        text = chosen.table(table)
        return [(1, (text.latex() if name == TEX else text.markdown()).encode())]
    if name == PDF:
        return [(1, _pdf(pages))]
    return [(number, _page(page, name)) for number, page in enumerate(pages, start=1)]


def _pdf(pages: Sequence[MatplotlibFigure]) -> bytes:
    from matplotlib.backends.backend_pdf import PdfPages

    data = io.BytesIO()
    # without the date, the same data make the same bytes
    with PdfPages(data, metadata={"CreationDate": None}) as document:
        for page in pages:
            document.savefig(page)
    return data.getvalue()


def _page(page: MatplotlibFigure, name: str) -> bytes:
    data = io.BytesIO()
    page.savefig(data, format=name, metadata={"Date": None} if name == SVG else None)
    return data.getvalue()
