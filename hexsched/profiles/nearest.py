"""A roofline put right by measurements: what nobody measured, from the nearest row of the same model that somebody did.

Data sheets know how much faster one GPU is than another, and how much two do what one does; how much of that an engine
reaches, kernels and all, is what measurements know. So each coefficient of the measured row is multiplied by the ratio
of the roofline there and here:

    p1 here = p1 measured * (p1 of the roofline here) / (p1 of the roofline there),

and so for p0, p2, d0, d1, d2; a batch curve point by point. The constant p0 of a roofline is 0 for one GPU, where no
ratio is: what the roofline adds here beyond there is added, and nothing is taken off.

*Nearest* is the row with the least |ln FLOP/s| + |ln bandwidth| + |ln degree|, each of the ratio between the two (both
rates of one GPU); of rows equally near, the one of the cluster's own profile, then the first. So half the degree on the
same GPU (0.69) is nearer than an H100 to an A100 (1.65), and an H200 is nearer to an H100 (0.36) than either.

The same idea, ratios of a roofline to carry measured times to other hardware, is that of Habitat (Yu et al., USENIX ATC
2021), kernel by kernel there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from hexsched.errors import InputError
from hexsched.profiles.catalogue import Gpu, Model, find_gpu, find_model, model_name, name_key
from hexsched.profiles.laws import BatchCurve, Laws
from hexsched.profiles.profile import Fit, Profile
from hexsched.profiles.roofline import doublings, law_errors, roofline, roofline_error
from hexsched.profiles.table import Measurement

if TYPE_CHECKING:
    import pandas as pd


class Neighbour(NamedTuple):
    """A measured row, and how far it is.

    Attributes
    ----------
    fit : Fit
    gpu : Gpu
        That of the fit.
    table : str
        What it was fitted to.
    distance : float
        Sum of absolute logarithms of ratios; see above.
    """

    fit: Fit
    gpu: Gpu
    table: str
    distance: float

    def __str__(self) -> str:
        return f"{self.fit.model} on {self.fit.gpu} at tp {self.fit.tp} ({self.table})"


def nearest(model: Model, gpu: Gpu, tp: int, profiles: Sequence[Profile], gpus: Sequence[Gpu] = ()) -> Neighbour | None:
    """The measured row of ``model`` nearest to ``tp`` GPUs of a type, or None where it was measured nowhere.

    Parameters
    ----------
    model, gpu, tp
        The configuration without measurements of its own.
    profiles : sequence of Profile
        Those before come first among rows equally near.
    gpus : sequence of Gpu
        GPU types beside the catalogue's, for the rows of a profile that are of such.
    """
    found: list[Neighbour] = []
    for profile in profiles:
        for fit in profile.fits:
            if name_key(model_name(fit.model)) != name_key(model_name(model.name)):
                continue
            try:
                other = find_gpu(fit.gpu, gpus)
            except InputError:  # without a data sheet there is no ratio
                continue
            ratios = (other.flops / gpu.flops, other.hbm_bandwidth / gpu.hbm_bandwidth, fit.tp / tp)
            found.append(Neighbour(fit, other, profile.source, sum(abs(math.log(ratio)) for ratio in ratios)))
    return min(found, key=lambda each: each.distance, default=None)


def scaled_laws(model: Model, gpu: Gpu, tp: int, max_batch: int, near: Neighbour) -> Laws:
    """Laws of ``model`` on ``tp`` GPUs, from those of a measured row.

    Where the row has a batch curve, or the roofline has (a mixture of experts), so has the result, at the row's batch
    sizes or else at 1, 2, 4, … ``max_batch``; otherwise its g(B) is a line.
    """
    measured = near.fit.laws()
    here = roofline(model, gpu, tp, max_batch)
    there = roofline(model, near.gpu, near.fit.tp, max_batch)
    constant, *prefill = measured.prefill_coeffs
    before, after = there.prefill_coeffs[0], here.prefill_coeffs[0]
    constant = constant * after / before if before > 0 and after > 0 else constant + max(0.0, after - before)
    p1, p2 = (
        value * new / old
        for value, new, old in zip(prefill, here.prefill_coeffs[1:], there.prefill_coeffs[1:], strict=True)
    )
    d0, d1, d2 = measured.decode_coeffs
    d2 *= here.decode_coeffs[2] / there.decode_coeffs[2]
    if measured.batch_curve is None and here.batch_curve is None:
        d0 *= here.decode_coeffs[0] / there.decode_coeffs[0]
        d1 *= here.decode_coeffs[1] / there.decode_coeffs[1]
        return Laws(prefill_coeffs=(constant, p1, p2), decode_coeffs=(d0, d1, d2), batch_curve=None)
    points = measured.batch_curve or [(batch, 0.0) for batch in doublings(max_batch)]
    batches = [batch for batch, _ in points]
    # the roofline's own curve has no point at every batch: it is made anew, as far as these go
    here, there = (
        roofline(model, gpu, tp, batches[-1], at=batches),
        roofline(model, near.gpu, near.fit.tp, batches[-1], at=batches),
    )
    curve: BatchCurve = ()
    for batch in batches:
        ratio = here.iteration_seconds(batch, 0) / there.iteration_seconds(batch, 0)
        seconds = measured.iteration_seconds(batch, 0) * ratio
        curve = (*curve, (batch, max(seconds, curve[-1][1] if curve else 0.0)))
    return Laws(prefill_coeffs=(constant, p1, p2), decode_coeffs=(0.0, 0.0, d2), batch_curve=curve)


def leave_one_out(rows: Sequence[Measurement], profile: Profile) -> pd.DataFrame:
    """How far off each fitted configuration would be, had it not been measured.

    Parameters
    ----------
    rows : sequence of Measurement
        What predictions are compared with.
    profile : Profile
        Its fits are left out one at a time.

    Returns
    -------
    DataFrame
        A row a configuration and phase: ``model``, ``gpu``, ``tp``, ``phase``, ``nearest`` (the row that took its
        place), ``roofline`` and ``calibrated`` (mean absolute relative errors, fractions).
    """
    import pandas as pd

    frames = [frame for fit in profile.fits if (frame := _left_out(fit, rows, profile)) is not None]
    columns = ["model", "gpu", "tp", "phase", "nearest", "roofline", "calibrated"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def _left_out(fit: Fit, rows: Sequence[Measurement], profile: Profile) -> pd.DataFrame | None:
    rest = msgspec.structs.replace(profile, fits=tuple(other for other in profile.fits if other is not fit))
    near = nearest(find_model(fit.model), find_gpu(fit.gpu), fit.tp, [rest])
    if near is None:
        return None

    def laws(model: Model, gpu: Gpu, tp: int, max_batch: int) -> Laws:
        return scaled_laws(model, gpu, tp, max_batch, near)

    own = [row for row in rows if profile.find(row.model, row.gpu, row.tp) is fit]
    frame = law_errors(own, laws).rename(columns={"mape": "calibrated"})
    return frame.assign(roofline=roofline_error(own)["mape"], nearest=f"{near.fit.gpu} at tp {near.fit.tp}")
