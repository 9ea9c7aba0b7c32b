"""Draws graphs: as Mermaid in documents, as SVG in notebooks."""

from collections.abc import Iterator

from modelyard.graphs.definition import Definition
from modelyard.graphs.picture import Box, picture_of
from modelyard.graphs.svg_drawing import svg_of

__all__ = ["Drawing"]

_SHAPES = {
    "end": ("((", "))"),
    "any": ("((", "))"),
    "choice": ("{", "}"),
    "merge": ("[[", "]]"),
    "queue": ("[(", ")]"),
    "model": ("([", "])"),
    "filter": ("{{", "}}"),
}
_ARROWS = {"way": ("-->", '-- "{}" -->'), "back": ("-.->", '-. "{}" .->'), "error": ("-.->", '-. "{}" .->')}
_BARE = {"handled": "-.->", "reply": "==>"}


class Drawing:
    """A drawn graph; in a notebook it shows itself.

    Parameters
    ----------
    definition
        The graph's definition.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("g")
    >>> step = graph.to("operator:neg", name="negative")
    >>> print(graph.show(), end="")
    flowchart LR
        input((input))
        n_negative["negative"]
        input --> n_negative
        n_negative ==> reply((reply))
    """

    def __init__(self, definition: Definition) -> None:
        self.name = definition.name
        self._picture = picture_of(definition)

    @property
    def mermaid(self) -> str:
        """The graph as Mermaid, which GitHub and GitLab render: error edges dashed, graphs in graphs framed."""
        return "\n".join(["flowchart LR", *self._boxes(), *self._edges()]) + "\n"

    @property
    def svg(self) -> str:
        """The graph as SVG, in layers from left to right; it needs nothing from elsewhere."""
        return svg_of(self.name, self._picture)

    def _boxes(self) -> Iterator[str]:
        frame: tuple[str, ...] = ()
        drawn = [box for box in self._picture.boxes if box.kind not in ("handler", "any") and box.id != "reply"]
        for box in drawn:
            while frame != box.frame[: len(frame)]:
                frame = frame[:-1]
                yield f"{_indent(frame)}end"
            while len(frame) < len(box.frame):
                name = box.frame[len(frame)]
                yield f'{_indent(frame)}subgraph {_frame_id(box.frame[: len(frame) + 1])}["{_text(name)}"]'
                frame = box.frame[: len(frame) + 1]
            yield from (f"{_indent(frame)}{line}" for line in _box_lines(box))
        while frame:
            frame = frame[:-1]
            yield f"{_indent(frame)}end"

    def _edges(self) -> Iterator[str]:
        boxes = {box.id: box for box in self._picture.boxes}
        told = {box.id for box in self._picture.boxes if box.kind not in ("handler", "any") and box.id != "reply"}
        for arrow in self._picture.arrows:
            ends = []
            for end in (arrow.origin, arrow.target):
                ends.append(end if end in told else _box_lines(boxes[end])[0])
                if end != "reply":
                    told.add(end)
            bare, labelled = _ARROWS.get(arrow.style, (_BARE.get(arrow.style, ""), ""))
            line = labelled.format(_text(arrow.label)) if arrow.label else bare
            yield f"    {ends[0]} {line} {ends[1]}"

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        del include, exclude
        return {"image/svg+xml": self.svg, "text/plain": self.mermaid}

    def __str__(self) -> str:
        return self.mermaid


def _indent(frame: tuple[str, ...]) -> str:
    return "    " * (len(frame) + 1)


def _frame_id(frame: tuple[str, ...]) -> str:
    return "g_" + "_".join("".join(letter if letter.isalnum() else "_" for letter in name) for name in frame)


def _text(label: str) -> str:
    """Return a label in which nothing ends it or is taken for something else."""
    plain = " ".join(label.split()).replace("#", "#35;").replace('"', "#quot;")
    return plain.replace("<", "#lt;").replace(">", "#gt;").replace("`", "#96;")


def _box_lines(box: Box) -> list[str]:
    text = _text(f"{box.label} {box.note}".strip())
    if not box.members:
        begin, end = _SHAPES.get(box.kind, ("[", "]"))
        quote = "" if box.kind == "end" else '"'
        return [f"{box.id}{begin}{quote}{text}{quote}{end}"]
    lines = [f'subgraph {box.id}["{text} ({box.kind})"]']
    for member in box.members:
        lines += [f"    {line}" for line in _box_lines(member)]
    return [*lines, "end"]
