"""Instances of a few calls, each kind from another corner of the model; all within what M9 allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hexsched.model import Call, DecodeInstance, Instance, Link, PrefillInstance, Workflow

Draw = Callable[[np.random.Generator, str], Instance]
Shape = Sequence[Sequence[int]]  # of each call of a workflow, its parents

ONE: Shape = [()]
CHAIN: Shape = [(), (0,), (1,), (2,), (3,)]
FORK: Shape = [(), (0,), (0,), (0,)]
JOIN: Shape = [(), (), (), (0, 1, 2)]
DIAMOND: Shape = [(), (0,), (0,), (1, 2)]


def prefill(name: str, *coeffs: float) -> PrefillInstance:
    return PrefillInstance(id=name, gpu="X", prefill_coeffs=coeffs or (0.02, 1e-4, 1e-9))


def decode(
    name: str,
    *coeffs: float,
    theta: float | None = None,
    room: int = 10**6,
    batch: int = 64,
    curve: Sequence[tuple[int, float]] | None = None,
) -> DecodeInstance:
    """A decode instance; theta is the time of one iteration of an empty batch where it is not given."""
    numbers = coeffs or (0.02, 1e-3, 1e-8)
    alone = curve[0][1] if curve else numbers[0] + numbers[1]
    return DecodeInstance(
        id=name,
        gpu="X",
        decode_coeffs=numbers,
        fixed_iteration_time=theta or alone or numbers[2],
        kv_capacity_tokens=room,
        max_batch=batch,
        batch_curve=tuple(curve) if curve else None,
    )


def flow(
    name: str, arrival: float, shape: Shape, sizes: Callable[[], tuple[int, int]], *, delay: float = 0.0, h: float = 0.0
) -> Workflow:
    """A workflow of that shape; ``h`` is the share of each prompt that is cached."""
    calls = []
    for k, parents in enumerate(shape):
        n, m = sizes()
        own = tuple(f"c{parent}" for parent in parents)
        one = Call(
            call_id=f"c{k}", prompt_tokens=n, output_tokens=m, cached_tokens=int(h * (n - 1)), parents=own, delay=delay
        )
        calls.append(one)
    return Workflow(workflow_id=name, arrival=arrival, calls=tuple(calls))


def cluster(
    model: str,
    sources: Sequence[PrefillInstance],
    targets: Sequence[DecodeInstance],
    flows: Sequence[Workflow],
    *,
    kv: float = 1e5,
    latency: float = 0.005,
    bandwidth: float = 2e9,
) -> Instance:
    """All links alike."""
    return Instance(
        format="hexsched-instance/1",
        decode_model=model,
        kv_bytes_per_token=kv,
        prefill=tuple(sources),
        decode=tuple(targets),
        links=tuple(Link(source=i.id, to=j.id, latency=latency, bandwidth=bandwidth) for i in sources for j in targets),
        workflows=tuple(flows),
    )


def usual(rng: np.random.Generator) -> Callable[[], tuple[int, int]]:
    """Prompts and outputs of usual lengths."""
    return lambda: (int(rng.integers(50, 2000)), int(rng.integers(20, 300)))


def several(rng: np.random.Generator, name: str, count: int, *numbers: float) -> list[PrefillInstance]:
    return [prefill(f"{name}{k}", *(x * float(rng.choice([1, 1, 2])) for x in numbers)) for k in range(count)]


def one_call(rng: np.random.Generator, model: str) -> Instance:
    targets = [decode(f"d{j}", batch=int(rng.integers(1, 3))) for j in range(rng.integers(1, 3))]
    return cluster(model, [prefill("p0")], targets, [flow("w", float(rng.choice([0, 7])), ONE, usual(rng), delay=2.0)])


def one_machine(rng: np.random.Generator, model: str) -> Instance:
    flows = [flow(f"w{k}", float(rng.uniform(0, 2)), ONE, usual(rng)) for k in range(4)]
    return cluster(model, [prefill("p0")], [decode("d0", batch=int(rng.integers(1, 4)))], flows)


def all_alike(rng: np.random.Generator, model: str) -> Instance:
    n, m = usual(rng)()
    flows = [flow(f"w{k}", 0.0, ONE, lambda: (n, m)) for k in range(4)]
    count = int(rng.integers(1, 3))
    targets = [decode(f"d{j}", batch=int(rng.integers(1, 3))) for j in range(count)]
    return cluster(model, [prefill(f"p{i}") for i in range(count)], targets, flows)


def no_links(rng: np.random.Generator, model: str) -> Instance:
    flows = [flow(f"w{k}", 0.0, DIAMOND[:2], usual(rng)) for k in range(2)]
    targets = [decode("d0", batch=2), decode("d1", 0.03, 1e-3, 1e-8, batch=2)]
    return cluster(model, several(rng, "p", 2, 0.02, 1e-4, 1e-9), targets, flows, kv=0, latency=0)


def exactly_full(rng: np.random.Generator, model: str) -> Instance:
    """Some calls fill a cache together, to the token; the largest fills it alone."""
    sizes = [(int(rng.integers(100, 500)), int(rng.integers(20, 200))) for _ in range(4)]
    need = sorted(n + m for n, m in sizes)
    room = int(rng.choice([need[-1], max(need[-1], need[0] + need[1]), max(need[-1], sum(need[:3])), sum(need)]))
    lengths = iter(sizes)
    flows = [flow(f"w{k}", 0.0, ONE, lambda: next(lengths)) for k in range(4)]
    return cluster(model, several(rng, "p", 2, 0.002, 1e-5, 0.0), [decode("d0", room=room, batch=3)], flows)


def one_token_short(rng: np.random.Generator, model: str) -> Instance:
    """Any two calls need one token more than there is."""
    n, m = usual(rng)()
    flows = [flow(f"w{k}", 0.0, ONE, lambda: (n, m)) for k in range(3)]
    targets = [decode(f"d{j}", room=2 * (n + m) - 1) for j in range(rng.integers(1, 3))]
    return cluster(model, [prefill("p0", 0.001, 0.0, 0.0)], targets, flows)


def batch_of_one(rng: np.random.Generator, model: str) -> Instance:
    flows = [flow(f"w{k}", float(rng.uniform(0, 1)), CHAIN[:2], usual(rng)) for k in range(2)]
    targets = [decode(f"d{j}", batch=1) for j in range(rng.integers(1, 3))]
    return cluster(model, several(rng, "p", 1, 0.02, 1e-4, 1e-9), targets, flows)


def shaped(shape: Shape, rest: int) -> Draw:
    """A workflow of that shape, with so many of one call beside it."""

    def draw(rng: np.random.Generator, model: str) -> Instance:
        flows = [flow("w", 0.0, shape, usual(rng), delay=float(rng.choice([0.0, 1.0])))]
        flows += [flow(f"x{k}", float(rng.uniform(0, 3)), ONE, usual(rng)) for k in range(rest)]
        targets = [decode("d0", batch=2), decode("d1", 0.04, 1e-3, 1e-8, batch=1)][: int(rng.integers(1, 3))]
        return cluster(model, several(rng, "p", 1, 0.02, 1e-4, 1e-9), targets, flows)

    return draw


def idle_hours(rng: np.random.Generator, model: str) -> Instance:
    """Groups that arrive hours or years apart."""
    gap = float(rng.choice([3600.0, 1e5, 3e7]))
    flows = [flow(f"w{k}", gap * (k // 2), ONE, usual(rng)) for k in range(4)]
    return cluster(model, [prefill("p0")], [decode("d0", batch=1)], flows)


def tight_idle(rng: np.random.Generator, model: str) -> Instance:
    """Arrivals about when the one before is complete: idle or not by a hair."""
    n, m = usual(rng)()
    alone = 0.02 + 1e-4 * n + 1e-9 * n * n + 0.005 + n * 1e5 / 2e9
    source, target = prefill("p0"), decode("d0", batch=1)
    alone += m * target.fixed_iteration_time if model == "fixed" else (0.021 + 1e-8 * n) * m + 1e-8 * m * m / 2
    off = float(rng.choice([-1e-3, -1e-9, 0.0, 1e-9, 1e-3]))
    return cluster(model, [source], [target], [flow(f"w{k}", k * (alone + off), ONE, lambda: (n, m)) for k in range(4)])


def scaled(power: float) -> Draw:
    """Every duration times 10 to that power."""

    def draw(rng: np.random.Generator, model: str) -> Instance:
        by = 10.0**power
        flows = [flow(f"w{k}", float(rng.uniform(0, 2)) * by, CHAIN[:2], usual(rng), delay=0.1 * by) for k in range(2)]
        sources = [prefill("p0", 0.02 * by, 1e-4 * by, 1e-9 * by)]
        targets = [decode("d0", 0.02 * by, 1e-3 * by, 1e-8 * by, batch=2, room=10**5)]
        return cluster(model, sources, targets, flows, kv=1e5, latency=0.005 * by, bandwidth=2e9 / by)

    return draw


def one_much_faster(rng: np.random.Generator, model: str) -> Instance:
    """Instances a million times apart in pace."""
    flows = [flow(f"w{k}", 0.0, ONE, usual(rng)) for k in range(4)]
    sources = [prefill("p0", 2e-7, 1e-9, 1e-14), prefill("p1", 0.2, 1e-3, 1e-8)]
    targets = [decode("d0", 2e-7, 1e-8, 1e-13, batch=1), decode("d1", 0.2, 1e-2, 1e-7, batch=4)]
    return cluster(model, sources, targets, flows, kv=1, latency=0, bandwidth=1e12)


def largest_tokens(rng: np.random.Generator, model: str) -> Instance:
    """A billion tokens a call, 2**50 in a cache, a million places in a batch."""
    flows = [flow(f"w{k}", 0.0, ONE, lambda: (10**9, int(rng.integers(1, 10**9)))) for k in range(3)]
    targets = [decode("d0", 1e-9, 1e-12, 1e-21, room=2**50, batch=10**6), decode("d1", 1e-9, 0, 0, room=2**31, batch=1)]
    return cluster(model, [prefill("p0", 0.0, 1e-9, 0.0)], targets, flows, kv=1e5, latency=0, bandwidth=1e18)


def smallest_tokens(rng: np.random.Generator, model: str) -> Instance:
    """One token in, one out."""
    flows = [flow(f"w{k}", float(rng.choice([0.0, 0.01])), FORK[:2], lambda: (1, 1)) for k in range(2)]
    targets = [decode("d0", room=2, batch=1), decode("d1", room=3, batch=64)]
    return cluster(model, [prefill("p0", 0.0, 0.01, 0.0)], targets, flows, kv=1, latency=0.01, bandwidth=1e18)


def much_delay(rng: np.random.Generator, model: str) -> Instance:
    """Delays beside which all work is nothing."""
    flows = [flow(f"w{k}", 0.0, CHAIN[:2], usual(rng), delay=float(rng.choice([1e3, 1e4]))) for k in range(2)]
    return cluster(model, [prefill("p0")], [decode("d0", batch=1)], flows)


def all_cached(rng: np.random.Generator, model: str) -> Instance:
    """All but a token of each prompt in the prefix store."""
    flows = [flow(f"w{k}", 0.0, CHAIN[:2], usual(rng), h=1.0) for k in range(2)]
    return cluster(model, several(rng, "p", 2, 0.0, 1e-4, 1e-9), [decode("d0", batch=2)], flows, bandwidth=2e8)


def odd_batches(rng: np.random.Generator, model: str) -> Instance:
    """Batches that cost nothing more, that cost as much as calls alone, steps, and KV alone."""
    curves = [None, [(1, 0.02), (64, 0.02)], [(1, 0.01), (2, 0.02), (3, 0.5), (64, 0.5)], [(1, 0.001), (64, 10.0)]]
    numbers = [(0.02, 0.0, 0.0), (0.0, 0.02, 0.0), (0.0, 0.0, 1e-5), (0.0, 1e-12, 1e-5)]
    k = int(rng.integers(4))
    targets = [decode("d0", *numbers[k], theta=0.02, batch=3, curve=curves[int(rng.integers(4))])]
    flows = [flow(f"w{k}", 0.0, ONE, usual(rng)) for k in range(4)]
    return cluster(model, several(rng, "p", 2, 0.002, 1e-5, 0.0), targets, flows)


def one_place_each(rng: np.random.Generator, model: str) -> Instance:
    """Calls of which the larger fit on one instance alone, that is slow."""
    lengths = iter([(900, 100), (700, 100), (300, 50), (200, 20)])
    flows = [flow(f"w{k}", 0.0, ONE, lambda: next(lengths)) for k in range(4)]
    targets = [decode("d0", room=400), decode("d1", 0.1, 1e-3, 1e-8, room=int(rng.choice([1000, 1800])), batch=2)]
    return cluster(model, [prefill("p0")], targets, flows)


def late_clock(rng: np.random.Generator, model: str) -> Instance:
    """Arrivals as late as the clock allows."""
    flows = [flow(f"w{k}", 1e9 + float(rng.uniform(0, 2)), ONE, usual(rng), delay=100.0) for k in range(3)]
    return cluster(model, [prefill("p0")], [decode("d0", batch=1)], flows)


def giant_and_dwarfs(rng: np.random.Generator, model: str) -> Instance:
    """One workflow a thousand times as long as the others."""
    flows = [flow("w", 0.0, ONE, lambda: (100_000, 20_000))]
    flows += [flow(f"x{k}", float(rng.uniform(0, 100)), ONE, lambda: (10, 2)) for k in range(3)]
    return cluster(model, [prefill("p0")], [decode("d0", batch=int(rng.integers(1, 3)))], flows)


def whole_seconds(rng: np.random.Generator, model: str) -> Instance:
    """All durations whole numbers: everything happens at the instant of something else."""
    flows = [
        flow(f"w{k}", float(rng.integers(0, 3)), CHAIN[:2], lambda: (1, int(rng.integers(1, 4))), delay=1.0)
        for k in range(2)
    ]
    targets = [decode(f"d{j}", 1.0, 0.0, 0.0, batch=int(rng.integers(1, 3))) for j in range(rng.integers(1, 3))]
    sources = [prefill(f"p{i}", float(rng.integers(1, 3)), 0.0, 0.0) for i in range(rng.integers(1, 3))]
    return cluster(model, sources, targets, flows, kv=1, latency=float(rng.integers(0, 2)), bandwidth=1)


def slow_links(rng: np.random.Generator, model: str) -> Instance:
    """Transfers that take longer than all else, and hold their reservation."""
    flows = [flow(f"w{k}", 0.0, ONE, usual(rng)) for k in range(4)]
    targets = [decode(f"d{j}", batch=int(rng.integers(1, 3))) for j in range(rng.integers(1, 3))]
    return cluster(model, [prefill("p0")], targets, flows, latency=float(rng.choice([0, 50])), bandwidth=1e6)


def free_prefill(rng: np.random.Generator, model: str) -> Instance:
    """Prefills as short as they may be."""
    flows = [flow(f"w{k}", 0.0, ONE, usual(rng)) for k in range(4)]
    return cluster(model, [prefill("p0", 1e-12, 0.0, 0.0)], [decode("d0", batch=2)], flows, kv=0, latency=0)


def free_decode(rng: np.random.Generator, model: str) -> Instance:
    """Decodes as short as they may be."""
    flows = [flow(f"w{k}", 0.0, ONE, usual(rng)) for k in range(4)]
    return cluster(model, several(rng, "p", 2, 0.02, 1e-4, 0.0), [decode("d0", 1e-12, 0.0, 0.0, batch=2)], flows)


def one_prefill_each(rng: np.random.Generator, model: str) -> Instance:
    """Links that make of each prefill instance and one decode instance a pair of their own."""
    flows = [flow(f"w{k}", 0.0, ONE, usual(rng)) for k in range(3)]
    sources, targets = [prefill("p0"), prefill("p1")], [decode("d0", batch=1), decode("d1", batch=1)]
    base = cluster(model, sources, targets, flows)
    links = [
        Link(source=p, to=d, latency=0.0 if p[1] == d[1] else float(rng.choice([10, 1e4])), bandwidth=1e9)
        for p in ("p0", "p1")
        for d in ("d0", "d1")
    ]
    return Instance(**{name: getattr(base, name) for name in base.__struct_fields__} | {"links": tuple(links)})


CORNERS: Mapping[str, Draw] = {
    "one call": one_call,
    "one instance each": one_machine,
    "all alike, at once": all_alike,
    "no time for links": no_links,
    "caches exactly full": exactly_full,
    "caches a token short": one_token_short,
    "batches of one": batch_of_one,
    "a chain of five": shaped(CHAIN, 0),
    "a chain and others": shaped(CHAIN[:3], 2),
    "a fork": shaped(FORK, 1),
    "a join": shaped(JOIN, 1),
    "a diamond": shaped(DIAMOND, 1),
    "idle hours": idle_hours,
    "idle by a hair": tight_idle,
    "a million times faster": scaled(-6),
    "a million times slower": scaled(6),
    "instances far apart": one_much_faster,
    "a billion tokens": largest_tokens,
    "one token": smallest_tokens,
    "delays alone": much_delay,
    "all in the prefix store": all_cached,
    "odd batches": odd_batches,
    "one place for each": one_place_each,
    "a late clock": late_clock,
    "a giant and dwarfs": giant_and_dwarfs,
    "whole seconds": whole_seconds,
    "slow links": slow_links,
    "prefills of no time": free_prefill,
    "decodes of no time": free_decode,
    "pairs by links": one_prefill_each,
}


def draw(number: int) -> tuple[str, Instance]:
    """The corner and instance of that number; corners take turns, and of each the decode models."""
    name = list(CORNERS)[number % len(CORNERS)]
    turn = number // len(CORNERS)
    rng = np.random.default_rng([number, 7])
    return name, CORNERS[name](rng, ("fixed", "fluid")[turn % 2])
