"""The texts that code holds: written out, put together, or taken from elsewhere."""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["Texts", "texts_of", "written_in"]

_ANY = ".*"
_HOLES = re.compile(r"%(?:\(\w*\))?[-#0 +]*[\d.*]*[a-zA-Z]|\{[^{}]*\}")
_NAMING = "function"
"""What the parameter is called by which steps name a function of the project."""


class Texts(NamedTuple):
    """What a definition may name.

    Parameters
    ----------
    written
        Texts that are written out.
    computed
        Regular expressions, one for each text that is put together while the code runs: ``.*`` stands for what is put
        in.
    """

    written: frozenset[str]
    computed: frozenset[str]

    def written_out(self, *names: str) -> bool:
        """Return whether one of some names is written out.

        Examples
        --------
        >>> texts_of([ast.parse("f(function='fit')")]).written_out("fit")
        True
        """
        return any(name in self.written for name in names)

    def may_compute(self, *names: str) -> bool:
        """Return whether one of some names may be what a text is put together to.

        Examples
        --------
        >>> found = texts_of([ast.parse("f(function=f'fit-{kind}')")])
        >>> found.may_compute("fit-large"), found.may_compute("prepare")
        (True, False)
        """
        return any(re.fullmatch(each, name, re.DOTALL) for each in self.computed for name in names)


def texts_of(trees: Iterable[ast.AST], written: Iterable[str] = (), known: Iterable[str] = ()) -> Texts:
    """Return the texts of some code.

    Parameters
    ----------
    trees
        The code.
    written
        More texts that are written out.
    known
        Names whose texts are among these.
    """
    found, computed, defined = set(written), set[str](), set(known)
    for tree in trees:
        found |= set(written_in(tree))
        values = _Values(tree, defined)
        for node in ast.walk(tree):
            if (pattern := _pattern(node)) is not None:
                computed.add(pattern)
            if not all(map(values.are_texts, _naming(node))):
                computed.add(_ANY)
    return Texts(frozenset(found), frozenset(computed))


def written_in(tree: ast.AST) -> Iterator[str]:
    """Yield the texts that some code writes out.

    Parameters
    ----------
    tree
        The code.
    """
    yield from (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _pattern(node: ast.AST) -> str | None:
    """Return what a text that is put together looks like; None for other code."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_part, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_part(each) for each in _added(node)]
        return "".join(parts) if set(parts) != {_ANY} else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _is_text(node.left):
        return _with_holes(node.left)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_text(node.func.value):
        if node.func.attr == "format":
            return _with_holes(node.func.value)
        return _ANY if node.func.attr == "join" else None
    return None


def _added(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _added(node.left)
        yield from _added(node.right)
    else:
        yield node


def _part(node: ast.expr) -> str:
    return re.escape(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else _ANY


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _with_holes(node: ast.expr) -> str:
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return _ANY.join(map(re.escape, _HOLES.split(text)))


def _naming(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what is given as ``function=…``, or as that key of a mapping."""
    if isinstance(node, ast.keyword) and node.arg == _NAMING:
        yield node.value
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == _NAMING:
                yield value


class _Values:
    """Tells of expressions whether their texts are among those that are found, written out or put together."""

    def __init__(self, tree: ast.AST, defined: set[str]) -> None:
        self._defined = defined
        self._given = set[str]()
        self._assigned: dict[str, list[ast.expr]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                # Whoever starts a workflow says what its parameters are.
                every = node.args
                self._given |= {each.arg for each in (*every.posonlyargs, *every.args, *every.kwonlyargs)}
            for target, value in _assignments(node):
                self._assigned.setdefault(target, []).append(value)

    def are_texts(self, node: ast.expr, seen: frozenset[str] = frozenset()) -> bool:
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp | ast.Attribute):
            return True
        if isinstance(node, ast.Name):
            if node.id in self._given:
                return False
            values = self._assigned.get(node.id, []) if node.id not in seen else []
            return all(self.are_texts(each, seen | {node.id}) for each in values)
        if isinstance(node, ast.IfExp):
            return self.are_texts(node.body, seen) and self.are_texts(node.orelse, seen)
        if isinstance(node, ast.Tuple | ast.List):
            return all(self.are_texts(each, seen) for each in node.elts)
        return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in self._defined


def _assignments(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that a statement binds, each with what it is taken from."""
    targets: list[ast.expr] = []
    value: ast.expr | None = None
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
        targets, value = [node.target], node.value
    elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        targets, value = [node.target], node.iter
    if value is not None:
        yield from ((each.id, value) for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))
