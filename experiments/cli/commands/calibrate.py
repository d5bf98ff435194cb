"""``hexsched calibrate``: the laws of service time fitted to a measured table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from experiments.cli.destination import check_destination, deliver
from experiments.cli.options import Force, Json
from experiments.cli.output import Table, note, percent

if TYPE_CHECKING:
    from hexsched.profiles import Profile
    from hexsched.profiles.fit import BatchLaw


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched calibrate measured.csv -o profile.json"
    app.command("calibrate", epilog=epilog)(calibrate_command)


def calibrate_command(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="PROFILE.csv",
            help="Columns model, system, tp, phase, batch_size, context_tokens, ms; others are left alone.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PROFILE.json",
            help="Write the fitted profile to this file, for 'profile:' in a cluster; - is standard output.",
        ),
    ] = None,
    batch_law: Annotated[
        str, typer.Option(metavar="LAW", help="How an iteration's time grows with the batch: auto, line or curve.")
    ] = "auto",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Fit prefill and decode times to measurements.

    Printed is how far the fit is from them: MAPE is the mean absolute relative error; the worst point is signed, above
    0 where the fit is too slow.
    """
    from hexsched.profiles import calibrate

    check_destination(output, [table], as_json, "profile", force)
    profile = calibrate(table, cast("BatchLaw", batch_law))
    for line in _unknown_names(profile):
        note(f"{table}: {line}")
    record = {"source": str(table), "output": output, "fits": profile.fits}
    deliver(output, profile.to_bytes, record, [_errors(profile)], as_json)


def _unknown_names(profile: Profile) -> list[str]:
    """A line for each model and GPU that no cluster finds by a name of the catalogues."""
    from hexsched.profiles import gpu_catalogue, model_catalogue

    lines = []
    for sort, names, known, command in (
        ("model", [fit.model for fit in profile.fits], model_catalogue(), "models"),
        ("GPU", [fit.gpu for fit in profile.fits], gpu_catalogue(), "gpus"),
    ):
        for name in dict.fromkeys(names):
            if name not in [entry.name for entry in known]:
                lines.append(
                    f"no {sort} of the catalogue is called {name!r} ('hexsched {command}' lists them): its fits serve "
                    f"only clusters that define a {sort} of this name"
                )
    return lines


def _errors(profile: Profile) -> Table:
    rows = []
    for fit in profile.fits:
        for phase, error in (("prefill", fit.prefill_error), ("decode", fit.decode_error)):
            law = "curve" if phase == "decode" and fit.batch_curve is not None else "line"
            worst = f"{100 * error.worst:+.2f} % at batch {error.worst_batch}, context {error.worst_context:,}"
            rows.append(
                (
                    fit.gpu,
                    fit.model,
                    fit.tp,
                    phase,
                    law if phase == "decode" else None,
                    error.points,
                    percent(error.mape),
                    worst,
                )
            )
    return Table(("GPU", "model", "tp", "phase", "batch law", "points", "MAPE", "worst point"), rows)
