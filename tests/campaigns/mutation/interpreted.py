"""Loading a module with a mutant in it, and running what numba would compile as the Python that it is written in.

Twenty seconds of compiling a mutant would allow no campaign. ``hexsched.engine.kernel.interpreted`` runs the same
source with the same results to the bit, so a changed kernel is run that way: every ``entry`` is, whatever calls it.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import types
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np

KERNELS = "hexsched.engine.kernel"
HITS = "__hits__"


class Loader(importlib.abc.MetaPathFinder):
    """Takes some modules from syntax trees; all others come as they are, and entries of kernels are not compiled.

    Parameters
    ----------
    trees : mapping of str to ast.Module
        By name of the module.
    hits : bytearray, optional
        What the trees mark (``Marks``).
    """

    def __init__(self, trees: Mapping[str, ast.Module], hits: bytearray | None = None) -> None:
        self._trees, self._hits = trees, hits

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._trees and name != KERNELS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None
        assert spec.loader is not None
        spec.loader = _Changed(name, str(spec.origin), self._trees.get(name), self._hits)
        return spec


class _Changed(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, tree: ast.Module | None, hits: bytearray | None) -> None:
        super().__init__(name, path)
        self._tree, self._hits = tree, hits

    def get_code(self, fullname: str) -> Any:
        return super().get_code(fullname) if self._tree is None else compile(self._tree, self.path, "exec")

    def exec_module(self, module: types.ModuleType) -> None:
        if self._hits is not None:
            module.__dict__[HITS] = self._hits
        super().exec_module(module)
        if module.__name__ == KERNELS:
            names: Any = module

            class Interpreted(names.Entry):  # type: ignore[misc]
                """A kernel that Python calls, and that is not compiled for it."""

                def __call__(self, *arguments: Any) -> Any:
                    return names.interpreted(self)(*map(_clothed, arguments))

                def compile_for(self, *arguments: Any) -> None:
                    pass

            names.Entry = names.entry = Interpreted


def _clothed(memory: Any) -> Any:
    """The same arrays with fields that read as attributes, as interpreted code wants them."""
    if isinstance(memory, tuple):
        parts = map(_clothed, memory)
        return type(memory)(*parts) if hasattr(memory, "_fields") else tuple(parts)
    if isinstance(memory, np.ndarray) and memory.dtype.names and not isinstance(memory, np.recarray):
        return memory.view(np.recarray)
    return memory


class Marks:
    """Which statements run: each marks itself by a store into an array of bytes, cheaper than a trace.

    Attributes
    ----------
    trees : dict of str to ast.Module
        By name of the module: the source with the marks in it.
    hits : bytearray
        A place a statement; 1 where it has run.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self.hits = bytearray()
        self._places: list[tuple[str, int]] = []
        self.trees = {module_of(file): self._marked(file, source) for file, source in files.items()}

    def begin(self) -> None:
        """From here on."""
        self.hits[:] = bytes(len(self.hits))

    def lines(self) -> set[tuple[str, int]]:
        """File and first line of what has run since then."""
        return {place for place, hit in zip(self._places, self.hits, strict=True) if hit}

    def _marked(self, file: str, source: str) -> ast.Module:
        tree = ast.parse(source)
        for node in ast.walk(tree):
            for field, block in list(ast.iter_fields(node)):
                if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                    first = node.lineno if isinstance(node, ast.FunctionDef) and field == "body" else 0
                    setattr(node, field, self._block(file, block, first))
        return ast.fix_missing_locations(tree)

    def _block(self, file: str, block: list[ast.stmt], head: int) -> list[ast.stmt]:
        """The statements, each with its mark before it; documentation and imports from the future stay in front."""
        made: list[ast.stmt] = []
        for k, one in enumerate(block):
            leads = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
            if (k == 0 and leads) or (isinstance(one, ast.ImportFrom) and one.module == "__future__"):
                made.append(one)
                continue
            if head:  # of a function that is called: its head
                made.append(self._mark(file, head, one))
                head = 0
            made += [self._mark(file, one.lineno, one), one]
        return made

    def _mark(self, file: str, line: int, before: ast.stmt) -> ast.stmt:
        self._places.append((file, line))
        self.hits.append(0)
        mark = ast.parse(f"{HITS}[{len(self.hits) - 1}] = 1").body[0]
        for node in ast.walk(mark):
            ast.copy_location(node, before)
        return mark


def module_of(file: str) -> str:
    """``hexsched/engine/loop.py``: ``hexsched.engine.loop``."""
    parts = Path(file).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
