"""Runs a function from its source: one that stands in a DAG file, in an interpreter that cannot import that file."""

import ast
import linecache
import textwrap
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from modelyard.errors import ModelyardError
from modelyard.operations.scalars import plain_scalar
from modelyard.operations.switches import is_stop
from modelyard.projects.errors import CallResultInvalid, UserFunctionFailed

__all__ = ["HANDLER", "FunctionSource", "contained", "run_source"]

HANDLER = "modelyard.projects.source_code:run_source"
"""The function that the operation ``call`` runs for a function given by its source."""


class FunctionSource(msgspec.Struct, frozen=True):
    """A function as it is written.

    Parameters
    ----------
    name
        Its name.
    text
        Its source, decorators included.
    file
        Where it stands.
    line
        The number of the first line there.
    """

    name: str
    text: str
    file: str
    line: int


def run_source(source: Mapping[str, Any], positional: list[Any], named: dict[str, Any]) -> dict[str, Any]:
    r"""Call a function that is given by its source.

    Parameters
    ----------
    source
        The fields of a `FunctionSource`.
    positional, named
        Its arguments.

    Returns
    -------
    dict
        What it returned, as ``returned``.

    Raises
    ------
    UserFunctionFailed
        The function raised.
    CallResultInvalid
        It returned something that is no JSON.

    Examples
    --------
    >>> text = "def add(left: int, right: int) -> int:\n    return left + right\n"
    >>> run_source({"name": "add", "text": text, "file": "dag.py", "line": 1}, [1], {"right": 2})
    {'returned': 3}
    """
    written = msgspec.convert(source, FunctionSource)
    function = _compiled(written)
    try:
        returned = function(*positional, **named)
    except (ModelyardError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        if is_stop(error):
            raise
        raise UserFunctionFailed(written.name, error, _place(error, written.file)) from error
    try:
        return {"returned": msgspec.to_builtins(returned, str_keys=True, enc_hook=plain_scalar)}
    except (TypeError, NotImplementedError) as error:
        raise CallResultInvalid(written.name, f"must be of JSON values, {error}") from error


def contained(source: FunctionSource) -> ast.Module:
    """Return the syntax tree of a function alone: without decorators and annotations, at the lines where it stands.

    Annotations are left out because nothing that they name needs to exist where the function runs.

    Raises
    ------
    SyntaxError
        The text is no single function.
    """
    text = textwrap.dedent(source.text)
    tree = ast.parse(text)
    function = tree.body[0]
    if not isinstance(function, ast.FunctionDef):
        raise SyntaxError(f"{source.name} is no function written with def")  # noqa: TRY004 - said of a text
    function.decorator_list = []
    _Unannotated().visit(tree)
    first = source.text.partition("\n")[0]
    _shift(tree, source.line - 1, len(first) - len(first.lstrip()))
    return tree


class _Unannotated(ast.NodeTransformer):
    """Leaves out the annotations of functions and of their variables, and keeps those of classes' fields."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [each if isinstance(each, ast.AnnAssign) else self.visit(each) for each in node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        plain = ast.Assign(targets=[node.target], value=node.value) if node.value else ast.Pass()
        return ast.copy_location(plain, node)


def _shift(tree: ast.AST, lines: int, columns: int) -> None:
    """Move every node to where it stands in its file, so that tracebacks point there."""
    for node in ast.walk(tree):
        for name, shift in (
            ("lineno", lines),
            ("end_lineno", lines),
            ("col_offset", columns),
            ("end_col_offset", columns),
        ):
            if getattr(node, name, None) is not None:
                setattr(node, name, getattr(node, name) + shift)


def _compiled(source: FunctionSource) -> Callable[..., Any]:
    namespace: dict[str, Any] = {"__name__": Path(source.file).stem}
    exec(compile(contained(source), source.file, "exec"), namespace)  # noqa: S102 - what the DAG file says is to be run
    if not Path(source.file).is_file():
        lines = [*("\n" for _ in range(source.line - 1)), *source.text.splitlines(keepends=True)]
        linecache.cache[source.file] = (len(source.text), None, lines, source.file)
    function: Callable[..., Any] = namespace[source.name]
    return function


def _place(error: BaseException, file: str) -> str:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == file:
            return f"{Path(file).name}:{frame.lineno}"
    return ""
