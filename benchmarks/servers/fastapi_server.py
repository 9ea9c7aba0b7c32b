"""FastAPI on uvicorn as its documentation shows it: ``python fastapi_server.py FOLDER MODEL PORT``."""

import pickle
import sys
from pathlib import Path

import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Tensor(BaseModel):
    """An input or output."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class InferenceRequest(BaseModel):
    """A request."""

    inputs: list[Tensor]


class InferenceResponse(BaseModel):
    """An answer."""

    model_name: str
    outputs: list[Tensor]


def application(folder: Path, which: str) -> FastAPI:
    """Return the application with its models loaded."""
    names = ("linear", "boosted", "bayes") if which == "vote" else (which,)
    models = [pickle.loads((folder / f"{name}.pkl").read_bytes()) for name in names]
    app = FastAPI()

    def answer(rows: np.ndarray) -> tuple[int, float]:
        if which == "vote":
            votes = sum(int(model.predict(rows)[0]) for model in models)
            label = int(votes * 2 > len(models))
            return label, (votes if label else len(models) - votes) / len(models)
        probabilities = models[0].predict_proba(rows)[0]
        return int(probabilities.argmax()), float(probabilities[1])

    @app.post("/v2/models/model/infer")
    async def infer(request: InferenceRequest) -> InferenceResponse:
        asked = request.inputs[0]
        label, number = answer(np.array(asked.data).reshape(asked.shape))
        second = "share" if which == "vote" else "probability"
        outputs = [
            Tensor(name="label", datatype="INT64", shape=[1, 1], data=[label]),
            Tensor(name=second, datatype="FP64", shape=[1, 1], data=[number]),
        ]
        return InferenceResponse(model_name="model", outputs=outputs)

    return app


if __name__ == "__main__":
    folder, which, port = sys.argv[1:4]
    uvicorn.run(application(Path(folder), which), port=int(port), log_level="warning", access_log=False)
