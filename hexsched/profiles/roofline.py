"""Service times from data sheets alone, for models nobody measured (``nearest`` says what is done where somebody did).

Compute and memory traffic are added up rather than overlapped, because the laws (model M5, M6) are sums:

- prefill: (2 active n + 2 layers heads size n^2) / (tp FLOP/s MFU), attention being causal, plus an overhead; for a
  mixture of experts also the time to read the experts that one token alone would not wake: a prompt wakes nearly all;
- decode iteration: (weights woken by B tokens + KV held) / (tp bandwidth MBU) + 2 active B / (tp FLOP/s) + an overhead;
- overhead: two all-reduces a layer at the GPU's link latency, none at tp 1.

With B tokens that each wake k of E experts at random, a layer reads E (1 - (1 - k/E)^B) of them on average.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from hexsched.profiles.catalogue import BYTES_PER_VALUE, Gpu, Model, find_gpu, find_model
from hexsched.profiles.laws import Laws
from hexsched.profiles.table import Measurement

if TYPE_CHECKING:
    import pandas as pd


def roofline(model: Model, gpu: Gpu, tp: int, max_batch: int, at: Sequence[int] = ()) -> Laws:
    """Laws of ``model`` on ``tp`` GPUs; a mixture of experts gets a curve up to ``max_batch``, with points ``at``."""
    flops = tp * gpu.flops
    bandwidth = tp * gpu.hbm_bandwidth * gpu.mbu
    overhead = 2 * model.layers * gpu.link_latency if tp > 1 else 0.0
    d1 = 2 * model.active_params / flops
    d2 = model.stored_kv_bytes_per_token(tp) / bandwidth

    def g(batch: int) -> float:
        return overhead + _woken_params(model, batch) * BYTES_PER_VALUE / bandwidth + d1 * batch

    all_but_one_token = (model.params - _woken_params(model, 1)) * BYTES_PER_VALUE / bandwidth
    attention = 2 * model.layers * model.attention_heads * model.head_size
    prefill = (
        overhead + all_but_one_token,
        2 * model.active_params / (flops * gpu.mfu),
        attention / (flops * gpu.mfu),
    )
    if not model.moe:
        return Laws(prefill_coeffs=prefill, decode_coeffs=(g(1) - d1, d1, d2), batch_curve=None)
    curve = tuple((batch, g(batch)) for batch in at or doublings(max_batch))
    return Laws(prefill_coeffs=prefill, decode_coeffs=(0.0, 0.0, d2), batch_curve=curve)


def roofline_error(rows: Iterable[Measurement]) -> pd.DataFrame:
    """Relative error of the roofline against measured rows: model, gpu, tp, phase, mape, bias (fractions)."""
    return law_errors(rows, roofline)


def law_errors(rows: Iterable[Measurement], laws_of: Callable[[Model, Gpu, int, int], Laws]) -> pd.DataFrame:
    """As ``roofline_error``, of any laws; ``laws_of`` makes them from model, GPU, degree and largest batch."""
    import pandas as pd

    records = []
    for row in rows:
        model, gpu = find_model(row.model), find_gpu(row.gpu)
        laws = laws_of(model, gpu, row.tp, row.batch)
        if row.phase == "prefill":
            predicted = laws.prefill_seconds(row.context)
        else:
            predicted = laws.iteration_seconds(row.batch, row.kv_tokens)
        records.append((model.name, gpu.name, row.tp, row.phase, predicted / row.seconds - 1))
    keys = ["model", "gpu", "tp", "phase"]
    frame = pd.DataFrame(records, columns=[*keys, "bias"])
    frame["mape"] = frame["bias"].abs()
    return frame.groupby(keys, sort=False, as_index=False)[["mape", "bias"]].mean()


def _woken_params(model: Model, batch: int) -> float:
    """Parameters read for ``batch`` tokens: all outside experts, and the experts expected to be woken."""
    if not model.moe:
        return model.params
    asleep = (1 - model.experts_per_token / model.experts) ** batch
    return model.params - model.expert_params * asleep


def doublings(last: int) -> list[int]:
    """1, 2, 4, ... up to and including ``last``."""
    return [*(2**k for k in range((last - 1).bit_length())), last]
