"""MLRun's serving graph in its mock server, through `server.test`."""

import logging
from collections.abc import Callable
from typing import Any

import mlrun
from protocol import answer
from steps import add, double, subtract

logging.disable(logging.WARNING)
_STEPS = {"add": add, "double": double, "subtract": subtract}


def _flow(engine: str) -> tuple[Any, Any]:
    function = mlrun.new_function("bench", kind="serving", image="none")
    return function, function.set_topology("flow", engine=engine)


def _sending(server: Any) -> Callable[[int], None]:
    def run(count: int) -> None:
        for number in range(count):
            server.test("/", body=number)

    return run


def _chain(engine: str) -> Callable[[int], None]:
    function, flow = _flow(engine)
    last = flow.to(name="add", handler="add").to(name="double", handler="double")
    last = last.to(name="subtract", handler="subtract")
    if engine == "async":
        last.respond()
    server = function.to_mock_server(namespace=_STEPS)
    assert server.test("/", body=20) == 39
    return _sending(server)


def _branch() -> Callable[[int], None]:
    function, flow = _flow("async")
    for name in _STEPS:
        flow.to(name=name, handler=name)
    flow.add_step("mlrun.serving.merger.Merge", name="merge", after=list(_STEPS))
    flow.add_step(name="last", handler="last", after="merge").respond()
    server = function.to_mock_server(namespace={**_STEPS, "last": _same})
    assert server.test("/", body=20) == [21, 40, 17]
    return _sending(server)


def _same(body: Any) -> Any:
    return body


answer({"chain": _chain("sync"), "async chain": _chain("async"), "branch": _branch()})
