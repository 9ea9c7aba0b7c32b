import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.training.gates import Gate, judge, parse_gate, parse_gates
from modelyard.training.promotion_errors import GateInvalid


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("roc_auc >= 0.7", Gate("roc_auc >= 0.7", "roc_auc", ">=", 0.7)),
        ("roc_auc>=0.7", Gate("roc_auc>=0.7", "roc_auc", ">=", 0.7)),
        ("  log_loss   <  1e-3 ", Gate("log_loss < 1e-3", "log_loss", "<", 0.001)),
        ("bias > -.5", Gate("bias > -.5", "bias", ">", -0.5)),
        ("rows == +100.", Gate("rows == +100.", "rows", "==", 100.0)),
        ("auc >= champion", Gate("auc >= champion", "auc", ">=", 0.0, "+")),
        ("auc >= champion - 0.005", Gate("auc >= champion - 0.005", "auc", ">=", 0.005, "-")),
        ("auc>champion+.01", Gate("auc>champion+.01", "auc", ">", 0.01, "+")),
        ("rmse <= champion * 1.05", Gate("rmse <= champion * 1.05", "rmse", "<=", 1.05, "*")),
        (
            "slice/carrier: AA/roc_auc > 0.5",
            Gate("slice/carrier: AA/roc_auc > 0.5", "slice/carrier: AA/roc_auc", ">", 0.5),
        ),
        ("log-loss.v2 < 2", Gate("log-loss.v2 < 2", "log-loss.v2", "<", 2.0)),
        ("champion > champion", Gate("champion > champion", "champion", ">", 0.0, "+")),
    ],
)
def test_a_gate_is_read(text: str, expected: Gate) -> None:
    assert parse_gate(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "expected", "found"),
    [
        ("", 1, "the name of a metric", "it ends there"),
        (">= 0.7", 1, "the name of a metric", "found '>= 0.7'"),
        ("0.7 <= auc", 1, "the name of a metric", "found '0.7 <= auc'"),
        ("auc", 4, "one of >= > <= < ==", "it ends there"),
        ("auc => 0.7", 5, "one of >= > <= < ==", "found '=> 0.7'"),
        ("auc = 0.7", 5, "one of >= > <= < ==", "found '= 0.7'"),
        ("auc >=", 7, "a number or champion", "it ends there"),
        ("auc >= champoin", 8, "a number or champion", "found 'champoin'"),
        ("auc >= nan", 8, "a number or champion", "found 'nan'"),
        ("auc >= inf", 8, "a number or champion", "found 'inf'"),
        ("auc >= 0.7x", 8, "a number or champion", "found '0.7x'"),
        ("auc >= 0.7.1", 8, "a number or champion", "found '0.7.1'"),
        ("auc >= 70%", 10, "nothing after the number", "found '%'"),
        ("auc >= 0.7 and f1 > 0", 12, "nothing after the number", "found 'and f1 > 0'"),
        ("auc >= champion / 2", 17, "+, - or * and a number, or nothing after champion", "found '/ 2'"),
        ("auc >= champion -", 18, "a number without a sign", "it ends there"),
        ("auc >= champion - -1", 19, "a number without a sign", "found '-1'"),
        ("auc >= champion - 0.1 * 2", 23, "nothing after the number", "found '* 2'"),
        ("auc >= 2 * champion", 10, "nothing after the number", "found '* champion'"),
        ("auc >= champion.f1", 8, "a number or champion", "found 'champion.f1'"),
    ],
)
def test_what_is_no_gate_says_where_and_what(text: str, position: int, expected: str, found: str) -> None:
    with pytest.raises(GateInvalid) as raised:
        parse_gate(text)
    assert str(raised.value).startswith(
        f"gates: the gate {text!r} is wrong at character {position}: expected {expected}, {found}. "
    )
    assert raised.value.facts == {"gate": text, "position": position, "expected": expected}
    assert raised.value.kind == "invalid"


@given(st.text(max_size=60))
def test_any_text_is_a_gate_or_an_error_within_it(text: str) -> None:
    try:
        gate = parse_gate(text)
    except GateInvalid as error:
        assert 1 <= error.facts["position"] <= len(text) + 1  # noqa: PT017 (either is right)
    else:
        assert parse_gate(gate.text) == gate


def test_the_same_gate_twice_is_one() -> None:
    assert [gate.text for gate in parse_gates(["a > 1", "b > 1", " a  > 1"])] == ["a > 1", "b > 1"]


@pytest.mark.parametrize(
    ("text", "held", "said"),
    [
        ("auc >= 0.7", True, "0.744 >= 0.7: held"),
        ("auc >= 0.744", True, "0.744 >= 0.744: held"),
        ("auc > 0.744", False, "0.744 > 0.744: failed"),
        ("auc < 0.8", True, "0.744 < 0.8: held"),
        ("auc <= 0.7", False, "0.744 <= 0.7: failed"),
        ("auc == 0.744", True, "0.744 == 0.744: held"),
        ("auc >= champion", False, "0.744 >= 0.75 (champion 0.75): failed"),
        ("auc >= champion - 0.01", True, "0.744 >= 0.74 (champion 0.75 - 0.01): held"),
        ("auc >= champion + 0.01", False, "0.744 >= 0.76 (champion 0.75 + 0.01): failed"),
        ("auc >= champion * 0.9", True, "0.744 >= 0.675 (champion 0.75 * 0.9): held"),
        ("auc >= champion * 0", True, "0.744 >= 0 (champion 0.75 * 0): held"),
        ("broken >= 0", False, "broken is not a number: failed"),
        ("broken >= champion", False, "broken is not a number: failed"),
        ("uac >= 0", False, "there is no metric 'uac'. Did you mean auc?: failed"),
        ("new >= champion", False, "the champion's new is missing: failed"),
        ("odd >= champion", False, "the champion's odd is not a number: failed"),
        ("close >= 0.7000001", False, "0.70000005 >= 0.7000001: failed"),
    ],
)
def test_a_gate_is_judged_and_says_how(text: str, held: bool, said: str) -> None:
    metrics = {"auc": 0.744, "broken": math.nan, "new": 1.0, "odd": 1.0, "close": 0.70000005}
    outcome = judge(parse_gate(text), metrics, {"auc": 0.75, "broken": 1.0, "odd": math.nan})
    assert (outcome.held, outcome.said) == (held, said)


@pytest.mark.parametrize(
    ("text", "held", "said"),
    [
        ("auc >= champion + 0.5", True, "0.744, and there is no champion to compare with: held"),
        ("auc >= 0.8", False, "0.744 >= 0.8: failed"),
        ("broken >= champion", False, "broken is not a number: failed"),
        ("missing >= champion", False, "there is no metric 'missing'. Known: auc, broken.: failed"),
    ],
)
def test_without_a_champion_only_the_comparison_with_it_is_left_out(text: str, held: bool, said: str) -> None:
    outcome = judge(parse_gate(text), {"auc": 0.744, "broken": math.nan}, None)
    assert (outcome.held, outcome.said) == (held, said)
