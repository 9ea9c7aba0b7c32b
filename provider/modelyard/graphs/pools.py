"""Threads and processes that run steps: bounded, and able to give one up."""

import asyncio
import contextvars
import multiprocessing
import os
import pickle
import queue
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import cache
from threading import Lock, Thread
from typing import Any

from modelyard.graphs.calls import step_call
from modelyard.graphs.errors import LibraryMissing
from modelyard.graphs.failures import StepTimeout, Unsendable, WorkerLost, WorkersUnstartable
from modelyard.graphs.parcels import Outgoing, Packed, Unreadable, portable

__all__ = ["ProcessWorkers", "ThreadWorkers", "payload_of"]


class ThreadWorkers:
    """A bounded pool of threads that do not keep the interpreter alive; a call that hangs is given up and replaced.

    Parameters
    ----------
    size
        How many calls run at once, not counting those that were given up.

    Attributes
    ----------
    abandoned
        How many calls were given up, and still run.
    """

    def __init__(self, size: int = 32) -> None:
        self.abandoned = 0
        self._size = size
        self._threads = self._idle = 0
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._lock = Lock()
        self._process = os.getpid()

    async def call(self, function: Callable[[Any], Any], argument: Any, seconds: float) -> Any:
        """Return ``function(argument)``, computed in a thread.

        Raises
        ------
        StepTimeout
            It took longer than `seconds` (0: no bound); it runs on, and nobody looks at what comes of it.
        """
        future: Future[Any] = Future()
        surroundings = contextvars.copy_context()
        self._submit(future, lambda: surroundings.run(function, argument))
        limit = asyncio.timeout(seconds or None)
        try:
            async with limit:
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if limit.expired():
                raise StepTimeout(seconds, "abandoned; its thread runs on") from None
            raise
        finally:
            if not future.done() or future.cancelled():
                self._give_up(future)

    def close(self) -> None:
        """Let the threads end when they are done."""
        for _ in range(self._threads):
            self._work.put(None)

    def _submit(self, future: Future[Any], work: Callable[[], Any]) -> None:
        with self._lock:
            if self._process != os.getpid():  # a forked process has none of its parent's threads
                self._process, self._threads, self._idle, self.abandoned = os.getpid(), 0, 0, 0
                self._work = queue.SimpleQueue()
            self._work.put((future, work))
            if self._idle < self._work.qsize() and self._threads < self._size + self.abandoned:
                self._threads += 1
                Thread(target=self._serve, name="modelyard-step", daemon=True).start()

    def _give_up(self, future: Future[Any]) -> None:
        if getattr(future, "running_here", False):
            with self._lock:
                self.abandoned += 1
            future.given_up = True  # type: ignore[attr-defined]

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            item = self._work.get()
            with self._lock:
                self._idle -= 1
            if item is None:
                return
            future, work = item
            if not self._run(future, work):
                return

    def _run(self, future: Future[Any], work: Callable[[], Any]) -> bool:
        """Run one call; return whether this thread is still wanted."""
        if future.cancelled():
            return True
        future.running_here = True  # type: ignore[attr-defined]
        try:
            result = work()
        except StopIteration as error:  # asyncio refuses it, and whoever waits would wait for ever
            raised = RuntimeError("the step raised StopIteration")  # as a coroutine that raises it does
            raised.__cause__ = error
            with suppress(InvalidStateError):
                future.set_exception(raised)
        except BaseException as error:  # noqa: BLE001 (the caller gets it)
            with suppress(InvalidStateError):
                future.set_exception(error)
        else:
            with suppress(InvalidStateError):
                future.set_result(result)
        if not getattr(future, "given_up", False):
            return True
        with self._lock:
            self.abandoned -= 1
            self._threads -= 1
        return False


class ProcessWorkers:
    """A pool of processes; one that dies or is killed takes only its own event along, and is replaced.

    Parameters
    ----------
    size
        How many processes; by default one for each processor, at most 4.
    """

    def __init__(self, size: int = 0) -> None:
        self._size = size or min(4, os.cpu_count() or 1)
        self._pool: Any = None
        self._lock = Lock()

    async def call(self, payload: bytes, argument: Any, seconds: float) -> Any:
        """Return what the pickled step says about `argument`, computed in a process.

        Raises
        ------
        StepTimeout
            It took longer than `seconds` (0: no bound); the process was killed.
        WorkerLost
            The process died.
        WorkersUnstartable
            No process could be started.
        Unsendable
            What the step is given, gives or raises cannot be sent from one process to the other.
        """
        from pebble import ProcessExpired

        work = self._started().schedule(_in_worker, args=[payload, Outgoing(argument)], timeout=seconds or None)
        try:
            result = await asyncio.wrap_future(work)
        except ProcessExpired as error:
            raise WorkerLost(error.exitcode) from None
        except BrokenProcessPool:
            self.close()  # the next call tries again
            raise WorkersUnstartable from None
        except TimeoutError as error:
            if seconds and not hasattr(error, "__notes__") and getattr(error, "__cause__", None) is None:
                raise StepTimeout(seconds, "killed") from None
            raise
        if isinstance(result, Unreadable):
            raise Unsendable(f"what the step gave cannot be read outside of its process: {result.why}")
        return result

    def close(self) -> None:
        """Kill the processes."""
        with self._lock:
            if self._pool is not None:
                self._pool.stop()
                self._pool.join()
                self._pool = None

    def _started(self) -> Any:
        with self._lock:
            if self._pool is None:
                try:
                    from pebble import ProcessPool
                except ModuleNotFoundError as error:
                    raise LibraryMissing("pebble", "a step in a process", "serving") from error
                self._pool = ProcessPool(self._size, context=multiprocessing.get_context("spawn"))
            return self._pool


def payload_of(use: Any, arguments: Mapping[str, Any], *, full_event: bool) -> bytes:
    """Return a step as bytes that a worker process builds it from; raises what pickle raises."""
    return pickle.dumps((use, dict(arguments), full_event))


@cache
def _built(payload: bytes) -> Callable[[Any], Any]:
    use, arguments, full_event = pickle.loads(payload)  # noqa: S301 (written by the parent process)
    return step_call("worker", "step", use, arguments, full_event=full_event).function


def _in_worker(payload: bytes, argument: Any) -> Packed:
    if isinstance(argument, Unreadable):
        raise portable(Unsendable(f"what the step is given cannot be read in its process: {argument.why}"))
    try:
        return Packed(_built(payload)(argument))
    except Exception as error:
        fit = portable(error)
        if fit is error:
            raise
        raise fit.with_traceback(error.__traceback__) from error.__cause__
