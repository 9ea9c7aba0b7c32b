"""Settings that are made in Python say which field is wrong, by which rule, with which value."""

from re import escape
from typing import Any

import pytest

from modelyard.deploy.errors import SettingInvalid
from modelyard.deploy.local.settings import Scale, ServingSettings, Smoke
from modelyard.deploy.rollout import Gates, MetricGate, Rollout, Stage, read_rollout
from modelyard.serving.access import AccessRules
from modelyard.serving.limits import Limits
from modelyard.serving.record_rules import RecordRules
from modelyard.serving.tls import Certificates
from modelyard.serving.trace_rules import TraceRules


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Limits, {"body": "x"}, "body is an integer, not 'x'"),
        (Limits, {"in_flight": 1.5}, "in_flight is an integer, not 1.5"),
        (Limits, {"rows": True}, "rows is an integer, not True"),
        (Limits, {"seconds": None}, "seconds is a number, not None"),
        (Limits, {"seconds": float("nan")}, "seconds is more than 0, not nan"),
        (AccessRules, {"infer": "TOKENS"}, "infer is a list, not 'TOKENS'"),
        (AccessRules, {"admin": ("A", 7)}, "admin[1] is a text, not ('A', 7)"),
        (Certificates, {"certificate": None, "key": "k"}, "certificate is a text, not None"),
        (TraceRules, {"share": "all"}, "share is a number or nothing, not 'all'"),
        (RecordRules, {"folder": "r", "rows": "many"}, "rows is an integer, not 'many'"),
        (Scale, {"min": "1"}, "min is an integer, not '1'"),
        (Smoke, {"status": 99}, "status is from 200 to 599, not 99"),
        (ServingSettings, {"python": 3}, "python is a text, not 3"),
        (Stage, {"share": "half"}, "share is a number, not 'half'"),
        (MetricGate, {"field": "", "change": 1.0}, "field names a number in the replies, and is empty"),
        (MetricGate, {"field": "p", "change": -0.1}, "change is at least 0, not -0.1"),
        (Gates, {"requests": 0.5}, "requests is an integer, not 0.5"),
        (Rollout, {"shadow": "yes"}, "shadow is true or false, not 'yes'"),
    ],
)
def test_a_field_says_what_it_holds(kind: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{escape(message)}$"):
        kind(**values)


def test_what_is_read_is_refused_by_the_name_of_the_setting() -> None:
    gates = {"metric": {"field": "p", "change": -1}}
    with pytest.raises(SettingInvalid) as caught:
        read_rollout({"traffic": {"challenger": 5}, "gates": gates}, {}, shadow=False)
    assert str(caught.value).startswith("deploy.rollout.gates.metric: change is at least 0, not -1")
    with pytest.raises(SettingInvalid, match="must be at least 0, got nan"):
        read_rollout({"steps": [{"share": 5, "seconds": float("nan")}]}, {}, shadow=False)
