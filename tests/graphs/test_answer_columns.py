"""Columns of answers are, to whoever reads them, the list of mappings that they stand for."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.graphs import Graph
from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.ensembles import Mean

LISTED = [{"label": 1, "probability": 0.75}, {"label": 0, "probability": 0.25}, {"label": 1, "probability": 0.5}]


def columns() -> AnswerColumns:
    return AnswerColumns({"label": np.array([1, 0, 1]), "probability": np.array([0.75, 0.25, 0.5])})


def test_length_iteration_and_comparison_are_those_of_the_list() -> None:
    answers = columns()
    assert (len(answers), list(answers), list(reversed(answers))) == (3, LISTED, LISTED[::-1])
    assert answers == LISTED
    assert answers == LISTED
    assert answers == columns()
    assert answers != LISTED[:2]
    assert answers != [*LISTED[:2], {"label": 1}]
    assert answers != AnswerColumns({"label": np.array([1, 0, 1])})
    assert answers != tuple(LISTED)
    assert repr(answers) == repr(LISTED)
    assert LISTED[1] in answers
    assert answers.index(LISTED[2]) == 2


def test_an_index_makes_one_mapping_of_plain_values() -> None:
    answers = columns()
    assert [answers[row] for row in (0, -1, np.int64(1))] == [LISTED[0], LISTED[2], LISTED[1]]  # type: ignore[call-overload]
    assert [type(value) for value in answers[0].values()] == [int, float]
    answers[0]["label"] = 7
    assert answers[0] == LISTED[0]
    with pytest.raises(IndexError, match=r"^there are 3 answers, none has the index 3$"):
        answers[3]
    with pytest.raises(IndexError, match="none has the index -4"):
        answers[-4]


def test_a_slice_is_columns_again() -> None:
    assert isinstance(columns()[1:], AnswerColumns)
    assert columns()[1:] == LISTED[1:]
    assert columns()[::-2] == LISTED[::-2]
    assert columns()[3:] == []


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_and_pickles_are_equal(copied: Any) -> None:
    assert isinstance(copied(columns()), AnswerColumns)
    assert copied(columns()) == LISTED


@given(
    st.lists(
        st.tuples(
            st.one_of(st.text(max_size=3), st.integers(), st.booleans(), st.floats()), st.floats(0, 1), st.booleans()
        ),
        min_size=1,
    )
)
def test_values_of_all_types_come_back_as_they_are(rows: list[Any]) -> None:
    labels = np.empty(len(rows), dtype=object)
    labels[:] = [row[0] for row in rows]
    several = np.array([[row[1], 1 - row[1]] for row in rows])
    answers = AnswerColumns({"l": labels, "p": several, "b": np.array([row[2] for row in rows])})
    expected = [{"l": label, "p": [number, 1 - number], "b": truth} for label, number, truth in rows]
    assert repr(list(answers)) == repr(expected)
    assert repr([answers[row] for row in range(len(rows))]) == repr(expected)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^the columns are of one length, not \{'a': 1, 'b': 2\}$"):
        AnswerColumns({"a": np.zeros(1), "b": np.zeros(2)})
    with pytest.raises(ValueError, match="the columns are of one length"):
        AnswerColumns({})


def test_a_step_behind_an_ensemble_gets_a_list() -> None:
    class Labels:
        def do(self, answer: Any) -> Any:
            return answer["label"]

        def do_batch(self, answers: Any) -> Any:
            assert type(answers) is list
            return [answer.pop("label") for answer in answers]

    class Told:
        def do(self, body: Any) -> Any:
            return {"label": body}

        def do_batch(self, bodies: Any) -> Any:
            return [{"label": body} for body in bodies]

    graph = Graph("g")
    graph.ensemble(Mean, members={"a": Told, "b": Told})
    assert isinstance(graph.map([1.0, 2.0]).values, AnswerColumns)
    graph = Graph("g")
    graph.ensemble(Mean, members={"a": Told, "b": Told}).to(Labels)
    found = graph.map([1.0, 2.0])
    assert (found.vectorised, found.values) == (True, [1.0, 2.0])
