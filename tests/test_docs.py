"""Readers can type what README and docs/ say, and links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from snippets import SHELL, snippets

from solvers.bounds import BOUNDS
from solvers.exact import FORMULATIONS

ROOT = Path(__file__).resolve().parents[1]
OUTER = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*OUTER, *sorted((ROOT / "docs").rglob("*.md"))]
# its snippets are modules of hexsched: tests/extension.py puts each where it belongs
ELSEWHERE = ("extending.md",)
TYPED = [
    page
    for page in PAGES
    if page.name not in ELSEWHERE
    and any(s.run and s.does_something for s in snippets(page.read_text(encoding="utf-8")))
]
SNIPPETS = Path(__file__).parent / "snippets.py"
LIMIT = 300  # seconds of a page, with compilation


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", TYPED, ids=name_of)
def test_snippets_run(page, tmp_path):
    done = subprocess.run(
        [sys.executable, str(SNIPPETS), str(page)],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.quick
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_command_hides_from_the_test(page):
    """What begins with hexsched stands in a block that is run, or that says why it is not."""
    hidden = [
        snippet.line
        for snippet in snippets(page.read_text(encoding="utf-8"))
        if snippet.language not in SHELL and re.search(r"^(\$ )?\S*hexsched [a-z]", snippet.text, re.MULTILINE)
    ]
    assert hidden == [], f"lines {hidden}: make it a block of bash"


@pytest.mark.quick
@pytest.mark.parametrize("page", OUTER, ids=name_of)
def test_links_of_outer_pages_lead_somewhere(page):
    """Those inside docs/ are checked when the site is built."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.quick
def test_the_runner_fails_where_a_page_is_wrong(tmp_path):
    for text in (
        "```python\n1 / 0\n```",
        "```bash\nhexsched no-such-command\n```",
        "```bash\nrm -rf somewhere\n```",
        "<!-- run with 2 for 3 -->\n```python\nprint(1)\n```",
    ):
        page = tmp_path / "page.md"
        page.write_text(text)
        done = subprocess.run([sys.executable, str(SNIPPETS), str(page)], cwd=tmp_path, capture_output=True)
        assert done.returncode != 0, text


@pytest.mark.quick
def test_how_a_page_is_read():
    page = """
<!-- not run: it takes a day -->
```bash
hexsched grid run paper
```

<!-- run with 2 for 200; x=1 for x=9 -->
```python
make(200, x=9)
```

```yaml title="mine.yaml"
name: mine
```

    indented
"""
    first, second, third, fourth = snippets(page)
    assert (first.run, first.language) == (False, "bash")
    assert (second.run, second.text) == (True, "make(2, x=1)\n")
    assert (third.title, third.text) == ("mine.yaml", "name: mine\n")
    assert not fourth.does_something


@pytest.mark.quick
@pytest.mark.parametrize("entry", [*BOUNDS.values(), *FORMULATIONS.values()], ids=lambda entry: entry.name)
def test_the_method_page_explains_every_bound_and_formulation(entry):
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    section = re.search(rf"^### {re.escape(entry.name)}\n(.*?)(?=^##)", page, re.MULTILINE | re.DOTALL)
    assert section, f"no section {entry.name!r}"
    assert re.search(r"^\*.*\b(19|20)\d\d\b", section[1], re.MULTILINE), "no source with a year"


@pytest.mark.quick
def test_the_method_page_says_what_each_bound_is_for():
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    rows = {
        name: cells for name, *cells in re.findall(r"^\| `([\w-]+)` " + r"\|([^|\n]*)" * 6 + r"\|$", page, re.MULTILINE)
    }
    assert list(rows) == list(BOUNDS)
    for name, cells in rows.items():
        model, *marks = (cell.strip() for cell in cells[:5])
        bound = BOUNDS[name]
        assert bound.decode_models == (("fluid", "fixed") if model == "both" else (model.strip("`"),))
        kinds = (("max_ratio",), ("req",), ("mean_ratio", "mean_latency"), ("misses",))
        assert [all(kind in bound.objectives for kind in group) for group in kinds] == [mark == "✓" for mark in marks]
