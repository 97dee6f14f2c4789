"""Small changes of a Python file, one at a time: what a test should notice.

Not changed: texts and annotations, which are no behaviour; `strict=` of zip, which checks what a type would. An assignment is removed only
where its target has a value without it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import TypeAlias

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
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
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.Mult,
    ast.RShift: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
    ast.MatMult: ast.Mult,
}
PAIRS = (("min", "max"), ("minimum", "maximum"), ("fmin", "fmax"), ("floor", "ceil"), ("any", "all"), ("argmax", "argmin"))
NAMES = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
BLOCKS = ("body", "orelse", "handlers", "finalbody")

Slot: TypeAlias = tuple[object, str | int, ast.AST]


@dataclass(frozen=True)
class Mutant:
    """A changed file: where, what, and its code."""

    line: int
    function: str
    change: str
    code: CodeType


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield every mutant of a file."""
    tree = ast.parse(path.read_text())
    for statement, function, (holder, place, new) in _statements(tree, "module", set()):
        before = _line(statement)
        old = _swap(holder, place, new)
        after = "(removed)" if isinstance(new, ast.Pass) else _line(statement)
        code = compile(ast.fix_missing_locations(tree), str(path), "exec")
        _swap(holder, place, old)
        yield Mutant(statement.lineno, function, f"{before}  -->  {after}", code)


def _swap(holder: object, place: str | int, new: ast.AST) -> ast.AST:
    """Put a node in a place, and return the one that was there."""
    if isinstance(holder, list):
        old, holder[place] = holder[place], new
    else:
        old = getattr(holder, place)
        setattr(holder, place, new)
    ast.copy_location(new, old)
    return old


def _line(statement: ast.stmt) -> str:
    """Show a statement; of a compound one its head."""
    text = ast.unparse(statement)
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return " ".join(line for line in text.splitlines()[:4] if line.startswith(("def", "class", "@")))
    return text.splitlines()[0]


def _statements(node: ast.AST, function: str, bound: set[str]) -> Iterator[tuple[ast.stmt, str, Slot]]:
    """Walk the blocks below a node, and yield each change with its statement and function; `bound`: names that have a value."""
    for block in (getattr(node, field, []) for field in BLOCKS):
        for index, statement in enumerate(block):
            if isinstance(statement, ast.ExceptHandler):
                yield from _statements(statement, function, bound)
                continue
            slots = [*_removals(statement, block, index, bound), *_expressions(statement)]
            yield from ((statement, function, slot) for slot in slots)
            if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                where = statement.name if function == "module" else f"{function}.{statement.name}"
                yield from _statements(statement, where, _arguments(statement))
            else:
                yield from _statements(statement, function, bound)
                bound |= {name.id for name in ast.walk(statement) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}


def _arguments(statement: ast.FunctionDef | ast.ClassDef) -> set[str]:
    if isinstance(statement, ast.ClassDef):
        return set()
    return {argument.arg for argument in [*statement.args.args, *statement.args.kwonlyargs]}


def _removals(statement: ast.stmt, block: list[ast.stmt], index: int, bound: set[str]) -> Iterator[Slot]:
    """Leave a statement out."""
    if isinstance(statement, ast.Assign):
        targets = [part for target in statement.targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
        removed = all(not isinstance(part, ast.Name) or part.id in bound for part in targets)
    elif isinstance(statement, ast.Expr):
        removed = not isinstance(statement.value, ast.Constant)
    else:
        removed = isinstance(statement, ast.AugAssign | ast.Raise | ast.Continue | ast.Break)
    if removed:
        yield block, index, ast.Pass()
    value = statement.value if isinstance(statement, ast.Return) else None
    if value is not None and not (isinstance(value, ast.Constant) and value.value is None):
        yield statement, "value", ast.Constant(None)


def _expressions(node: ast.AST) -> Iterator[Slot]:
    """Yield the changes of a statement's own expressions; blocks within it are others' part."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", *BLOCKS) and isinstance(node, ast.stmt | ast.arg):
            continue
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            continue
        parts = list(enumerate(value)) if isinstance(value, list) else [(field, value)]
        for place, part in parts:
            holder = value if isinstance(value, list) else node
            if isinstance(part, ast.stmt | ast.JoinedStr) or not isinstance(part, ast.AST):
                continue
            if isinstance(part, ast.keyword) and part.arg == "strict" and isinstance(node, ast.Call) and _called(node) == "zip":
                continue
            yield from _changes(node, field, part, holder, place)
            yield from _expressions(part)


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _changes(parent: ast.AST, field: str, node: ast.AST, holder: object, place: str | int) -> Iterator[Slot]:
    """Yield the changes of one expression, as its replacement in its place, or as a new part of it."""
    yield from _operators(parent, node)
    for new in _leaves(node):
        yield holder, place, new
    if field in ("test", "ifs") and not isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp):
        yield holder, place, ast.UnaryOp(ast.Not(), node)


def _operators(parent: ast.AST, node: ast.AST) -> Iterator[Slot]:
    match node:
        case ast.Compare(ops=operators):
            for index, operator in enumerate(operators):
                for kind in COMPARISONS[type(operator)]:
                    yield operators, index, kind()
        case ast.BinOp(op=operator):
            yield node, "op", OPERATORS[type(operator)]()
        case ast.BoolOp(op=operator):
            yield node, "op", ast.Or() if isinstance(operator, ast.And) else ast.And()
        case ast.operator() if isinstance(parent, ast.AugAssign):
            yield parent, "op", OPERATORS[type(node)]()


def _leaves(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.Constant(value=bool() as flag):
            yield ast.Constant(not flag)
        case ast.Constant(value=(int() | float()) as number):
            yield from (ast.Constant(other) for other in dict.fromkeys((number + 1, type(number)(0))) if other != number)
        case ast.Name(id=name) if name in NAMES:
            yield ast.Name(NAMES[name], ast.Load())
        case ast.Attribute(attr=name, value=value) if name in NAMES:
            yield ast.Attribute(value, NAMES[name], ast.Load())
