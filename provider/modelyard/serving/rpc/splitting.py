"""Divides unary calls between two revisions, as `modelyard.serving.splitter` does with HTTP requests."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, cast

import grpc

from modelyard.serving.rpc.schema import SERVICE
from modelyard.serving.rpc.servicer import Servicer, service_handler
from modelyard.serving.splits import Split
from modelyard.serving.splitter import Splitter
from modelyard.serving.trial import Trial

__all__ = ["SplitInterceptor"]

_METHOD = f"/{SERVICE}/ModelInfer"
_Call = Callable[[Any, Any], Awaitable[Any]]
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_HOP = frozenset({"user-agent", "te", "grpc-accept-encoding", "content-type"})


class SplitInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """Hands calls on, and counts.

    Parameters
    ----------
    splitter
        Knows the split, and keeps the figures.
    here
        Whether every call stays here: those that were handed on already.
    """

    def __init__(self, splitter: Splitter, *, here: bool = False) -> None:
        self._splitter = splitter
        self._here = here
        self._peers: tuple[Sequence[str], list[grpc.aio.Channel]] = ((), [])
        self._turn = 0
        self._trial: tuple[Trial, grpc.GenericRpcHandler] | None = None

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return who answers this call."""
        handler = await continuation(handler_call_details)
        split = self._splitter.split
        if handler is None or handler_call_details.method != _METHOD:
            return handler
        if split is None:
            return _replaced(handler, self._counted(handler.unary_unary))
        trial = self._splitter.trial
        if trial is not None and not self._here and split.takes(_value(handler_call_details, split.key)):
            handler = cast("Any", self._handlers(trial).service(handler_call_details))
            return _replaced(handler, self._counted(self._tried(handler.unary_unary, trial)))
        if self._here or not split.rpc or not split.takes(_value(handler_call_details, split.key)):
            return _replaced(handler, self._counted(self._measured(handler.unary_unary)))
        if split.shadow:
            return _replaced(handler, self._counted(self._copied(handler, split)))
        return grpc.unary_unary_rpc_method_handler(self._counted(self._handed_on(split)))

    def _counted(self, call: _Call) -> _Call:
        async def counted(request: Any, context: Any) -> Any:
            self._splitter.calls += 1
            try:
                return await call(request, context)
            finally:
                self._splitter.calls -= 1

        return counted

    def _measured(self, call: _Call, trial: Trial | None = None) -> _Call:
        counting = trial or self._splitter

        async def measured(request: Any, context: Any) -> Any:
            begun, failed = perf_counter(), True
            try:
                answer = await call(request, context)
                failed = False
                return answer
            finally:
                counting.figures.add(perf_counter() - begun, failed=failed)

        return measured

    def _tried(self, call: _Call, trial: Trial) -> _Call:
        measured = self._measured(call, trial)

        async def tried(request: Any, context: Any) -> Any:
            with trial:
                return await measured(request, context)

        return tried

    def _handlers(self, trial: Trial) -> grpc.GenericRpcHandler:
        if self._trial is None or self._trial[0] is not trial:
            application = trial.application
            self._trial = trial, service_handler(Servicer(application.service), application.metrics.answered)
        return self._trial[1]

    def _handed_on(self, split: Split) -> _Call:
        async def handed_on(request: bytes, context: Any) -> bytes:
            try:
                return await self._ask(split, request, context)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    self._splitter.figures.lost += 1
                await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
                raise

        return handed_on

    def _copied(self, handler: Any, split: Split) -> _Call:
        measured = self._measured(handler.unary_unary)

        async def copied(request: Any, context: Any) -> Any:
            self._splitter.copy(self._ask_in_vain(split, request.SerializeToString(), context))
            return await measured(request, context)

        return copied

    async def _ask_in_vain(self, split: Split, request: bytes, context: Any) -> None:
        try:
            await self._ask(split, request, context)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                self._splitter.figures.lost += 1
        except asyncio.CancelledError:
            pass

    async def _ask(self, split: Split, request: bytes, context: Any) -> bytes:
        metadata = tuple(each for each in context.invocation_metadata() or () if each[0] not in _HOP)
        left = context.time_remaining()
        call: Any = self._channel(split).unary_unary(_METHOD)
        answer: bytes = await call(request, metadata=metadata, timeout=left if left and left < 1e8 else None)
        return answer

    def _channel(self, split: Split) -> grpc.aio.Channel:
        """Return the connection to the next of the other revision's workers."""
        paths, channels = self._peers
        if paths != split.rpc:
            channels = [grpc.aio.insecure_channel(f"unix:{path}", options=_OPTIONS) for path in split.rpc]
            self._peers = (split.rpc, channels)
        self._turn = (self._turn + 1) % len(channels)
        return channels[self._turn]


def _replaced(handler: Any, call: _Call) -> Any:
    return grpc.unary_unary_rpc_method_handler(call, handler.request_deserializer, handler.response_serializer)


def _value(details: grpc.HandlerCallDetails, key: str) -> str:
    if key:
        for name, value in details.invocation_metadata or ():
            if name == key and isinstance(value, str):
                return value
    return ""
