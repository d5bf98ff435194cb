"""An instance small enough to compute by hand, and rows written as five times."""

from __future__ import annotations

from hexsched.model import (
    Call,
    DecodeInstance,
    Instance,
    Link,
    PrefillInstance,
    Schedule,
    ScheduledCall,
    Workflow,
)


def row(name: str, *times: float, call: str = "c0", prefill: str = "p0", decode: str = "d0") -> ScheduledCall:
    """A row from its five times."""
    start, end, admitted, arrived, completed = times
    return ScheduledCall(
        workflow_id=name,
        call_id=call,
        prefill_instance=prefill,
        prefill_start=start,
        prefill_end=end,
        decode_instance=decode,
        admitted=admitted,
        decode_start=arrived,
        decode_end=completed,
    )


def schedule(*rows: ScheduledCall) -> Schedule:
    """A schedule of these rows."""
    return Schedule(format="hexsched-schedule/1", policy="by hand", calls=rows)


def two_calls(**options: object) -> Instance:
    """A (n 10, m 4, arrives at 10) and B (n 20, h 10, m 3, arrives at 7), two prefill instances, one decode instance.

    P(10, 0) = 1 + 0.1 * 10 + 0.01 * 100 = 3, P(20, 10) = 1 + 0.1 * 10 + 0.01 * (400 - 100) = 5,
    T(10) = 0.5 + 10 * 100 / 1000 = 1.5, T(20) = 2.5; g(1) = 1.5, g(2) = 2, d2 = 0.01.
    """
    decode_model = options.pop("decode_model", "fluid")
    machine = {"decode_coeffs": (1, 0.5, 0.01), "kv_capacity_tokens": 100, "max_batch": 2} | options
    return Instance(
        format="hexsched-instance/1",
        decode_model=decode_model,
        kv_bytes_per_token=100,
        prefill=tuple(PrefillInstance(id=p, gpu="X", prefill_coeffs=(1, 0.1, 0.01)) for p in ("p0", "p1")),
        decode=(DecodeInstance(id="d0", gpu="X", fixed_iteration_time=2, **machine),),
        links=tuple(Link(source=p, to="d0", latency=0.5, bandwidth=1000) for p in ("p0", "p1")),
        workflows=(
            Workflow(workflow_id="A", arrival=10, calls=(Call(call_id="c0", prompt_tokens=10, output_tokens=4),)),
            Workflow(
                workflow_id="B",
                arrival=7,
                calls=(Call(call_id="c0", prompt_tokens=20, output_tokens=3, cached_tokens=10),),
            ),
        ),
    )
