"""Folders of a person's own that are called as packages of ours."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.quick

OURS = ("solvers", "experiments", "paper_figs")


@pytest.fixture
def crowded(tmp_path):
    """A folder with packages of the same names, which do not want to be imported."""
    for name in (*OURS, "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('{name} of a person's own')\n")
    return tmp_path


def python(folder, *arguments, path="."):
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={"PYTHONPATH": path}, capture_output=True, text=True
    )


@pytest.mark.parametrize("command", [["--version"], ["figures", "--help"], ["formulations"]])
def test_the_command_line_finds_its_own_packages(crowded, command):
    done = python(crowded, "-m", "hexsched", *command)
    assert (done.returncode, done.stderr) == (0, "")


def test_processes_that_the_program_starts_find_them_too(crowded):
    """They load ``hexsched.__main__`` again, or the installed script, before anything else."""
    (crowded / "start.py").write_text(
        "import sys, multiprocessing, runpy\n"
        "import hexsched.console\n"
        "from importlib import import_module\n"
        "def work(name): return import_module(name).__file__\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        f"        print(*pool.map(work, {OURS!r}), sep='\\n')\n"
    )
    done = python(crowded, "start.py")
    assert done.returncode == 0, done.stderr
    files = done.stdout.split()
    assert len(files) == len(OURS)
    assert not any(file.startswith(str(crowded)) for file in files)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import experiments", "solvers"),
        ("import paper_figs", "solvers"),
        ("from hexsched.plotting import offered; offered()", "paper_figs"),
    ],
)
def test_python_is_told_which_folder_is_in_the_way(tmp_path, code, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    done = python(tmp_path, "-c", code)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert f"InputError: {tmp_path / name} is in the way of hexsched's package {name!r}" in last


def test_a_folder_without_python_is_in_nobodys_way(tmp_path):
    for name in OURS:
        (tmp_path / name).mkdir()
    done = python(tmp_path, "-c", "import experiments, paper_figs, solvers")
    assert (done.returncode, done.stderr) == (0, "")
