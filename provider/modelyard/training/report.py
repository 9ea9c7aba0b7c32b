"""Writes an evaluation as one HTML page that needs no network and is a pleasure to read."""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.training.evaluation import Evaluation, Judged
from modelyard.training.metrics import confusion
from modelyard.training.outcomes import Classified
from modelyard.training.plots import Plot, plots_of
from modelyard.training.slices import Slice, SliceTable

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["number", "render_report", "whole"]

_FEW_ROWS = 30
_MOST_CLASSES = 12
_NARROW = "\u202f"
_MINUS = "\u2212"
_NONE = "\u2013"


def render_report(evaluation: Evaluation) -> str:
    """Return the evaluation as one self-contained HTML page.

    Parameters
    ----------
    evaluation
        The evaluation; every text in it is escaped.
    """
    baseline = evaluation.baseline
    plots: list[Plot] = plots_of(evaluation.candidate.outcomes, baseline.outcomes if baseline else None)
    return _template().render(
        it=evaluation,
        headline=_headline(evaluation),
        tone=_tone(evaluation),
        gap=_gap(evaluation),
        metrics=list(_metric_rows(evaluation)),
        plots=plots,
        tables=[_confusion(each) for each in (evaluation.candidate, baseline) if each and _confusable(each)],
        slices=[_slice_view(evaluation, table) for table in evaluation.slices],
        rows=whole(len(evaluation.candidate.outcomes)),
        name=evaluation.source.uri.rstrip("/").rpartition("/")[2],
        made_at=evaluation.made_at.strftime("%d %B %Y, %H:%M %Z").lstrip("0"),
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("modelyard.training"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, whole=whole, percent=_percent)
    return environment.get_template("report.html.j2")


def number(value: float | None, *, signed: bool = False) -> str:
    """Return a metric as people read it: four decimals below ten, fewer above.

    Examples
    --------
    >>> number(0.78441), number(1234.5), number(0.5, signed=True)
    ('0.7844', '1\u202f234.5', '+0.5000')
    """
    if value is None:
        return _NONE
    size = abs(value)
    digits = 4 if size < 10 else 2 if size < 1000 else 1
    text = f"{size:,.{digits}f}" if size < 1e9 else f"{size:.3e}"
    sign = (_MINUS if value < 0 else "+" if value > 0 else "±") if signed else _MINUS if value < 0 else ""
    return sign + text.replace(",", _NARROW)


def whole(value: float) -> str:
    """Return a count as people read it.

    Examples
    --------
    >>> whole(28293)
    '28\u202f293'
    """
    return f"{value:,.0f}".replace(",", _NARROW)


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", f"{_NARROW}%")


def _headline(evaluation: Evaluation) -> str:
    candidate, role = evaluation.candidate, evaluation.baseline_role
    if evaluation.baseline is None:
        metric = evaluation.main_metric
        return f"{evaluation.facts_of(metric).title} {number(candidate.metrics.get(metric))}"
    if evaluation.baseline.uri == candidate.uri:
        return f"This is the {role} itself"
    found = evaluation.comparison
    if found is None:
        return f"Not comparable with the {role}"
    words = {"better": "Better than", "worse": "Worse than", "even": "No clear difference from"}
    return f"{words[found.verdict]} the {role}"


def _tone(evaluation: Evaluation) -> str:
    found = evaluation.comparison
    return {"better": "good", "worse": "bad"}.get(found.verdict, "") if found else ""


class _Gap(NamedTuple):
    """The difference of the main metric, drawn on a line from worse to better; positions in per cent."""

    metric: str
    candidate: str
    baseline: str
    difference: str
    margin: str
    low: float
    middle: float
    high: float
    label: float


def _gap(evaluation: Evaluation) -> _Gap | None:
    found = evaluation.comparison
    if found is None:
        return None
    facts = evaluation.facts_of(found.metric)
    good = -found.difference if facts.greater_is_better is False else found.difference
    margin = found.margin if found.margin < float("inf") else 0.0
    reach = max(abs(good) + margin, 1e-9) * 1.3
    low, middle, high = (50 + 50 * each / reach for each in (good - margin, good, good + margin))
    return _Gap(
        facts.title,
        number(found.candidate),
        number(found.baseline),
        number(found.difference, signed=True),
        number(found.margin) if found.margin < float("inf") else "unknown",
        round(low, 2),
        round(middle, 2),
        round(high, 2),
        round(min(max(middle, 22), 78), 2),
    )


class _MetricRow(NamedTuple):
    name: str
    title: str
    meaning: str
    candidate: str
    baseline: str
    difference: str
    tone: str
    main: bool


def _metric_rows(evaluation: Evaluation) -> Iterator[_MetricRow]:
    candidate = evaluation.candidate.metrics
    baseline = evaluation.baseline.metrics if evaluation.baseline else {}
    for name in dict.fromkeys([*candidate, *baseline]):
        facts = evaluation.facts_of(name)
        one, other = candidate.get(name), baseline.get(name)
        difference = one - other if one is not None and other is not None else None
        yield _MetricRow(
            name,
            facts.title,
            facts.meaning,
            number(one),
            number(other),
            number(difference, signed=True),
            _direction(difference, greater_is_better=facts.greater_is_better),
            name == evaluation.main_metric,
        )


def _direction(difference: float | None, *, greater_is_better: bool | None) -> str:
    if difference is None or greater_is_better is None or round(difference, 4) == 0:
        return ""
    return "good" if (difference > 0) == greater_is_better else "bad"


class _Confusion(NamedTuple):
    title: str
    classes: list[str]
    rows: list[tuple[str, list[tuple[str, str, float, bool]]]]


def _confusable(judged: Judged) -> bool:
    return isinstance(judged.outcomes, Classified) and len(judged.outcomes.classes) <= _MOST_CLASSES


def _confusion(judged: Judged) -> _Confusion:
    assert isinstance(judged.outcomes, Classified)  # noqa: S101 (asked by _confusable)
    classes = [_class_name(each) for each in judged.outcomes.classes]
    rows = []
    for index, counts in enumerate(confusion(judged.outcomes)):
        total = int(counts.sum()) or 1
        cells = [
            (whole(count), _percent(count / total), round(float(count / total), 3), index == column)
            for column, count in enumerate(counts)
        ]
        rows.append((classes[index], cells))
    return _Confusion(judged.title, classes, rows)


def _class_name(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class _SliceRow(NamedTuple):
    value: str
    rows: str
    share: float
    level: str
    candidate: str
    baseline: str
    tone: str
    few: bool
    dot: float | None
    other: float | None


class _SliceView(NamedTuple):
    column: str
    metric: str
    level: str
    rows: list[_SliceRow]
    overall: float | None
    low: str
    high: str


def _slice_view(evaluation: Evaluation, table: SliceTable) -> _SliceView:
    metric = evaluation.main_metric
    greater = evaluation.facts_of(metric).greater_is_better
    overall = evaluation.candidate.metrics.get(metric)
    every = [value for each in table.slices for value in (each.metrics.get(metric), each.baseline_metrics.get(metric))]
    known = [value for value in [*every, overall] if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    space = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    low, high = low - space, high + space

    def place(value: float | None) -> float | None:
        return None if value is None else round(100 * (value - low) / (high - low), 2)

    most = max((each.share for each in table.slices), default=1.0)
    rows = [_slice_row(each, metric, greater, most, place) for each in table.slices]
    level = "" if all(each.level is None for each in table.slices) else _level_title(evaluation)
    title = evaluation.facts_of(metric).title
    return _SliceView(table.column, title, level, rows, place(overall), number(low), number(high))


def _level_title(evaluation: Evaluation) -> str:
    share = isinstance(evaluation.candidate.outcomes, Classified)
    return f"{'Share of' if share else 'Mean'} {evaluation.label}"


def _slice_row(part: Slice, metric: str, greater: bool | None, most: float, place: Any) -> _SliceRow:
    one, other = part.metrics.get(metric), part.baseline_metrics.get(metric)
    difference = one - other if one is not None and other is not None else None
    return _SliceRow(
        value=part.value,
        rows=whole(part.rows),
        share=round(100 * part.share / most, 1),
        level=_level(part),
        candidate=number(one),
        baseline=number(other),
        tone=_direction(difference, greater_is_better=greater),
        few=part.rows < _FEW_ROWS,
        dot=place(one),
        other=place(other),
    )


def _level(part: Slice) -> str:
    if part.level is None:
        return _NONE
    return _percent(part.level) if part.level_is_share else number(part.level)
