"""What a call costs in simulators of others, where they are here.

`Inference Lab <https://github.com/doublewordai/inference-lab>`_ simulates one server that serves prefill and decode in
the same iterations, step by step: another and finer model than ours, so that its time a call says what such detail
costs, not who is better. Frontier and Vidur need recorded profiles of kernels and are not run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import msgspec

from hexsched.errors import InputError

PACKAGE = "@doublewordai/inference-lab"
REQUESTS = (400, 1_600, 6_400)
SCRIPT = """
import {readFileSync} from 'node:fs';
import {pathToFileURL} from 'node:url';
const [folder, config] = process.argv.slice(1);
const lab = await import(pathToFileURL(folder + '/inference_lab.js').href);
lab.initSync({module: readFileSync(folder + '/inference_lab_bg.wasm')});
const given = JSON.parse(config);
const small = structuredClone(given);
small.workload.num_requests = 20;
lab.run_simulation(JSON.stringify(small));
const began = process.cpuUsage();
lab.run_simulation(JSON.stringify(given));
const used = process.cpuUsage(began);
console.log((used.user + used.system) / 1e6);
"""
# the example of its documentation, at a rate that one server sustains
CONFIG: dict[str, dict[str, object]] = {
    "hardware": {
        "name": "H100",
        "compute_flops": 1.513e15,
        "memory_bandwidth": 3.35e12,
        "memory_capacity": 85899345920,
        "kv_cache_capacity": 68719476736,
        "bytes_per_param": 2,
    },
    "model": {
        "name": "Llama-3-70B",
        "num_parameters": 70e9,
        "num_layers": 80,
        "hidden_dim": 8192,
        "num_heads": 64,
        "num_kv_heads": 8,
        "max_seq_len": 8192,
    },
    "scheduler": {
        "max_num_batched_tokens": 8192,
        "max_num_seqs": 256,
        "policy": "fcfs",
        "enable_chunked_prefill": True,
        "block_size": 16,
    },
    "workload": {
        "arrival_pattern": "poisson",
        "arrival_rate": 3.0,
        "num_requests": 0,
        "seed": 42,
        "input_len_dist": {"type": "lognormal", "mean": 6.9, "std_dev": 0.7},
        "output_len_dist": {"type": "lognormal", "mean": 5.3, "std_dev": 0.8},
    },
    "simulation": {"log_interval": 5},
}


class PeerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a peer: its name with version, how many requests, and CPU microseconds for each."""

    peer: str
    requests: int
    us_per_call: float


def measure_inference_lab(modules: Path, requests: tuple[int, ...] = REQUESTS) -> list[PeerRow]:
    """Run it in Node.js, from a ``node_modules`` folder that has it (``npm install @doublewordai/inference-lab``).

    Raises
    ------
    InputError
        Where it or Node.js is missing, or a run fails.
    """
    folder = modules / PACKAGE
    node = shutil.which("node")
    if node is None:
        raise InputError("Node.js is not installed here, and inference-lab needs it", "--peer")
    if not (folder / "package.json").is_file():
        raise InputError(f"no {PACKAGE} here; 'npm install {PACKAGE}' makes such a folder node_modules", modules)
    version = json.loads((folder / "package.json").read_text())["version"]
    rows = []
    for count in requests:
        config = {**CONFIG, "workload": {**CONFIG["workload"], "num_requests": count}}
        command = [node, "--input-type=module", "-e", SCRIPT, str(folder.resolve()), json.dumps(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            told = done.stderr.strip().splitlines() or ["no word of why"]
            raise InputError(f"inference-lab failed: {next((line for line in told if 'Error' in line), told[-1])}")
        row = PeerRow(peer=f"inference-lab {version}", requests=count, us_per_call=float(done.stdout) / count * 1e6)
        rows.append(row)
    return rows
