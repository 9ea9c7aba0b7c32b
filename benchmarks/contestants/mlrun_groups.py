"""MLRun's router and voting ensemble over three models that do nothing, in its mock server."""

import logging
from typing import Any

import mlrun
from mlrun.serving import V2ModelServer
from protocol import LABELS, Case

logging.disable(logging.WARNING)
_MEMBERS = ("one", "two", "three")


class Same(V2ModelServer):  # type: ignore[misc]
    """Answers with what it is asked."""

    def load(self) -> None:
        """Say that there is a model."""
        self.model = True

    def predict(self, request: dict[str, Any]) -> list[Any]:
        """Return the inputs."""
        return request["inputs"]  # type: ignore[no-any-return]


class Other(Same):
    """Answers with something else."""

    def predict(self, request: dict[str, Any]) -> list[Any]:
        """Return other labels than the inputs."""
        return [(each + 1) % 3 for each in request["inputs"]]


def _asking(path: str, *topology: Any, last: str = "Same", **arguments: Any) -> Case:
    function = mlrun.new_function("bench", kind="serving", image="none")
    function.set_topology("router", *topology, **arguments)
    for name, kind in zip(_MEMBERS, ("Same", "Same", last), strict=True):
        function.add_model(name, class_name=kind, model_path=".")
    server = function.to_mock_server(namespace={"Same": Same, "Other": Other})

    def run(count: int) -> None:
        for number in range(count):
            server.test(path, body={"inputs": [number % 3]})

    return Case(run, lambda: [server.test(path, body={"inputs": [number]})["outputs"][0] for number in LABELS])


def _voting(**arguments: Any) -> Case:
    ensemble = "mlrun.serving.VotingEnsemble"
    return _asking("/v2/models/infer", ensemble, name="vote", vote_type="classification", **arguments)


def router() -> Case:
    """Choose one of three models by the path."""
    return _asking("/v2/models/two/infer")


def vote() -> Case:
    """Let three models vote, as MLRun does by default: in threads."""
    return _voting()


def vote_split() -> Case:
    """Let three models vote of which one says something else."""
    return _voting(last="Other")


def vote_in_sequence() -> Case:
    """Let three models vote, one after the other."""
    return _voting(executor_type="array")


def vote_split_in_sequence() -> Case:
    """Let three models vote, one after the other; one says something else."""
    return _voting(last="Other", executor_type="array")
