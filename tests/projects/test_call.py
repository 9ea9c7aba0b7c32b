import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import ModelyardError
from modelyard.operations import OperationContext
from modelyard.operations.catalogue import load_operation
from modelyard.projects.call import call
from modelyard.projects.user_code import calling

Write = Callable[..., Path]

WORK = """
import dataclasses
import errno
import msgspec

def add(a, b=1):
    return {"sum": a + b}

def nothing():
    pass

def told(context, *, name="x"):
    context.log.info("hello %s", name)
    (context.folder / "mess").write_text(name)
    return {"key": context.key, "name": name}

@dataclasses.dataclass
class Point:
    x: int
    y: float

class Row(msgspec.Struct):
    rows: int

def point(): return Point(1, 2.5)
def row(): return Row(3)
def numbers():
    import numpy
    return {"int": numpy.int64(7), "float": numpy.float32(0.5), "bool": numpy.bool_(True)}
def a_number(): return 7
def a_list(): return [1]
def an_object(): return {"thing": object()}
def an_array():
    import numpy
    return {"thing": numpy.zeros(2)}
def big(): return {"x": "x" * 50_000}

def broken(x):
    return deeper(x)

def deeper(x):
    raise LookupError("no such\\n   thing")

def broken_library(x):
    import json
    return json.loads("{")

def leaves(): raise SystemExit(0)
def full(): raise OSError(errno.ENOSPC, "No space left on device", "out.csv")
def known():
    from modelyard.errors import ModelyardError
    raise ModelyardError("as we say it")

class Callable_:
    def __call__(self, *, z): return {"z": z}
thing = Callable_()
def anything(**parameters): return parameters
"""


@pytest.fixture
def invoke(write: Write, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    project = write({"modelyard.yaml": "name: tiny\nfunctions: {add: {handler: 'work:add'}}\n", "work.py": WORK})
    (tmp_path / "scratch").mkdir()

    def run(function: str, **parameters: Any) -> dict[str, Any]:
        context = OperationContext(project=str(project), folder=tmp_path / "scratch", key="k")
        return call(context, function=function, parameters=parameters).value

    return run


def test_it_is_an_operation_of_the_catalogue() -> None:
    assert load_operation("call") is call
    assert [each.name for each in call.spec.parameters] == ["function", "parameters"]


def test_a_function_gets_its_parameters_by_name(invoke: Callable[..., dict[str, Any]]) -> None:
    assert invoke("add", a=4) == {"sum": 5}
    assert invoke("add", a=4, b=-4) == {"sum": 0}
    assert invoke("work:nothing") == {}
    assert invoke("work:thing", z=[1, None]) == {"z": [1, None]}
    assert invoke("work:anything", p={"q": "ü"}) == {"p": {"q": "ü"}}


def test_a_function_that_names_the_context_gets_it(
    invoke: Callable[..., dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert invoke("work:told", name="you") == {"key": "k", "name": "you"}
    assert (tmp_path / "scratch/mess").read_text() == "you"
    assert "hello you" in caplog.text


def test_what_is_nearly_json_is_made_json(invoke: Callable[..., dict[str, Any]]) -> None:
    assert invoke("work:point") == {"x": 1, "y": 2.5}
    assert invoke("work:row") == {"rows": 3}
    value = invoke("work:numbers")
    assert value == {"int": 7, "float": 0.5, "bool": True}
    assert [type(each) for each in value.values()] == [int, float, bool]


@pytest.mark.parametrize(
    ("function", "parameters", "text"),
    [
        ("add", {}, "add: the parameters do not fit the function: missing a required argument: 'a'. It takes a, b."),
        (
            "add",
            {"a": 1, "c": 2},
            "add: the parameters do not fit the function: got an unexpected keyword argument 'c'. It takes a, b.",
        ),
        (
            "work:told",
            {"nme": 1},
            "told: the parameters do not fit the function: got an unexpected keyword argument 'nme'. It takes name.",
        ),
        (
            "work:nothing",
            {"a": 1},
            "nothing: the parameters do not fit the function: got an unexpected keyword argument 'a'. It takes none.",
        ),
        ("ad", {}, "there is no function 'ad'"),
        (
            "work:broken",
            {"x": 1},
            "work.py:42: work:broken raised LookupError: no such thing. The log has the traceback.",
        ),
        ("work:broken_library", {"x": 1}, "work.py:46: work:broken_library raised JSONDecodeError: Expecting property"),
        ("work:leaves", {}, "work.py:48: work:leaves raised SystemExit: 0. The log has the traceback."),
        ("work:known", {}, "as we say it."),
        (
            "work:big",
            {},
            "work:big: what the function returned must be at most 48000 bytes of JSON, got 50018. Return a dict of",
        ),
        (
            "work:a_number",
            {},
            "work:a_number: what the function returned must be a mapping of names to JSON values, got int.",
        ),
        (
            "work:a_list",
            {},
            "work:a_list: what the function returned must be a mapping of names to JSON values, got list.",
        ),
        (
            "work:an_object",
            {},
            "work:an_object: what the function returned must be of JSON values, and holds the type object.",
        ),
        (
            "work:an_array",
            {},
            "work:an_array: what the function returned must be of JSON values, and holds the type ndarray.",
        ),
    ],
)
def test_what_goes_wrong_is_one_line(
    invoke: Callable[..., dict[str, Any]], function: str, parameters: dict[str, Any], text: str
) -> None:
    with pytest.raises(ModelyardError) as raised:
        invoke(function, **parameters)
    assert text in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_full_disk_stays_what_it_is(invoke: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(OSError, match="No space left on device"):
        invoke("work:full")


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143), SystemExit(130)])
def test_a_request_to_stop_is_no_error_of_the_function(tmp_path: Path, stop: BaseException) -> None:
    with pytest.raises(type(stop)) as raised, calling("add", tmp_path):
        raise stop
    assert raised.value is stop
