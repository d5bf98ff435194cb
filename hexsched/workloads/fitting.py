"""Refit a family to the original data: ``python -m hexsched.workloads.fitting FAMILY TABLE... -o FIT.json``.

The tables are workloads in hexsched's format (arrivals are ignored); the fits in ``data/`` were made by this command.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from hexsched.errors import InputError
from hexsched.model import Workflow
from hexsched.model.files import read_bytes, read_lines, write_bytes
from hexsched.workloads.describe import measure
from hexsched.workloads.families import fitted_family
from hexsched.workloads.families.parts.family import Fit, FittedFamily, Quantity
from hexsched.workloads.families.parts.tables import QuantileTable


def fit(name: str, workflows: Sequence[Workflow]) -> dict[str, Any]:
    """Fit a family to real workflows of its sort.

    Returns
    -------
    dict
        Plain data in the layout of ``data/<family>.json``.

    Raises
    ------
    InputError
        For an unknown family, or workflows that are not of its sort.
    """
    member = fitted_family(name)
    try:
        parameters = member.fit(workflows)
    except (IndexError, KeyError, StopIteration, ValueError) as error:
        raise InputError(f"these workflows do not have the structure of family {name!r} ({error})") from None
    result: Fit[msgspec.Struct] = Fit(
        family=name,
        source=member.source,
        workflows=len(workflows),
        calls=sum(len(w.calls) for w in workflows),
        parameters=parameters,
        observed=observe(workflows),
    )
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(result))
    return plain


def observe(workflows: Sequence[Workflow]) -> dict[str, Quantity]:
    """Mean and quantiles of every quantity that is not 0 throughout."""
    return {
        quantity: Quantity(round(float(values.mean()), 2), QuantileTable.fit(values))
        for quantity, values in measure(workflows).items()
        if values.any()
    }


def with_fit(name: str, path: str | Path) -> FittedFamily:
    """The family with the parameters of a fit file of your own.

    Raises
    ------
    InputError
        Naming file and field.
    """
    member = fitted_family(name)
    return type(member)(member.decode(read_bytes(path), str(path)).parameters)


def read_table(path: str | Path) -> list[Workflow]:
    """A workload whose lines may lack ``arrival``."""
    return [_workflow(line, f"{path}:{number}") for number, line in read_lines(path)]


def _workflow(line: bytes, where: str) -> Workflow:
    from hexsched.model.files import convert, decode_json

    fields = decode_json(line, dict[str, Any], where)
    return convert({"arrival": 0.0, **fields}, Workflow, where)


def fit_bytes(name: str, workflows: Sequence[Workflow]) -> bytes:
    """``fit`` as the JSON text of a fit file."""
    return msgspec.json.encode(fit(name, workflows)) + b"\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m hexsched.workloads.fitting", description=__doc__)
    parser.add_argument("family")
    parser.add_argument("tables", nargs="+", metavar="TABLE", help="JSON Lines, one workflow a line")
    parser.add_argument("-o", "--out", required=True, help="fit file to write")
    options = parser.parse_args(arguments)
    try:
        workflows = [w for path in options.tables for w in read_table(path)]
        if not workflows:
            raise InputError("the tables hold no workflows; expected one a line", options.tables[0])
        write_bytes(options.out, fit_bytes(options.family, workflows))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
