"""Fitting the laws of service time to a measured table.

The laws (model M5, M6) are P(n) = p0 + p1 n + p2 n^2 for a prefill and tau(B, K) = g(B) + d2 K for a
decode iteration, where K is the number of KV tokens the batch holds (prompts and tokens already out). g is a line for
dense models; for mixture-of-experts models, where a larger batch wakes more experts, it is piecewise linear with a
point at each measured batch size.

Each fit is a non-negative least squares (Lawson and Hanson, 1974) on relative errors, so that a short call counts as
much as a long one. A non-decreasing curve is a sum of non-negative steps, so the same solver fits it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from hexsched.errors import InputError
from hexsched.profiles.catalogue import gpu_name, model_catalogue, model_name
from hexsched.profiles.laws import BatchCurve, Coefficients
from hexsched.profiles.profile import Fit, FitError, Profile
from hexsched.profiles.table import Measurement, read_table
from hexsched.registry import choices

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
BatchLaw = Literal["auto", "line", "curve"]
LAWS: tuple[str, ...] = get_args(BatchLaw)

LINE_MAPE = 0.03  # above this, a line is no description of an unknown model's batch cost
MAX_CURVE_POINTS = 256  # the solver's time grows with their third power or worse
DIGITS = 9  # kept of a coefficient: the last bits differ between linear algebra libraries


def calibrate(path: str | Path, batch_law: BatchLaw = "auto") -> Profile:
    """Read the CSV table at ``path`` and fit it; parameters and errors as ``read_table`` and ``fit_table``."""
    return fit_table(read_table(path), path, batch_law)


def fit_table(rows: Sequence[Measurement], source: str | Path, batch_law: BatchLaw = "auto") -> Profile:
    """Fit every (model, GPU, tensor-parallel degree) of a table.

    Parameters
    ----------
    rows : sequence of Measurement
        See ``read_table``.
    source : str or Path
        The table's file: put in front of errors; its name is kept in the profile.
    batch_law : {"auto", "line", "curve"}
        Form of g(B). ``"auto"``: what the model catalogue says (a curve for mixture-of-experts models); for a
        model it does not know, a curve where the line's mean error exceeds 3 %.

    Raises
    ------
    InputError
        When the rows of a configuration do not determine its coefficients.
    """
    if batch_law not in ("auto", "line", "curve"):
        raise InputError(f"unknown batch law {batch_law!r}; {choices(batch_law, LAWS, 'known:')}")
    groups: dict[tuple[str, str, int], list[Measurement]] = {}
    for row in rows:
        groups.setdefault((model_name(row.model), gpu_name(row.gpu), row.tp), []).append(row)
    fits = [_fit_configuration(key, group, str(source), batch_law) for key, group in groups.items()]
    return Profile(format="hexsched-profile/1", source=Path(source).name, fits=tuple(fits))


def fit_frame(fits: Iterable[Fit]) -> pd.DataFrame:
    """One row a fit: coefficients, and mean and worst relative error of either phase (fractions)."""
    import pandas as pd

    return pd.DataFrame([_record(fit) for fit in fits])


def _fit_configuration(key: tuple[str, str, int], rows: list[Measurement], source: str, batch_law: BatchLaw) -> Fit:
    model, gpu, tp = key
    prefill = [row for row in rows if row.phase == "prefill"]
    decode = [row for row in rows if row.phase == "decode"]
    try:
        prefill_coeffs, prefill_error = _fit_prefill(prefill)
        decode_coeffs, curve, decode_error = _fit_decode(model, decode, batch_law)
    except ValueError as error:
        raise InputError(f"{model} on {gpu} at tp {tp}: {error}", source) from None
    return Fit(
        model=model,
        gpu=gpu,
        tp=tp,
        backend=", ".join(sorted({row.backend for row in rows} - {""})),
        prefill_coeffs=prefill_coeffs,
        decode_coeffs=decode_coeffs,
        batch_curve=curve,
        prefill_error=prefill_error,
        decode_error=decode_error,
    )


def _fit_prefill(rows: list[Measurement]) -> tuple[Coefficients, FitError]:
    lengths = {row.context for row in rows}
    if len(lengths) < 3:
        raise ValueError(f"prefill needs rows of at least 3 different context_tokens, found {len(lengths)}")
    n = np.array([row.context for row in rows], dtype=float)
    design = np.stack([np.ones_like(n), n, n**2], axis=1)
    p0, p1, p2 = _solve(design, rows)
    return (p0, p1, p2), _error(design @ np.array([p0, p1, p2]), rows)


def _fit_decode(
    model: str, rows: list[Measurement], batch_law: BatchLaw
) -> tuple[Coefficients, BatchCurve | None, FitError]:
    if batch_law != "auto":
        return _fit_curve(rows) if batch_law == "curve" else _fit_line(rows)
    known = {entry.name: entry for entry in model_catalogue()}.get(model)
    if known is not None and known.moe:
        return _fit_curve(rows)
    line = _fit_line(rows)
    return _fit_curve(rows) if known is None and line[2].mape > LINE_MAPE else line


def _fit_line(rows: list[Measurement]) -> tuple[Coefficients, None, FitError]:
    batch = np.array([row.batch for row in rows], dtype=float)
    held = np.array([row.kv_tokens for row in rows], dtype=float)
    design = np.stack([np.ones_like(batch), batch, held], axis=1)
    _check_determined(design)
    d0, d1, d2 = _solve(design, rows)
    return (d0, d1, d2), None, _error(design @ np.array([d0, d1, d2]), rows)


def _fit_curve(
    rows: list[Measurement],
) -> tuple[Coefficients, BatchCurve, FitError]:
    batches = sorted({row.batch for row in rows})
    if len(batches) > MAX_CURVE_POINTS:
        raise ValueError(f"a batch curve takes at most {MAX_CURVE_POINTS} batch sizes, found {len(batches)}")
    if not batches or batches[0] != 1:
        raise ValueError("a batch curve starts at batch_size 1, which no decode row has")
    batch = np.array([row.batch for row in rows], dtype=float)
    held = np.array([row.kv_tokens for row in rows], dtype=float)
    design = np.stack([*(batch >= size for size in batches), held], axis=1).astype(float)
    _check_determined(design)
    *steps, d2 = _solve(design, rows)
    seconds = [_rounded(value) for value in np.cumsum(steps)]
    level = np.array([seconds[batches.index(row.batch)] for row in rows])
    curve = tuple(zip(batches, seconds, strict=True))
    return (0.0, 0.0, d2), curve, _error(level + d2 * held, rows)


def _check_determined(design: Array) -> None:
    """Whether batch size and context vary enough, and apart from each other, to tell their costs apart."""
    if len(design) < design.shape[1] or np.linalg.matrix_rank(design / np.abs(design).max(axis=0)) < design.shape[1]:
        raise ValueError(
            f"decode needs at least {max(3, design.shape[1])} rows that vary batch_size and, at some batch_size, "
            f"context_tokens; found {len(design)}"
        )


def _solve(design: Array, rows: list[Measurement]) -> list[float]:
    """Non-negative coefficients of least relative square error, rounded."""
    from scipy.optimize import nnls

    relative = design / np.array([row.seconds for row in rows])[:, None]
    scale = relative.max(axis=0)
    try:
        solution, _ = nnls(relative / scale, np.ones(len(rows)))
    except RuntimeError:
        raise ValueError("the fit does not converge; the values are too far apart") from None
    coefficients = [_rounded(value) for value in solution / scale]
    if not np.isfinite(coefficients).all():
        raise ValueError("the fit is not finite; the values are too far apart")
    return coefficients


def _error(predicted: Array, rows: list[Measurement]) -> FitError:
    relative = predicted / np.array([row.seconds for row in rows]) - 1
    worst = int(np.argmax(np.abs(relative)))
    return FitError(
        mape=_rounded(np.abs(relative).mean()),
        worst=_rounded(relative[worst]),
        worst_batch=rows[worst].batch,
        worst_context=rows[worst].context,
        points=len(rows),
    )


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _record(fit: Fit) -> dict[str, object]:
    p0, p1, p2 = fit.prefill_coeffs
    d0, d1, d2 = fit.decode_coeffs
    record: dict[str, object] = {"model": fit.model, "gpu": fit.gpu, "tp": fit.tp, "p0": p0, "p1": p1, "p2": p2}
    record |= {"d0": d0, "d1": d1, "d2": d2, "batch_curve": fit.batch_curve is not None, "backend": fit.backend}
    for phase, error in (("prefill", fit.prefill_error), ("decode", fit.decode_error)):
        record |= {f"{phase}_{name}": value for name, value in msgspec.structs.asdict(error).items()}
    return record
