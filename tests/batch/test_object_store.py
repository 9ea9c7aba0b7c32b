"""Scoring from and to a real object store's interface: listings that lag, no rename, uploads in parts."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from local_ports import free_port
from probe_batch import SumModel, files, rows_of, score, scored

from modelyard.data import (
    DatasetNotFound,
    DatasetUnfinished,
    ShardWriter,
    StorageNotFound,
    StorageUnavailable,
    open_dataset,
)

pytest.importorskip("s3fs", reason="s3fs is not installed")
servers = pytest.importorskip("moto.server", reason="moto[server] is not installed")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket on a server of the test's own."""
    import s3fs

    port = free_port()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = servers.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ACCESS_KEY_ID", "key")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    s3fs.S3FileSystem.clear_instance_cache()
    fs = s3fs.S3FileSystem()
    fs.mkdir("lake")
    with fs.open("lake/in/t.parquet", "wb") as stream:
        pq.write_table(rows_of(20_000), stream, row_group_size=3_333)
    yield "s3://lake"
    server.stop()
    patch.undo()
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_later_output_replaces_the_earlier(bucket: str) -> None:
    dataset = open_dataset(f"{bucket}/in")

    score(dataset, SumModel(), f"{bucket}/out", run="aaaa", shard_rows=5_000)
    manifest = score(dataset, SumModel(), f"{bucket}/out", run="bbbb", shard_rows=10_000)

    assert manifest.rows == 20_000
    assert files(f"{bucket}/out") == ["_manifest.json", "part-bbbb-00000.parquet", "part-bbbb-00001.parquet"]
    assert [row["row"] for row in scored(f"{bucket}/out")] == list(range(20_000))


CHILD = """
import sys
from probe_batch import SumModel, score
from modelyard.data import open_dataset
model = SumModel(rests_after=int(sys.argv[3]) or None)
score(open_dataset(sys.argv[1]), model, sys.argv[2], run="cccc", batch_rows=500, shard_rows=1_000)
"""


def test_killed_again_and_again_each_row_comes_once(bucket: str) -> None:
    output = f"{bucket}/killed"
    paths = [str(Path(__file__).parents[1] / "probes"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", CHILD, f"{bucket}/in", output]
    for parts in (5, 13):
        more = parts - len([name for name in _listed(output) if name.startswith("part-")])
        rests_after = 2 * more + 4  # a part has two batches; so that there is time to kill it
        process = subprocess.Popen([*command, str(rests_after)], env=environment)
        deadline = time.monotonic() + 120
        while len([name for name in _listed(output) if name.startswith("part-")]) < parts:
            assert time.monotonic() < deadline
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        with pytest.raises(DatasetUnfinished):
            open_dataset(output)

    subprocess.run([*command, "0"], env=environment, check=True)

    assert [row["row"] for row in scored(output)] == list(range(20_000))
    assert [name for name in files(output) if not name.startswith("part-")] == ["_manifest.json"]


def _listed(output: str) -> list[str]:
    import fsspec

    fsspec.filesystem("s3").invalidate_cache()
    return files(output)


@pytest.mark.parametrize("address", ["s3://nowhere/x.parquet", "s3://lake/none.csv", "s3://lake/none"])
def test_what_is_not_there_is_named(bucket: str, address: str) -> None:
    with pytest.raises(DatasetNotFound, match=f"{address}: there is no dataset here"):
        open_dataset(address)


def test_a_bucket_that_is_not_there_is_named(bucket: str) -> None:
    writer = ShardWriter("s3://nowhere/out", run="aaaa")
    with pytest.raises(StorageNotFound, match="the bucket or folder to write to does not exist"):
        writer.shard(0)


def test_a_store_that_does_not_answer_is_named(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StorageUnavailable, match="Could not connect") as caught:
        open_dataset("s3://lake/in")
    assert "s3cret" not in str(caught.value)
    s3fs.S3FileSystem.clear_instance_cache()
