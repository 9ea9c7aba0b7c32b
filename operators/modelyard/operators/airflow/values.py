"""What rendering leaves in an operator's fields, and the plain JSON values that operations take."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from os import PathLike
from typing import Any

from airflow.sdk import ObjectStoragePath

from modelyard.operations import ParameterInvalid, ParameterType
from modelyard.operations.scalars import is_scalar

__all__ = [
    "Rendered",
    "check_fields",
    "check_texts",
    "check_written",
    "is_template",
    "keep_type",
    "plain",
    "render_typed",
]

_TEXT = ("string", "dataset", "model", "choice")


class Rendered(str):
    """The text of a rendered expression, which knows the value that the expression had.

    Parameters
    ----------
    text
        What Jinja made of it.
    value
        What it was.
    """

    value: Any

    def __new__(cls, text: str, value: Any = None) -> "Rendered":
        """Make the text with its value."""
        made = super().__new__(cls, text)
        made.value = value
        return made


def is_template(text: str, jinja_env: Any) -> bool:
    """Whether a text has any mark of the Jinja environment's."""
    if jinja_env.line_statement_prefix or jinja_env.line_comment_prefix:
        return True
    marks = (jinja_env.variable_start_string, jinja_env.block_start_string, jinja_env.comment_start_string)
    return any(mark in text for mark in marks)


def render_typed(render: Callable[..., Any], content: Any, context: Any, jinja_env: Any, seen_oids: Any = None) -> Any:
    """Render a field as Airflow does, with two differences.

    A text without any mark of Jinja stays exactly as it is: Jinja would take away its last newline, and with
    ``render_template_as_native_obj`` make a number of "2024". A text that is one expression and nothing else keeps
    the type of its value where the operation does not take text: ``{"depth": "{{ params.depth }}"}`` is a number.

    Parameters
    ----------
    render
        Airflow's own ``render_template`` of the operator.
    content, context, jinja_env, seen_oids
        What that takes.
    """
    if not isinstance(content, str) or jinja_env is None:
        return render(content, context, jinja_env, seen_oids)
    if not is_template(content, jinja_env):
        return content
    return keep_type(content, lambda text, env: render(text, context, env, seen_oids), jinja_env)


def keep_type(text: str, render: Callable[[str, Any], Any], jinja_env: Any) -> Any:
    """Render a text; where it is one expression and nothing else, remember the expression's value.

    Parameters
    ----------
    text
        A template.
    render
        Renders a text in a Jinja environment.
    jinja_env
        The Jinja environment.
    """
    if not _is_expression(text, jinja_env):
        return render(text, jinja_env)
    values: list[Any] = []
    before = jinja_env.finalize

    def finalize(value: Any) -> Any:
        values.append(value)
        return before(value) if before else value

    result = render(text, jinja_env.overlay(finalize=finalize))
    if isinstance(result, str) and values and _is_json(values[-1]):
        return Rendered(result, values[-1])
    return result


def _is_expression(text: str, jinja_env: Any) -> bool:
    from jinja2 import TemplateSyntaxError
    from jinja2.nodes import Output, TemplateData

    try:
        body = jinja_env.parse(text).body
    except TemplateSyntaxError:
        return False
    nodes = body[0].nodes if len(body) == 1 and isinstance(body[0], Output) else ()
    return len(nodes) == 1 and not isinstance(nodes[0], TemplateData)


def _is_json(value: Any) -> bool:
    structured = isinstance(value, Mapping | Sequence) and not isinstance(value, str | bytes | bytearray)
    return value is None or isinstance(value, int | float) or structured


def check_written(value: Any, type_: ParameterType, where: str, jinja_env: Callable[[], Any]) -> None:
    """Refuse, while the DAG file is read, what can never be of a type; what a run fills in is passed over.

    Parameters
    ----------
    value
        What the DAG file gives: JSON with templates, outputs of tasks and parameters of the DAG in it.
    type_
        What it must be of.
    where
        The parameter's name, for the error.
    jinja_env
        Returns the Jinja environment of the templates; asked only if there may be one.

    Raises
    ------
    ParameterInvalid
        What is written out is not of the type.
    """
    is_text = isinstance(value, str)
    if _is_resolved(value) or (is_text and type_.kind in _ANY_TEXT):
        return
    if is_text and is_template(value, jinja_env()):
        return
    item = type_.item or _ANY
    if isinstance(value, Mapping) and type_.kind in ("mapping", "any") and all(isinstance(each, str) for each in value):
        for key, each in value.items():
            check_written(each, item, f"{where}.{key}", jinja_env)
    elif isinstance(value, list | tuple) and type_.kind in ("list", "any"):
        for index, each in enumerate(value):
            check_written(each, item, f"{where}[{index}]", jinja_env)
    else:
        type_.coerce(plain(value, type_), where)


def check_texts(task: Any, *names: str, required: bool = False) -> None:
    """Refuse, while the DAG file is read, what stands in fields of an operator that take text.

    Parameters
    ----------
    task
        The operator.
    *names
        Its fields.
    required
        Whether an empty text and nothing are refused, too.

    Raises
    ------
    ParameterInvalid
        What is written out is no text, or is empty.
    """
    check_fields(task, dict.fromkeys(names, ParameterType("string", optional=not required)))
    for name in names if required else ():
        if getattr(task, name) == "":
            raise ParameterInvalid(name, "text that is not empty", "")


def check_fields(task: Any, types: Mapping[str, ParameterType]) -> None:
    """Refuse, while the DAG file is read, what stands in fields of an operator and is not of their types.

    Parameters
    ----------
    task
        The operator.
    types
        What the fields must be of, by their names.

    Raises
    ------
    ParameterInvalid
        What is written out is not of the type.
    """
    if getattr(task, "_BaseOperator__from_mapped", False):
        # A mapped task is made when it runs: there it is refused as what a run fills in is, and not tried again.
        return
    for name, type_ in types.items():
        check_written(getattr(task, name), type_, name, task.get_template_env)


_ANY = ParameterType("any")
_ANY_TEXT = ("string", "dataset", "model", "any")
"""The kinds of types that every text is of."""


def _is_resolved(value: Any) -> bool:
    """Return whether Airflow asks the value itself what it is in a run: an output of a task, a parameter of the DAG."""
    return not isinstance(value, PathLike) and callable(getattr(value, "resolve", None))


def plain(value: Any, type_: ParameterType | None = None) -> Any:
    """Return a rendered value as plain JSON; what has no image in JSON stays as it is, for the operation to refuse.

    Airflow hands over the outputs of mapped tasks as lazy sequences, dates as `datetime`, files as `ObjectStoragePath`,
    and numbers of NumPy as they were published.

    Parameters
    ----------
    value
        What stands in the field.
    type_
        What the operation takes: a rendered expression is text where text is taken, and its value elsewhere.

    Examples
    --------
    >>> from pathlib import Path
    >>> plain({"dates": (date(2026, 1, 2),), "file": Path("a/b"), "depth": Rendered("7", 7)})
    {'dates': ['2026-01-02'], 'file': 'a/b', 'depth': 7}
    """
    if isinstance(value, Rendered):
        takes_text = type_ is not None and type_.kind in _TEXT and value.value is not None
        return str(value) if takes_text else plain(value.value, type_)
    if is_scalar(value):
        return plain(value.item(), type_)
    if value is None or isinstance(value, str | int | float):
        return value
    item = type_.item if type_ else None
    if isinstance(value, Mapping):
        return {key: plain(each, item) for key, each in value.items()}
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, ObjectStoragePath | PathLike):
        return str(value)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return [plain(each, item) for each in value]
    return value
