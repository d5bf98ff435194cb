"""Every metric once more, from stored files alone: pandas reads them, and nothing of hexsched is imported.

``docs/model.md`` is all that this goes by: M3 for releases, M5 to M8 and M18 to M19 for horizons, M20, M21, M36 to M39
for metrics. Sums and batches are followed in extended precision.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Json = Mapping[str, Any]
Exact = np.longdouble

QUANTILES = {"50": Fraction(1, 2), "95": Fraction(19, 20), "99": Fraction(99, 100)}
OF_CALLS = ("ttft", "tpot", "queueing", "admission", "transfer")
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
ROUNDING = 1e-9  # of a threshold


def read_json(path: Path) -> Json:
    """A JSON file, packed or not."""
    data = path.read_bytes()
    return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)


def read_runs(store: Path) -> pd.DataFrame:
    """The table ``runs`` of a store."""
    return pd.concat([pd.read_parquet(file) for file in sorted((store / "runs").glob("*.parquet"))], ignore_index=True)


def read_workflows(store: Path, key: str) -> pd.DataFrame:
    """The rows of a run in the table ``workflows``."""
    return pd.read_parquet(store / "workflows" / f"{key}.parquet").set_index("workflow_id")


def calls_of(instance: Json, schedule: Json) -> pd.DataFrame:
    """A row a call, in the order of the instance: what it needs, where and when it ran, when it was released."""
    flows = pd.json_normalize(instance["workflows"], "calls", ["workflow_id", "arrival"])
    for name, absent in (("cached_tokens", 0), ("delay", 0.0)):
        flows[name] = flows[name].fillna(absent) if name in flows else absent
    parents = flows["parents"] if "parents" in flows else pd.Series([[]] * len(flows))
    flows["parents"] = [own if isinstance(own, list) else [] for own in parents]
    flows["position"] = range(len(flows))
    flows["flow"] = pd.factorize(flows["workflow_id"])[0]
    calls = flows.merge(pd.DataFrame(schedule["calls"]), on=["workflow_id", "call_id"], validate="1:1")
    calls = calls.sort_values("position", ignore_index=True)
    complete = calls.groupby("flow")["decode_end"].max()
    arrival = calls.groupby("flow")["arrival"].first().astype(float)
    if "closed_loop" in instance:
        sessions = instance["closed_loop"]["sessions"]
        later = complete.sort_values().to_numpy()[: max(len(arrival) - sessions, 0)]
        arrival.iloc[sessions:] = later
    calls["arrival"] = calls["flow"].map(arrival)
    edges = calls[["workflow_id", "position", "parents"]].explode("parents").dropna()
    ends = edges.merge(
        calls, left_on=["workflow_id", "parents"], right_on=["workflow_id", "call_id"], suffixes=("", "_of_parent")
    )
    last = ends.groupby("position")["decode_end"].max().reindex(calls["position"]).to_numpy()
    calls["released"] = np.fmax(calls["arrival"], last) + calls["delay"]
    return calls


def horizons(instance: Json, calls: pd.DataFrame) -> pd.Series:
    """H_w by workflow id: the longest path, every call at its best."""
    pairs = pd.DataFrame(instance["links"]).rename(columns={"from": "source"})
    prefill = {machine["id"]: machine for machine in instance["prefill"]}
    decode = {machine["id"]: machine for machine in instance["decode"]}
    n, m, h = (calls[name].to_numpy(Exact) for name in ("prompt_tokens", "output_tokens", "cached_tokens"))
    best = np.full(len(calls), np.inf, Exact)
    for link in pairs.itertuples():
        p0, p1, p2 = (Exact(value) for value in prefill[link.source]["prefill_coeffs"])
        machine = decode[link.to]
        whole = p0 + p1 * (n - h) + p2 * (n * n - h * h)
        whole = whole + Exact(link.latency) + n * Exact(instance["kv_bytes_per_token"]) / Exact(link.bandwidth)
        if instance["decode_model"] == "fixed":
            whole = whole + m * Exact(machine["fixed_iteration_time"])
        else:
            d2 = Exact(machine["decode_coeffs"][2])
            whole = whole + (batch_seconds(machine, 1)[1] + d2 * n) * m + d2 * m * m / 2
        best = np.where(n + m <= machine["kv_capacity_tokens"], np.minimum(best, whole), best)
    weight = dict(zip(zip(calls["workflow_id"], calls["call_id"], strict=True), best, strict=True))
    longest: dict[str, Exact] = {}
    for flow in instance["workflows"]:
        left = {call["call_id"]: call for call in flow["calls"]}
        path: dict[str, Exact] = {}
        while left:
            for name, call in list(left.items()):
                before = call.get("parents", ())
                if all(parent in path for parent in before):
                    start = max((path[parent] for parent in before), default=Exact(0))
                    path[name] = start + Exact(call.get("delay", 0.0)) + weight[flow["workflow_id"], name]
                    del left[name]
        longest[flow["workflow_id"]] = max(path.values())
    return pd.Series(longest)


def batch_seconds(machine: Json, most: int) -> np.ndarray:
    """g(0) .. g(most), seconds."""
    batch = np.arange(most + 1).astype(Exact)
    curve = machine.get("batch_curve")
    if not curve:
        d0, d1, _ = machine["decode_coeffs"]
        return Exact(d0) + Exact(d1) * batch
    seconds = np.full(most + 1, Exact(curve[-1][1]))
    for (b0, s0), (b1, s1) in itertools.pairwise(curve):
        inside = (b0 <= batch) & (batch <= b1)
        slope = (Exact(s1) - Exact(s0)) / Exact(b1 - b0)
        seconds[inside] = Exact(s0) + slope * (batch[inside] - b0)
    return seconds


def first_tokens(instance: Json, calls: pd.DataFrame) -> pd.Series:
    """f_c: one iteration after the start of each decode; the completion where there is but one token."""
    first = calls["decode_end"].astype(float).copy()
    for machine in instance["decode"]:
        here = calls[calls["decode_instance"] == machine["id"]]
        if instance["decode_model"] == "fixed":
            first[here.index] = here["decode_start"] + machine["fixed_iteration_time"]
        elif len(here):
            for index, time in _one_iteration_later(machine, here).items():
                first[index] = time
    return first.where(calls["output_tokens"] > 1, calls["decode_end"])


def _one_iteration_later(machine: Json, here: pd.DataFrame) -> dict[int, float]:
    """When each call has got one iteration, by the changes of the batch."""
    base, d2 = batch_seconds(machine, len(here)), Exact(machine["decode_coeffs"][2])
    changes = pd.concat([here["decode_end"].rename("at"), here["decode_start"].rename("at")]).to_frame()
    changes["begins"] = [0] * len(here) + [1] * len(here)
    changes = changes.sort_values("at", kind="stable")
    prompt = here["prompt_tokens"].to_dict()
    got: dict[int, Exact] = {}  # tokens out, of the calls in the batch
    found: dict[int, float] = {}
    now = Exact(0)
    for change in changes.itertuples():
        time = Exact(change.at)
        if got and time > now:
            tau = base[len(got)] + d2 * sum((prompt[c] + out for c, out in got.items()), Exact(0))
            growth = d2 * len(got)
            for c, out in got.items():
                if c not in found:
                    left = 1 - out
                    seconds = tau * left + growth * left * left / 2
                    if seconds <= time - now:
                        found[c] = float(now + seconds)
            steps = 2 * (time - now) / (tau + np.sqrt(tau * tau + 2 * growth * (time - now)))
            got = {c: out + steps for c, out in got.items()}
        now = time
        if change.begins:
            got[change.Index] = Exact(0)
        elif change.Index in got:
            del got[change.Index]
    return found


def smallest(values: pd.Series, share: Fraction) -> float:
    """The ceil(share N)-th smallest."""
    ordered = values.sort_values().to_numpy()
    return (
        float(ordered[max(-(-share.numerator * len(ordered) // share.denominator), 1) - 1]) if len(ordered) else np.nan
    )


def mean(values: pd.Series) -> float:
    """The mean, summed in extended precision."""
    return float(values.to_numpy(Exact).sum() / len(values))


def frames(instance: Json, schedule: Json) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Workflows and calls that count, with all that metrics look at."""
    calls = calls_of(instance, schedule)
    calls["first"] = first_tokens(instance, calls)
    calls["queueing"] = calls["prefill_start"] - calls["released"]
    calls["admission"] = calls["admitted"] - calls["prefill_end"]
    calls["transfer"] = calls["decode_start"] - calls["admitted"]
    calls["ttft"] = calls["first"] - calls["released"]
    later = (calls["output_tokens"] - 1).where(calls["output_tokens"] > 1)
    calls["tpot"] = (calls["decode_end"] - calls["first"]) / later
    horizon = horizons(instance, calls)
    warm = instance.get("closed_loop", {}).get("warm_up", 0)
    calls = calls[calls["flow"] >= warm]
    flows = calls.groupby("workflow_id", sort=False).agg(
        arrival=("arrival", "first"), completed=("decode_end", "max"), calls=("call_id", "count")
    )
    flows["latency"] = flows["completed"] - flows["arrival"]
    flows["horizon"] = horizon.reindex(flows.index).astype(float)
    flows["ratio"] = flows["latency"] / flows["horizon"]
    return flows, calls


def metrics(flows: pd.DataFrame, calls: pd.DataFrame) -> dict[str, float]:
    """Every metric by its name."""
    found = {"workflows": len(flows), "calls": len(calls), "makespan": float(flows["completed"].max())}
    found |= {"max_ratio": float(flows["ratio"].max()), "mean_ratio": mean(flows["ratio"])}
    found |= {"mean_latency": mean(flows["latency"])}
    for name, share in QUANTILES.items():
        found[f"req{name}"] = smallest(flows["ratio"], share)
        found[f"ttft_p{name}"] = smallest(calls["ttft"], share)
        found[f"tpot_p{name}"] = smallest(calls["tpot"].dropna(), share)
    for name in ("queueing", "admission", "transfer"):
        found[f"mean_{name}"] = mean(calls[name])
    return found


def goodput(flows: pd.DataFrame, calls: pd.DataFrame, slo: str) -> dict[str, float]:
    """Shares and rates within thresholds written as ``ttft=2s,ratio=4``; NaN for calls where none is of calls."""
    limits = {}
    for name, number, unit in re.findall(r"([a-z]+)=([0-9.eE+-]+?)([a-z]*)(?:,|$)", slo):
        limits[name] = float(number) * SECONDS.get(unit, 1.0)
    kept = pd.Series(True, index=calls.index)
    for name in set(OF_CALLS) & set(limits):
        kept &= ~(calls[name] > limits[name] * (1 + ROUNDING))
    good = kept.groupby(calls["workflow_id"]).all().reindex(flows.index)
    for name in set(limits) - set(OF_CALLS):
        good &= ~(flows[name] > limits[name] * (1 + ROUNDING))
    span = float(flows["completed"].max() - flows["arrival"].min())
    of_calls = bool(set(OF_CALLS) & set(limits))
    return {
        "calls_within": float(kept.mean()) if of_calls else np.nan,
        "workflows_within": float(good.mean()),
        "call_goodput": int(kept.sum()) / span if of_calls else np.nan,
        "workflow_goodput": int(good.sum()) / span,
    }


def usage(instance: Json, schedule: Json) -> dict[str, float]:
    """How busy instances are until the last completion, and the largest share of a KV cache reserved."""
    calls = calls_of(instance, schedule)
    last = calls["decode_end"].max()
    busy, peaks = Exact(0), []
    for machine in instance["decode"]:
        here = calls[calls["decode_instance"] == machine["id"]]
        until = Exact(0)
        for row in here.sort_values("decode_start").itertuples():
            busy += max(Exact(row.decode_end) - max(Exact(row.decode_start), until), Exact(0))
            until = max(until, Exact(row.decode_end))
        size = here["prompt_tokens"] + here["output_tokens"]
        changes = pd.concat(
            [pd.Series(-size.to_numpy(), here["decode_end"]), pd.Series(size.to_numpy(), here["admitted"])]
        )
        held = changes.groupby(level=0).sum().cumsum()  # what ends at the instant of an admission is free before it
        peaks.append(float(held.max()) / machine["kv_capacity_tokens"] if len(held) else 0.0)
    prefill = (calls["prefill_end"].to_numpy(Exact) - calls["prefill_start"].to_numpy(Exact)).sum()
    return {
        "prefill_utilisation": float(prefill / (len(instance["prefill"]) * Exact(last))),
        "decode_utilisation": float(busy / (len(instance["decode"]) * Exact(last))),
        "kv_peak": max(peaks),
    }
