"""The notebooks that come with hexsched: each runs as it stands, and is stored as it was written."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import notebooks
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

SAID = re.compile(r"hexsched: (compiling|machine code)|.*InputWarning: |  \w")  # all that standard error may say
SECONDS = 240  # of a cell, all of whose machine code is compiled
IMPORT = re.compile(r"^\s*(import|from) ", re.MULTILINE)


def execute(path: Path, folder: Path) -> Any:
    """The notebook with the outputs of a kernel of this Python, which need not be installed anywhere."""
    notebook = nbformat.read(path, as_version=4)
    manager = AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    client = nbclient.NotebookClient(notebook, km=manager, timeout=SECONDS, resources={"metadata": {"path": folder}})
    return client.execute(env=environment)


@pytest.mark.parametrize("path", notebooks.FILES, ids=lambda path: path.stem)
def test_notebooks_run_and_show_their_figures(path, tmp_path):
    done = execute(path, tmp_path)
    for cell in done.cells:
        outputs = cell.get("outputs", [])
        shown = {kind for output in outputs for kind in output.get("data", {})}
        said = "".join(output.text for output in outputs if output.get("name") == "stderr")
        assert all(SAID.match(line) for line in said.splitlines() if line), said
        assert "image/png" in shown or ".plot" not in cell.source, cell.source
        last = cell.source.splitlines()[-1]
        if re.fullmatch(r"[a-z_]+", last):  # a result is looked at: as a table
            assert "text/html" in shown, cell.source


@pytest.mark.quick
@pytest.mark.parametrize("path", notebooks.FILES, ids=lambda path: path.stem)
def test_notebooks_are_stored_clean_and_in_words(path):
    notebook = notebooks.read(path)
    assert path.read_text(encoding="utf-8") == notebooks.cleaned(notebook), "cd tests && python -m notebooks"
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert kinds[0] == "markdown"
    assert "".join(notebook["cells"][0]["source"]).startswith("# ")
    assert ("code", "code") not in list(pairwise(kinds))  # each cell has text before it


@pytest.mark.quick
def test_own_trace_own_policy_and_gap_take_25_lines_and_two_imports():
    (path,) = (path for path in notebooks.FILES if "own-trace" in path.stem)
    code = "\n".join(notebooks.code_of(notebooks.read(path)))
    lines = [line for line in code.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) <= 25
    assert [line for line in lines if IMPORT.match(line)] == ["import hexsched as hx", "import solvers"]


@pytest.mark.quick
def test_notebooks_are_told_of_in_the_documentation():
    told = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].glob("docs/*.md"))
    assert len(notebooks.FILES) == 5
    assert [path.stem for path in notebooks.FILES if path.name not in told] == []
