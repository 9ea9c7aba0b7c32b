"""A project in one module: a dataset, a function that learns from it, a graph that serves what was learned."""

from typing import Any

from modelyard.graphs import Graph

COLUMNS = ("alcohol", "malic_acid", "color_intensity", "hue")


def write_data(path: str, seed: int = 0) -> dict[str, Any]:
    """Write 178 wines from three growers as CSV, in random order."""
    import csv
    import random

    from sklearn.datasets import load_wine

    wines = load_wine()
    columns = [list(wines.feature_names).index(name) for name in COLUMNS]
    rows = [[*(row[column] for column in columns), f"grower-{label}"] for row, label in zip(wines.data, wines.target)]
    random.Random(seed).shuffle(rows)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([[*COLUMNS, "grower"], *rows])
    return {"rows": len(rows)}


def fit(dataset: Any, parameters: dict[str, Any]) -> Any:
    """Fit a random forest."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(n_estimators=parameters.get("trees", 50), random_state=0)
    return forest.fit(dataset.matrix(), dataset.labels())


graph = Graph("wines")
graph.model("grower", model="models:/wine-grower@champion").respond()
