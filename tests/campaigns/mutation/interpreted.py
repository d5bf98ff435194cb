"""Loading a module with a mutant in it, and running what numba would compile as the Python that it is written in.

Twenty seconds of compiling a mutant would allow no campaign. ``hexsched.engine.kernel.interpreted`` runs the same
source with the same results to the bit, so a changed kernel is run that way: every ``entry`` is, whatever calls it.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.registry import CPUDispatcher

KERNELS = "hexsched.engine.kernel"


class Loader(importlib.abc.MetaPathFinder):
    """Takes one module from a changed syntax tree; all others come as they are, their entries not compiled.

    Parameters
    ----------
    module, file : str
        The changed module and its source; none are changed where ``module`` is empty.
    tree : ast.Module
    """

    def __init__(self, module: str = "", file: str = "", tree: ast.Module | None = None) -> None:
        self._module, self._file, self._tree = module, file, tree

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in (self._module, KERNELS):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None
        assert spec.loader is not None
        tree = self._tree if name == self._module else None
        spec.loader = _Changed(name, str(spec.origin), tree)
        return spec


class _Changed(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, tree: ast.Module | None) -> None:
        super().__init__(name, path)
        self._tree = tree

    def get_code(self, fullname: str) -> Any:
        return super().get_code(fullname) if self._tree is None else compile(self._tree, self.path, "exec")

    def exec_module(self, module: types.ModuleType) -> None:
        super().exec_module(module)
        if module.__name__ == KERNELS:
            names: Any = module

            def entry(function: Any) -> Any:
                made = names.kernel(function)
                made.__class__ = _Interpreted
                return made

            names.entry = entry


class _Interpreted(CPUDispatcher):  # type: ignore[misc]
    """A kernel that Python calls, and that is not compiled for it."""

    def __call__(self, *arguments: Any) -> Any:
        return sys.modules[KERNELS].interpreted(self)(*map(_clothed, arguments))

    def compile(self, signature: Any) -> None:
        pass


def _clothed(memory: Any) -> Any:
    """The same arrays with fields that read as attributes, as interpreted code wants them."""
    if isinstance(memory, tuple):
        parts = map(_clothed, memory)
        return type(memory)(*parts) if hasattr(memory, "_fields") else tuple(parts)
    if isinstance(memory, np.ndarray) and memory.dtype.names and not isinstance(memory, np.recarray):
        return memory.view(np.recarray)
    return memory


def module_of(file: str) -> str:
    """``hexsched/engine/loop.py``: ``hexsched.engine.loop``."""
    parts = Path(file).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
