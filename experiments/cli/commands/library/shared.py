"""What the commands of the library share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hexsched.errors import InputError

if TYPE_CHECKING:
    from experiments.library.archive import Entry, Finder, Key

NAMES_HELP = "FAMILY-CALLS-SEED, FAMILY for its archived instances, or train or test for those of a split."

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help=NAMES_HELP)]
OptionalNames = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help=f"{NAMES_HELP} All archived ones when none is given.")
]
Archive = Annotated[
    Path | None, typer.Option("--archive", metavar="CSV", help="Archive in place of the one in the package.")
]
By = Annotated[
    str | None,
    typer.Option("--by", metavar="WHO", help="Who is named as the finder; this version of hexsched if none."),
]
On = Annotated[str | None, typer.Option("--on", metavar="YYYY-MM-DD", help="When it was found; today if not given.")]


def read_known(archive: Path | None, *, may_be_new: bool = False) -> dict[Key, Entry]:
    """The archive; an empty one where the file is yet to be made by the command."""
    from experiments.library.archive import PACKAGED, read_archive

    path = PACKAGED if archive is None else archive
    return {} if may_be_new and not os.path.exists(path) else read_archive(path)


def finder(by: str | None, on: str | None) -> Finder:
    import datetime

    from experiments.library.archive import Finder
    from hexsched import __version__

    try:
        day = datetime.date.today() if on is None else datetime.date.fromisoformat(on)
    except ValueError:
        raise InputError(f"expected a day as YYYY-MM-DD, got {on!r}", "--on") from None
    return Finder(f"hexsched {__version__}" if by is None else by, day.isoformat())


def chosen_names(texts: list[str] | None) -> list[str]:
    from experiments.library.names import expand, names

    return expand(texts) if texts else list(names())
