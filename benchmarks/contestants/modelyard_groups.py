"""Our routers and ensembles, through `Graph.test` and `Graph.map`."""

from collections.abc import Callable
from typing import Any

from protocol import LABELS, Case

from modelyard.graphs import Graph
from modelyard.graphs.ensembles import Vote
from modelyard.graphs.routers import ByPath

_PATH = "/v2/models/two/infer"


def _same(body: dict[str, list[int]]) -> int:
    return body["inputs"][0]


def _other(body: dict[str, list[int]]) -> int:
    return (body["inputs"][0] + 1) % 3


class _Predicting:
    """Asks one of the scikit-learn models; it leaves its rows as they are, so that no copy is made for it."""

    leaves_body = True

    def __init__(self, which: str) -> None:
        from voted import MODELS

        self._model = MODELS[which]

    def do(self, row: Any) -> Any:
        """Return the label of one row."""
        return self._model.predict(row[None])[0]

    def do_batch(self, rows: Any) -> Any:
        """Return the labels of many rows."""
        return self._model.predict(rows)


def router() -> Case:
    """Choose one of three functions by the path."""
    graph = Graph("routing")
    graph.router(ByPath, routes={"one": _same, "two": _same, "three": _same})

    def run(count: int) -> None:
        for number in range(count):
            graph.test({"inputs": [number % 3]}, path=_PATH)

    return Case(run, lambda: [graph.test({"inputs": [number]}, path=_PATH) for number in LABELS])


def vote() -> Case:
    """Let three functions vote that agree."""
    return _voting(one=_same, two=_same, three=_same)


def vote_split() -> Case:
    """Let three functions vote of which one says something else."""
    return _voting(one=_same, two=_same, three=_other)


def _voting(**members: Callable[[Any], int]) -> Case:
    graph = Graph("voting")
    graph.ensemble(Vote, members=members)

    def run(count: int) -> None:
        for number in range(count):
            graph.test({"inputs": [number % 3]})

    return Case(run, lambda: [graph.test({"inputs": [number]}) for number in LABELS])


def vote_of_models_on_row() -> Case:
    """Let three model steps vote on one row, a mapping of features as a request brings it."""
    from shelf import RESOURCES
    from voted import FEATURES, ROWS, SAMPLES

    graph = _modelled()
    row, *_ = rows = [dict(zip(FEATURES, each, strict=True)) for each in (ROWS[0].tolist(), *SAMPLES.tolist())]

    def run(count: int) -> None:
        for _ in range(count):
            graph.test(row, resources=RESOURCES)

    return Case(run, lambda: [graph.test(each, resources=RESOURCES)["label"] for each in rows[1:]])


def vote_of_models_on_rows() -> Case:
    """Let three model steps vote on many rows."""
    from shelf import RESOURCES
    from voted import ROWS

    graph = _modelled()
    assert graph.map(ROWS, resources=RESOURCES).vectorised

    def run(count: int) -> None:
        for _ in range(count):
            graph.map(ROWS, resources=RESOURCES)

    return Case(run, lambda: [reply["label"] for reply in graph.map(ROWS, resources=RESOURCES)])


def model_on_rows() -> Case:
    """Let one model step predict many rows."""
    from shelf import REFERENCES, RESOURCES
    from voted import ROWS

    graph = Graph("modelled")
    graph.model("boosted", REFERENCES["boosted"])
    assert graph.map(ROWS, resources=RESOURCES).vectorised

    def run(count: int) -> None:
        for _ in range(count):
            graph.map(ROWS, resources=RESOURCES)

    return Case(run, lambda: [reply["label"] for reply in graph.map(ROWS, resources=RESOURCES)])


def _modelled() -> Graph:
    from shelf import REFERENCES

    graph = Graph("modelled")
    graph.ensemble(Vote, members=REFERENCES)
    return graph


def vote_on_row() -> Case:
    """Let three steps that ask models vote on one row."""
    from voted import ROWS, SAMPLES

    graph, row = _predicting(), ROWS[0]

    def run(count: int) -> None:
        for _ in range(count):
            graph.test(row)

    return Case(run, lambda: [int(graph.test(row)) for row in SAMPLES])


def vote_on_rows() -> Case:
    """Let three steps that ask models vote on many rows."""
    from voted import ROWS

    graph = _predicting()
    assert graph.map(ROWS).vectorised

    def run(count: int) -> None:
        for _ in range(count):
            graph.map(ROWS)

    def answers() -> Any:
        return graph.map(ROWS).values.tolist()

    return Case(run, answers)


def _predicting() -> Graph:
    from voted import MODELS

    graph = Graph("predicting")
    graph.ensemble(Vote, members={name: {"use": _Predicting, "which": name} for name in MODELS})
    return graph
