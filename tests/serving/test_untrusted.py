"""What a request brings is data: no door unpickles it, whatever it is called there."""

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import httpx
import joblib
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from tritonclient.grpc import InferenceServerClient, InferInput
from websockets.sync.client import connect

from modelyard.graphs import Graph
from modelyard.serving.local import LocalServer

ARROW = "application/vnd.apache.arrow.stream"


class Trap:
    """Writes a file where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.write_text, (self.file, "sprung")


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[bytes]:
    file = tmp_path / "sprung"
    raw = pickle.dumps(Trap(file))
    pickle.loads(raw)  # it works
    file.unlink()
    yield raw
    assert not file.exists()


@pytest.fixture
def server(trap: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    del trap  # it is looked at before nothing is unpickled any more

    def refuse(*given: Any, **named: Any) -> Any:
        raise AssertionError("something was unpickled")

    graph = Graph("sizes")
    graph.to(lambda body: {"is": type(body).__name__}, name="size")
    with LocalServer(graph.open(), grpc_port=0) as server:
        for module, name in ((pickle, "loads"), (pickle, "load"), (cloudpickle, "loads"), (joblib, "load")):
            monkeypatch.setattr(module, name, refuse)
        yield server


def arrays(trap: bytes) -> bytes:
    """Return a NumPy file of objects, made by hand: its array is a pickle."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    return file.getvalue() + trap


def arrow(trap: bytes, form: str) -> bytes:
    """Return a table whose column says that it is of a type of Python's, which a pickle describes."""
    told = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": trap}
    table = pa.table(
        {"x": [1]}, schema=pa.schema([pa.field("x", pa.int64(), metadata=told)], metadata={"pandas": trap})
    )
    sink = io.BytesIO()
    if form == "parquet":
        parquet.write_table(table, sink)
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/octet-stream", 200),
        ("image/png", 200),
        ("application/json", 400),
        ("text/plain", 400),
        ("text/csv", 400),
        ("application/x-pickle", 415),
        ("application/python-pickle", 415),
        ("application/vnd.apache.arrow.file", 400),
    ],
)
def test_a_pickle_is_bytes_or_refused(server: LocalServer, trap: bytes, media_type: str, status: int) -> None:
    answer = httpx.post(server.url, content=trap, headers={"content-type": media_type})
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == {"is": "bytes"}


def test_what_is_inside_of_others_stays_shut(server: LocalServer, trap: bytes) -> None:
    for content, media_type in (
        (arrow(trap, "stream"), ARROW),
        (arrow(trap, "parquet"), "application/vnd.apache.parquet"),
    ):
        answer = httpx.post(server.url, content=content, headers={"content-type": media_type})
        assert (answer.status_code, answer.json()) == (200, [{"is": "dict"}])
    told = httpx.post(server.url, content=arrays(trap), headers={"content-type": "application/octet-stream"})
    assert told.json() == {"is": "bytes"}
    form = httpx.post(server.url, files={"model": ("model.pkl", trap, "application/x-pickle")})
    assert form.json() == {"is": "dict"}
    ce = {"ce-id": "1", "ce-source": "/s", "ce-type": "t", "ce-specversion": "1.0"}
    event = httpx.post(server.url, content=trap, headers={**ce, "content-type": "application/octet-stream"})
    assert event.json() == {"is": "bytes"}


def test_tensors_and_messages_stay_shut(server: LocalServer, trap: bytes) -> None:
    raw = len(trap).to_bytes(4, "little") + trap
    head = b'{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":%d}}]}' % len(raw)
    answer = httpx.post(
        f"{server.url}/v2/models/sizes/infer",
        content=head + raw,
        headers={"inference-header-content-length": str(len(head))},
    )
    assert answer.json()["outputs"][0]["name"] == "is"
    client = InferenceServerClient(server.grpc_address)
    given = InferInput("x", [1], "BYTES")
    given.set_data_from_numpy(np.array([trap], dtype=np.object_))
    assert client.infer("sizes", [given]).as_numpy("is").shape == (1, 1)
    client.close()
    with connect(server.url.replace("http", "ws")) as socket:
        socket.send(trap)
        assert socket.recv(timeout=60) == '{"is":"bytes"}'
