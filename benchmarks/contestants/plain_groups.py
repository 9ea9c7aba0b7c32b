"""The floor: the same members asked by hand, one after the other."""

from typing import Any

from protocol import LABELS, Case


def _same(body: dict[str, list[int]]) -> int:
    return body["inputs"][0]


def _other(body: dict[str, list[int]]) -> int:
    return (body["inputs"][0] + 1) % 3


def _route(count: int) -> None:
    routes = {"one": _same, "two": _same, "three": _same}
    for number in range(count):
        path = "/v2/models/two/infer"
        routes[path.split("/")[3]]({"inputs": [number % 3]})


def _vote(count: int) -> None:
    for number in range(count):
        body = {"inputs": [number % 3]}
        labels = [_same(body), _same(body), _same(body)]
        max(labels, key=labels.count)


def _vote_split(count: int) -> None:
    for number in range(count):
        body = {"inputs": [number % 3]}
        labels = [_same(body), _same(body), _other(body)]
        max(labels, key=labels.count)


def router() -> Case:
    """Look a function up by a part of the path."""
    return Case(_route, lambda: list(LABELS))


def vote() -> Case:
    """Ask three functions, and take what most of them say."""
    return Case(_vote, lambda: list(LABELS))


def vote_split() -> Case:
    """Ask three functions of which one says something else."""
    return Case(_vote_split, lambda: list(LABELS))


def vote_on_row() -> Case:
    """Predict one row three times, without a vote."""
    from voted import MODELS, ROWS, SAMPLES

    return _predicting(MODELS, ROWS[:1], SAMPLES)


def vote_on_rows() -> Case:
    """Predict all rows three times, without a vote."""
    from voted import MODELS, ROWS

    return _predicting(MODELS, ROWS, ROWS)


def model_on_rows() -> Case:
    """Predict all rows with one model."""
    from voted import MODELS, ROWS

    model = MODELS["boosted"]

    def run(count: int) -> None:
        for _ in range(count):
            model.predict(ROWS)

    return Case(run, lambda: model.predict(ROWS).tolist())


def _predicting(models: dict[str, Any], rows: Any, samples: Any) -> Case:
    from voted import majority

    linear, boosted, bayes = models.values()

    def run(count: int) -> None:
        for _ in range(count):
            linear.predict(rows)
            boosted.predict(rows)
            bayes.predict(rows)

    return Case(run, lambda: majority([model.predict(samples) for model in models.values()]))
