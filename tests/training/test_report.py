import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from modelyard.data.sources import DatasetSource
from modelyard.training.comparison import compare
from modelyard.training.evaluation import Evaluation, Judged
from modelyard.training.metrics import MetricFacts, metrics_of
from modelyard.training.outcomes import Classified, Outcomes, Regressed
from modelyard.training.report import number, render_report
from modelyard.training.slices import slice_by

CARRIERS = np.array(["UA", "B6", "DL", "<i>"])[np.random.default_rng(3).choice(4, 2000, p=[0.5, 0.3, 0.19, 0.01])]


def scored(noise: float, seed: int) -> Classified:
    truth = (np.random.default_rng(0).random(2000) < 0.3).astype(np.intp)
    random = np.random.default_rng(seed)
    score = np.clip(0.35 + truth * 0.3 + noise * random.normal(size=2000), 0, 1)
    return Classified(truth, (score >= 0.5).astype(np.intp), np.column_stack([1 - score, score]), (False, True))


GOOD, POOR = scored(0.2, 1), scored(0.4, 2)


def judged(outcomes: Outcomes, version: int, **more: float) -> Judged:
    return Judged(
        title=f"delay version {version}",
        uri=f"models:/delay/{version}",
        outcomes=outcomes,
        metrics={**metrics_of(outcomes), **more},
        facts={"Digest": "d" * 64},
    )


def evaluation(candidate: Outcomes = GOOD, baseline: Outcomes | None = POOR, **changes: Any) -> Evaluation:
    parts: dict[str, Any] = {
        "project": "flights",
        "label": "late",
        "candidate": judged(candidate, 2, saved_dollars=12.5),
        "baseline": judged(baseline, 1, saved_dollars=10.0) if baseline is not None else None,
        "comparison": compare(candidate, baseline) if baseline is not None else None,
        "slices": (slice_by("carrier", CARRIERS, candidate, baseline),),
        "own_facts": {"saved_dollars": MetricFacts("Saved dollars", True, "per flight")},
        "source": DatasetSource("/data/july.parquet", 2003, {"carrier": "string", "late": "bool"}, "c" * 64),
        "notes": {"excluded, no arrival delay": "1 132"},
        "unlabelled": 3,
        "lineage": {"Commit": "abc123"},
        "made_at": datetime(2026, 11, 21, 8, 5, tzinfo=UTC),
    }
    return Evaluation(**{**parts, **changes})


class Page(HTMLParser):
    """Collects text and checks that tags nest."""

    VOID = ("meta", "br", "hr", "img", "link", "input")

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.tags: list[str] = []
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_verdict_comes_first() -> None:
    text = Page(render_report(evaluation())).text
    assert "Better than the champion" in text
    better = compare(GOOD, POOR)
    assert better is not None
    assert f"+{better.difference:.4f} ± {better.margin:.4f}" in text
    sentence = "delay version 2 reaches ROC AUC {} , where the champion, delay version 1, reaches {} on the same"
    assert sentence.format(number(better.candidate), number(better.baseline)) in text


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({"candidate": POOR, "baseline": GOOD}, "Worse than the champion"),
        ({"candidate": GOOD, "baseline": scored(0.2, 5)}, "No clear difference from the champion"),
        ({"baseline": None, "no_baseline": "No champion yet."}, f"ROC AUC {number(metrics_of(GOOD)['roc_auc'])}"),
        ({"comparison": None}, "Not comparable with the champion"),
        ({"baseline_role": "challenger"}, "Better than the challenger"),
    ],
)
def test_each_outcome_has_its_headline(changes: dict[str, Any], headline: str) -> None:
    page = Page(render_report(evaluation(**changes)))
    assert headline in page.text
    if "no_baseline" in changes:
        assert "No champion yet." in page.text
        assert "Difference" not in page.text


def test_a_champion_against_itself_is_said() -> None:
    same = judged(GOOD, 1)
    page = Page(render_report(evaluation(candidate=GOOD, baseline=None)))
    assert "Difference" not in page.text
    own = evaluation()
    text = Page(render_report(Evaluation(**{**vars_of(own), "candidate": same, "baseline": same}))).text
    assert "This is the champion itself" in text


def vars_of(evaluation: Evaluation) -> dict[str, Any]:
    return {name: getattr(evaluation, name) for name in evaluation.__dataclass_fields__}


def test_every_metric_has_candidate_champion_and_difference() -> None:
    text = Page(render_report(evaluation())).text
    good, poor = metrics_of(GOOD), metrics_of(POOR)
    for title, name in {"ROC AUC": "roc_auc", "Log loss": "log_loss", "F1": "f1"}.items():
        difference = number(good[name] - poor[name], signed=True)
        assert re.search(rf"{title} [^0-9]+ {good[name]:.4f} {poor[name]:.4f} {re.escape(difference)} ▲", text), title
    assert "Saved dollars per flight 12.50 10.00 +2.5000 ▲" in text


def test_slices_data_and_lineage_are_there() -> None:
    text = Page(render_report(evaluation())).text
    united = int((CARRIERS == "UA").sum())
    assert f"UA {united:,}".replace(",", " ") in text
    for words in ("/data/july.parquet", "Left out, no label 3", "Excluded, no arrival delay 1 132", "abc123", "c" * 64):
        assert words in text
    assert "21 November 2026, 08:05 UTC" in text


def test_few_rows_are_pale() -> None:
    page = render_report(evaluation())
    assert int((CARRIERS == "<i>").sum()) < 30
    assert page.count('<tr class="few">') == 1


def test_the_page_is_complete_in_itself_and_safe() -> None:
    nasty = "</style><script>alert(1)</script>"
    page = render_report(evaluation(project=nasty, notes={nasty: nasty}, lineage={nasty: nasty}))
    assert "script" not in Page(page).tags
    assert nasty not in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page
    assert {"link", "img", "iframe"}.isdisjoint(Page(page).tags)
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert 'name="viewport"' in page
    assert len(page) < 300_000


def test_regression_has_its_own_page() -> None:
    truth = np.random.default_rng(0).normal(10, 3, 2000)
    noise = np.random.default_rng(1).normal(size=2000)
    page = Page(render_report(evaluation(Regressed(truth, truth + 2 * noise), Regressed(truth, truth + noise))))
    assert "Worse than the champion" in page.text
    assert "Mean late" in page.text
    assert "Predicted and true" in page.text


def test_many_classes_have_their_own_page() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 2000)
    outcomes = Classified(truth, truth, np.eye(3)[truth], ("cat", "dog", "<b>owl</b>"))
    page = Page(render_report(evaluation(outcomes, None)))
    assert "was <b>owl</b>" in page.text
    assert "Share of late" not in page.text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.78441, "0.7844"), (-0.5, "\u22120.5000"), (12.345, "12.35"), (1234.56, "1\u202f234.6"), (2.5e12, "2.500e+12")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text
