"""Which branches of the code an input reaches: every arm of every ``if``, loop, handler and condition marks itself.

The source is rewritten as it is imported. A mark is one store into an array of bytes, so code runs nearly as fast as
without; ``sys.settrace`` calls a function for each line, and ``sys.monitoring`` is of Python 3.12. What numba compiles
is left as it is: data files are read before it runs.
"""

from __future__ import annotations

import ast
import importlib.machinery
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

PACKAGES = ("hexsched", "solvers", "experiments")
COMPILED = (  # packages and modules that have kernels in them, which numba reads
    "hexsched.engine",
    "hexsched.policies.orders",
    "hexsched.policies.placements",
    "hexsched.policies.planning",
    "hexsched.policies.queueing",
    "hexsched.policies.decide",
    "hexsched.policies.replay",
    "hexsched.simulator.steps",
    "solvers.bounds",
    "solvers.schedules",
)
LONGEST_WORD = 40  # characters of a text in the code that inputs may have use for

_HITS = bytearray()
_WORDS: list[list[str]] = []  # of each branch: the texts that stand in it


class Reached:
    """The branches that some inputs have reached, and the texts in them: names of fields, units, keywords."""

    def __init__(self) -> None:
        self._seen = 0
        self.words: list[str] = []

    def __len__(self) -> int:
        """How many branches."""
        return self._seen.bit_count()

    def begin(self) -> None:
        """An input is about to run."""
        _HITS[:] = bytes(len(_HITS))

    def adds(self) -> bool:
        """Whether the input that has run reached a branch that none did before."""
        hits = int.from_bytes(_HITS, "little")
        new = hits & ~self._seen
        if not new:
            return False
        self._seen |= new
        while new:
            lowest = new & -new
            self.words += [word for word in _WORDS[lowest.bit_length() // 8] if word not in self.words]
            new ^= lowest
        return True


def install() -> None:
    """Have the branches of what is imported from now on marked."""
    already = [name for name in PACKAGES if name in sys.modules]
    if already:
        raise RuntimeError(f"{', '.join(already)} is imported already, its branches would not be seen")
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in PACKAGES:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        compiled = any(fullname == name or fullname.startswith(f"{name}.") for name in COMPILED)
        if spec is not None and not compiled and type(spec.loader) is importlib.machinery.SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> Any:
        tree = ast.parse(self.get_data(self.path), self.path)
        return compile(ast.fix_missing_locations(_Marker().visit(tree)), self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(__hits__=_HITS, __mark__=_HITS.__setitem__)
        super().exec_module(module)


class _Marker(ast.NodeTransformer):
    """Puts a mark at the start of every branch, and notes the texts in it."""

    def __init__(self) -> None:
        self._inside: list[int] = []  # the branches around the node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if any("kernel" in ast.unparse(each) or "entry" in ast.unparse(each) for each in node.decorator_list):
            return node
        if ast.get_docstring(node, clean=False) is not None:
            rest = self._block(node.body[1:])
            node.body = [node.body[0], *rest]
        else:
            node.body = self._block(node.body)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [self.visit(each) for each in node.body]
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        node.test = self.visit(node.test)
        node.body, node.orelse = self._block(node.body), self._block(node.orelse)
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        node.iter = self.visit(node.iter)
        node.body, node.orelse = self._block(node.body), self._block(node.orelse)
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        node.test = self.visit(node.test)
        node.body, node.orelse = self._block(node.body), self._block(node.orelse)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.body = self._block(node.body)
        return node

    def visit_match_case(self, node: ast.match_case) -> ast.AST:
        node.body = self._block(node.body)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        node.test = self.visit(node.test)
        node.body, node.orelse = self._value(node.body), self._value(node.orelse)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        node.values = [self.visit(node.values[0]), *(self._value(each) for each in node.values[1:])]
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if self._inside and isinstance(node.value, str) and 0 < len(node.value) <= LONGEST_WORD:
            _WORDS[self._inside[-1]].append(node.value)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node  # a message

    def _new(self) -> int:
        _HITS.append(0)
        _WORDS.append([])
        return len(_HITS) - 1

    def _block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        branch = self._new()
        self._inside.append(branch)
        mark = ast.parse(f"__hits__[{branch}] = 1").body
        visited = [self.visit(each) for each in body]
        self._inside.pop()
        return [*mark, *visited]

    def _value(self, value: ast.expr) -> ast.expr:
        """``value``, marked when it is computed: a mark gives None."""
        branch = self._new()
        self._inside.append(branch)
        call: Any = ast.parse(f"__mark__({branch}, 1)", mode="eval").body
        made = ast.BoolOp(ast.Or(), [call, self.visit(value)])
        self._inside.pop()
        return made
