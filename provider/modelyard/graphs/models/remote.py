"""A model behind another server that speaks the Open Inference Protocol, version 2, over HTTP."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar
from urllib.parse import quote
from weakref import finalize

from modelyard.graphs.background import background_loop, run_in_background, running_loop
from modelyard.graphs.errors import FeatureMissing, FeatureWrong, LibraryMissing
from modelyard.graphs.models.errors import RemoteModelFailed
from modelyard.graphs.models.model import Model
from modelyard.graphs.models.rows import is_row
from modelyard.graphs.models.signatures import Signature, Tensor

__all__ = ["RemoteModel"]

_ATTEMPTS_ON = (502, 503, 504)
_CLOSING_SECONDS = 5.0
_LOOP = "remote-models"


class RemoteModel(Model):
    """A model served elsewhere, asked over the Open Inference Protocol (extra ``steps``).

    What goes in and comes out is read from the other server's metadata when the graph opens. One row gives one
    answer, a list of rows a list of answers, with one request; an answer is a mapping of the outputs by name. Where
    the model has one input, a row is a list of its values (or a mapping with that one name); where it has several,
    a mapping by input name, or a list in their order. Connections are kept.

    Parameters
    ----------
    url
        The server's address, without ``/v2``.
    remote_model
        The model's name there; by default the step's.
    remote_version
        Its version there; by default the one that the server chooses.
    rename
        Output there → name in the answers here, such as ``{"predict": "label"}``; outputs not named keep their names.
    seconds
        How long one request may take.
    attempts
        How often a request is sent where the connection fails or the answer is 502, 503 or 504; at least 1.
    headers
        Sent along.
    secret
        The secret that is sent as a bearer token, by its name.

    Raises
    ------
    RemoteModelFailed
        The server does not answer, or refuses.
    LibraryMissing
        httpx is not installed.
    """

    leaves_body: ClassVar[bool] = True
    platform: ClassVar[str] = "remote"

    def __init__(
        self,
        *,
        url: str,
        remote_model: str = "",
        remote_version: str = "",
        rename: Mapping[str, str] | None = None,
        seconds: float = 10.0,
        attempts: int = 1,
        headers: Mapping[str, str] | None = None,
        secret: str = "",
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url starts with http:// or https://, not {url!r}")
        if seconds <= 0 or attempts < 1:
            raise ValueError(f"seconds is above 0 and attempts at least 1, not {seconds!r} and {attempts!r}")
        self.url, self._model, self._version = url.rstrip("/"), remote_model, remote_version
        self._rename, self._seconds, self._attempts = dict(rename or {}), seconds, attempts
        self._headers, self._secret = dict(headers or {}), secret
        self._client: Any = None
        self._closing: finalize[Any, Any] | None = None
        self._signature = Signature()

    async def load(self) -> None:
        """Read the other server's metadata."""
        self._open()
        if self._secret:
            self._headers["authorization"] = f"Bearer {self.context.secret(self._secret)}"
        version = f"/versions/{quote(self._version, safe='')}" if self._version else ""
        name = self._model or self.context.step.rpartition(".")[2]
        self.url = f"{self.url}/v2/models/{quote(name, safe='')}{version}"
        said = await self._asked("GET", self.url)
        try:
            self._signature = Signature(
                tuple(Tensor.read(each) for each in said["inputs"]),
                tuple(Tensor.read(each) for each in said["outputs"]),
            )
        except (KeyError, TypeError, ValueError):
            raise RemoteModelFailed(self.url, "its metadata names no inputs and outputs") from None
        self.name = self.url

    def close(self) -> None:
        """Close the connections."""
        if self._closing is not None:
            self._closing()

    def signature(self) -> Signature:
        """Return what the other server says."""
        inputs, outputs = self._signature
        return Signature(inputs, tuple(each._replace(name=self._rename.get(each.name, each.name)) for each in outputs))

    async def predict(self, inputs: Any) -> Any:
        """Return the answer, or the answers, to a row or rows.

        Raises
        ------
        FeatureMissing, FeatureWrong
            A row does not fit the other server's metadata.
        RemoteModelFailed
            The server does not answer, or refuses.
        """
        one = is_row(inputs)
        if not one and not isinstance(inputs, list | tuple):
            raise FeatureWrong(f"the model takes a row or a list of rows, not {type(inputs).__name__}", 0)
        rows = [inputs] if one else inputs
        if not rows:
            return []
        said = await self._asked("POST", f"{self.url}/infer", {"inputs": self._tensors(rows)})
        answers = self._answers(said, len(rows))
        return answers[0] if one else answers

    def predict_batch(self, inputs: Any) -> Any:
        """Return the answers to many inputs, each one row, with one request."""
        rows = inputs.tolist() if hasattr(inputs, "tolist") else list(inputs)
        if all(is_row(each) for each in rows):
            return run_in_background(self.predict(rows))
        return [run_in_background(self.predict(each)) for each in rows]

    def _tensors(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        tensors = self._signature.inputs
        if len(tensors) == 1:
            (tensor,) = tensors
            values = [_single(row, tensor, index) for index, row in enumerate(rows)]
            flat = [each for row in values for each in (row if isinstance(row, list | tuple) else [row])]
            width = len(flat) // len(rows)
            shape = [len(rows), *([width] if len(tensor.shape) > 1 else [])]
            return [{"name": tensor.name, "datatype": tensor.datatype, "shape": shape, "data": flat}]
        columns = [_values(row, tensors, index) for index, row in enumerate(rows)]
        return [
            {
                "name": tensor.name,
                "datatype": tensor.datatype,
                "shape": [len(rows), *([1] if len(tensor.shape) > 1 else [])],
                "data": [row[position] for row in columns],
            }
            for position, tensor in enumerate(tensors)
        ]

    def _answers(self, said: Any, rows: int) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = [{} for _ in range(rows)]
        try:
            for output in said["outputs"]:
                there = str(output["name"])
                name = self._rename.get(there, there)
                for answer, value in zip(answers, _by_row(_flat(output["data"]), rows), strict=True):
                    answer[name] = value
        except (KeyError, TypeError, ValueError) as error:
            raise RemoteModelFailed(self.url, f"its answer has no outputs of one value per row ({error})") from None
        return answers

    def _open(self) -> None:
        try:
            import httpx
        except ModuleNotFoundError as error:
            raise LibraryMissing("httpx", "a remote model", "steps") from error
        self._client = httpx.AsyncClient(timeout=self._seconds)
        self._closing = finalize(self, _close, self._client)

    async def _asked(self, method: str, url: str, body: Any = None) -> Any:
        # Connections belong to the loop that opened them. One loop for all remote models lets every graph share and
        # close them, whatever became of the loop that asked.
        work = self._request(method, url, body)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, background_loop(_LOOP)))

    async def _request(self, method: str, url: str, body: Any) -> Any:
        import httpx

        for attempt in range(1, self._attempts + 1):
            last = attempt == self._attempts
            try:
                response = await self._client.request(method, url, json=body, headers=self._headers)
            except httpx.TimeoutException:
                if last:
                    raise RemoteModelFailed(url, f"no answer within {self._seconds:g} s") from None
            except httpx.HTTPError as error:
                if last:
                    raise RemoteModelFailed(url, f"{type(error).__name__}: {error}") from None
            else:
                if response.status_code not in _ATTEMPTS_ON or last:
                    return _content(response, url)
            await asyncio.sleep(min(2.0, 0.1 * 2 ** (attempt - 1)))
        raise AssertionError("the last attempt returns or raises")


def _close(client: Any) -> None:
    loop = background_loop(_LOOP)
    closing = asyncio.run_coroutine_threadsafe(client.aclose(), loop)
    if running_loop() is not loop:  # a collector of garbage may come by on the very loop that closes
        with suppress(TimeoutError):
            closing.result(_CLOSING_SECONDS)


def _content(response: Any, url: str) -> Any:
    try:
        content = response.json()
    except ValueError:
        content = None
    if response.status_code >= 400:
        said = content.get("error") or content.get("detail") if isinstance(content, Mapping) else response.text[:200]
        raise RemoteModelFailed(url, str(said or response.reason_phrase), response.status_code)
    if not isinstance(content, Mapping):
        raise RemoteModelFailed(url, "its answer is not JSON")
    return content


def _single(row: Any, tensor: Tensor, index: int) -> Any:
    width = tensor.shape[1] if len(tensor.shape) > 1 else 1
    if isinstance(row, Mapping):
        if tensor.name not in row:
            raise FeatureMissing(tensor.name, [str(name) for name in row], index)
        row = row[tensor.name]
    values = row if isinstance(row, list | tuple) else [row]
    if width > 0 and len(values) != width:
        raise FeatureWrong(f"the model takes {width} values, the row has {len(values)}", index)
    return row


def _values(row: Any, tensors: Sequence[Tensor], index: int) -> list[Any]:
    if isinstance(row, Mapping):
        for tensor in tensors:
            if tensor.name not in row:
                raise FeatureMissing(tensor.name, [str(name) for name in row], index)
        return [row[tensor.name] for tensor in tensors]
    if not isinstance(row, list | tuple) or len(row) != len(tensors):
        raise FeatureWrong(f"the model takes {len(tensors)} values, not {row!r:.80}", index)
    return list(row)


def _by_row(data: list[Any], rows: int) -> list[Any]:
    width, rest = divmod(len(data), rows)
    if rest or not width:
        raise ValueError(f"{len(data)} values for {rows} rows")
    return data if width == 1 else [data[index * width : (index + 1) * width] for index in range(rows)]


def _flat(data: Any) -> list[Any]:
    flat: list[Any] = []
    for each in data:
        flat.extend(_flat(each) if isinstance(each, list) else [each])
    return flat
