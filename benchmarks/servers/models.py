"""The saved models that every server loads, and our bundles of graphs with them.

``python models.py FOLDER`` writes all of it.
"""

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from modelyard.data.digests import digest_of
from modelyard.graphs import Graph
from modelyard.graphs.ensembles import Vote
from modelyard.serving.bundle import BundledModel, Manifest, write_manifest

ESTIMATORS: dict[str, Any] = {
    "linear": LogisticRegression(),
    "boosted": HistGradientBoostingClassifier(random_state=7),
    "bayes": GaussianNB(),
}
SLOW = """
import time


def work(body):
    until = time.thread_time() + 0.005
    while time.thread_time() < until:
        pass
    return {"label": 1}
"""
SAMPLES = 20


def main(folder: Path) -> None:
    """Fit and save the models, and write requests and bundles."""
    data, labels = load_breast_cancer(return_X_y=True)
    rows = ((data - data.mean(axis=0)) / data.std(axis=0)).round(4)
    for name, estimator in ESTIMATORS.items():
        estimator.fit(rows, labels)
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(estimator))
    samples = rows[np.random.default_rng(7).integers(0, len(rows), size=SAMPLES)].tolist()
    requests = [json.dumps({"inputs": [_tensor(row)]}) for row in samples]
    (folder / "requests.jsonl").write_text("\n".join(requests) + "\n")
    _write_bundles(folder, samples)


def _tensor(row: list[float]) -> dict[str, Any]:
    return {"name": "rows", "shape": [1, len(row)], "datatype": "FP64", "data": row}


def _write_bundles(folder: Path, samples: list[list[float]]) -> None:
    for name in ("linear", "boosted"):
        graph = Graph("model")
        graph.model(name, f"models:/{name}/1")
        _write_bundle(folder, name, graph, (name,))
    graph = Graph("model")
    graph.model("linear", "models:/linear/1", compile="onnx", examples=samples)
    _write_bundle(folder, "compiled", graph, ("linear",))
    graph = Graph("model")
    graph.ensemble(Vote, name="vote", members={each: f"models:/{each}/1" for each in ESTIMATORS})
    _write_bundle(folder, "vote", graph, tuple(ESTIMATORS), prefix="vote.")
    graph = Graph("model")
    graph.to("slow_steps:work", name="work")
    _write_bundle(folder, "slow", graph, ())


def _write_bundle(folder: Path, name: str, graph: Graph, models: tuple[str, ...], prefix: str = "") -> None:
    bundle = folder / "bundles" / name
    (bundle / "project").mkdir(parents=True)
    (bundle / "project/slow_steps.py").write_text(SLOW)
    bundled = {}
    for each in models:
        files = bundle / "models" / each
        _write_model(files, (folder / f"{each}.pkl").read_bytes())
        bundled[prefix + each] = BundledModel(f"models:/{each}/1", digest_of(files), f"models/{each}")
    write_manifest(bundle, Manifest(graph.to_spec(), bundled, name, (), "benchmark"))


def _write_model(files: Path, pickled: bytes) -> None:
    """Write a model as MLflow lays it out."""
    files.mkdir(parents=True)
    (files / "model.pkl").write_bytes(pickled)
    flavor = {"pickled_model": "model.pkl", "serialization_format": "pickle"}
    told = {"features": [f"f{number}" for number in range(30)], "dtypes": ["double"] * 30, "task": "classification"}
    described = {"flavors": {"sklearn": flavor}, "metadata": {"modelyard": {**told, "input": "matrix"}}}
    (files / "MLmodel").write_text(yaml.safe_dump(described))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
