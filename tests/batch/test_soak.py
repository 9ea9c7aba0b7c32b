"""Ten million rows through the whole operation: real registry, real model, bounded memory.

``MODELYARD_SOAK_ROWS`` sets another number of rows.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelyard.data import open_dataset
from modelyard.projects import open_project
from modelyard.tracking import ModelFacts, open_tracking

ROWS = int(os.environ.get("MODELYARD_SOAK_ROWS", "10_000_000"))
LIMIT_MB = 1_500
FEATURES = tuple(f"x{index}" for index in range(10))

CHILD = """
import json, sys
from pathlib import Path
from modelyard.batch import predict
from modelyard.operations import OperationContext
root, output, key = sys.argv[1:]
result = predict(
    OperationContext(project=root, folder=Path(root), key=key),
    model="models:/delays/1", dataset="rows.parquet", destination=output, key_columns=["id"], shard_rows=500_000,
)
status = Path("/proc/self/status").read_text()
peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
print(json.dumps({"rows": result.rows, "per_second": result.rows_per_second, "peak_mb": peak / 1024}))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a boosted model of 100 trees, and rows in groups of a million."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    root = tmp_path_factory.mktemp("soak")
    (root / "modelyard.yaml").write_text("name: soak\n")
    generator = np.random.default_rng(0)
    matrix = generator.random((50_000, len(FEATURES)))
    late = matrix[:, 0] + matrix[:, 1] * matrix[:, 2] > 0.8
    estimator = HistGradientBoostingClassifier(max_iter=100).fit(matrix, late)
    opened = open_project(str(root))
    tracking = open_tracking(opened.environment(), "soak")
    facts = ModelFacts(FEATURES, ("float",) * len(FEATURES), "matrix", "classification", (False, True), "late")
    with tracking.start_run("train") as run:
        stored = run.log_model(estimator, facts=facts, input_example=matrix[:3])
    tracking.register(stored.uri, "delays")
    _write_rows(root / "rows.parquet", generator)
    return root


def _write_rows(path: Path, generator: np.random.Generator) -> None:
    schema = pa.schema([("id", pa.int64()), *((name, pa.float32()) for name in FEATURES)])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, ROWS, 1_000_000):
            rows = min(1_000_000, ROWS - start)
            columns = [pa.array(generator.random(rows, dtype=np.float32)) for _ in FEATURES]
            identity = pa.array(np.arange(start, start + rows))
            writer.write_table(pa.table([identity, *columns], schema=schema), row_group_size=1_000_000)


def start(project: Path, output: Path, key: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(project), str(output), key], stdout=subprocess.PIPE, text=True
    )


def check_rows(output: Path) -> None:
    expected = 0
    for batch in open_dataset(str(output)).batches(["id", "probability_true"]):
        ids, probable = batch.column("id").to_numpy(), batch.column("probability_true").to_numpy()
        assert (ids == np.arange(expected, expected + len(ids))).all()
        assert ((probable >= 0) & (probable <= 1)).all()
        expected += len(ids)
    assert expected == ROWS


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_ten_million_rows_fit_in_a_bounded_memory(project: Path, tmp_path: Path) -> None:
    said, _ = start(project, tmp_path / "scored", "one").communicate()
    result: dict[str, Any] = json.loads(said)
    print(f"\n{ROWS:,} rows: {result['per_second']:,.0f} rows/s, peak {result['peak_mb']:,.0f} MB")

    assert result["rows"] == ROWS
    assert result["peak_mb"] < LIMIT_MB
    check_rows(tmp_path / "scored")


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_killed_at_random_moments_and_started_again_each_row_comes_once(project: Path, tmp_path: Path) -> None:
    output, randomly = tmp_path / "scored", random.Random(time.time_ns())
    shards = -(-ROWS // 500_000)
    parts = kills = 0
    while True:
        process = start(project, output, "same key")
        parts += randomly.randint(1, max(shards // 4, 1))
        while process.poll() is None and len(list(output.glob("part-*.parquet"))) < parts:
            time.sleep(0.01)
        time.sleep(randomly.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode == 0:
            break
        kills += 1

    assert kills
    check_rows(output)
    assert not [path for path in output.iterdir() if path.name.startswith((".", "_progress"))]
