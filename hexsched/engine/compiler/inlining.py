"""How a kernel becomes part of the code that calls it, and no code of its own.

numba optimises every function as it is compiled, makes machine code of it, and a version more for each constant that
it is called with. Kernels are called by kernels alone and inlined, so all of that would be thrown away, and it took
half of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numba.core import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class KernelCompiler(Compiler):
    """numba's own compiler, up to the code that callers link in."""

    def define_pipelines(self) -> Any:
        self.state.library = _Linked(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        return super().define_pipelines()


class _Linked(JITCodeLibrary):
    """Code of LLVM that is linked into other libraries, without an address to call, and is optimised there."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        return _NoEnvironment


class _NoEnvironment:
    """Where numba would put the environment of a function that Python calls."""

    @staticmethod
    def set_env(name: str, environment: Any) -> None:
        pass


def of_any_constant(kernel: Any) -> Any:
    """The kernel, compiled once for all constants of a type that callers pass: inlining finds them again."""
    of_types = kernel.get_call_template

    def get_call_template(given: Sequence[Any], named: Mapping[str, Any]) -> Any:
        plain = {name: types.unliteral(each) for name, each in named.items()}
        return of_types(tuple(types.unliteral(each) for each in given), plain)

    kernel.get_call_template = get_call_template
    return kernel
