"""Every model of the library keeps the contract of blocks; one without a case fails here."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import probe_served
import pytest
from inference_service import inference_service
from probe_models import fitted, save_model, scores_file

from modelyard.errors import ErrorKind
from modelyard.graphs import Graph, Resources
from modelyard.graphs.models import ModelRunner, OnnxModel, RemoteModel
from modelyard.graphs.testing import BlockCase, check_case, library_blocks

INVALID = ErrorKind.INVALID
ROW = {"a": 2.0, "b": 0.0, "c": 0.0}


def adding(use: Any, **arguments: Any) -> Callable[[Graph], Any]:
    return lambda graph: graph.model("m", use, **arguments)


@pytest.fixture
def resources(tmp_path: Path) -> Resources:
    save_model(tmp_path / "delays", fitted())
    return Resources(models=probe_served.Folders(tmp_path))


def test_every_model_has_a_case() -> None:
    names = {block.__name__ for block in library_blocks()["models"]}
    assert names == {"EstimatorModel", "FunctionModel", "ModelRunner", "OnnxModel", "RemoteModel"}


def test_the_contract_of_registered_models(resources: Resources) -> None:
    probability = float(fitted().predict_proba([[2.0, 0, 0]])[0, 1])
    answer = {"label": True, "probability": probability}
    check_case(
        BlockCase(
            add=adding("delays"),
            bodies=[ROW, [2.0, 0.0, 0.0], [ROW, ROW]],
            replies=[answer, answer, [answer, answer]],
            refused=[({"a": 1}, INVALID), ("text", INVALID), ({**ROW, "a": "x"}, INVALID)],
            resources=resources,
        )
    )


def test_the_contract_of_functions() -> None:
    check_case(
        BlockCase(
            add=adding("probe_served:half", by=4),
            bodies=[2, 6],
            replies=[0.5, 1.5],
            refused=[("x", ErrorKind.USER_CODE)],
        )
    )


def test_the_contract_of_onnx_files(tmp_path: Path) -> None:
    file = str(scores_file(tmp_path))
    check_case(
        BlockCase(
            add=adding(OnnxModel, file=file, classes=["left", "middle", "right"], features=["x", "y"]),
            bodies=[{"x": 2.0, "y": 1.0}, [[0.0, 1.0]]],
            replies=[{"label": "left"}, [{"label": "middle"}]],
            refused=[({"x": 1.0}, INVALID)],
        )
    )


def test_the_contract_of_runners(resources: Resources) -> None:
    models = {"half": "probe_served:half", "absolute": {"use": "operator:abs", "concurrency": "thread"}}
    for given in (models, {**models, "absolute": "operator:abs"}):
        check_case(
            BlockCase(
                add=adding(ModelRunner, models=given),
                bodies=[-3],
                replies=[{"half": -1.5, "absolute": 3}],
                refused=[("x", ErrorKind.USER_CODE)],
            )
        )


@pytest.fixture
def url() -> Iterator[str]:
    described = {
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 1]}],
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [-1, 1]}],
    }

    def doubled(request: dict[str, Any]) -> Any:
        data = [2 * each for each in request["inputs"][0]["data"]]
        return [{"name": "y", "datatype": "FP64", "shape": [len(data), 1], "data": data}]

    with inference_service({"m": (described, doubled)}) as running:
        yield running.url


def test_the_contract_of_remote_models(url: str) -> None:
    pytest.importorskip("httpx")
    check_case(
        BlockCase(
            add=adding(RemoteModel, url=url),
            bodies=[{"x": 2.0}, [{"x": 1.0}, [3.0]]],
            replies=[{"y": 4.0}, [{"y": 2.0}, {"y": 6.0}]],
            refused=[({"z": 1.0}, INVALID), ("text", INVALID)],
        )
    )
