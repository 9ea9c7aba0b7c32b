"""Reads YAML into nodes that know their line, so that every later error can name it."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from modelyard.projects.errors import ProjectInvalid

__all__ = ["FILE_NAME", "entries", "read_document", "restored"]

FILE_NAME = "modelyard.yaml"

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*(?::-[^{}\n]*)?)\}")
# Private characters that stand for "{" and "}" of ${…} while YAML is read: bare braces would end a plain text inside
# {…}, and people write {tracking: ${MLFLOW_TRACKING_URI}}. They are as long as what they stand for, so columns hold.
_OPEN, _CLOSE = "\ue000", "\ue001"
_MERGE = "tag:yaml.org,2002:merge"
_HINTS = (
    (r"'\\t'", "Indent with spaces, not tabs."),
    (r"mapping values are not allowed", "Put text that holds a colon in quotes."),
    (r"found undefined alias", "Define the anchor (&name) above its use."),
    (r"expected ',' or '[}\]]'", "Put text that holds brackets or commas in quotes."),
    (r"expected a single document", "Keep one project in the file, without ---."),
)


def read_document(file: Path) -> yaml.MappingNode:
    """Return the mapping at the top of a YAML file.

    Raises
    ------
    ProjectInvalid
        The file cannot be read, is no UTF-8, is empty, malformed (with line and column) or not a mapping.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        rule = f"the file must be UTF-8 text, got the byte 0x{error.object[error.start]:02x} at offset {error.start}"
        raise ProjectInvalid(file, rule, mend="Save it as UTF-8.") from error
    except OSError as error:
        raise ProjectInvalid(file, f"the file cannot be read: {error.strerror}") from error
    try:
        node = yaml.compose(_VARIABLE.sub(rf"${_OPEN}\1{_CLOSE}", text), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _malformed(file, error) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        rule = f"the YAML is malformed: the character {chr(error.character)!r} is not allowed"
        raise ProjectInvalid(file, rule, line=line, mend="Remove it.") from error
    if node is None:
        raise ProjectInvalid(file, "the file is empty", mend='Write at least "name: my-project".')
    if not isinstance(node, yaml.MappingNode):
        raise ProjectInvalid(
            file, f"must be a mapping, got {_KINDS[type(node)]}", line=1, mend='Begin with "name: my-project".'
        )
    return node


_KINDS = {yaml.ScalarNode: "text", yaml.SequenceNode: "a list", yaml.MappingNode: "a mapping"}


def _malformed(file: Path, error: yaml.MarkedYAMLError) -> ProjectInvalid:
    mark = error.problem_mark or error.context_mark
    problem = restored(", ".join(part for part in (error.context, error.problem) if part))
    mend = next((mend for pattern, mend in _HINTS if re.search(pattern, problem)), "")
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    return ProjectInvalid(file, f"the YAML is malformed: {problem}", line=line, column=column, mend=mend)


def restored(text: str) -> str:
    """Return text of a node as it was written."""
    return text.replace(_OPEN, "{").replace(_CLOSE, "}")


def entries(file: Path, node: yaml.MappingNode, field: str) -> Iterator[tuple[str, int, yaml.Node]]:
    """Yield key, line and value of a mapping; keys written there win over merged ones (``<<``).

    Raises
    ------
    ProjectInvalid
        A key is no text, or is there twice.
    """
    own: dict[str, int] = {}
    merged: list[yaml.MappingNode] = []
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.tag == _MERGE:
            merged += _merged(file, value, line, field)
            continue
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            shown = restored(str(key.value)) if isinstance(key, yaml.ScalarNode) else _KINDS[type(key)]
            raise ProjectInvalid(
                file, f"a name must be text, got {shown}", line=line, field=field, mend="Put it in quotes."
            )
        name = restored(key.value)
        if name in own:
            where = f"{field}.{name}" if field else name
            raise ProjectInvalid(
                file, f"is there twice, first in line {own[name]}", line=line, field=where, mend="Remove one of them."
            )
        own[name] = line
        yield name, line, value
    for mapping in merged:
        for name, line, value in entries(file, mapping, field):
            if name not in own:
                own[name] = line
                yield name, line, value


def _merged(file: Path, value: yaml.Node, line: int, field: str) -> list[yaml.MappingNode]:
    mappings = value.value if isinstance(value, yaml.SequenceNode) else [value]
    found = [each for each in mappings if isinstance(each, yaml.MappingNode)]
    if len(found) < len(mappings):
        raise ProjectInvalid(file, "<< must name a mapping", line=line, field=field)
    return found
