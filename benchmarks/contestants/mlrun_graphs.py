"""MLRun's serving graph in its mock server, through `server.test`."""

import logging
from typing import Any

import mlrun
import mlrun_groups
from protocol import INPUTS, Case, answer
from steps import add, double, subtract

logging.disable(logging.WARNING)
_STEPS = {"add": add, "double": double, "subtract": subtract}


def _flow(engine: str) -> tuple[Any, Any]:
    function = mlrun.new_function("bench", kind="serving", image="none")
    return function, function.set_topology("flow", engine=engine)


def _sending(server: Any) -> Case:
    def run(count: int) -> None:
        for number in range(count):
            server.test("/", body=number)

    return Case(run, lambda: [server.test("/", body=number) for number in INPUTS])


def _chain(engine: str) -> Case:
    function, flow = _flow(engine)
    last = flow.to(name="add", handler="add").to(name="double", handler="double")
    last = last.to(name="subtract", handler="subtract")
    if engine == "async":
        last.respond()
    return _sending(function.to_mock_server(namespace=_STEPS))


def _guarded() -> Case:
    function, flow = _flow("sync")
    last = flow.to(name="add", handler="add_to_event", full_event=True).to(name="double", handler="double")
    last.to(name="subtract", handler="subtract")
    flow.error_handler(name="told", handler="told_error", full_event=True)
    names = {**_STEPS, "add_to_event": _add_to_event, "told_error": _told_error}
    return _sending(function.to_mock_server(namespace=names))


def _branch() -> Case:
    function, flow = _flow("async")
    for name in _STEPS:
        flow.to(name=name, handler=name)
    flow.add_step("mlrun.serving.merger.Merge", name="merge", after=list(_STEPS))
    flow.add_step(name="last", handler="last", after="merge").respond()
    return _sending(function.to_mock_server(namespace={**_STEPS, "last": _same}))


def _same(body: Any) -> Any:
    return body


def _add_to_event(event: Any) -> Any:
    event.body += 1
    return event


def _told_error(event: Any) -> Any:
    event.body = str(event.error)
    return event


answer(
    {
        "chain": lambda: _chain("sync"),
        "chain with event and handler": _guarded,
        "async chain": lambda: _chain("async"),
        "branch": _branch,
        "router by path": mlrun_groups.router,
        "vote of 3": mlrun_groups.vote,
        "vote of 3, two against one": mlrun_groups.vote_split,
    }
)
