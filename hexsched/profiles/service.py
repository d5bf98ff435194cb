"""What one instance does: its numbers (model M5, M6, M7, M13) for an LLM on some GPUs, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hexsched.errors import InputError
from hexsched.model.cluster import MAX_KV_TOKENS
from hexsched.profiles.catalogue import Gpu, Model, find_gpu, find_model
from hexsched.profiles.laws import BatchCurve, Coefficients, Laws
from hexsched.profiles.nearest import nearest, scaled_laws
from hexsched.profiles.profile import Fit, Profile, shipped_profile
from hexsched.profiles.roofline import roofline

DEFAULT_MAX_BATCH = 128  # the largest batch of the shipped table: nothing is extrapolated by default
DEFAULT_KV_MEMORY_FRACTION = 0.9  # vLLM's default gpu_memory_utilization

ROOFLINE = "roofline"


class TypicalBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The batch at which the ``fixed`` decode model's iteration time is read off: theta = tau(batch, batch * context).

    The default, 16 calls of 2,048 tokens, is a choice and not a measurement: a moderately loaded instance.

    Attributes
    ----------
    batch : int
        Calls.
    context : int
        KV tokens that each holds.
    """

    batch: int = 16
    context: int = 2048

    def __post_init__(self) -> None:
        for name in ("batch", "context"):
            if not 1 <= getattr(self, name) <= 1_000_000_000:
                raise ValueError(f"{name} must be a whole number from 1 to 1000000000, got {getattr(self, name)}")


TYPICAL_BATCH = TypicalBatch()


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """Service times and KV capacity of one instance.

    Attributes
    ----------
    model, gpu : str
        Catalogue names.
    tp : int
        Tensor-parallel degree.
    prefill_coeffs, decode_coeffs, batch_curve, fixed_iteration_time
        As in ``PrefillInstance`` and ``DecodeInstance``; seconds.
    kv_bytes_per_token : int
        kappa.
    kv_capacity_tokens, max_batch : int
        M and Bmax.
    source : str
        ``"measured: <table>"``, ``"roofline calibrated to <row> (<table>)"``, or ``"roofline"`` where the model was
        measured nowhere.
    measured_batch : int or None
        The largest batch of a measured curve; it goes on beyond with its last slope. None where there is no such curve.
    prefill_mape, decode_mape : float or None
        Mean relative error of the fit; None for a roofline, which was fitted to nothing.
    """

    model: str
    gpu: str
    tp: int
    prefill_coeffs: Coefficients
    decode_coeffs: Coefficients
    batch_curve: BatchCurve | None
    fixed_iteration_time: float
    kv_bytes_per_token: int
    kv_capacity_tokens: int
    max_batch: int
    source: str
    measured_batch: int | None
    prefill_mape: float | None
    decode_mape: float | None

    @property
    def is_estimated(self) -> bool:
        """Whether times are from a roofline, calibrated or not."""
        return self.source.startswith(ROOFLINE)


def service(
    model: str | Model,
    gpu: str | Gpu,
    tp: int,
    profile: Profile | None = None,
    *,
    max_batch: int = DEFAULT_MAX_BATCH,
    kv_memory_fraction: float = DEFAULT_KV_MEMORY_FRACTION,
    kv_capacity: int | None = None,
    typical: TypicalBatch = TYPICAL_BATCH,
    gpus: Sequence[Gpu] = (),
) -> Service:
    """Numbers for ``model`` on ``tp`` GPUs: from ``profile``, else from the shipped fits, else from the roofline,
    calibrated to the nearest measured row of the model where there is one.

    A measured batch curve that ends before ``max_batch`` is continued with its last slope.

    Parameters
    ----------
    model, gpu : str, Model or Gpu
        Names are looked up in the catalogues.
    tp : int
        Tensor-parallel degree.
    profile : Profile, optional
        Fits that come before the shipped ones.
    max_batch : int
        Bmax.
    kv_memory_fraction : float
        Share of GPU memory for weights, reserve and KV cache.
    kv_capacity : int, optional
        M where it is known; nothing is checked to fit then.
    typical : TypicalBatch
        Where theta is read off.
    gpus : sequence of Gpu
        GPU types beside the catalogue's, which rows of ``profile`` may be of.

    Raises
    ------
    InputError
        For an unknown model or GPU, a ``tp`` that does not divide the attention heads, a model that does not fit.
    """
    model = find_model(model) if isinstance(model, str) else model
    gpu = find_gpu(gpu) if isinstance(gpu, str) else gpu
    check_parallel(model, tp)
    if max_batch < 1:
        raise InputError(f"max_batch must be at least 1, got {max_batch}")
    capacity = kv_capacity_tokens(model, gpu, tp, kv_memory_fraction) if kv_capacity is None else kv_capacity
    measured = _measured(model, gpu, tp, profile)
    measured_batch = prefill_mape = decode_mape = None
    if measured is not None:
        fit, table = measured
        laws, source = fit.laws(), f"measured: {table}"
        measured_batch, prefill_mape, decode_mape = _largest_batch(fit), fit.prefill_error.mape, fit.decode_error.mape
    else:
        profiles = (shipped_profile(),) if profile is None else (profile, shipped_profile())
        near = nearest(model, gpu, tp, profiles, gpus)
        if near is None:
            laws, source = roofline(model, gpu, tp, max_batch), ROOFLINE
        else:
            laws, source = scaled_laws(model, gpu, tp, max_batch, near), f"{ROOFLINE} calibrated to {near}"
            measured_batch = _largest_batch(near.fit)
    if laws.batch_curve is not None:
        laws = msgspec.structs.replace(laws, batch_curve=extend_curve(laws.batch_curve, max_batch))
    return Service(
        model=model.name,
        gpu=gpu.name,
        tp=tp,
        prefill_coeffs=laws.prefill_coeffs,
        decode_coeffs=laws.decode_coeffs,
        batch_curve=laws.batch_curve,
        fixed_iteration_time=typical_iteration_seconds(laws, max_batch, typical),
        kv_bytes_per_token=model.kv_bytes_per_token,
        kv_capacity_tokens=capacity,
        max_batch=max_batch,
        source=source,
        measured_batch=measured_batch,
        prefill_mape=prefill_mape,
        decode_mape=decode_mape,
    )


def kv_capacity_tokens(model: Model, gpu: Gpu, tp: int, fraction: float = DEFAULT_KV_MEMORY_FRACTION) -> int:
    """M: tokens of KV cache in ``fraction`` of the GPUs' memory after the bf16 weights and the reserve of each GPU.

    Raises
    ------
    InputError
        When no token is left.
    """
    if not 0 < fraction <= 1:
        raise InputError(f"kv_memory_fraction must be above 0 and at most 1, got {fraction}")
    usable = tp * (gpu.hbm_bytes * fraction - gpu.reserved_bytes)
    tokens = int((usable - model.weight_bytes) / model.stored_kv_bytes_per_token(tp))
    if tokens < 1:
        raise InputError(
            f"{model.name} does not fit {tp} x {gpu.name}: its weights need {model.weight_bytes / 1e9:.0f} GB, "
            f"{max(usable, 0) / 1e9:.0f} GB of memory are usable; raise tensor_parallel"
        )
    return min(tokens, MAX_KV_TOKENS)


def check_parallel(model: Model, tp: int) -> None:
    """Raise ``InputError`` unless ``tp`` GPUs can share the attention heads evenly."""
    if tp < 1 or model.attention_heads % tp:
        raise InputError(
            f"tensor_parallel must divide the {model.attention_heads} attention heads of {model.name}, got {tp}"
        )


def extend_curve(curve: BatchCurve, last: int) -> BatchCurve:
    """The curve continued to batch ``last`` with its last slope; unchanged where it reaches that far."""
    end, seconds = curve[-1]
    if end >= last:
        return curve
    before, seconds_before = curve[-2] if len(curve) > 1 else (0, 0.0)
    slope = (seconds - seconds_before) / (end - before)
    return (*curve, (last, seconds + slope * (last - end)))


def typical_iteration_seconds(laws: Laws, max_batch: int, typical: TypicalBatch) -> float:
    """tau(B, K) at a typical batch, or at ``max_batch`` where that is smaller."""
    batch = min(typical.batch, max_batch)
    return laws.iteration_seconds(batch, batch * typical.context)


def _largest_batch(fit: Fit) -> int | None:
    return None if fit.batch_curve is None else fit.batch_curve[-1][0]


def _measured(model: Model, gpu: Gpu, tp: int, profile: Profile | None) -> tuple[Fit, str] | None:
    for candidate in (profile, shipped_profile()):
        fit = None if candidate is None else candidate.find(model.name, gpu.name, tp)
        if candidate is not None and fit is not None:
            return fit, candidate.source
    return None
