"""What is changed in a module, one place at a time: the mutants of its syntax tree.

Not touched: annotations, docstrings and all other text that is not compared with something, decorators, imports, what
is raised and printed, ``__repr__`` and what is shown to people.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),  # the boundary moved, and the opposite
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
SWAPS = {  # names of functions and methods by what is put in their place
    **{"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"},
    **{"argmin": "argmax", "argmax": "argmin"},
    **{"minimum": "maximum", "maximum": "minimum", "cumsum": "asarray", "sorted": "list", "abs": "float"},
    **{"bisect_left": "bisect_right", "bisect_right": "bisect_left", "round": "float", "flatnonzero": "argsort"},
}  # fmt: skip
SHOWN = {"__repr__", "__str__", "_summary", "_repr_html_", "__dir__", "plot"}
SPOKEN = {"print", "announce", "declare", "InputError", "Summary"}


@dataclass(frozen=True)
class Mutant:
    """One change of a module.

    Attributes
    ----------
    file : str
        Its path from the root of the tree.
    number : int
        Of all its mutants.
    line : int
    lines : tuple of int
        Those that run when the place is reached; none for what runs once, when the module is loaded.
    kind : str
        The operator.
    change : str
        What stood there, and what stands there now.
    within : str
        The first line of the statement around it; with a count where a module has the same change in the same line
        more than once.
    """

    file: str
    number: int
    line: int
    lines: tuple[int, ...]
    kind: str
    change: str
    within: str

    @property
    def name(self) -> str:
        """What it is called in reports and in the list of equivalent ones: a line's number may change."""
        return f"{self.file} | {self.kind} | {self.change} | {self.within}"


def mutants(file: str, source: str) -> list[Mutant]:
    """All mutants of a module."""
    found: list[Mutant] = []
    times: Counter[str] = Counter()
    for number, change in enumerate(_Changes(ast.parse(source)).all()):
        text, within = f"{change.before} -> {change.after}", change.within
        times[f"{change.kind} {text} {within}"] += 1
        if (count := times[f"{change.kind} {text} {within}"]) > 1:
            within = f"{within} ({count})"
        found.append(Mutant(file, number, change.line, change.lines, change.kind, text, within))
    return found


def mutated(source: str, number: int) -> ast.Module:
    """The module with one of its mutants in it."""
    tree = ast.parse(source)
    for k, change in enumerate(_Changes(tree).all()):
        if k == number:
            change.make()
            return ast.fix_missing_locations(tree)
    raise IndexError(number)


@dataclass
class _Change:
    kind: str
    holder: Any  # a node, or the list that a statement stands in
    place: Any  # the name of a field, or an index
    old: Any
    new: Any
    lines: tuple[int, ...]
    within: str

    @property
    def line(self) -> int:
        return int(self.old.lineno)

    @property
    def before(self) -> str:
        return _text(self.old)

    @property
    def after(self) -> str:
        return _text(self.new)

    def make(self) -> None:
        ast.copy_location(self.new, self.old)
        for inner in ast.walk(self.new):
            if not hasattr(inner, "lineno"):
                ast.copy_location(inner, self.old)
        if isinstance(self.holder, list):
            self.holder[self.place] = self.new
        else:
            setattr(self.holder, self.place, self.new)


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split("\n")[0].split())


class _Changes:
    """All changes of a tree, in the order of its text."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._indices = {
            n.slice for n in ast.walk(tree) if isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Tuple)
        }

    def all(self) -> Iterator[_Change]:
        yield from self._inside(self._tree, None, False)

    def _inside(self, node: ast.AST, statement: ast.stmt | None, runs: bool) -> Iterator[_Change]:
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "type_comment", "bases"):
                continue
            if field == "keywords" and isinstance(node, ast.ClassDef):  # frozen=True: a declaration
                continue
            within = runs or (isinstance(node, ast.FunctionDef | ast.Lambda) and field == "body")
            if isinstance(node, ast.Subscript) and field == "slice" and isinstance(value, ast.Constant):
                continue  # changed with what it is an index of
            if isinstance(value, list):
                for k, one in enumerate(value):
                    if field == "elts" and node in self._indices and isinstance(one, ast.Constant):
                        continue
                    if isinstance(one, ast.AST):
                        yield from self._of(one, value, k, statement, within)
            elif isinstance(value, ast.AST):
                yield from self._of(value, node, field, statement, within)

    def _of(self, node: ast.AST, holder: Any, place: Any, statement: ast.stmt | None, runs: bool) -> Iterator[_Change]:
        if _is_left_alone(node):
            return
        if isinstance(node, ast.stmt):
            statement = node
        lines = _lines(node, statement) if runs and statement is not None and hasattr(node, "lineno") else ()
        within = "" if statement is None else _text(statement)
        for kind, new in _instead(node):
            yield _Change(kind, holder, place, node, new, lines, within)
        yield from self._inside(node, statement, runs)


def _lines(node: Any, statement: Any) -> tuple[int, ...]:
    """The lines that run where a node is reached: its own, and those of its statement up to a block in it."""
    last = statement.body[0].lineno - 1 if hasattr(statement, "body") else statement.end_lineno
    found = set(range(statement.lineno, max(last, statement.lineno) + 1))
    if not isinstance(node, ast.stmt):
        found |= set(range(node.lineno, node.end_lineno + 1))
    return tuple(sorted(found))


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr | ast.Assert):
        return True
    if isinstance(node, ast.FunctionDef) and node.name in SHOWN:
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # documentation
        return True
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return True
    if isinstance(node, ast.Assign) and any(
        isinstance(t, ast.Name) and t.id in ("__all__", "__slots__") for t in node.targets
    ):
        return True
    if isinstance(node, ast.keyword) and node.arg == "strict":  # of zip: an assertion
        return True
    return isinstance(node, ast.Call) and _called(node) in SPOKEN


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _instead(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What may stand in the place of a node."""
    if isinstance(node, ast.stmt):
        yield from _instead_of_statement(node)
    elif isinstance(node, ast.Compare):
        for k, op in enumerate(node.ops):
            for other in COMPARISONS[type(op)]:
                new = _copy(node)
                new.ops[k] = other()
                yield "comparison", new
        for k, side in enumerate([node.left, *node.comparators]):
            if isinstance(side, ast.Constant) and isinstance(side.value, str):
                new = _copy(node)
                text = ast.Constant(side.value + "~")
                if k:
                    new.comparators[k - 1] = text
                else:
                    new.left = text
                yield "text", new
    elif isinstance(node, ast.BinOp):
        if type(node.op) in ARITHMETIC and not _is_text(node):
            new = _copy(node)
            new.op = ARITHMETIC[type(node.op)]()
            yield "arithmetic", new
            if not isinstance(node.op, ast.BitAnd | ast.BitOr):
                yield "operand", _copy(node.left)
    elif isinstance(node, ast.BoolOp):
        new = _copy(node)
        new.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "boolean", new
        for k in range(len(node.values)):
            rest = [_copy(value) for i, value in enumerate(node.values) if i != k]
            yield "condition left out", rest[0] if len(rest) == 1 else ast.BoolOp(_copy(node).op, rest)
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            yield "sign", _copy(node.operand)
    elif isinstance(node, ast.IfExp):
        new = _copy(node)
        new.body, new.orelse = new.orelse, new.body
        yield "condition", new
    elif isinstance(node, ast.Subscript):
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for k, index in enumerate(places):
            if isinstance(index, ast.Constant):
                for value in _other_constants(index.value):
                    new = _copy(node)
                    if isinstance(new.slice, ast.Tuple):
                        new.slice.elts[k] = ast.Constant(value)
                    else:
                        new.slice = ast.Constant(value)
                    yield "index", new
    elif isinstance(node, ast.Constant):
        for value in _other_constants(node.value):
            yield "constant", ast.Constant(value)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in SWAPS:
        yield "function", ast.Name(SWAPS[node.id], ast.Load())
    elif isinstance(node, ast.Attribute) and node.attr in SWAPS and isinstance(node.ctx, ast.Load):
        new = _copy(node)
        new.attr = SWAPS[node.attr]
        yield "function", new
    elif isinstance(node, ast.Call) and _called(node) == "range":
        for k in range(min(len(node.args), 2)):
            new = _copy(node)
            new.args[k] = ast.BinOp(
                _copy(node.args[k]), ast.Sub() if len(node.args) == 1 or k else ast.Add(), ast.Constant(1)
            )
            yield "off by one", new


def _instead_of_statement(node: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.If | ast.While):
        if not isinstance(node.test, ast.Compare | ast.BoolOp | ast.Constant):  # those have mutants of their own
            new = _copy(node)
            new.test = ast.UnaryOp(ast.Not(), new.test)
            yield "condition", new
        if isinstance(node, ast.If):
            new = _copy(node)
            new.test = ast.Constant(False)
            yield "branch left out", new
    elif isinstance(node, ast.AugAssign):
        if type(node.op) in ARITHMETIC:
            new = _copy(node)
            new.op = ARITHMETIC[type(node.op)]()
            yield "arithmetic", new
        yield "statement left out", ast.Pass()
    elif isinstance(node, ast.Break):
        yield "statement", ast.Continue()
    elif isinstance(node, ast.Continue):
        yield "statement", ast.Break()
    elif isinstance(node, ast.Raise) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _called(node.value) not in SPOKEN
    ):
        yield "statement left out", ast.Pass()
    elif isinstance(node, ast.Assign):
        if all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets):
            yield "statement left out", ast.Pass()
        if isinstance(node.value, ast.BinOp) and not _is_text(node.value):
            new = _copy(node)
            new.value = ast.UnaryOp(ast.USub(), new.value)
            yield "sign", new
    elif isinstance(node, ast.Return) and node.value is not None:
        if isinstance(node.value, ast.Compare | ast.BoolOp):
            new = _copy(node)
            new.value = ast.UnaryOp(ast.Not(), new.value)
            yield "returned", new
        elif isinstance(node.value, ast.BinOp | ast.Call | ast.Name | ast.Attribute | ast.Subscript):
            new = _copy(node)
            new.value = ast.Constant(None)
            yield "returned", new


def _other_constants(value: object) -> tuple[object, ...]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return (value + 1, value - 1)
    if isinstance(value, float):
        return (1.0,) if value == 0.0 else (value * 2, value / 2)
    return ()


def _is_text(node: ast.BinOp) -> bool:
    """Whether it joins or repeats text."""
    return any(
        isinstance(n, ast.JoinedStr) or (isinstance(n, ast.Constant) and isinstance(n.value, str))
        for n in ast.walk(node)
    )


def _copy(node: Any) -> Any:
    return copy.deepcopy(node)
