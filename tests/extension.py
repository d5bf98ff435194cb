"""One new file that adds an entry to a registry, as a user would add it: nothing else is changed."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hexsched.registry import Registry


@contextmanager
def extended(registry: Registry[Any], folder: Path, source: str, name: str = "of_my_own") -> Iterator[None]:
    """Meanwhile the registry's package has another folder, and in it a module ``name`` with this source."""
    (folder / f"{name}.py").write_text(source)
    package = importlib.import_module(registry.package)
    before = package.__path__
    package.__path__ = [*before, str(folder)]
    importlib.invalidate_caches()
    registry.refresh()
    try:
        yield
    finally:
        package.__path__ = before
        sys.modules.pop(f"{registry.package}.{name}", None)
        vars(package).pop(name, None)
        registry.refresh()


def environment(registry: Registry[Any], folder: Path, source: str, name: str = "of_my_own") -> dict[str, str]:
    """Environment of new processes, and of those that they start, in which the registry's package has the module."""
    (folder / f"{name}.py").write_text(source)
    start = folder / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text(f"import {registry.package} as it\nit.__path__.append({str(folder)!r})\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(start), str(Path(__file__).parent)))}


def recipe(title: str) -> str:
    """The file that docs/extending.md gives under that heading."""
    page = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
    _, _, section = page.partition(f"\n## {title}\n")
    assert section, f"no heading {title!r}"
    return section.partition("```python\n")[2].partition("```")[0]
