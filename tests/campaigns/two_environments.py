"""A grid computed in two fresh environments: the same bytes, but for the table ``timings``.

    cd tests && ../.venv/bin/python -m campaigns.two_environments              # installs twice with pip: minutes
    cd tests && ../.venv/bin/python -m campaigns.two_environments --borrow     # with the libraries that are here

Each environment is a virtual environment with a wheel of this checkout, a home, a cache of machine code and a temporary
folder of its own; hash seed, locale, time zone, umask, threads and number of workers differ, and so does the folder
that the grid, a workload, a cluster and a policy of one's own lie in.
"""

from __future__ import annotations

import argparse
import locale
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from experiments.store import Store, tables
from experiments.store.schema import INSTANCES, SCHEDULES, TIMINGS

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "hexsched" / "clusters" / "library" / "demo.yaml"

GRID = """\
workflows: 12
seeds: 2
schedules: true
plugins: own.py
grids:
  policies:
    clusters: [demo, mine.yaml]
    workloads: [sharegpt, bfcl, lats, react, text2sql, tree_of_thoughts, coding_agent, mixed, own.jsonl]
    loads: ["rate:2"]
    policies: [hexagent, baselines, "fcfs@jsq", "sjf@random", own]
    workflows: 8
    seeds: 1
  loads:
    clusters: qwen235b-hetero-1
    workloads: [bfcl, mixed]
    loads: ["stress:2", "saturation:0.8", at-once, "closed-loop:4"]
    policies: [hexagent, workflow-llf]
    estimators: [exact, noise(0.3), class_mean]
    slo: ttft=2s,tpot=50ms,ratio=4
"""
POLICY = """
import hexsched as hx

@hx.order("own")
def own(call, now):
    return (call.prompt_tokens * 7) % 13
"""


@dataclass(frozen=True)
class Place:
    """An environment.

    Attributes
    ----------
    name : str
    workers : int
    umask : int
    settings : dict
        Variables of the environment.
    """

    name: str
    workers: int
    umask: int
    settings: Mapping[str, str]


PLACES = (
    Place("one", 1, 0o022, {"PYTHONHASHSEED": "0", "TZ": "UTC", "OMP_NUM_THREADS": "1", "COLUMNS": "80"}),
    Place(
        "two", 3, 0o077, {"PYTHONHASHSEED": "271828", "TZ": "Asia/Kathmandu", "OMP_NUM_THREADS": "4", "COLUMNS": "200"}
    ),
)
LOCALES = ("C", "tr_TR.UTF-8")  # Turkish has another lower case of I, and a comma in numbers


def other_locale(wanted: str) -> str:
    """The locale, or one that is installed here."""
    for name in (wanted, "de_DE.UTF-8", "en_US.UTF-8", "C.UTF-8"):
        try:
            before = locale.setlocale(locale.LC_ALL)
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:
            continue
        locale.setlocale(locale.LC_ALL, before)
        return name
    return "C"


def run(argv: list[str | Path], **options: object) -> str:
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, argv))}: exit code {done.returncode}\n{done.stderr[-3000:]}")
    out: str = done.stdout
    return out


def install(folder: Path, wheel: Path, borrow: bool) -> Path:
    """The program ``hexsched`` of a new virtual environment."""
    run([sys.executable, "-m", "venv", folder])
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if borrow:  # what is found along a .pth stands behind what is installed
        site = Path(run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())
        shared = [path for path in sys.path if path.endswith("-packages")] or [sysconfig.get_path("purelib")]
        (site / "borrowed.pth").write_text("".join(f"{path}\n" for path in shared))
        run([*pip, "--no-deps", "--ignore-installed", wheel])
    else:
        run([*pip, "-c", ROOT / "constraints.txt", wheel])
    return folder / "bin" / "hexsched"


def compute(place: Place, folder: Path, program: Path, language: str) -> Path:
    """The store of the grid, computed in an environment."""
    work = folder / f"work of {place.name}"
    home = folder / f"home-{place.name}"
    for each in (work, home / "tmp"):
        each.mkdir(parents=True)
    (work / "grid.yaml").write_text(GRID)
    (work / "own.py").write_text(POLICY)
    (work / "mine.yaml").write_text(CLUSTER.read_text().replace("name: demo", "name: mine"))
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "TMPDIR": str(home / "tmp"),
        "LC_ALL": language,
        **place.settings,
    }
    generate = ["workload", "generate", "bfcl", "--workflows", "20", "--seed", "5", "-o", "own.jsonl"]
    grid = ["grid", "run", "grid.yaml", "--store", "store", "--allow-plugins", "--workers", str(place.workers)]
    for argv in (generate, grid):
        run([program, *argv], cwd=work, env=env, umask=place.umask)
    return work / "store"


def differing(one: Path, two: Path) -> dict[str, tuple[int, int, list[str]]]:
    """By folder of a store: files, bytes, and names of those that are not the same in both."""
    found = {}
    for table in (*tables(), SCHEDULES, INSTANCES):
        files = [{path.name: path.read_bytes() for path in (store / table).glob("*")} for store in (one, two)]
        names = sorted(files[0].keys() | files[1].keys())
        apart = [name for name in names if files[0].get(name) != files[1].get(name)]
        if names:
            found[table] = (len(names), sum(map(len, files[0].values())), apart)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--borrow", action="store_true", help="use the libraries of this environment in both")
    parser.add_argument("--folder", type=Path, help="keep everything here")
    options = parser.parse_args()
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="two-environments-"))).resolve()
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder / "wheel", ROOT])
    wheel = next((folder / "wheel").glob("*.whl"))
    stores = []
    for place, language in zip(PLACES, map(other_locale, LOCALES), strict=True):
        program = install(folder / f"environment-{place.name}", wheel, options.borrow)
        print(f"{place.name}: {place.workers} workers, locale {language}, {dict(place.settings)}", flush=True)
        stores.append(compute(place, folder, program, language))
    cells = [len(Store.open(store).done()) for store in stores]
    print(f"cells: {cells[0]} and {cells[1]}\n{'table':<14}{'files':>7}{'bytes':>11}{'differ':>8}")
    wrong = cells[0] != cells[1] or not cells[0]
    for table, (files, size, apart) in differing(*stores).items():
        print(f"{table:<14}{files:>7}{size:>11,}{len(apart):>8}")
        wrong |= bool(apart) and table != TIMINGS
    if options.folder is None:
        shutil.rmtree(folder)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
