"""The schedule: where and when every call ran (model M34)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hexsched.display import MOST_ROWS, Summary, displayed, shown
from hexsched.errors import InputError
from hexsched.model.file_kind import check_kind
from hexsched.model.files import convert, read_bytes, write_bytes
from hexsched.model.json_keys import check_keys
from hexsched.plotting import Accessor

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "hexsched-schedule/1"


class ScheduledCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Placement and times (seconds) of one call.

    A schedule is a claim; it is not checked here. ``hexsched.verifier`` does that.

    Attributes
    ----------
    workflow_id, call_id : str
        The call.
    prefill_instance, decode_instance : str
        Ids of the instances that it runs on.
    prefill_start, prefill_end : float
        Seconds, on the clock of the arrivals.
    admitted : float
        When the decode instance reserves room for it and its KV begins to move.
    decode_start : float
        When its KV is there and it joins the batch.
    decode_end : float
        C_c, when its last token is out.
    """

    workflow_id: str
    call_id: str
    prefill_instance: str
    prefill_start: float
    prefill_end: float
    decode_instance: str
    admitted: float
    decode_start: float
    decode_end: float


@displayed
class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The outcome of a run: one ``ScheduledCall`` for each call, in the instance's order.

    Attributes
    ----------
    format : str
        Always ``"hexsched-schedule/1"``.
    policy : str
        What made it.
    calls : tuple of ScheduledCall
        One for each call of the instance.
    """

    format: str
    policy: str
    calls: tuple[ScheduledCall, ...]

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"format must be {FORMAT!r}, got {self.format!r}")

    def to_bytes(self) -> bytes:
        """Canonical JSON, one call a line."""
        head = msgspec.json.encode({"format": self.format, "policy": self.policy})[:-1] + b',"calls":[\n'
        return head + b",\n".join(msgspec.json.encode(call) for call in self.calls) + b"\n]}\n"

    def to_frame(self) -> pd.DataFrame:
        """One row a call, columns named as the fields."""
        import pandas as pd

        return pd.DataFrame([msgspec.structs.asdict(call) for call in self.calls])

    @property
    def plot(self) -> Accessor:
        """Its plots: ``schedule.plot.NAME(ax=None)``; ``schedule.plot`` itself lists them."""
        return Accessor(self)

    def save(self, path: str | Path) -> None:
        """Write the schedule as a file that the command line reads."""
        write_schedule(path, self)

    def _summary(self) -> Summary:
        rows = [
            {
                "call": f"{call.workflow_id}/{call.call_id}",
                "prefill": call.prefill_instance,
                "prefill s": f"{shown(call.prefill_start)} - {shown(call.prefill_end)}",
                "decode": call.decode_instance,
                "decode s": f"{shown(call.decode_start)} - {shown(call.decode_end)}",
            }
            for call in self.calls[:MOST_ROWS]
        ]
        facts = {"calls": len(self.calls), "last completion s": max((c.decode_end for c in self.calls), default=None)}
        return Summary(f"by {self.policy}", facts, rows, len(self.calls))


def read_schedule(path: str | Path) -> Schedule:
    """Read a schedule file; raises ``InputError`` naming file and field.

    ``NaN`` and ``Infinity`` are let through: it is the verifier that names them.
    """
    check_kind(path, "schedule")
    data = read_bytes(path)
    try:
        parsed = json.loads(data)
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}", path) from None
    except RecursionError:
        raise InputError("not valid JSON: nested too deeply", path) from None
    check_keys(data, str(path))
    return convert(parsed, Schedule, str(path))


def write_schedule(path: str | Path, schedule: Schedule) -> None:
    """Write a schedule file in canonical form."""
    write_bytes(path, schedule.to_bytes())
