"""Putting the report together: figures, Markdown, HTML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hexsched.model.files import write_bytes
from paper_figs.drawing.figure import write_figure
from paper_figs.figures import FIGURES
from paper_figs.reading.claims import read_claims
from paper_figs.reading.store import NoDataError, StorePath
from paper_figs.report.html import page
from paper_figs.report.sections import Drawn, sections

FIGURES_FOLDER = "figures"
TITLE = "HexAGenT, reproduced: report"


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Attributes
    ----------
    files : list of Path
        ``report.md``, ``report.html``, then the figures.
    claims : DataFrame
        As ``read_claims`` gives it.
    left_out : dict of str to str
        Figures the store has no data for, and why.
    """

    files: list[Path]
    claims: pd.DataFrame
    left_out: dict[str, str]


def write_report(store: StorePath, folder: Path) -> Report:
    """Draw every figure that the store has data for and write the report around them.

    Parameters
    ----------
    store : path
        Made by ``hexsched grid run``; a ``Selection`` of its policies puts the first of them in HexAGenT's place.
    folder : Path
        ``report.md`` and ``report.html`` go here, figures into ``figures/``. The HTML holds its pictures itself.

    Raises
    ------
    InputError
        For a store without runs, and one that cannot be read.
    """
    claims = read_claims(store)
    files: list[Path] = []
    drawn: list[Drawn] = []
    left_out: dict[str, str] = {}
    for name, figure in FIGURES.items():
        try:
            made = write_figure(figure, store, folder / FIGURES_FOLDER)
        except NoDataError as error:
            left_out[name] = str(error)
            continue
        files += made.files
        pictures = [f"{FIGURES_FOLDER}/{path.name}" for path in made.files if path.suffix == ".png"]
        drawn.append(Drawn(name, figure.summary, pictures, made.notes))
    text = "\n\n".join([f"# {TITLE}", *sections(store, claims, drawn, left_out)]) + "\n"
    written = [folder / "report.md", folder / "report.html"]
    write_bytes(written[0], text.encode())
    write_bytes(written[1], page(TITLE, text, folder).encode())
    return Report(written + files, claims, left_out)
