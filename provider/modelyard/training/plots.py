"""Draws the plots of a report as SVG that takes its colours and font from the page around it."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from modelyard.training.curves import Calibration, Curve, calibration, precision_recall_curve, residual_bins, roc_curve
from modelyard.training.metrics import confusion
from modelyard.training.outcomes import Classified, Outcomes, Regressed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["Plot", "plots_of"]

_INK = {
    "ink": "#010203",
    "muted": "#010204",
    "line": "#010205",
    "candidate": "#010206",
    "baseline": "#010207",
}
"""Stand-ins that matplotlib takes for colours; in the page they become its variables, light or dark."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "modelyard",
    "text.parse_math": False,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _INK["line"],
    "axes.labelcolor": _INK["muted"],
    "axes.linewidth": 1.0,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _INK["line"],
    "grid.linewidth": 0.8,
    "xtick.color": _INK["muted"],
    "ytick.color": _INK["muted"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 6,
    "ytick.major.pad": 6,
    "lines.linewidth": 2.2,
    "lines.solid_capstyle": "round",
}
_MOST_CLASSES = 15


class Plot(NamedTuple):
    """One plot of a report.

    Parameters
    ----------
    title
        What it shows.
    caption
        How to read it, in one sentence.
    svg
        The drawing, to stand inline in HTML.
    """

    title: str
    caption: str
    svg: str


def plots_of(candidate: Outcomes, baseline: Outcomes | None = None) -> list[Plot]:
    """Draw what there is to draw of these outcomes.

    Parameters
    ----------
    candidate, baseline
        The same rows, said by either model; both lines are drawn in one plot.
    """
    if isinstance(candidate, Regressed):
        return _regression(candidate, baseline if isinstance(baseline, Regressed) else None)
    other = baseline if isinstance(baseline, Classified) else None
    if not candidate.binary:
        return _many_classes(candidate, other)
    sides = [each for each in (other, candidate) if each is not None]
    plots = [_roc(sides), _precision_recall(sides), _calibrated(sides), _distribution(candidate)]
    return [plot for plot in plots if plot is not None]


def _roc(sides: Sequence[Classified]) -> Plot | None:
    curves = [roc_curve(each) for each in sides]
    if any(curve is None for curve in curves):
        return None
    with _axes("share of the others called positive", "share of the positive found") as (axes, drawn):
        axes.plot([0, 1], [0, 1], color=_INK["muted"], linewidth=1, dashes=(2, 3))
        _lines(axes, curves)
        _unit(axes)
    return drawn.plot("ROC curve", "The further up and left, the better; the dotted line is chance.")


def _precision_recall(sides: Sequence[Classified]) -> Plot | None:
    curves = [precision_recall_curve(each) for each in sides]
    if any(curve is None for curve in curves):
        return None
    share = float((sides[-1].truth == 1).mean())
    with _axes("share of the positive found (recall)", "share that is right (precision)") as (axes, drawn):
        axes.axhline(share, color=_INK["muted"], linewidth=1, dashes=(2, 3))
        _lines(axes, curves)
        _unit(axes)
    caption = f"The higher, the better; the dotted line is the share of positives, {share:.1%}."
    return drawn.plot("Precision and recall", caption)


def _calibrated(sides: Sequence[Classified]) -> Plot | None:
    found = [calibration(each) for each in sides]
    if any(each is None for each in found):
        return None
    known = [each for each in found if each is not None]
    with _axes("predicted probability", "share that came true") as (axes, drawn):
        axes.plot([0, 1], [0, 1], color=_INK["muted"], linewidth=1, dashes=(2, 3))
        _lines(axes, [Curve(each.predicted, each.observed) for each in known], marker="o", markersize=5)
        reach = float(max(max(each.predicted.max(), each.observed.max()) for each in known))
        _unit(axes, min(1.0, np.ceil(reach * 10 + 0.3) / 10))
    caption = "On the dotted line, probabilities can be taken at their word; below it, the model exaggerates."
    return drawn.plot("Calibration", caption)


def _distribution(candidate: Classified) -> Plot | None:
    found = calibration(candidate)
    if found is None:
        return None
    with _axes("predicted probability", "rows") as (axes, drawn):
        _stacked(axes, found)
    caption = "How the probabilities are spread; the solid part of each bar is the rows that are positive."
    return drawn.plot("Distribution of predictions", caption)


def _stacked(axes: "Axes", found: Calibration) -> None:
    width = np.diff(found.edges)
    style: dict[str, Any] = {"align": "edge", "linewidth": 0}
    axes.bar(found.edges[:-1] + width * 0.08, found.counts, width * 0.84, color=_INK["candidate"], alpha=0.25, **style)
    axes.bar(found.edges[:-1] + width * 0.08, found.positives, width * 0.84, color=_INK["candidate"], **style)
    axes.set_xlim(0, 1)
    axes.grid(visible=False, axis="x")


def _many_classes(candidate: Classified, baseline: Classified | None) -> list[Plot]:
    frequent = np.argsort(-np.bincount(candidate.truth, minlength=len(candidate.classes)), kind="stable")
    chosen = frequent[:_MOST_CLASSES][::-1]
    names = [str(candidate.classes[index]) for index in chosen]
    with _axes("F1", "") as (axes, drawn):
        places = np.arange(len(chosen))
        axes.barh(places, _f1(candidate)[chosen], 0.62, color=_INK["candidate"], linewidth=0)
        if baseline is not None and baseline.classes == candidate.classes:
            axes.scatter(_f1(baseline)[chosen], places, s=44, color=_INK["baseline"], zorder=3)
        axes.set_yticks(places, names)
        axes.set_xlim(0, 1)
        axes.grid(visible=False, axis="y")
    caption = "How well each class is told from the others, the most frequent first; 1 is perfect."
    return [drawn.plot("Classes", caption)]


def _f1(outcomes: Classified) -> "NDArray[np.float64]":
    counts = confusion(outcomes)
    either = counts.sum(axis=0) + counts.sum(axis=1)
    return np.asarray(np.divide(2 * np.diag(counts), either, out=np.zeros(len(counts)), where=either > 0))


def _regression(candidate: Regressed, baseline: Regressed | None) -> list[Plot]:
    sides = [each for each in (baseline, candidate) if each is not None]
    with _axes("error: predicted minus true", "rows") as (axes, drawn):
        for side, color in zip(sides, _colors(sides), strict=True):
            edges, counts = residual_bins(side)
            axes.stairs(counts, edges, color=color, linewidth=2.2, fill=False)
            if side is candidate:
                axes.stairs(counts, edges, color=color, alpha=0.18, fill=True)
        axes.axvline(0, color=_INK["muted"], linewidth=1, dashes=(2, 3))
        axes.grid(visible=False, axis="x")
        axes.set_ylim(bottom=0)
    errors = drawn.plot("Errors", "The narrower and the nearer to zero, the better; the ends hold the tails.")
    return [errors, _predicted_and_true(candidate)]


def _predicted_and_true(candidate: Regressed, bins: int = 36) -> Plot:
    low, high = (float(np.quantile(candidate.truth, each)) for each in (0.005, 0.995))
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    true, predicted = (np.clip(each, edges[0], edges[-1]) for each in (candidate.truth, candidate.predicted))
    counts: Any = np.histogram2d(true, predicted, bins=edges)[0]
    step, most = float(edges[1] - edges[0]), float(counts.max()) or 1.0
    with _axes("true", "predicted") as (axes, drawn):
        for column, row in zip(*np.nonzero(counts), strict=True):
            alpha = 0.12 + 0.88 * float(np.sqrt(counts[column, row] / most))
            corner = (float(edges[column]), float(edges[row]))
            axes.add_patch(_square(corner, step, alpha))
        axes.plot([edges[0], edges[-1]], [edges[0], edges[-1]], color=_INK["muted"], linewidth=1, dashes=(2, 3))
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(edges[0], edges[-1])
    return drawn.plot("Predicted and true", "The nearer to the dotted line, the better; darker is more rows.")


def _square(corner: tuple[float, float], size: float, alpha: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, size, size, facecolor=_INK["candidate"], alpha=round(alpha, 2), linewidth=0)


def _colors(sides: Sequence[object]) -> list[str]:
    return [_INK["baseline"], _INK["candidate"]][-len(sides) :]


def _lines(axes: "Axes", curves: Sequence[Curve | None], **style: Any) -> None:
    for curve, color in zip(curves, _colors(curves), strict=True):
        if curve is not None:
            axes.plot(curve.x, curve.y, color=color, **style)


def _unit(axes: "Axes", most: float = 1.0) -> None:
    axes.set_xlim(0, most)
    axes.set_ylim(0, most * 1.02)
    axes.xaxis.set_major_locator(_ticks(most))
    axes.yaxis.set_major_locator(_ticks(most))


def _ticks(most: float) -> Any:
    from matplotlib.ticker import MultipleLocator

    return MultipleLocator(0.25 if most > 0.75 else 0.1)


class _Drawn:
    """A figure under way, and its SVG once it is finished."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=(4.6, 3.7), layout="constrained")
        self.text = ""

    def plot(self, title: str, caption: str) -> Plot:
        return Plot(title, caption, _for_the_page(self.text, re.sub(r"\W+", "-", title.lower())))


@contextmanager
def _axes(x: str, y: str) -> "Iterator[tuple[Axes, _Drawn]]":
    drawn = _Drawn()
    with rc_context(_STYLE):
        axes = drawn.figure.add_subplot()
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        yield axes, drawn
        stream = StringIO()
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        drawn.figure.savefig(stream, format="svg", transparent=True, metadata=metadata)
    drawn.text = stream.getvalue()


def _for_the_page(svg: str, prefix: str) -> str:
    """Return the SVG element alone, sized and coloured by the page, with identifiers that are unique in it."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace("<svg ", '<svg role="img" ', 1)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", svg)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", svg)
    for name, color in _INK.items():
        svg = svg.replace(color, f"var(--{name})")
    return re.sub(r"\n\s*", "\n", svg).strip()
