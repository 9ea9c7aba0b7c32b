"""What a step may ask about its surroundings: logger, parameters, secrets, metrics, responses, ports, channels."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.graphs import (
    Cache,
    Context,
    Event,
    Graph,
    GraphInvalid,
    ResourceMissing,
    Resources,
    Response,
    StepFailed,
)


class Secrets:
    def secret(self, name: str) -> str:
        if name != "token":
            raise SecretUnknown(f"nobody set the secret {name!r}")
        return "s3cret"


class SecretUnknown(ModelyardError):
    kind = ErrorKind.NOT_FOUND


class Metrics:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def emit(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self.seen.append((name, value, dict(labels)))


class Outside:
    """A channel to somewhere else."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def put(self, event: Event) -> None:
        self.events.append(event)


def test_secrets_come_by_name_from_the_port(caplog: pytest.LogCaptureFixture) -> None:
    def use(body: Any, context: Context) -> Any:
        return len(context.secret(body))

    graph = Graph("g")
    graph.to(use)
    assert graph.test("token", resources=Resources(secrets=Secrets())) == 6
    with pytest.raises(StepFailed, match=r"graph g, step use, event .*: nobody set the secret 'tokn'") as caught:
        graph.test("tokn", resources=Resources(secrets=Secrets()))
    assert caught.value.outcome.http == 404
    with pytest.raises(
        StepFailed, match=r"the step needs secrets, and the graph was opened without\. Hand it over"
    ) as e:
        graph.test("token")
    assert type(e.value.cause) is ResourceMissing
    assert "s3cret" not in caplog.text


def test_metrics_are_emitted_with_graph_and_step_or_go_nowhere() -> None:
    def measure(body: Any, context: Context) -> Any:
        context.metric("size", len(body), unit="items")
        return body

    graph = Graph("g")
    graph.to(measure)
    metrics = Metrics()
    assert graph.test("abc", resources=Resources(metrics=metrics)) == "abc"
    assert metrics.seen == [("size", 3, {"graph": "g", "step": "measure", "unit": "items"})]
    assert graph.test("abc") == "abc"


def test_the_logger_is_the_steps_own(caplog: pytest.LogCaptureFixture) -> None:
    def tell(body: Any, context: Context) -> Any:
        context.logger.info("saw %s", body)
        return body

    graph = Graph("delays")
    graph.to(tell)
    with caplog.at_level(logging.INFO):
        graph.test(7)
    assert [(each.name, each.getMessage()) for each in caplog.records] == [("modelyard.graphs.delays.tell", "saw 7")]


def test_a_response_has_a_status_and_headers() -> None:
    def made(body: Any, context: Context) -> Response:
        return context.response({"id": body}, status=201, headers={"location": f"/{body}"})

    graph = Graph("g")
    graph.to(made)
    assert graph.test(7) == Response({"id": 7}, 201, {"location": "/7"})


def test_classes_ask_for_the_context_when_they_are_built() -> None:
    class Limited:
        def __init__(self, context: Context, extra: int = 0) -> None:
            self.limit = context.parameters["limit"] + extra

        def do(self, body: Any, context: Context) -> Any:
            return body > self.limit, context.step

    graph = Graph("g", parameters={"limit": 3})
    graph.to(Limited, extra=1)
    assert [graph.test(number) for number in (4, 5)] == [(False, "Limited"), (True, "Limited")]


def test_an_argument_called_context_is_the_users_own() -> None:
    graph = Graph("g")
    graph.to(lambda body, context: (body, context), name="s", context="mine")
    assert graph.test(1) == (1, "mine")


def test_a_queue_hands_its_events_over_to_a_channel_of_its_name() -> None:
    seen: list[Any] = []
    graph = Graph("g")
    graph.to(lambda body: body, name="answer").respond().queue(name="elsewhere").to(seen.append, name="keep")
    channel = Outside()
    with graph.open(Resources(channels={"elsewhere": channel})) as plan:
        body = {"x": [1]}
        assert plan.run(Event(body, id="e1", key="k", headers={"a": "b"})) == body
        body["x"].append("changed after the reply")
        assert seen == []
        (event,) = channel.events
        assert (event.id, event.key, event.headers, event.body) == ("e1", "k", {"a": "b"}, {"x": [1]})
        plan.take_up("elsewhere", event)
        assert seen == [{"x": [1]}]
        with pytest.raises(GraphInvalid, match=r"graph g: there is no queue 'elsewere'\. Did you mean elsewhere\?"):
            plan.take_up("elsewere", event)


def test_a_cached_body_goes_on_in_the_envelope_of_the_event_that_asks() -> None:
    calls: list[str] = []

    def touch(event: Event) -> Event:
        calls.append(event.id)
        event.body = {**event.body, "touched": True}
        return event

    graph = Graph("g")
    graph.to(touch, full_event=True, cache=Cache(key="k")).to(
        lambda event: (event.id, event.path, event.body), name="tell", full_event=True
    )
    with graph.open() as plan:
        assert plan.run(Event({"k": 1}, id="one", path="/1")) == ("one", "/1", {"k": 1, "touched": True})
        assert plan.run(Event({"k": 1}, id="two", path="/2")) == ("two", "/2", {"k": 1, "touched": True})
    assert calls == ["one"]


def test_choices_filters_and_flat_maps_may_look_at_the_event() -> None:
    graph = Graph("g")
    choice = graph.choice(lambda event: event.path.strip("/"), name="route", full_event=True)
    choice.when("a").filter(lambda event: event.method == "POST", name="posts", full_event=True)
    choice.when("b").to(lambda body: "b", name="b")
    assert graph.test(7, path="/a") == 7
    assert graph.test(7, path="/a", method="GET") is None
    assert graph.test(7, path="/b") == "b"
    graph = Graph("g")
    graph.flat_map(lambda event: [event.path, event.body], name="both", full_event=True)
    assert graph.test(7, path="/x") == ["/x", 7]
