"""``hexsched figures``: registered through the entry-point group ``hexsched.commands``.

The command line lives below this package in the import order, so it cannot import it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli.destination import check_directory
from experiments.cli.options import Json
from experiments.cli.output import Table, emit, note
from hexsched.errors import InputError

if TYPE_CHECKING:
    from paper_figs.drawing.figure import Figure
    from paper_figs.reading.store import StorePath

MOST_REASONS = 3  # why figures are left out, a line each; more of them are one line

Policies = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Show these policies alone, with commas between them; the first is under study (reductions are its), the "
        "others are what it is held against. 'baselines' stands for the paper's, 'all' for all in the store.",
    ),
]


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("figures", epilog="Example: hexsched figures attainment --store out -o out/figures")(draw_figures)


def draw_figures(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Figures; all that the store has data for when none is named."),
    ] = None,
    store: Annotated[Path, typer.Option(metavar="DIR", help="Where the results are stored.")] = Path("out"),
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the figures go.")] = Path(
        "figures"
    ),
    policies: Policies = None,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE",
            help="Draw nothing: put the tables of the figures named into this Markdown page, each between the lines "
            "<!-- NAME --> and <!-- /NAME -->.",
        ),
    ] = None,
    format: Annotated[
        str, typer.Option(metavar="LIST", help="pdf, png, svg, and tex or md for those that have a table; with commas.")
    ] = "pdf,png",
    as_json: Json = False,
) -> None:
    """Draw figures from stored results, and write the table behind each as CSV."""
    from paper_figs.drawing.figure import read_formats, write_figure
    from paper_figs.figures import FIGURES
    from paper_figs.reading.store import NoDataError, lacking, only_failed, select_policies

    chosen = [FIGURES.find(name) for name in names] if names else list(FIGURES.values())
    formats = read_formats(format)
    if into is None:
        check_directory(output, (), [])
    source = select_policies(store, policies)
    if into is not None:
        _insert(into, chosen if names else [], source)
        return
    written: dict[str, list[str]] = {}
    notes: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    for each in chosen:
        try:
            made = write_figure(each, source, output, formats)
        except NoDataError as error:
            left_out[each.name] = lacking(source, each.name, str(error)) if names else str(error)
        else:
            written[each.name] = [str(path) for path in made.files]
            notes[each.name] = list(made.notes)
    if not written and not names:
        raise InputError(
            f"no results here; 'hexsched grid run smoke --store {store}' or 'hexsched demo -o {store}' makes some",
            store,
        )
    rows = [(name, file) for name, files in written.items() for file in files]
    record = {"figures": written, "notes": notes, "left_out": left_out}
    if written:
        emit(record, [Table(("figure", "file"), rows)], as_json)
    for name, texts in notes.items():
        for text in texts:
            note(f"{name}: {text}")
    if failed := only_failed(source):
        note(
            f"{', '.join(failed)}: only failed cells, so in no figure; 'hexsched grid status --store {store}' says why"
        )
    if names and left_out:
        raise InputError("; ".join(left_out.values()), store)
    if len(left_out) > MOST_REASONS:
        note(_folded(left_out))
    else:
        for name, reason in left_out.items():
            note(f"left out {name}: {reason}")


def _folded(left_out: Mapping[str, str]) -> str:
    """Many figures without data in one line, those together that the same command makes data for."""
    by_command: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        found = re.search(r"'(hexsched .*?)(?: (?:--store|-o) [^']*)?'", reason)
        by_command.setdefault(found[1] if found else "", []).append(name)
    parts = [", ".join(names) + (f" ({command})" if command else "") for command, names in by_command.items()]
    return f"left out {', '.join(parts)}: {len(left_out)} figures that this store has no data for, and what makes some"


def _insert(page: Path, chosen: Sequence[Figure], source: StorePath) -> None:
    from experiments.pages import insert

    without = [each.name for each in chosen if each.table is None]
    if without or not chosen:
        raise InputError(f"{without[0]} has no table" if without else "name the figures that have a table", "--into")
    insert(page, {each.name: each.table(each.data(source)).markdown() for each in chosen if each.table is not None})
