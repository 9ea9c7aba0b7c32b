"""Makes text from outside harmless in Markdown, in Mermaid, and in logs that a CI host reads commands from."""

import re
import unicodedata

__all__ = ["code", "fenced", "label", "loggable", "one_line"]

_MOST = 200
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -,;=+")
_APART = "\u200b"
"""A space without width: between ``@`` and a name it lets nobody be mentioned."""
_RUN = re.compile(r"`{3,}|~{3,}")


def one_line(text: str, most: int = _MOST) -> str:
    r"""Return text as one line without characters that nobody sees, or that turn the reading direction.

    Examples
    --------
    >>> one_line("a\n/close  \u202eb")
    'a /close b'
    """
    visible = "".join(" " if each.isspace() else each for each in text if _is_visible(each))
    joined = " ".join(visible.split())
    return joined if len(joined) <= most else f"{joined[: most - 1]}…"


def code(text: str, most: int = _MOST) -> str:
    """Return text for any place of a Markdown page: shown as it is, and never read as anything.

    Neither forge looks for mentions, references, emoji or quick actions inside ``<code>``, and everything that Markdown
    or HTML would read is written as its number.

    Examples
    --------
    >>> code("roc_auc")
    '<code>roc&#95;auc</code>'
    >>> code("a|b<!-- x -->")
    '<code>a&#124;b&#60;&#33;-- x --&#62;</code>'
    """
    shown = one_line(text, most)
    return f"<code>{''.join(map(_written, shown))}</code>" if shown else "–"


def label(text: str, most: int = 60) -> str:
    """Return text for a label of a Mermaid chart: letters, digits and a few marks alone.

    Examples
    --------
    >>> label('EV "]; click')
    'EV click'
    """
    kept = "".join(each if each.isalnum() or each in " ._-+%:/" else " " for each in one_line(text, most))
    return " ".join(kept.split())


def fenced(language: str, text: str) -> str:
    """Return text as a fenced block that nothing in it can end.

    Examples
    --------
    >>> print(fenced("text", "a ``` b"))
    ````text
    a ``` b
    ````
    """
    longest = max((len(run.group()) for run in _RUN.finditer(text)), default=0)
    fence = "`" * max(3, longest + 1)
    kept = "\n".join("".join(each for each in line if _is_visible(each)) for line in text.rstrip("\n").split("\n"))
    return f"{fence}{language}\n{kept}\n{fence}"


def loggable(text: str, most: int = 2_000) -> str:
    """Return text for a line of a log in which a CI host looks for commands.

    Examples
    --------
    >>> loggable("::set-output name=x::y"), loggable("a ##[error]b")
    (': :set-output name=x: :y', 'a # #[error]b')
    """
    return one_line(text, most).replace("::", ": :").replace("##[", "# #[")


def _written(character: str) -> str:
    if character in _SAFE or not character.isascii():
        return character
    number = f"&#{ord(character)};"
    return f"{number}{_APART}" if character == "@" else number


def _is_visible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
