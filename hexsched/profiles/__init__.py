"""Service times: catalogues of GPUs and models, laws fitted to measured tables, a roofline where there is none."""

from hexsched.profiles.catalogue import Gpu, Model, find_gpu, find_model, gpu_catalogue, model_catalogue
from hexsched.profiles.fit import calibrate, fit_frame, fit_table
from hexsched.profiles.laws import Laws
from hexsched.profiles.nearest import Neighbour, leave_one_out, nearest, scaled_laws
from hexsched.profiles.profile import Fit, FitError, Profile, read_profile, shipped_profile, write_profile
from hexsched.profiles.roofline import roofline, roofline_error
from hexsched.profiles.service import Service, TypicalBatch, kv_capacity_tokens, service
from hexsched.profiles.table import Measurement, read_table

__all__ = [
    "Fit",
    "FitError",
    "Gpu",
    "Laws",
    "Measurement",
    "Model",
    "Neighbour",
    "Profile",
    "Service",
    "TypicalBatch",
    "calibrate",
    "find_gpu",
    "find_model",
    "fit_frame",
    "fit_table",
    "gpu_catalogue",
    "kv_capacity_tokens",
    "leave_one_out",
    "model_catalogue",
    "nearest",
    "read_profile",
    "read_table",
    "roofline",
    "roofline_error",
    "scaled_laws",
    "service",
    "shipped_profile",
    "write_profile",
]
