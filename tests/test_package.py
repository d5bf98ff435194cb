"""The installed package: one version everywhere, and completion in a shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from experiments.cli.app import COMMANDS, COMPLETE
from hexsched import __version__

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[1]
HEXSCHED = [sys.executable, "-c", "import sys; from experiments.cli import main; sys.exit(main())"]


def test_one_version():
    assert version("hexsched") == __version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == __version__


def test_changelog_knows_the_version():
    """As the next one, or as one that is out, with its date."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(\S+)\]", changelog, re.MULTILINE)[0] == "Unreleased"
    form = rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$|^Will be {re.escape(__version__)}\b"
    assert re.search(form, changelog, re.MULTILINE)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("hexsched comp", {"compile", "compare", "compare-formulations"}), ("hexsched gap --obj", {"--objective"})],
)
def test_a_shell_is_told_what_could_be_typed(typed, offered):
    asked = {COMPLETE: "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    done = subprocess.run(HEXSCHED, env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == offered
    assert {word for word in offered if word[0] != "-"} <= set(COMMANDS)


def test_completion_is_installed_where_a_shell_finds_it(tmp_path):
    # a shell that knows no other way out than to start a process: bash -c COMMAND alone would become it
    script = f'"{sys.executable}" -c "{HEXSCHED[2]}" --install-completion; exit $?'
    env = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert COMPLETE in (tmp_path / ".bash_completions" / "hexsched.sh").read_text()
    assert "hexsched.sh" in (tmp_path / ".bashrc").read_text()
