"""Catalogues, fits, rooflines and service numbers."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsched.errors import InputError
from hexsched.profiles import (
    Fit,
    Measurement,
    Model,
    Profile,
    calibrate,
    find_gpu,
    find_model,
    fit_frame,
    fit_table,
    gpu_catalogue,
    kv_capacity_tokens,
    leave_one_out,
    model_catalogue,
    nearest,
    read_profile,
    read_table,
    roofline,
    roofline_error,
    service,
    shipped_profile,
    write_profile,
)
from hexsched.profiles.catalogue import DATA
from hexsched.profiles.service import TypicalBatch, extend_curve

pytestmark = pytest.mark.quick

TABLE = DATA / "kernel_sums_vllm_bf16.csv"
HEADER = "model,system,tp,phase,batch_size,context_tokens,ms,backend_version"
FITS = shipped_profile().fits


def fit_id(fit: Fit) -> str:
    return f"{fit.model}-{fit.gpu}-tp{fit.tp}"


def table_rows(model: str, gpu: str, tp: int) -> list[Measurement]:
    rows = read_table(TABLE)
    return [r for r in rows if find_model(r.model).name == model and find_gpu(r.gpu).name == gpu and r.tp == tp]


def measured(phase: str, batch: int, context: int, seconds: float, model: str = "toy") -> Measurement:
    return Measurement(model, "H100", 1, phase, batch, context, seconds, "", 0)  # type: ignore[arg-type]


def toy_rows(
    p: tuple[float, float, float], g: dict[int, float], d2: float, contexts: tuple[int, ...] = (512, 2048, 4096)
) -> list[Measurement]:
    """Rows that lie exactly on the laws."""
    prefill = [measured("prefill", 1, n, p[0] + p[1] * n + p[2] * n * n) for n in (128, 512, 1024, 4096)]
    decode = [measured("decode", b, c, s + d2 * b * c) for b, s in g.items() for c in contexts]
    return prefill + decode


class TestCatalogue:
    @pytest.mark.parametrize("name", ["A100", "a100", "A100 SXM", "a100_sxm", "NVIDIA A100-SXM4-80GB"])
    def test_a_gpu_is_found_under_its_usual_names(self, name: str) -> None:
        assert find_gpu(name).name == "A100"

    @pytest.mark.parametrize("name", ["meta-llama/Meta-Llama-3.1-70B", "LLAMA-3.1-70B", "Llama_3.1_70b-Instruct"])
    def test_a_model_is_found_under_its_usual_names(self, name: str) -> None:
        assert find_model(name).name == "llama-3.1-70b"

    def test_no_name_means_two_things(self) -> None:
        for entries in (gpu_catalogue(), model_catalogue()):
            names = [name for entry in entries for name in (entry.name, *entry.aliases)]
            found = [(find_gpu if entries is gpu_catalogue() else find_model)(name).name for name in names]
            assert found == [entry.name for entry in entries for _ in (entry.name, *entry.aliases)]

    def test_kv_bytes_per_token_are_the_model_cards(self) -> None:
        expected = {"llama-3.1-70b": 327_680, "qwen3-235b-a22b": 192_512, "llama-3.1-8b": 131_072}
        assert {name: find_model(name).kv_bytes_per_token for name in expected} == expected

    def test_active_parameters_are_what_one_token_wakes(self) -> None:
        model = find_model("qwen3-235b-a22b")
        woken = model.params - model.expert_params * (1 - model.experts_per_token / model.experts)
        assert woken == pytest.approx(model.active_params, rel=0.01)
        assert [m.name for m in model_catalogue() if m.moe] == ["qwen3-235b-a22b"]

    def test_an_unknown_name_lists_the_known_ones_and_the_nearest(self) -> None:
        with pytest.raises(InputError, match=r"unknown GPU 'H10O'; did you mean H100\? known: A100, H100, H200"):
            find_gpu("H10O")
        with pytest.raises(InputError, match=r"unknown model 'gpt'; known: llama-3.1-8b, llama-3.1-70b, qwen3-32b"):
            find_model("gpt")


class TestShippedFits:
    def test_they_are_what_the_shipped_table_gives(self) -> None:
        again = calibrate(TABLE)
        assert again.source == shipped_profile().source
        for now, then in zip(again.fits, FITS, strict=True):
            assert (now.model, now.gpu, now.tp, now.backend) == (then.model, then.gpu, then.tp, then.backend)
            assert now.prefill_coeffs == pytest.approx(then.prefill_coeffs, rel=1e-6)
            assert now.decode_coeffs == pytest.approx(then.decode_coeffs, rel=1e-6)
            assert np.array(now.batch_curve or 0.0) == pytest.approx(np.array(then.batch_curve or 0.0), rel=1e-6)
            assert now.decode_error.mape == pytest.approx(then.decode_error.mape, rel=1e-5)

    def test_every_configuration_of_the_table_is_there(self) -> None:
        configurations = {(fit.model, fit.gpu, fit.tp) for fit in FITS}
        sizes = {("llama-3.1-8b", 1), ("qwen3-32b", 1), ("llama-3.1-70b", 4), ("llama-3.1-70b", 8)}
        sizes |= {("qwen3-235b-a22b", 8)}
        assert configurations == {(model, gpu, tp) for model, tp in sizes for gpu in ("A100", "H100", "H200")}

    @pytest.mark.parametrize("fit", FITS, ids=fit_id)
    def test_mean_error_is_small(self, fit: Fit) -> None:
        limit = 0.05 if find_model(fit.model).moe else 0.03
        assert fit.prefill_error.mape <= limit
        assert fit.decode_error.mape <= limit

    @pytest.mark.parametrize("fit", FITS, ids=fit_id)
    def test_stated_errors_are_those_of_the_coefficients(self, fit: Fit) -> None:
        for phase, error in (("prefill", fit.prefill_error), ("decode", fit.decode_error)):
            off = {}
            for row in table_rows(fit.model, fit.gpu, fit.tp):
                if row.phase == phase and phase == "prefill":
                    off[1, row.context] = fit.laws().prefill_seconds(row.context) / row.seconds - 1
                elif row.phase == phase:
                    seconds = fit.laws().iteration_seconds(row.batch, row.batch * row.context)
                    off[row.batch, row.context] = seconds / row.seconds - 1
            assert error.points == len(off)
            assert error.mape == pytest.approx(np.mean(np.abs(list(off.values()))), abs=1e-7)
            assert error.worst == pytest.approx(max(off.values(), key=abs), abs=1e-7)
            assert off[error.worst_batch, error.worst_context] == pytest.approx(error.worst, abs=1e-7)

    @pytest.mark.parametrize("gpu", ["A100", "H100", "H200"])
    def test_a_line_does_not_describe_a_mixture_of_experts(self, gpu: str) -> None:
        rows = table_rows("qwen3-235b-a22b", gpu, 8)
        (line,) = fit_table(rows, "t", "line").fits
        (curve,) = fit_table(rows, "t").fits
        assert line.batch_curve is None
        assert curve.batch_curve is not None
        assert line.decode_error.mape > 0.10 > 10 * curve.decode_error.mape

    @pytest.mark.parametrize("fit", FITS, ids=fit_id)
    def test_batch_cost_never_decreases(self, fit: Fit) -> None:
        assert (fit.batch_curve is not None) == find_model(fit.model).moe
        seconds = [fit.laws().iteration_seconds(batch, 0) for batch in range(1, 129)]
        assert all(a <= b for a, b in itertools.pairwise(seconds))

    def test_hopper_memory_shows_in_decode_and_not_in_prefill(self) -> None:
        h100, h200 = service("llama-3.1-70b", "H100", 4), service("llama-3.1-70b", "H200", 4)
        assert h200.fixed_iteration_time < 0.85 * h100.fixed_iteration_time
        assert h200.prefill_coeffs[1] == pytest.approx(h100.prefill_coeffs[1], rel=0.05)

    def test_frame(self) -> None:
        frame = fit_frame(FITS)
        assert len(frame) == len(FITS)
        assert frame["prefill_mape"].tolist() == [fit.prefill_error.mape for fit in FITS]
        assert frame[["p0", "p1", "p2"]].to_numpy().tolist() == [list(fit.prefill_coeffs) for fit in FITS]


class TestFit:
    coefficient = st.floats(1e-7, 1e-1)

    @given(p=st.tuples(coefficient, coefficient, st.floats(1e-12, 1e-7)), d=st.tuples(coefficient, coefficient))
    @settings(max_examples=30, deadline=None)
    def test_exact_rows_give_their_law_back(self, p: tuple[float, float, float], d: tuple[float, float]) -> None:
        rows = toy_rows(p, {b: d[0] + d[1] * b for b in (1, 4, 16)}, d2=1e-8)
        (fit,) = fit_table(rows, "t").fits
        assert fit.batch_curve is None
        assert fit.prefill_error.mape < 1e-6
        assert fit.decode_error.mape < 1e-6

    @given(
        steps=st.lists(st.floats(0, 0.05), min_size=4, max_size=4), noise=st.lists(st.floats(-0.2, 0.2), min_size=12)
    )
    @settings(max_examples=30, deadline=None)
    def test_a_curve_is_monotone_whatever_the_noise(self, steps: list[float], noise: list[float]) -> None:
        levels = dict(zip((1, 2, 8, 32), np.cumsum(steps) + 0.001, strict=True))
        rows = toy_rows((0.01, 1e-5, 0.0), levels, d2=1e-8)
        noisy = [
            measured("decode", r.batch, r.context, r.seconds * (1 + e))
            for r, e in zip([r for r in rows if r.phase == "decode"], noise, strict=False)
        ]
        (fit,) = fit_table([*rows[:4], *noisy], "t", "curve").fits  # Profile checks the curve
        assert fit.batch_curve is not None
        assert [b for b, _ in fit.batch_curve] == [1, 2, 8, 32]

    def test_an_unknown_model_gets_a_curve_only_where_a_line_fails(self) -> None:
        bent = toy_rows((0.01, 1e-5, 0.0), {1: 0.01, 2: 0.03, 8: 0.031, 64: 0.032}, d2=1e-8)
        straight = toy_rows((0.01, 1e-5, 0.0), {b: 0.01 + 1e-4 * b for b in (1, 2, 8, 64)}, d2=1e-8)
        assert fit_table(bent, "t").fits[0].batch_curve == ((1, 0.01), (2, 0.03), (8, 0.031), (64, 0.032))
        assert fit_table(straight, "t").fits[0].batch_curve is None

    def test_coefficients_are_not_negative(self) -> None:
        shrinking = [measured("prefill", 1, n, 0.1 - n * 1e-5) for n in (1000, 2000, 4000)]
        (fit,) = fit_table([*shrinking, *toy_rows((0, 1, 0), {1: 0.01, 2: 0.02}, 1e-8)[4:]], "t").fits
        assert min(fit.prefill_coeffs) >= 0

    def test_spellings_of_one_gpu_make_one_fit(self) -> None:
        rows = toy_rows((0.01, 1e-5, 0.0), {1: 0.01, 2: 0.02}, 1e-8)
        other = [Measurement(r.model, "h100_sxm", *(r.tp, r.phase, r.batch, r.context, r.seconds, "", 0)) for r in rows]
        assert [fit.gpu for fit in fit_table(rows + other, "t").fits] == ["H100"]

    @pytest.mark.parametrize(
        ("keep", "message"),
        [
            (
                lambda r: r.phase == "decode",
                r"t\.csv: toy on H100 at tp 1: prefill needs rows of at least 3 .* found 0",
            ),
            (lambda r: r.phase == "prefill", r"decode needs at least 3 rows .* found 0"),
            (lambda r: r.phase == "prefill" or r.context == 512, r"decode needs at least 3 rows that vary batch_size"),
            (lambda r: r.phase == "prefill" or r.batch == 4, r"decode needs at least 3 rows that vary batch_size"),
            (lambda r: r.phase == "decode" or r.context < 1024, r"prefill needs .* found 2"),
        ],
    )
    def test_too_few_rows(self, keep, message: str) -> None:  # type: ignore[no-untyped-def]
        rows = toy_rows((0.01, 1e-5, 0.0), {1: 0.01, 4: 0.02, 8: 0.04}, 1e-8)
        with pytest.raises(InputError, match=message):
            fit_table([r for r in rows if keep(r)], "t.csv")

    def test_a_curve_needs_batch_1_and_a_sane_number_of_points(self) -> None:
        with pytest.raises(InputError, match="a batch curve starts at batch_size 1, which no decode row has"):
            fit_table(toy_rows((0.01, 1e-5, 0.0), {2: 0.01, 4: 0.02}, 1e-8), "t", "curve")
        many = {b: 0.01 * b for b in range(1, 300)}
        with pytest.raises(InputError, match="at most 256 batch sizes, found 299"):
            fit_table(toy_rows((0.01, 1e-5, 0.0), many, 1e-8), "t", "curve")

    def test_an_unknown_batch_law(self) -> None:
        with pytest.raises(InputError, match="unknown batch law 'cubic'; known: auto, line, curve"):
            fit_table([], "t", "cubic")  # type: ignore[arg-type]


class TestTable:
    def write(self, tmp_path: Path, *lines: str) -> Path:
        path = tmp_path / "table.csv"
        path.write_text("\n".join((HEADER, *lines)) + "\n")
        return path

    def test_columns_are_read_by_name(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_text(
            "\ufeffms, extra ,phase,tp,system,model,context_tokens,batch_size\n\n2.5,x,decode,4,H100,m,64,8.0\n"
        )
        (row,) = read_table(path)
        assert row == Measurement("m", "H100", 4, "decode", 8, 64, 0.0025, "", 3)
        assert row.kv_tokens == 512

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("m,H100,1,decode,1,64,fast,v", r"table.csv:2: column 'ms' must be a number, got 'fast'"),
            ("m,H100,1,decode,1,64,nan,v", r":2: column 'ms' must be a finite number above 0, got 'nan'"),
            ("m,H100,1,decode,1,64,-3,v", r":2: column 'ms' must be a finite number above 0, got '-3'"),
            ("m,H100,1,decode,1,64,inf,v", r":2: column 'ms' must be a finite number above 0, got 'inf'"),
            ("m,H100,1,decode,1,64,0,v", r":2: column 'ms' must be a finite number above 0, got '0'"),
            ("m,H100,1,decode,1.5,64,3,v", r":2: column 'batch_size' must be a whole number .* got '1.5'"),
            ("m,H100,x,decode,1,64,3,v", r":2: column 'tp' must be a number, got 'x'"),
            ("m,H100,1,decode,1,,3,v", r":2: column 'context_tokens' must be a number, got ''"),
            ("m,H100,1,decode,1,1e30,3,v", r":2: column 'context_tokens' must be a whole number"),
            ("m,H100,1,warmup,1,64,3,v", r":2: column 'phase' must be 'prefill' or 'decode', got 'warmup'"),
            ("m,H100,1,prefill,2,64,3,v", r":2: column 'batch_size' must be 1 for a prefill"),
            (",H100,1,decode,1,64,3,v", r":2: column 'model' is empty"),
            ("m,H100,1,decode,1,64,3", r":2: expected 8 columns as in the header, found 7"),
            ('m,"H100,1,decode,1,64,3,v', r":2: not valid CSV"),
        ],
    )
    def test_bad_cells_name_line_and_column(self, tmp_path: Path, line: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            read_table(self.write(tmp_path, line))

    def test_a_missing_or_repeated_column(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_text(HEADER.replace("batch_size", "batch") + "\n")
        with pytest.raises(InputError, match=r"t.csv:1: missing column 'batch_size'; needed are .*, found .*batch"):
            read_table(path)
        path.write_text(HEADER + ",ms\n")
        with pytest.raises(InputError, match=r"t.csv:1: column 'ms' appears twice"):
            read_table(path)

    def test_a_table_of_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="a header and no rows"):
            read_table(self.write(tmp_path))
        with pytest.raises(InputError, match="cannot read the file"):
            read_table(tmp_path / "absent.csv")


class TestProfileFile:
    def test_round_trip(self, tmp_path: Path) -> None:
        write_profile(tmp_path / "p.json", shipped_profile())
        assert read_profile(tmp_path / "p.json") == shipped_profile()
        assert (tmp_path / "p.json").read_bytes() == shipped_profile().to_bytes()

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("hexsched-profile/1", "hexsched-profile/9", "p.json: format: "),
            ('"tp": 1', '"tp": 0', r"p.json: fits\[0\]: tp must be at least 1, got 0"),
            ('"gpu"', '"gpo"', r"p.json: fits\[0\]: Object contains unknown field 'gpo'"),
            ('"gpu": "H100"', '"gpu": "A100"', "llama-3.1-8b on A100 at tp 1 appears twice"),
            ('"prefill_coeffs": [', '"prefill_coeffs": [-1, ', r"fits\[0\].prefill_coeffs: "),
        ],
    )
    def test_bad_files_name_the_field(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        text = shipped_profile().to_bytes().decode()
        assert old in text
        (tmp_path / "p.json").write_text(text.replace(old, new))
        with pytest.raises(InputError, match=message):
            read_profile(tmp_path / "p.json")

    def test_a_table_is_no_profile(self) -> None:
        with pytest.raises(InputError, match="a table of measurements; fit it first: hexsched calibrate"):
            read_profile(TABLE)

    def test_find_takes_any_spelling(self) -> None:
        assert shipped_profile().find("meta-llama/Meta-Llama-3.1-8B", "h200_sxm", 1) == FITS[2]
        assert shipped_profile().find("llama-3.1-8b", "H200", 3) is None


class TestRoofline:
    def test_a_larger_batch_wakes_more_experts_up_to_all(self) -> None:
        model, gpu = find_model("qwen3-235b-a22b"), find_gpu("H100")
        curve = roofline(model, gpu, 8, max_batch=1000).batch_curve
        assert curve is not None
        assert [b for b, _ in curve] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
        bandwidth = 8 * gpu.hbm_bandwidth * gpu.mbu
        assert curve[0][1] > 2 * model.active_params / bandwidth * 0.99
        read_all = curve[-1][1] - curve[-2][1]  # only compute is left to grow
        assert read_all == pytest.approx(488 * 2 * model.active_params / (8 * gpu.flops), rel=1e-3)

    def test_a_dense_model_reads_its_weights_once_an_iteration(self) -> None:
        model, gpu = find_model("llama-3.1-70b"), find_gpu("H100")
        laws = roofline(model, gpu, 4, max_batch=8)
        bandwidth = 4 * gpu.hbm_bandwidth * gpu.mbu
        all_reduces = 2 * model.layers * gpu.link_latency
        assert laws.decode_coeffs[0] == pytest.approx(141.2e9 / bandwidth + all_reduces)
        assert laws.decode_coeffs[2] == pytest.approx(327_680 / bandwidth)
        assert laws.prefill_coeffs[1] == pytest.approx(2 * 70.6e9 / (4 * 989e12 * 0.45))
        assert roofline(model, gpu, 1, 8).prefill_coeffs[0] == 0

    def test_it_is_far_less_true_than_a_fit(self) -> None:
        """Why a roofline says that it is one: these are the errors a user takes on."""
        errors = roofline_error(read_table(TABLE)).set_index(["model", "gpu", "tp", "phase"])
        fitted = fit_frame(FITS).set_index(["model", "gpu", "tp"])
        assert len(errors) == 2 * len(FITS)
        for phase in ("prefill", "decode"):
            ours = errors.xs(phase, level="phase")["mape"]
            assert (ours > fitted[f"{phase}_mape"].reindex(ours.index)).all()
        assert 0.05 < errors.xs("decode", level="phase")["mape"].mean() < 0.2
        assert 0.3 < errors.xs("prefill", level="phase")["mape"].mean() < 0.7


class TestNearest:
    """What nobody measured is the nearest measured row of the model, times the ratio of the roofline."""

    @pytest.mark.parametrize(
        ("model", "gpu", "tp", "expected"),
        [
            ("llama-3.1-70b", "A100", 2, ("A100", 4)),
            ("llama-3.1-70b", "A100", 16, ("A100", 8)),
            ("llama-3.1-8b", "H200", 2, ("H200", 1)),
            ("qwen3-235b-a22b", "H100", 16, ("H100", 8)),
        ],
    )
    def test_the_same_gpu_is_nearest(self, model: str, gpu: str, tp: int, expected: tuple[str, int]) -> None:
        near = nearest(find_model(model), find_gpu(gpu), tp, [shipped_profile()])
        assert near is not None
        assert (near.fit.gpu, near.fit.tp) == expected
        assert near.distance == pytest.approx(math.log(2))

    def test_another_gpu_where_that_one_was_not_measured(self) -> None:
        gpu = msgspec.structs.replace(find_gpu("H100"), name="B200", hbm_bandwidth=8e12, flops=2.2e15)
        near = nearest(find_model("llama-3.1-70b"), gpu, 4, [shipped_profile()])
        assert near is not None
        assert (near.fit.gpu, near.fit.tp) == ("H200", 4)
        assert (
            nearest(msgspec.structs.replace(find_model("llama-3.1-70b"), name="own"), gpu, 4, [shipped_profile()])
            is None
        )

    def test_half_the_gpus_take_about_twice_as_long(self) -> None:
        """Not 3.8 times, as an uncalibrated roofline had it: 2,533 ms against 665 ms for 4,096 tokens."""
        two, four = (service("llama-3.1-70b", "A100", tp, kv_capacity=1) for tp in (2, 4))
        p0, p1, p2 = four.prefill_coeffs
        assert two.prefill_coeffs == pytest.approx((p0, 2 * p1, 2 * p2))
        d0, d1, d2 = four.decode_coeffs
        assert two.decode_coeffs[1:] == pytest.approx((2 * d1, 2 * d2))
        assert d0 < two.decode_coeffs[0] < 2 * d0  # all-reduces do not grow

    def test_a_mixture_of_experts_keeps_the_shape_of_its_curve(self) -> None:
        fit = shipped_profile().find("qwen3-235b-a22b", "H200", 8)
        assert fit is not None
        assert fit.batch_curve is not None
        four = service("qwen3-235b-a22b", "H200", 4, max_batch=200)
        assert four.batch_curve is not None
        assert [batch for batch, _ in four.batch_curve] == [*(batch for batch, _ in fit.batch_curve), 200]
        for (_, half), (_, whole) in zip(four.batch_curve, fit.batch_curve, strict=False):
            assert whole < half < 2 * whole
        assert four.measured_batch == 128

    def test_a_line_measured_for_a_mixture_of_experts_becomes_a_curve(self) -> None:
        rows = [row for row in read_table(TABLE) if "235B" in row.model and row.gpu == "h200_sxm"]
        four = service("qwen3-235b-a22b", "H200", 4, fit_table(rows, "mine.csv", "line"), max_batch=24)
        assert "(mine.csv)" in four.source
        assert four.batch_curve is not None
        assert [batch for batch, _ in four.batch_curve] == [1, 2, 4, 8, 16, 24]

    def test_left_out_one_at_a_time_it_is_nearer_than_the_roofline_alone(self) -> None:
        """The table of docs/clusters.md, to the digit."""
        frame = leave_one_out(read_table(TABLE), shipped_profile())
        table = [
            [cell.strip() for cell in line.strip("|\n").split("|")]
            for line in (Path(__file__).parents[1] / "docs" / "clusters.md").read_text().splitlines()
            if " at tp " in line and line.startswith("|")
        ]
        wide = frame.pivot(index=["model", "gpu", "tp", "nearest"], columns="phase", values=["roofline", "calibrated"])
        expected = {
            (f"{model} on {gpu} at tp {tp}", near): [
                f"{100 * row[kind, phase]:.0f}"
                for phase in ("prefill", "decode")
                for kind in ("roofline", "calibrated")
            ]
            for (model, gpu, tp, near), row in wide.iterrows()
        }
        assert {(row[0], row[1]): row[2:] for row in table} == expected
        means = frame.groupby("phase")[["roofline", "calibrated"]].mean()
        assert (means["calibrated"] < means["roofline"]).all()


class TestService:
    def test_it_says_where_it_comes_from(self) -> None:
        known = service("Meta-Llama-3.1-70B", "h100 sxm", 4)
        assert known.source == "measured: kernel_sums_vllm_bf16.csv"
        assert (known.prefill_mape, known.decode_mape) == (FITS[7].prefill_error.mape, FITS[7].decode_error.mape)
        guessed = service("Meta-Llama-3.1-70B", "h100 sxm", 2)
        assert guessed.source == "roofline calibrated to llama-3.1-70b on H100 at tp 4 (kernel_sums_vllm_bf16.csv)"
        assert (guessed.prefill_mape, guessed.decode_mape) == (None, None)
        own = msgspec.structs.replace(find_model("llama-3.1-8b"), name="tiny")
        assert service(own, "h100 sxm", 2).source == "roofline"

    def test_a_given_profile_comes_first_and_the_shipped_one_behind_it(self) -> None:
        rows = toy_rows((0.01, 1e-5, 0.0), {1: 0.01, 2: 0.02}, 1e-8)
        mine = fit_table(
            [Measurement("llama-3.1-8b", *("H100", 1, r.phase, r.batch, r.context, r.seconds, "", 0)) for r in rows],
            "mine",
        )
        assert service("llama-3.1-8b", "H100", 1, mine).source == "measured: mine"
        assert service("llama-3.1-8b", "A100", 1, mine).source == "measured: kernel_sums_vllm_bf16.csv"

    def test_kv_capacity_by_hand(self) -> None:
        model, gpu = find_model("llama-3.1-70b"), find_gpu("A100")
        usable = 4 * (0.9 * 80 * 2**30 - (3_758_096_384 + 411_041_792))
        assert kv_capacity_tokens(model, gpu, 4) == int((usable - 2 * 70.6e9) / 327_680)

    def test_kv_heads_are_copied_beyond_their_number(self) -> None:
        model, gpu = find_model("qwen3-235b-a22b"), find_gpu("H200")
        assert model.stored_kv_bytes_per_token(4) == model.kv_bytes_per_token
        assert model.stored_kv_bytes_per_token(8) == 2 * model.kv_bytes_per_token
        usable = 8 * (0.9 * gpu.hbm_bytes - gpu.reserved_bytes)
        assert kv_capacity_tokens(model, gpu, 8) == int((usable - 470e9) / (2 * 192_512))

    @pytest.mark.parametrize(
        ("model", "gpu", "tp", "options", "message"),
        [
            (
                "llama-3.1-70b",
                "H100",
                1,
                {},
                r"does not fit 1 x H100: its weights need 141 GB, 73 GB of memory are usable",
            ),
            (
                "llama-3.1-8b",
                "H100",
                3,
                {},
                "tensor_parallel must divide the 32 attention heads of llama-3.1-8b, got 3",
            ),
            ("llama-3.1-8b", "H100", 0, {}, "tensor_parallel must divide"),
            (
                "llama-3.1-8b",
                "H100",
                1,
                {"kv_memory_fraction": 1.5},
                "kv_memory_fraction must be above 0 and at most 1",
            ),
            ("llama-3.1-8b", "H100", 1, {"max_batch": 0}, "max_batch must be at least 1, got 0"),
            ("llama-9", "H100", 1, {}, "unknown model 'llama-9'"),
            ("llama-3.1-8b", "T4", 1, {}, "unknown GPU 'T4'"),
        ],
    )
    def test_bad_requests(self, model: str, gpu: str, tp: int, options: dict, message: str) -> None:
        with pytest.raises(InputError, match=message):
            service(model, gpu, tp, **options)

    def test_a_curve_goes_on_with_its_last_slope(self) -> None:
        curve = service("qwen3-235b-a22b", "H100", 8, max_batch=512).batch_curve
        assert curve is not None
        (b0, s0), (b1, s1), (b2, s2) = curve[-3:]
        assert (b0, b1, b2) == (64, 128, 512)
        assert (s2 - s1) / (b2 - b1) == pytest.approx((s1 - s0) / (b1 - b0))
        assert extend_curve(((1, 0.5),), 3) == ((1, 0.5), (3, 1.5))
        assert extend_curve(curve, 512) == curve

    def test_theta_is_an_iteration_at_the_typical_batch(self) -> None:
        d0, d1, d2 = FITS[7].decode_coeffs
        typical = TypicalBatch(batch=8, context=1000)
        assert service("llama-3.1-70b", "H100", 4, typical=typical).fixed_iteration_time == pytest.approx(
            d0 + 8 * d1 + 8000 * d2
        )
        small = service("llama-3.1-70b", "H100", 4, typical=typical, max_batch=2)
        assert small.fixed_iteration_time == pytest.approx(d0 + 2 * d1 + 2000 * d2)

    def test_a_model_of_ones_own(self) -> None:
        own = Model(
            name="own", params=13e9, active_params=13e9, layers=40, attention_heads=40, kv_heads=40, head_size=128
        )
        assert service(own, "A100", 1).kv_bytes_per_token == 819_200

    def test_an_empty_profile_changes_nothing(self) -> None:
        empty = Profile(format="hexsched-profile/1", source="none", fits=())
        assert service("llama-3.1-8b", "H100", 1, empty) == service("llama-3.1-8b", "H100", 1)
