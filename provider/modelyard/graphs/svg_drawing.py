"""Draws a picture of a graph as SVG: layers from left to right, errors in red, ways back around the outside."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from modelyard.graphs.picture import Arrow, Box, Picture

__all__ = ["svg_of"]

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 150, 40, 60, 28, 24
_FILLS = {"end": "#ffffff", "any": "#ffffff", "handler": "#fdecea", "model": "#fff4d6", "choice": "#ece7fb"}
_LINES = {
    "way": 'stroke="#555555"',
    "reply": 'stroke="#2e7d32" stroke-width="2.5"',
    "back": 'stroke="#1565c0" stroke-dasharray="6 3"',
    "error": 'stroke="#c62828" stroke-dasharray="4 3"',
    "handled": 'stroke="#c62828" stroke-dasharray="1 3" stroke-linecap="round" stroke-width="2"',
}


class _Spot(NamedTuple):
    """Where a box is: its upper left corner."""

    x: float
    y: float


def svg_of(name: str, picture: Picture) -> str:
    """Return the SVG.

    Parameters
    ----------
    name
        The graph's name: the title.
    picture
        What is to be drawn.
    """
    spots = _spots(picture)
    backs = [arrow for arrow in picture.arrows if arrow.style == "back"]
    ways = [arrow for arrow in picture.arrows if arrow.style != "back"]
    width = max(spot.x for spot in spots.values()) + WIDTH + MARGIN
    height = max(spot.y for spot in spots.values()) + HEIGHT + MARGIN + (18 * len(backs) + 14 if backs else 0)
    bottom = max(spot.y for spot in spots.values()) + HEIGHT
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="12" role="img">',
        f"<title>{escape(name)}</title>",
        "".join(_tip(style, line) for style, line in _LINES.items()),
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
        *_frames(picture.boxes, spots),
        *(_arrow(arrow, spots, 0) for arrow in ways),
        *(_arrow(arrow, spots, bottom + 18 * lane) for lane, arrow in enumerate(backs, 1)),
        *(_box(box, spots[box.id]) for box in picture.boxes),
        "</svg>",
    ]
    return "".join(drawn)


def _spots(picture: Picture) -> dict[str, _Spot]:
    layers = _layers(picture)
    rows: list[list[str]] = [[] for _ in range(max(layers.values()) + 1)]
    for box in picture.boxes:
        rows[layers[box.id]].append(box.id)
    forward = [arrow for arrow in picture.arrows if arrow.style != "back"]
    for _ in range(4):  # each box goes to the mean height of those that lead to it
        height: dict[str, float] = {own: index for row in rows for index, own in enumerate(row)}
        for own in list(height):
            before = [height[arrow.origin] for arrow in forward if arrow.target == own]
            height[own] = sum(before) / len(before) if before else height[own]
        for row in rows:
            row.sort(key=height.__getitem__)
    tallest = max(len(row) for row in rows)
    spots = {}
    for layer, row in enumerate(rows):
        top = MARGIN + (tallest - len(row)) * (HEIGHT + GAP_Y) / 2
        for index, own in enumerate(row):
            spots[own] = _Spot(MARGIN + layer * (WIDTH + GAP_X), top + index * (HEIGHT + GAP_Y))
    return spots


def _layers(picture: Picture) -> dict[str, int]:
    """Return how far from the input each box is, at the longest, not counting ways back."""
    found = {box.id: 0 for box in picture.boxes}
    forward = [arrow for arrow in picture.arrows if arrow.style != "back"]
    for _ in found:
        changed = False
        for arrow in forward:
            if found[arrow.target] <= found[arrow.origin] < len(found):
                found[arrow.target] = found[arrow.origin] + 1
                changed = True
        if not changed:
            break
    return found


def _frames(boxes: Sequence[Box], spots: Mapping[str, _Spot]) -> list[str]:
    boxes = [box for box in boxes if box.kind not in ("any", "handler")]
    frames = sorted({box.frame[:depth] for box in boxes for depth in range(1, len(box.frame) + 1)}, key=len)
    drawn = []
    for frame in frames:
        inside = [spots[box.id] for box in boxes if box.frame[: len(frame)] == frame]
        pad = 14 - 4 * (len(frame) - 1)
        x, y = min(spot.x for spot in inside) - pad, min(spot.y for spot in inside) - pad
        width = max(spot.x for spot in inside) + WIDTH + pad - x
        height = max(spot.y for spot in inside) + HEIGHT + pad - y
        drawn.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" fill="#f5f5f5" '
            f'stroke="#9e9e9e"/><text x="{x + 6:g}" y="{y + 10:g}" font-size="9" fill="#616161">'
            f"{escape('.'.join(frame))}</text>"
        )
    return drawn


def _box(box: Box, spot: _Spot) -> str:
    x, y = spot
    fill = "#d5f0d8" if box.responds else _FILLS.get(box.kind, "#eef2fb")
    style = f'fill="{fill}" stroke="{"#c62828" if box.kind == "handler" else "#555555"}"'
    style += ' stroke-width="2" stroke-dasharray="7 3"' if box.apart else ""
    small = f"{box.kind}: {', '.join(member.label for member in box.members)}" if box.members else box.note
    middle, outline = x + WIDTH / 2, _outline(box.kind, x, y, style)
    written = (
        f'<text x="{middle:g}" y="{y + (19 if small else 24):g}" text-anchor="middle">{_cut(box.label, 23)}</text>'
    )
    if small:
        written += f'<text x="{middle:g}" y="{y + 33:g}" text-anchor="middle" font-size="9">{_cut(small, 34)}</text>'
    return f"<g><title>{escape(f'{box.label} {small}'.strip())}</title>{outline}{written}</g>"


def _outline(kind: str, x: float, y: float, style: str) -> str:
    right, bottom, middle = x + WIDTH, y + HEIGHT, y + HEIGHT / 2
    if kind in ("choice", "filter"):
        cut = 22 if kind == "choice" else 12
        points = f"{x:g},{middle:g} {x + cut:g},{y:g} {right - cut:g},{y:g} {right:g},{middle:g} "
        return f'<polygon points="{points}{right - cut:g},{bottom:g} {x + cut:g},{bottom:g}" {style}/>'
    if kind == "queue":
        lid = f'<path d="M{x + 10:g},{y:g} q8,{HEIGHT / 2:g} 0,{HEIGHT:g}" fill="none" stroke="#555555"/>'
        return f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="10" {style}/>{lid}'
    if kind == "merge":
        bars = "".join(f'<path d="M{at:g},{y:g} V{bottom:g}" stroke="#555555"/>' for at in (x + 7, right - 7))
        return f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" {style}/>{bars}'
    radius = {"model": HEIGHT / 2, "end": HEIGHT / 2, "any": HEIGHT / 2}.get(kind, 6)
    return f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="{radius:g}" {style}/>'


def _arrow(arrow: Arrow, spots: Mapping[str, _Spot], lane: float) -> str:
    (x1, y1), (x2, y2) = spots[arrow.origin], spots[arrow.target]
    if arrow.style == "back":
        begin, end = x1 + WIDTH / 2 + 15, x2 + WIDTH / 2 - 15
        path = f"M{begin:g},{y1 + HEIGHT:g} C{begin:g},{lane:g} {begin:g},{lane:g} {(begin + end) / 2:g},{lane:g} "
        path += f"S{end:g},{lane:g} {end:g},{y2 + HEIGHT:g}"
        at = ((begin + end) / 2, lane - 3)
    else:
        begin, end = x1 + WIDTH, x2
        bend = max(GAP_X / 2, (end - begin) / 3)
        path = f"M{begin:g},{y1 + HEIGHT / 2:g} C{begin + bend:g},{y1 + HEIGHT / 2:g} "
        path += f"{end - bend:g},{y2 + HEIGHT / 2:g} {end:g},{y2 + HEIGHT / 2:g}"
        at = (begin + GAP_X / 2, y1 + HEIGHT / 2 + (y2 - y1) * GAP_X / 2 / max(end - begin, GAP_X) - 4)
    label = (
        f'<text x="{at[0]:g}" y="{at[1]:g}" text-anchor="middle" font-size="9" fill="#333333">'
        f"{_cut(arrow.label, 28 if arrow.style == 'back' else 12)}</text>"
        if arrow.label
        else ""
    )
    return f'<path d="{path}" fill="none" {_LINES[arrow.style]} marker-end="url(#tip-{arrow.style})"/>{label}'


def _tip(style: str, line: str) -> str:
    colour = line.split('"')[1]
    return (
        f'<defs><marker id="tip-{style}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{colour}"/></marker></defs>'
    )


def _cut(text: str, most: int) -> str:
    return escape(text if len(text) <= most else f"{text[: most - 1]}…")
