"""Reads and writes the JSON and YAML that go through the command line."""

import sys
from pathlib import Path
from typing import Any

import msgspec

from modelyard.cli.errors import FileUnreadable

__all__ = ["read_mapping", "read_text", "write_json"]


def write_json(value: Any) -> None:
    """Write a value as indented JSON and a line end to the standard output.

    Examples
    --------
    >>> write_json({"rows": 3})
    {
      "rows": 3
    }
    """
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def read_mapping(path: str, flag: str) -> dict[str, Any]:
    """Return the mapping that a JSON or YAML file holds; ``-`` reads the standard input.

    Raises
    ------
    FileUnreadable
        The file is missing, is neither JSON nor YAML, or holds something else than a mapping.
    """
    text = read_text(path, flag)
    value = _json(text, path, flag) if text.lstrip().startswith("{") else _yaml(text, path, flag)
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise FileUnreadable(flag, path, "must hold a mapping from names to values")
    return value


def read_text(path: str, flag: str) -> str:
    """Return what a file holds; ``-`` reads the standard input.

    Raises
    ------
    FileUnreadable
        The file is missing, or is no text.
    """
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(flag, path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _json(text: str, path: str, flag: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return _yaml(text, path, flag)


def _yaml(text: str, path: str, flag: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Leaves dates as text: JSON has none."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        rule = f"is neither JSON nor YAML{place}: {getattr(error, 'problem', error)}"
        raise FileUnreadable(flag, path, rule) from error
