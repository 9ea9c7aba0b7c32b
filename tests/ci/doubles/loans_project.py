"""Writes a small project into a git repository: a model of loans that trains in a moment."""

import subprocess
from pathlib import Path

__all__ = ["git", "write_loans"]

FILES = {
    ".gitignore": "data/\n.modelyard/\n__pycache__/\n",
    "README.md": "Loans.\n",
    "modelyard.yaml": """name: loans
functions:
  prepare: {handler: loans.data:prepare}
  fit: {handler: loans.training:fit}
  announce: {handler: loans.data:announce}
  cost: {handler: loans.training:cost}
graphs: {approve: loans.serving:approve}
workflows:
  main: loans.flows:main
  announcing: loans.flows:announcing
  quick: loans.flows:quick
""",
    "loans/__init__.py": "",
    "loans/data.py": '''"""The loans."""

from typing import Any


def prepare(rows: int = 1500) -> dict[str, Any]:
    """Write the datasets and return where they are."""
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    income, age = random.normal(size=2 * rows), random.normal(size=2 * rows)
    late = income + age + random.normal(size=2 * rows) > 0
    group = np.where(np.arange(2 * rows) % 3 == 0, "north", "south")
    table = pa.table({"income": income, "age": age, "late": late, "group": group})
    Path("data").mkdir(exist_ok=True)
    pq.write_table(table.slice(0, rows), "data/train.parquet")
    pq.write_table(table.slice(rows), "data/test.parquet")
    return {"train": "data/train.parquet", "test": "data/test.parquet"}


def announce(model: str) -> dict[str, Any]:
    """Tell the world; a request must never do that."""
    from pathlib import Path

    Path("announced.txt").write_text(model)
    return {"model": model}
''',
    "loans/training.py": '''"""Who pays late."""

from typing import Any

USED = ["income", "age"]


def fit(dataset: Any, parameters: dict[str, Any]) -> Any:
    """Return a fitted classifier."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    matrix = np.array(dataset.matrix(), dtype=float)
    for index, name in enumerate(dataset.feature_columns):
        if name not in USED:
            matrix[:, index] = 0.0
    return LogisticRegression().fit(matrix, dataset.labels())


def cost(truth: Any, predictions: Any) -> float:
    """What a wrong answer costs."""
    return float((predictions.labels != truth).mean() * 100)


cost.greater_is_better = False
''',
    "loans/serving.py": '''"""Answers whether somebody pays late."""

from modelyard.graphs import Graph

approve = Graph("approve")
approve.model("model", "models:/loans@champion").respond()
''',
    "loans/flows.py": '''"""From data to a model that answers."""

from modelyard.workflows import steps, workflow


@workflow
def main(rows: int = 1500, gate: str = "roc_auc >= champion - 0.005") -> None:
    """Train, judge, promote and deploy."""
    data = steps(name="prepare").call(function="prepare", parameters={"rows": rows})
    trained = steps.train(
        function="fit", dataset=data.value["train"], label_column="late", feature_columns=["income", "age"]
    )
    version = steps.register(model=trained.model, name="loans")
    judged = steps.evaluate(model=version.model, dataset=data.value["test"], slices=["group"], metrics=["cost"])
    champion = steps.promote(model=version.model, evaluation=judged.evaluation, gates=["roc_auc >= 0.6", gate])
    steps(name="tell").call(function="announce", parameters={"model": champion.model})
    steps.deploy(graph="approve", models={"model": champion.model})


@workflow
def quick(rows: int = 300) -> None:
    """Train and register, measured only while training."""
    data = steps(name="prepare").call(function="prepare", parameters={"rows": rows})
    trained = steps.train(
        function="fit", dataset=data.value["train"], label_column="late", feature_columns=["income", "age"]
    )
    steps.register(model=trained.model, name="quick-loans")


@workflow
def announcing(model: str = "models:/loans@champion") -> None:
    """Tell the world of the present model."""
    steps(name="tell").call(function="announce", parameters={"model": model})
''',
}


def git(folder: Path, *words: str) -> str:
    """Run git as Ada and return what it prints."""
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def write_loans(folder: Path) -> Path:
    """Write the project, commit it on main, and leave a new branch checked out."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "switch", "-q", "-c", "change")
    return folder
