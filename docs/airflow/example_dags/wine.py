"""A project in one module: a dataset, a function that learns from it, a graph that serves what was learned."""

from pathlib import Path
from typing import Any

from modelyard.graphs import Graph

COLUMNS = ("alcohol", "malic_acid", "color_intensity", "hue")


def write_data(path: str) -> dict[str, Any]:
    """Write 178 wines of three growers as CSV, the growers taking turns."""
    import csv

    from sklearn.datasets import load_wine

    wines = load_wine()
    columns = [list(wines.feature_names).index(name) for name in COLUMNS]
    rows = [[*values[columns], f"grower-{label}"] for values, label in zip(wines.data, wines.target, strict=True)]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", newline="") as file:
        csv.writer(file).writerows([[*COLUMNS, "grower"], *(row for start in range(7) for row in rows[start::7])])
    return {"rows": len(rows)}


def fit(dataset: Any, parameters: dict[str, Any]) -> Any:
    """Fit a random forest."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(n_estimators=parameters.get("trees", 50), random_state=0)
    return forest.fit(dataset.matrix(), dataset.labels())


graph = Graph("wines")
graph.model("grower", model="models:/wine-grower@champion").respond()
