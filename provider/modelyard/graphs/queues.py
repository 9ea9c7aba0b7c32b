"""A bounded queue with one worker, for what has nothing to do with a reply."""

import logging
import queue
from collections.abc import Callable
from threading import Lock, Thread

from modelyard.graphs.event import Event
from modelyard.graphs.failures import QueueFull

__all__ = ["EventQueue"]

_LOG = logging.getLogger("modelyard.graphs")


class EventQueue:
    """Takes events, and hands them to `work` one after the other, in one thread that starts with the first.

    Parameters
    ----------
    name
        How errors call it.
    size
        How many events may wait.
    wait
        Seconds that an event waits for room.
    """

    def __init__(self, name: str, size: int, wait: float) -> None:
        self.name = name
        self.work: Callable[[Event], None] = lambda event: None
        self._size, self._wait = size, wait
        self._events: queue.Queue[Event | None] = queue.Queue(size)
        self._thread: Thread | None = None
        self._beginning = Lock()

    def put(self, event: Event) -> None:
        """Take one event.

        Raises
        ------
        QueueFull
            There is no room.
        """
        if self._thread is None:
            self._begin()
        try:
            self._events.put(event, timeout=self._wait) if self._wait else self._events.put_nowait(event)
        except queue.Full:
            raise QueueFull(self.name, self._size) from None

    def _begin(self) -> None:
        with self._beginning:  # of two events that come first only one finds no thread
            if self._thread is None:
                self._thread = Thread(target=self._serve, name=f"modelyard-queue-{self.name}", daemon=True)
                self._thread.start()

    def join(self) -> None:
        """Wait until all events are worked off."""
        self._events.join()

    def close(self) -> None:
        """Work off what is there, and end."""
        if self._thread is not None:
            self._events.put(None)
            self._thread.join()

    def _serve(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                self.work(event)
            except BaseException as error:  # noqa: BLE001 (a worker outlives what it works on)
                _LOG.exception("behind the queue %s: %s", self.name, error)
            finally:
                self._events.task_done()
        self._events.task_done()
