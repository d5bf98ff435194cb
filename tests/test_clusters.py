"""Cluster files, the clusters that come with the package, and their compilation."""

from __future__ import annotations

import warnings
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsched.clusters import (
    ClusterSpec,
    DecodePool,
    FieldError,
    Links,
    PrefillPool,
    compile_cluster,
    compile_instance,
    describe_cluster,
    list_clusters,
    read_cluster,
    write_cluster,
)
from hexsched.clusters.yaml_lines import MAX_BYTES, read_yaml
from hexsched.errors import InputError, InputWarning
from hexsched.model import Call, Instance, Workflow
from hexsched.profiles import find_gpu, find_model, service, shipped_profile, write_profile
from hexsched.profiles.profile import Profile
from hexsched.simulator import simulate

pytestmark = pytest.mark.quick

GOOD = """\
name: small
model: llama-3.1-70b
prefill:
  - {gpu: H100, count: 2, tensor_parallel: 4}
decode:
  - gpu: A100
    count: 1
    tensor_parallel: 4
  - gpu: H200
    count: 1
    tensor_parallel: 8
links:
  fabric: nic
"""
WORK = (
    Workflow(
        workflow_id="w",
        arrival=0.0,
        calls=(Call(call_id="c", prompt_tokens=100, output_tokens=10),),
    ),
)


def cluster_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return path


def edited(tmp_path: Path, old: str, new: str) -> Path:
    assert old in GOOD
    return cluster_file(tmp_path, GOOD.replace(old, new, 1))


def example(**changes: object) -> ClusterSpec:
    fields: dict = {
        "name": "example",
        "model": "llama-3.1-8b",
        "prefill": (PrefillPool(gpu="A100", count=1, tensor_parallel=1),),
        "decode": (DecodePool(gpu="A100", count=1, tensor_parallel=1),),
    }
    return ClusterSpec(**(fields | changes))


class TestCompile:
    def test_ids_follow_the_file(self, tmp_path: Path) -> None:
        machines = compile_cluster(read_cluster(cluster_file(tmp_path, GOOD)))
        assert [m.id for m in machines.prefill] == ["p0-H100", "p1-H100"]
        assert [m.id for m in machines.decode] == ["d0-A100", "d1-H200"]

    def test_numbers_are_the_services(self, tmp_path: Path) -> None:
        instance = compile_instance(read_cluster(cluster_file(tmp_path, GOOD)), WORK)
        expected = service("llama-3.1-70b", "H200", 8)
        machine = instance.decode[1]
        assert machine.decode_coeffs == expected.decode_coeffs
        assert machine.fixed_iteration_time == expected.fixed_iteration_time
        assert machine.kv_capacity_tokens == expected.kv_capacity_tokens
        assert instance.kv_bytes_per_token == 327_680
        assert instance.prefill[0].prefill_coeffs == service("llama-3.1-70b", "H100", 4).prefill_coeffs

    def test_the_slower_end_and_the_smaller_degree_set_the_bandwidth(self, tmp_path: Path) -> None:
        machines = compile_cluster(read_cluster(cluster_file(tmp_path, GOOD)))
        bandwidth = {(link.source, link.to): link.bandwidth for link in machines.links}
        assert bandwidth["p0-H100", "d0-A100"] == 4 * 25e9
        assert bandwidth["p1-H100", "d1-H200"] == 4 * 50e9
        nvlink = compile_cluster(example(links=Links(fabric="nvlink", latency=0.5)))
        assert [(link.bandwidth, link.latency) for link in nvlink.links] == [(300e9, 0.5)]

    def test_overrides_by_gpu_type(self, tmp_path: Path) -> None:
        path = edited(
            tmp_path, "fabric: nic", "latency: 0.25\n  overrides: [{from: h100 sxm, to: A100, bandwidth: 7e9}]"
        )
        links = {(k.source, k.to): (k.bandwidth, k.latency) for k in compile_cluster(read_cluster(path)).links}
        assert links["p0-H100", "d0-A100"] == (7e9, 0.25)
        assert links["p0-H100", "d1-H200"] == (200e9, 0.25)

    def test_same_inputs_same_bytes(self, tmp_path: Path) -> None:
        path = cluster_file(tmp_path, GOOD)
        first = compile_instance(read_cluster(path), WORK).to_bytes()
        assert compile_instance(read_cluster(path), list(WORK)).to_bytes() == first
        assert Instance.from_bytes(first).to_bytes() == first

    def test_decode_model(self) -> None:
        assert compile_instance(example(), WORK).decode_model == "fluid"
        assert compile_instance(example(decode_model="fixed"), WORK).decode_model == "fixed"
        assert compile_instance(example(), WORK, decode_model="fixed").decode_model == "fixed"
        with pytest.raises(InputError, match="unknown decode model 'exact'; known: fluid, fixed"):
            compile_instance(example(), WORK, decode_model="exact")

    def test_given_coefficients_take_the_place_of_the_fits(self) -> None:
        pool = DecodePool(
            gpu="A100",
            count=1,
            tensor_parallel=1,
            max_batch=4,
            decode_coeffs=(0, 0, 1e-8),
            batch_curve=((1, 0.01), (4, 0.02)),
            kv_capacity_tokens=5000,
            fixed_iteration_time=0.5,
        )
        prefill = PrefillPool(gpu="A100", count=1, tensor_parallel=1, prefill_coeffs=(0, 1, 0))
        machines = compile_cluster(example(prefill=(prefill,), decode=(pool,)))
        assert machines.prefill[0].prefill_coeffs == (0, 1, 0)
        (machine,) = machines.decode
        assert machine.batch_curve == ((1, 0.01), (4, 0.02))
        assert (machine.kv_capacity_tokens, machine.max_batch, machine.fixed_iteration_time) == (5000, 4, 0.5)
        assert {s.source for s in machines.services.values()} == {"given"}
        without = compile_cluster(example(decode=(msgspec.structs.replace(pool, fixed_iteration_time=None),)))
        assert without.decode[0].fixed_iteration_time == pytest.approx(0.02 + 1e-8 * 4 * 2048)

    def test_a_curve_reaches_any_max_batch(self) -> None:
        pool = DecodePool(gpu="H200", count=1, tensor_parallel=8, max_batch=1000)
        cluster = example(
            model="qwen3-235b-a22b", prefill=(PrefillPool(gpu="H200", count=1, tensor_parallel=8),), decode=(pool,)
        )
        with pytest.warns(InputWarning, match="max_batch 1000"):
            (machine,) = compile_instance(cluster, WORK).decode
        assert machine.batch_curve is not None
        assert machine.batch_curve[-1][0] == 1000

    def test_a_call_that_fits_nowhere(self) -> None:
        huge = Workflow(workflow_id="w", arrival=0.0, calls=(Call(call_id="c", prompt_tokens=10**9, output_tokens=1),))
        with pytest.raises(
            InputError, match="cluster example: 1 of 1 workflows do not fit any KV cache: a call may have"
        ):
            compile_instance(example(), [huge])
        with pytest.raises(InputError, match="cluster example: there are no workflows"):
            compile_instance(example(), [])

    def test_a_cluster_made_in_python_is_checked_too(self) -> None:
        with pytest.raises(FieldError, match=r"^cluster example: prefill\[0\].gpu: unknown GPU 'B2000'"):
            compile_cluster(example(prefill=(PrefillPool(gpu="B2000", count=1, tensor_parallel=1),)))
        with pytest.raises(FieldError, match="cluster example: model: unknown model 'x'"):
            compile_cluster(example(model="x"))

    @given(counts=st.lists(st.integers(1, 4), min_size=1, max_size=3), more=st.lists(st.integers(1, 4), min_size=1))
    @settings(max_examples=20, deadline=None)
    def test_every_pair_has_a_link(self, counts: list[int], more: list[int]) -> None:
        cluster = example(
            prefill=tuple(PrefillPool(gpu="H100", count=n, tensor_parallel=1) for n in counts),
            decode=tuple(DecodePool(gpu="A100", count=n, tensor_parallel=1) for n in more),
        )
        instance = compile_instance(cluster, WORK)  # Instance itself checks ids and links
        assert (len(instance.prefill), len(instance.decode)) == (sum(counts), sum(more))
        assert len(instance.links) == sum(counts) * sum(more)


class TestLibrary:
    def test_both_models_have_every_mix(self) -> None:
        mixes = ("homo-a100", "homo-h100", "homo-h200", "hetero-1", "hetero-2")
        assert set(list_clusters()) == {"demo", *(f"{m}-{x}" for m in ("llama70b", "qwen235b") for x in mixes)}

    @pytest.mark.parametrize("name", list_clusters())
    def test_each_compiles_from_measured_times(self, name: str) -> None:
        cluster = read_cluster(name.upper())
        assert cluster.name == name
        machines = compile_cluster(cluster)
        assert (
            len(machines.prefill) == len(machines.decode) == (2 if name == "demo" else 10 if "hetero-2" in name else 8)
        )
        assert {s.source for s in machines.services.values()} == {"measured: kernel_sums_vllm_bf16.csv"}
        curves = [machine.batch_curve is not None for machine in machines.decode]
        assert set(curves) == {name.startswith("qwen")}
        assert compile_instance(cluster, WORK).call_count == 1

    @pytest.mark.parametrize("name", ["llama70b-hetero-1", "qwen235b-hetero-1"])
    def test_hetero_1_has_every_gpu_in_both_pools(self, name: str) -> None:
        machines = compile_cluster(read_cluster(name))
        for pool in (machines.prefill, machines.decode):
            assert {machine.gpu for machine in pool} == {"A100", "H100", "H200"}

    def test_an_unknown_name(self) -> None:
        with pytest.raises(
            InputError, match=r"unknown cluster 'lama70b-hetero1'; did you mean llama70b-hetero-1\? .*demo"
        ):
            read_cluster("lama70b-hetero1")


def profile_of(tmp_path: Path, *places: tuple[str, str, int]) -> Path:
    """A profile of these (model, GPU, degree), with the shipped fits' numbers."""
    fits = tuple(
        msgspec.structs.replace(shipped_profile().fits[0], model=model, gpu=gpu, tp=tp) for model, gpu, tp in places
    )
    path = tmp_path / "p.json"
    write_profile(path, Profile(format="hexsched-profile/1", source="mine.csv", fits=fits))
    return path


def notes_of(cluster: ClusterSpec) -> list[str]:
    """What compiling it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compile_cluster(cluster)
    assert all(warning.category is InputWarning for warning in caught)
    return [str(warning.message) for warning in caught]


class TestFallback:
    """Times that are not the ones asked for are told of, with what is missing, what there is and what was taken."""

    def test_measured_times_need_no_word(self) -> None:
        for name in list_clusters():
            assert notes_of(read_cluster(name)) == []

    def test_a_degree_that_nobody_measured(self) -> None:
        two = PrefillPool(gpu="H100", count=1, tensor_parallel=2)
        pools = (two, msgspec.structs.replace(two, count=3))
        (line,) = notes_of(example(prefill=pools))
        assert line == (
            "cluster example: prefill[0], prefill[1]: no measured times of llama-3.1-8b on H100 at tp 2; the roofline "
            "calibrated to llama-3.1-8b on H100 at tp 1 (kernel_sums_vllm_bf16.csv) is taken instead; the shipped fits "
            "have llama-3.1-8b on A100 at tp 1, H100 at tp 1, "
            "H200 at tp 1"
        )

    def test_a_profile_that_covers_some_pools(self, tmp_path: Path) -> None:
        profile = str(profile_of(tmp_path, ("llama-3.1-8b", "H100", 1)))
        prefill = tuple(PrefillPool(gpu="H100", count=1, tensor_parallel=tp) for tp in (1, 2))
        roofline, shipped = notes_of(example(prefill=prefill, profile=profile))
        assert "prefill[1]: no measured times of llama-3.1-8b on H100 at tp 2 in p.json; the roofline" in roofline
        assert "decode[0]: no measured times of llama-3.1-8b on A100 at tp 1 in p.json; the shipped fit " in shipped
        assert "(kernel_sums_vllm_bf16.csv) is taken instead" in shipped
        for line in (roofline, shipped):
            assert "; p.json has llama-3.1-8b on H100 at tp 1; the shipped fits have llama-3.1-8b on A100 at" in line

    def test_a_profile_that_covers_no_pool_is_a_mistake(self, tmp_path: Path) -> None:
        profile_of(tmp_path, ("llama-3.1-70b", "H100", 2), ("qwen3-32b", "A100", 1))
        with pytest.raises(InputError) as caught:
            read_cluster(cluster_file(tmp_path, GOOD + "profile: p.json\n"))
        assert str(caught.value).startswith(
            f"{tmp_path / 'c.yaml'}:14: profile: p.json has no times of llama-3.1-70b on H100 at tp 4, A100 at tp 4, "
            "H200 at tp 8; p.json has llama-3.1-70b on H100 at tp 2; the shipped fits have llama-3.1-70b on "
        )

    def test_a_model_that_nobody_measured_is_told_which_were(self, tmp_path: Path) -> None:
        own = msgspec.structs.replace(find_model("llama-3.1-8b"), name="tiny")
        (line,) = notes_of(example(model=own))
        assert "no measured times of tiny on A100 at tp 1; the roofline of data sheets is taken instead" in line
        for model in (
            "llama-3.1-8b on A100 at tp 1",
            "llama-3.1-70b on A100 at tp 4",
            "qwen3-235b-a22b on A100 at tp 8",
        ):
            assert model in line

    def test_rows_of_the_clusters_own_profile_calibrate_as_well(self, tmp_path: Path) -> None:
        """An L40S that the catalogue does not have, measured at tp 1 and asked for at tp 2."""
        own = msgspec.structs.replace(find_gpu("A100"), name="L40S", aliases=())
        profile = str(profile_of(tmp_path, ("llama-3.1-8b", "L40S", 1), ("llama-3.1-8b", "H100", 1)))
        prefill = PrefillPool(gpu="L40S", count=1, tensor_parallel=2)
        decode = DecodePool(gpu="H100", count=1, tensor_parallel=1)
        (line,) = notes_of(example(prefill=(prefill,), decode=(decode,), profile=profile, gpus=(own,)))
        assert "the roofline calibrated to llama-3.1-8b on L40S at tp 1 (mine.csv) is taken instead" in line

    def test_coefficients_of_the_pools_own_are_missing_nowhere(self, tmp_path: Path) -> None:
        prefill = PrefillPool(gpu="H100", count=1, tensor_parallel=2, prefill_coeffs=(0, 1, 0))
        curve = ((1, 0.01), (128, 1))
        decode = DecodePool(gpu="H100", count=1, tensor_parallel=2, decode_coeffs=(0, 0, 1e-8), batch_curve=curve)
        assert notes_of(example(prefill=(prefill,), decode=(decode,))) == []
        profile = str(profile_of(tmp_path, ("llama-3.1-8b", "H100", 1)))
        (line,) = notes_of(example(prefill=(prefill,), decode=(decode,), profile=profile))
        assert line == "cluster example: p.json is not used: every pool has coefficients of its own"

    def test_batches_beyond_a_measured_curve(self) -> None:
        decode = DecodePool(gpu="H200", count=1, tensor_parallel=8, max_batch=1000)
        prefill = PrefillPool(gpu="H200", count=1, tensor_parallel=8)
        (line,) = notes_of(example(model="qwen3-235b-a22b", prefill=(prefill,), decode=(decode,)))
        assert "decode[0]: max_batch 1000 is above the largest batch measured (128)" in line


class TestSources:
    """Every number of an instance says where it comes from; nothing is computed from what it says."""

    CLUSTER = """
name: own
model: llama-3.1-70b
prefill:
  - {gpu: A100, count: 1, tensor_parallel: 2}
  - {gpu: H100, count: 2, tensor_parallel: 4, prefill_coeffs: [0, 1e-4, 0]}
decode:
  - {gpu: A100, count: 1, tensor_parallel: 4}
  - {gpu: H200, count: 1, tensor_parallel: 4, kv_capacity_tokens: 100000, fixed_iteration_time: 0.1}
links: {overrides: [{from: H100, to: h200, bandwidth: 1e9}]}
"""

    @pytest.fixture
    def cluster(self, tmp_path: Path) -> ClusterSpec:
        return read_cluster(cluster_file(tmp_path, self.CLUSTER))

    def test_every_number_has_one(self, cluster: ClusterSpec) -> None:
        with pytest.warns(InputWarning, match="roofline calibrated"):
            instance = compile_instance(cluster, WORK)
        found = {(source.field, name): source.source for source in instance.sources for name in source.of}
        near = "roofline calibrated to llama-3.1-70b on A100 at tp 4 (kernel_sums_vllm_bf16.csv)"
        assert found["prefill_coeffs", "p0-A100"] == near
        assert found["prefill_coeffs", "p2-H100"] == "given"
        assert found["decode_coeffs", "d1-H200"] == "measured: kernel_sums_vllm_bf16.csv"
        assert found["kv_capacity_tokens", "d0-A100"].startswith(
            "90 % of the memory of 4 A100, less 141.2 GB of weights"
        )
        assert found["kv_capacity_tokens", "d1-H200"] == found["fixed_iteration_time", "d1-H200"] == "given"
        links = {source.of: source.source for source in instance.sources if source.field == "bandwidth"}
        assert links["p0-A100", "d0-A100"] == "nic of A100, 25 GB/s a GPU, times 2"
        assert links["p1-H100", "p2-H100", "d1-H200"] == "given in links.overrides"
        for machine in instance.machines:
            for field in type(machine).__struct_fields__:
                if field not in ("id", "gpu", "batch_curve"):
                    assert (field, machine.id) in found

    def test_they_change_no_schedule_and_can_be_left_out(self, cluster: ClusterSpec) -> None:
        with pytest.warns(InputWarning):
            instance = compile_instance(cluster, WORK)
        assert Instance.from_bytes(instance.to_bytes()) == instance
        silent = msgspec.structs.replace(instance, sources=())
        assert b"sources" not in silent.to_bytes()
        assert simulate(silent, "hexagent").schedule == simulate(instance, "hexagent").schedule

    def test_a_source_of_nothing_is_refused(self, cluster: ClusterSpec) -> None:
        with pytest.warns(InputWarning):
            data = compile_instance(cluster, WORK).to_bytes()
        with pytest.raises(InputError, match=r"sources: prefill_coeffs is of 'p9', which is no instance"):
            Instance.from_bytes(data.replace(b'"p0-A100"\n   ],\n   "source"', b'"p9"\n   ],\n   "source"', 1))
        with pytest.raises(InputError, match="field must be one of kv_bytes_per_token, prefill_coeffs"):
            Instance.from_bytes(data.replace(b'"field": "max_batch"', b'"field": "most_batch"'))

    def test_the_description_has_every_pool_and_pair(self, cluster: ClusterSpec) -> None:
        with pytest.warns(InputWarning):
            frame = describe_cluster(cluster)
        assert (frame["source"] != "").all()
        assert set(frame["pool"]) == {
            *("all", "prefill[0]", "prefill[1]", "decode[0]", "decode[1]"),
            *(f"prefill[{i}] to decode[{j}]" for i in (0, 1) for j in (0, 1)),
        }
        numbers = frame.set_index(["pool", "number"])["value"]
        assert numbers["prefill[1]", "prefill of 4,096 tokens"] == pytest.approx(0.4096)
        assert numbers["prefill[1] to decode[1]", "bandwidth"] == 1e9


class TestFiles:
    @pytest.mark.parametrize("name", list_clusters())
    def test_round_trip(self, tmp_path: Path, name: str) -> None:
        cluster = read_cluster(name)
        write_cluster(tmp_path / "again.yaml", cluster)
        assert read_cluster(tmp_path / "again.yaml") == cluster

    def test_a_profile_is_found_beside_the_file(self, tmp_path: Path) -> None:
        fit = shipped_profile().find("llama-3.1-70b", "H100", 4)
        assert fit is not None
        slow = msgspec.structs.replace(fit, prefill_coeffs=(1.0, 1.0, 1.0))
        write_profile(tmp_path / "p.json", Profile(format="hexsched-profile/1", source="mine", fits=(slow,)))
        path = cluster_file(tmp_path, GOOD + "profile: p.json\n")
        with pytest.warns(InputWarning, match="p.json"):
            machines = compile_cluster(read_cluster(path))
        assert machines.prefill[0].prefill_coeffs == (1.0, 1.0, 1.0)
        assert [s.source for s in machines.services.values()][:2] == [
            "measured: mine",
            "measured: kernel_sums_vllm_bf16.csv",
        ]

    def test_a_model_and_a_gpu_of_ones_own(self, tmp_path: Path) -> None:
        path = cluster_file(
            tmp_path,
            """
name: own
model: {name: tiny, params: 1e9, active_params: 1e9, layers: 10, attention_heads: 8, kv_heads: 8, head_size: 64}
gpus:
  - {name: B1, flops: 1e15, hbm_bytes: 50e9, hbm_bandwidth: 5e12, nvlink_bandwidth: 9e11, nic_bandwidth: 1e11}
prefill: [{gpu: b1, count: 1, tensor_parallel: 1}]
decode: [{gpu: A100, count: 1, tensor_parallel: 1}]
""",
        )
        with pytest.warns(InputWarning, match="tiny on A100 at tp 1"), pytest.warns(match="tiny on B1 at tp 1"):
            machines = compile_cluster(read_cluster(path))
        assert machines.prefill[0].id == "p0-B1"
        assert machines.kv_bytes_per_token == 2 * 10 * 8 * 64 * 2
        assert {s.source for s in machines.services.values()} == {"roofline"}

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("name: small\n", "", r"c.yaml:1: Object missing required field 'name'"),
            ("name: small", "name: ''", r"c.yaml:1: name must not be empty"),
            (
                "model: llama-3.1-70b",
                "model: llama-70",
                r"c.yaml:2: model: unknown model 'llama-70'; did you mean llama-3.1-70b",
            ),
            ("model: llama-3.1-70b", "model: 7", r"c.yaml:2: model: Expected"),
            ("gpu: A100", "gpu: A10O", r"c.yaml:6: decode\[0\].gpu: unknown GPU 'A10O'; did you mean A100\?"),
            ("gpu: H200", "gpu: [H200]", r"c.yaml:9: decode\[1\].gpu: Expected 'str', got 'array'"),
            ("count: 1", "count: 0", r"c.yaml:7: decode\[0\]: count must be from 1 to 1024, got 0"),
            ("count: 1", "count: two", r"c.yaml:7: decode\[0\].count: Expected 'int', got 'str'"),
            ("count: 1", "count: 1.5", r"c.yaml:7: decode\[0\].count: Expected 'int', got 'float'"),
            ("count: 1", "count: true", r"c.yaml:7: decode\[0\].count: Expected 'int', got 'bool'"),
            ("count: 1", f"count: {10**30}", r"c.yaml:7: decode\[0\]"),
            ("count: 2", "count: 2000", r"c.yaml:4: prefill\[0\]: count must be from 1 to 1024, got 2000"),
            ("count: 2", "count: 2, colour: red", r"c.yaml:4: prefill\[0\]: Object contains unknown field 'colour'"),
            (
                "fabric: nic",
                "fabrics: nic",
                r"c.yaml:13: links: Object .* 'fabrics'; did you mean fabric\? known: fabric, latency, overrides",
            ),
            (
                "model: llama-3.1-70b",
                "model: {nme: x}",
                r"c.yaml:2: model: .*'nme'; did you mean name\? known: name, params",
            ),
            ("fabric: nic", "overrides: [{form: A100}]", r"c.yaml:13: .*'form'; did you mean from\? known: from, to"),
            (
                "fabric: nic",
                "fabric: nic\nGPUs: []",
                r"c.yaml:14: Object contains unknown field 'GPUs'; .*typical_batch, gpus",
            ),
            ("fabric: nic", "fabric: pcie", r"c.yaml:13: links: fabric must be nic or nvlink, got 'pcie'"),
            ("fabric: nic", "latency: -1", r"c.yaml:13: links: latency must be a finite number >= 0, got -1"),
            ("fabric: nic", "latency: .nan", r"c.yaml:13: links: latency must be a finite number >= 0, got nan"),
            (
                "fabric: nic",
                "overrides: [{from: A100, to: A100}]",
                r"c.yaml:13: .*no prefill pool has A100; they have H100",
            ),
            (
                "fabric: nic",
                "overrides:\n  - {from: H100, to: A100}\n  - {from: H100, to: A100}",
                r"c.yaml:15: links.overrides\[1\]: a second override from H100 to A100",
            ),
            (
                "fabric: nic",
                "fabric: nic\nprofile: none.json",
                r"c.yaml:14: profile: .*none.json: cannot read the file",
            ),
            (
                "fabric: nic",
                "fabric: nic\ndecode_model: exact",
                r"c.yaml:14: decode_model must be fluid or fixed, got 'exact'",
            ),
            ("fabric: nic", "fabric: nic\nname: again", r"c.yaml:14: duplicate key 'name', first on line 1"),
            ("fabric: nic", "fabric: nic\ntypical_batch: {batch: 0}", r"c.yaml:14: typical_batch: batch must be"),
            ("tensor_parallel: 8", "tensor_parallel: 7", r"c.yaml:11: decode\[1\]: tensor_parallel must divide the 64"),
            (
                "tensor_parallel: 4\n  - gpu",
                "tensor_parallel: 1\n  - gpu",
                r"c.yaml:8: decode\[0\]: llama-3.1-70b does not fit 1 x A100",
            ),
            (
                "tensor_parallel: 8",
                "tensor_parallel: 8\n    max_batch: 0",
                r"c.yaml:12: decode\[1\]: max_batch must be from 1",
            ),
            (
                "tensor_parallel: 8",
                "tensor_parallel: 8\n    kv_memory_fraction: 2",
                r"c.yaml:12: .*kv_memory_fraction must be",
            ),
            (
                "tensor_parallel: 8",
                "tensor_parallel: 8\n    kv_capacity_tokens: 0",
                r"c.yaml:12: .*kv_capacity_tokens must be",
            ),
            (
                "tensor_parallel: 8",
                "tensor_parallel: 8\n    decode_coeffs: [1, 2]",
                r"c.yaml:12: .*Expected 'array' of length 3",
            ),
            (
                "tensor_parallel: 8",
                "tensor_parallel: 8\n    batch_curve: [[1, 2]]",
                r"c.yaml:12: .*batch_curve needs decode_coeffs",
            ),
            ("count: 2, tensor", "count: 2, prefill_coeffs: [0, 0, 0], tensor", r"c.yaml:4: .*must not all be 0"),
            ("  fabric: nic", "  fabric: {nic", r"c.yaml:1\d: not valid YAML: while parsing a flow .*expected"),
            ("  fabric: nic", "\tfabric: nic", r"c.yaml:13: not valid YAML: .*character"),
            ("name: small", "name: *x", r"c.yaml:1: not valid YAML: found undefined alias"),
            ("name: small", "name: small\n---\n", r"c.yaml:\d: not valid YAML: expected a single document"),
            ("name: small", "? [a]\n: small", r"c.yaml:1: a key must be a word"),
            ("model:", "gpus: &a [*a]\nmodel:", r"c.yaml:2: aliases .* are not supported"),
        ],
    )
    def test_an_error_names_file_line_and_key(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            read_cluster(edited(tmp_path, old, new))
        assert "\n" not in str(caught.value)
        assert "`" not in str(caught.value)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "the file is empty"),
            ("# nothing\n", "the file is empty"),
            ("- 1\n", r"c.yaml:1: Expected 'object', got 'array'"),
            ("[" * 5000, "nested more than 50 deep"),
            ("a: " + "x" * MAX_BYTES, "the file is larger than 256 KiB"),
            (
                "name: x\nmodel: llama-3.1-8b\nprefill: []\ndecode: []\n",
                r"c.yaml:3: prefill must list at least one pool",
            ),
            ("name: \x07\n", "not valid YAML"),
        ],
    )
    def test_what_is_no_cluster_at_all(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            read_cluster(cluster_file(tmp_path, text))

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"absent\.yaml: cannot read the file: No such file"):
            read_cluster(tmp_path / "absent.yaml")
        with pytest.raises(InputError, match="cannot read the file"):
            read_cluster(tmp_path)
        with pytest.raises(InputError, match="unknown cluster"):
            read_cluster("x" * 5000)


class TestYaml:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("25e9", 25e9),
            ("1.5", 1.5),
            ("-3", -3),
            ("1_000", "1_000"),
            ("no", "no"),
            ("2024-01-01", "2024-01-01"),
            ("1:30", "1:30"),
            ("010", 10),
            ("'7'", "7"),
            ("~", None),
            ("true", True),
            ("A100", "A100"),
        ],
    )
    def test_scalars(self, text: str, value: object) -> None:
        data = read_yaml(f"key: {text}", "f").data
        assert data == {"key": value}
        assert isinstance(data, dict)
        assert type(data["key"]) is type(value)

    @given(st.text(max_size=60))
    @settings(max_examples=150, deadline=None)
    def test_any_text_is_parsed_or_refused_in_one_line(self, text: str) -> None:
        message = ""
        try:
            message = read_yaml(text, "f").where(())
        except InputError as error:
            message = str(error)
        assert message.startswith("f:")
        assert "\n" not in message

    def test_kv_bytes_come_from_the_model(self) -> None:
        assert compile_cluster(read_cluster("demo")).kv_bytes_per_token == find_model("llama-3.1-8b").kv_bytes_per_token
