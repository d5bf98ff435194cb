"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from solvers.problem.left import check_time_limit

InstanceFile = Annotated[Path, typer.Argument(metavar="INSTANCE", help="Instance file, made by 'hexsched compile'.")]
WorkloadName = Annotated[
    str,
    typer.Argument(
        metavar="WORKLOAD", help="Workload or trace file, a folder of them, or a name of 'hexsched families'."
    ),
]
ScheduleFile = Annotated[Path, typer.Argument(metavar="SCHEDULE", help="Schedule file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object in place of tables.")]
Timed = Annotated[
    bool, typer.Option("--timings", help="Say on standard error which part took how long: reading, engine, and so on.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a file of another kind at the output, too.")]
LARGEST_SEED = 2**31 - 1  # that solvers take
MOST_WORKERS = 1024


def time_limit_option(what: str) -> Any:
    """The option of a time limit, in the same words for every command; ``what`` it is for."""
    return typer.Option("--time-limit", metavar="SEC", help=f"Wall-clock seconds {what}.", callback=check_time_limit)


Seed = Annotated[int, typer.Option(min=0, max=LARGEST_SEED, metavar="S", help="Seed of everything random.")]
Estimator = Annotated[
    str,
    typer.Option(metavar="E", help="How policies know output lengths: exact, noise(SIGMA) or class_mean."),
]
Arrivals = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        # the forms of ``hexsched.workloads.arrivals``; reading them there would make every command start 5 ms later
        help="New arrival times: fixed:RATE, poisson:RATE, gamma:RATE,cv=CV or file:TRACE[,rate=RATE][,OPTION=VALUE], "
        "in workflows a second; an OPTION is one of the trace's format.",
    ),
]
ClosedLoopSessions = Annotated[
    int | None,
    typer.Option(
        "--closed-loop",
        min=1,
        metavar="N",
        help="N workflows are under way; the next of the file arrives when one ends.",
    ),
]
WarmUp = Annotated[
    int, typer.Option(min=0, metavar="K", help="Of a closed loop: metrics leave out the first K workflows.")
]
LeaveOutOversize = Annotated[
    bool,
    typer.Option(
        "--leave-out-oversize", help="Leave out workflows with a call that no KV cache holds, in place of an error."
    ),
]
MostWorkflows = Annotated[
    int | None,
    typer.Option(
        "--workflows", min=1, metavar="N", help="The first N workflows; by default all of a file, 200 of a family."
    ),
]
MaxContext = Annotated[
    int | None,
    typer.Option(min=2, metavar="N", help="Leave out workflows with a call of more than N prompt and output tokens."),
]
Format = Annotated[
    str | None,
    typer.Option(metavar="FORMAT", help="One of 'hexsched formats'; by default told from the file."),
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="KEY=VALUE",
        help="An option of the trace format, see 'hexsched formats'; may be repeated.",
    ),
]
ColumnMap = Annotated[
    str | None,
    typer.Option(
        "--map",
        metavar="ROLE=COLUMN,...",
        help="The columns of a table of your own, such as session=session_id,prompt=usage.prompt_tokens; roles are "
        "prompt, output, cached, time, session, turn, delay, service, kind.",
    ),
]
TimeUnit = Annotated[
    str | None, typer.Option("--time-unit", metavar="UNIT", help="Of a trace's times: s, ms, us or ns.")
]
Slo = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Count calls and workflows within thresholds, such as ttft=2s,tpot=50ms,ratio=4; also of queueing, "
        "admission, transfer and latency.",
    ),
]


def _show_tracebacks(wanted: bool) -> bool:
    from experiments.cli.plugins import show_tracebacks

    show_tracebacks(wanted)
    return wanted


Traceback = Annotated[
    bool,
    typer.Option("--traceback", callback=_show_tracebacks, help="Show the whole traceback of an error in a plugin."),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin", metavar="FILE.py", help="Python file that registers policies of your own; may be given repeatedly."
    ),
]
