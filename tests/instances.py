"""Random instances for the tests of simulator and policies: those of ``reference``, bent towards the corner cases.

Ties, empty waits and calls that barely fit are where a scheduler goes wrong, and independent draws never make them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st
from msgspec.structs import replace
from reference import random_instance

from hexsched.model import Call, DecodeInstance, Instance, Link, PrefillInstance, Workflow

CORNERS = {
    "decode_model": ("fluid", "fixed"),
    "arrivals": ("spread", "together", "steps"),
    "delays": ("some", "none"),
    "transfers": ("slow", "latency", "instant"),
    "room": ("drawn", "loose", "barely"),
}
KINDS = ("", "plan", "vote")
LARGEST_POOL = 4


def corner_instance(
    rng: np.random.Generator, *, workflows: tuple[int, int] = (1, 6), calls: tuple[int, int] = (1, 5), **corners: str
) -> Instance:
    """Draw an instance; a corner that is not given is drawn as well (``CORNERS``)."""
    chosen = {name: corners.get(name) or str(rng.choice(choices)) for name, choices in CORNERS.items()}
    drawn = random_instance(rng, decode_model=chosen["decode_model"], workflows=workflows, calls=calls)
    drawn = replace(drawn, workflows=tuple(_bend(rng, w, chosen) for w in drawn.workflows))
    drawn = _with_twins(rng, drawn)
    if chosen["room"] != "drawn":
        drawn = _with_room(rng, drawn, barely=chosen["room"] == "barely")
    if chosen["transfers"] != "slow":
        latency = 0.01 if chosen["transfers"] == "latency" else 0.0
        links = tuple(replace(link, latency=latency) for link in drawn.links)
        drawn = replace(drawn, kv_bytes_per_token=0, links=links)
    return drawn


def corner_instances(
    *, workflows: tuple[int, int] = (1, 6), calls: tuple[int, int] = (1, 5), **corners: str
) -> st.SearchStrategy[Instance]:
    """``corner_instance`` as a strategy that shrinks towards the first choice of each corner."""

    def make(seed: int, **chosen: str) -> Instance:
        return corner_instance(np.random.default_rng(seed), workflows=workflows, calls=calls, **chosen)

    choices = {name: st.just(corners[name]) if name in corners else st.sampled_from(CORNERS[name]) for name in CORNERS}
    return st.builds(make, st.integers(0, 2**32 - 1), **choices)


def tiny_flow_shop(seed: int) -> Instance:
    """Two workflows that meet on two prefill instances and one for decode: small enough to try everything."""
    rng = np.random.default_rng(seed)
    drawn = corner_instance(
        rng, workflows=(2, 2), calls=(1, 2), decode_model="fixed", arrivals="together", transfers="slow"
    )
    prefill, decode = drawn.prefill[:2], drawn.decode[:1]
    kept = {machine.id for machine in (*prefill, *decode)}
    links = tuple(link for link in drawn.links if {link.source, link.to} <= kept)
    return replace(drawn, prefill=prefill, decode=decode, links=links)


def one_pair(*workflows: Workflow, decode_model: str = "fluid", **decode: object) -> Instance:
    """One prefill and one decode instance with round coefficients, to compute on by hand.

    P(n, h) = 1 + 0.1 (n - h) + 0.01 (n^2 - h^2), T(n) = 0.5 + 0.1 n, g(B) = 1 + 0.5 B, d2 = 0.01, theta = 2.
    """
    machine = {"decode_coeffs": (1, 0.5, 0.01), "kv_capacity_tokens": 1000, "max_batch": 8} | decode
    return Instance(
        format="hexsched-instance/1",
        decode_model=decode_model,
        kv_bytes_per_token=100,
        prefill=(PrefillInstance(id="p0", gpu="X", prefill_coeffs=(1, 0.1, 0.01)),),
        decode=(DecodeInstance(id="d0", gpu="X", fixed_iteration_time=2, **machine),),
        links=(Link(source="p0", to="d0", latency=0.5, bandwidth=1000),),
        workflows=workflows,
    )


def workflow(name: str, arrival: float, *calls: Call) -> Workflow:
    """A workflow in a line."""
    return Workflow(workflow_id=name, arrival=arrival, calls=calls)


def call(name: str, n: int, m: int, *parents: str, h: int = 0, delay: float = 0.0, kind: str = "") -> Call:
    """A call in a line."""
    return Call(
        call_id=name, prompt_tokens=n, output_tokens=m, cached_tokens=h, parents=parents, delay=delay, kind=kind
    )


def named_calls(instance: Instance) -> Iterator[tuple[tuple[str, str], Workflow, Call]]:
    """((workflow id, call id), workflow, call) of every call, in file order."""
    for flow in instance.workflows:
        for one in flow.calls:
            yield (flow.workflow_id, one.call_id), flow, one


def _bend(rng: np.random.Generator, flow: Workflow, chosen: dict[str, str]) -> Workflow:
    arrival = {"spread": flow.arrival, "together": 0.0, "steps": float(round(flow.arrival))}[chosen["arrivals"]]
    calls = tuple(
        replace(one, kind=str(rng.choice(KINDS)), delay=one.delay if chosen["delays"] == "some" else 0.0)
        for one in flow.calls
    )
    return replace(flow, arrival=arrival, calls=calls)


def _with_twins(rng: np.random.Generator, drawn: Instance) -> Instance:
    """Add copies of instances, links included: what is identical is where ties come from."""
    prefill, decode, links = list(drawn.prefill), list(drawn.decode), list(drawn.links)
    for _ in range(rng.integers(LARGEST_POOL - len(prefill), endpoint=True)):
        twin, name = prefill[rng.integers(len(prefill))], f"p{len(prefill)}"
        prefill.append(replace(twin, id=name))
        links += [replace(link, source=name) for link in links if link.source == twin.id]
    for _ in range(rng.integers(LARGEST_POOL - len(decode), endpoint=True)):
        other, name = decode[rng.integers(len(decode))], f"d{len(decode)}"
        decode.append(replace(other, id=name))
        links += [replace(link, to=name) for link in links if link.to == other.id]
    return replace(drawn, prefill=tuple(prefill), decode=tuple(decode), links=tuple(links))


def _with_room(rng: np.random.Generator, drawn: Instance, *, barely: bool) -> Instance:
    """Room for everything at once, or caches that the largest calls just fill."""
    needs = sorted(one.prompt_tokens + one.output_tokens for _, _, one in named_calls(drawn))
    machines = []
    for j, machine in enumerate(drawn.decode):
        if barely:
            room = needs[-1] if j == 0 else needs[rng.integers(len(needs))]
            batch = int(rng.integers(1, 8, endpoint=True))
        else:
            room, batch = 2 * sum(needs), 2 * len(needs)
        d0 = machine.decode_coeffs[0]
        curve = None if machine.batch_curve is None else ((1, d0), (3, 1.4 * d0), (3 + batch, 1.5 * d0))
        machines.append(replace(machine, kv_capacity_tokens=room, max_batch=batch, batch_curve=curve))
    return replace(drawn, decode=tuple(machines))
