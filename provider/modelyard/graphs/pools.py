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
from functools import cache, partial
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
        self._threads = self._calls = 0
        self._work: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._lock = Lock()
        self._process = os.getpid()

    async def call(self, function: Callable[[Any], Any], argument: Any, seconds: float) -> Any:
        """Return ``function(argument)``, computed in a thread.

        Raises
        ------
        StepTimeout
            It took longer than `seconds` (0: no bound); it runs on, and nobody looks at what comes of it.
        """
        surroundings = contextvars.copy_context()
        call = _Call(lambda: surroundings.run(function, argument))
        self._submit(call)
        limit = asyncio.timeout(seconds or None)
        try:
            async with limit:
                return await asyncio.wrap_future(call.future)
        except TimeoutError:
            if limit.expired():
                raise StepTimeout(seconds, "abandoned; its thread runs on") from None
            raise
        finally:
            if not call.future.done() or call.future.cancelled():
                self._give_up(call)

    def close(self) -> None:
        """Let the threads end when they are done."""
        for _ in range(self._threads):
            self._work.put(None)

    def _submit(self, call: "_Call") -> None:
        with self._lock:
            if self._process != os.getpid():  # a forked process has none of its parent's threads
                self._process, self._threads, self._calls, self.abandoned = os.getpid(), 0, 0, 0
                self._work = queue.SimpleQueue()
            self._calls += 1
            self._work.put(call)
            self._grow()

    def _grow(self) -> None:
        """Start a thread if there are more calls than threads. Call it with the lock."""
        # Calls are counted from their submission to their end: which ones the threads are about to take is not known.
        if self._threads < min(self._calls, self._size + self.abandoned):
            self._threads += 1
            Thread(target=self._serve, name="modelyard-step", daemon=True).start()

    def _give_up(self, call: "_Call") -> None:
        with self._lock:
            if call.running:
                call.given_up = True
                self.abandoned += 1
                self._grow()

    def _serve(self) -> None:
        while (call := self._work.get()) is not None:
            with self._lock:
                call.running = True
            tell = call.run()
            with self._lock:
                call.running = False
                self._calls -= 1
                self._threads -= call.given_up
                self.abandoned -= call.given_up
            tell()
            if call.given_up:
                return


class _Call:
    """One call: what it runs, who waits for it, and how far it is."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self.running = self.given_up = False
        self._work = work

    def run(self) -> Callable[[], None]:
        """Run it unless nobody waits; return what tells the one who waits."""
        if self.future.cancelled():
            return _nothing
        try:
            result = self._work()
        except StopIteration as error:  # asyncio refuses it, and whoever waits would wait for ever
            raised = RuntimeError("the step raised StopIteration")  # as a coroutine that raises it does
            raised.__cause__ = error
            return partial(self._tell, self.future.set_exception, raised)
        except BaseException as error:  # noqa: BLE001 (the caller gets it)
            return partial(self._tell, self.future.set_exception, error)
        return partial(self._tell, self.future.set_result, result)

    @staticmethod
    def _tell(tell: Callable[[Any], None], what: Any) -> None:
        with suppress(InvalidStateError):  # it was given up
            tell(what)


def _nothing() -> None:
    """Tell nobody."""


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
