import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from modelyard.training.outcomes import Classified, Outcomes, Regressed
from modelyard.training.plots import Plot, plots_of

RANDOM = np.random.default_rng(0)


def two_classes(rows: int = 500) -> Classified:
    truth = (RANDOM.random(rows) < 0.3).astype(np.intp)
    score = np.clip(truth * 0.3 + RANDOM.random(rows) * 0.7, 0, 1)
    return Classified(truth, (score >= 0.5).astype(np.intp), np.column_stack([1 - score, score]), (False, True))


def three_classes(names: tuple[str, ...] = ("a", "b", "c")) -> Classified:
    truth = RANDOM.integers(0, 3, 300)
    return Classified(truth, RANDOM.integers(0, 3, 300), RANDOM.dirichlet([1, 1, 1], 300), names)


def numbers() -> Regressed:
    truth = RANDOM.normal(size=300)
    return Regressed(truth, truth + RANDOM.normal(size=300))


def texts(plot: Plot) -> list[str]:
    return [each.text or "" for each in ET.fromstring(plot.svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(
    ("outcomes", "titles"),
    [
        (two_classes(), ["ROC curve", "Precision and recall", "Calibration", "Distribution of predictions"]),
        (three_classes(), ["Classes"]),
        (numbers(), ["Errors", "Predicted and true"]),
    ],
)
def test_each_task_has_its_plots_with_and_without_a_baseline(outcomes: Outcomes, titles: list[str]) -> None:
    alone, both = plots_of(outcomes), plots_of(outcomes, outcomes)
    assert [plot.title for plot in alone] == [plot.title for plot in both] == titles
    assert all("var(--candidate)" in plot.svg for plot in alone)
    assert not any("var(--baseline)" in plot.svg for plot in alone)
    assert "var(--baseline)" in both[0].svg


def test_a_plot_takes_colours_and_font_from_the_page_and_nothing_from_elsewhere() -> None:
    for plot in plots_of(two_classes(), two_classes()):
        ET.fromstring(plot.svg)
        assert not re.search(r"#[0-9a-f]{6}\b", plot.svg)
        assert "DejaVu" not in plot.svg
        assert not re.search(r'(href|src)="(?!#)', plot.svg)
        assert "<style" not in plot.svg


def test_plots_on_one_page_share_no_identifier() -> None:
    plots = plots_of(two_classes())
    names = [name for plot in plots for name in set(re.findall(r'\bid="([^"]+)"', plot.svg))]
    assert len(names) == len(set(names)) > 20
    for plot in plots:
        assert set(re.findall(r"url\(#([^)]+)\)", plot.svg)) <= set(names)


def test_the_same_data_gives_the_same_drawing() -> None:
    rows = two_classes()
    assert [plot.svg for plot in plots_of(rows)] == [plot.svg for plot in plots_of(rows)]


def test_class_names_are_taken_as_they_are() -> None:
    plot = plots_of(three_classes(("<script>", "$x^2$", "&amp;")))[0]
    assert {"<script>", "$x^2$", "&amp;"} <= set(texts(plot))


def test_a_class_that_never_occurs_has_no_area_but_a_place() -> None:
    truth = np.zeros(10, dtype=np.intp)
    plots = plots_of(Classified(truth, truth, np.tile([0.8, 0.2], (10, 1)), (0, 1)))
    assert [plot.title for plot in plots] == ["Calibration", "Distribution of predictions"]


def test_without_probabilities_two_classes_have_no_curves() -> None:
    truth = np.array([0, 1])
    assert plots_of(Classified(truth, truth, None, (0, 1))) == []


def test_a_constant_truth_is_drawn_too() -> None:
    assert len(plots_of(Regressed(np.ones(5), np.ones(5)))) == 2
