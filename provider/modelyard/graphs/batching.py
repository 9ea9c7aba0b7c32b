"""Gathers the rows that several events bring to a model in one turn of the event loop, and asks the model once.

What a model costs is mostly the call, not the row: thirty-two rows cost little more than one. So while other events are
in flight, a row waits for the end of the turn, and whoever else brings one in it; nobody waits for a clock, and
an event that is alone is answered at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Batching", "MicroBatcher"]


@dataclass(frozen=True, slots=True)
class Batching:
    """How an open graph gathers the rows of several events for its models; a server hands it over.

    Parameters
    ----------
    limit
        How many rows go into one call.
    alone
        Whether no other event is in flight; None if nobody knows: then each row waits for the end of the turn.
    observe
        Is told the step and the size of each call.
    """

    limit: int = 32
    alone: Callable[[], bool] | None = None
    observe: Callable[[str, int], None] | None = None


class MicroBatcher:
    """One model's calls, batched by the turn of the loop.

    Parameters
    ----------
    single
        Answers one row.
    batch
        Answers a list of rows with as many answers.
    limit
        How many rows go into one call.
    alone
        Whether no other event is in flight: then nothing is gathered.
    observe
        Is told the size of each call.

    Examples
    --------
    >>> sizes = []
    >>> def double(rows):
    ...     sizes.append(len(rows))
    ...     return [2 * row for row in rows]
    >>> batcher = MicroBatcher(lambda row: 2 * row, double)
    >>> async def ask():
    ...     return await asyncio.gather(*(batcher(row) for row in range(5)))
    >>> asyncio.run(ask()), sizes
    ([0, 2, 4, 6, 8], [5])
    """

    __slots__ = ("_alone", "_batch", "_limit", "_observe", "_single", "_waiting")

    def __init__(
        self,
        single: Callable[[Any], Any],
        batch: Callable[[list[Any]], Sequence[Any]],
        *,
        limit: int = 32,
        alone: Callable[[], bool] | None = None,
        observe: Callable[[int], None] | None = None,
    ) -> None:
        self._single = single
        self._batch = batch
        self._limit = limit
        self._alone = alone
        self._observe = observe
        self._waiting: list[tuple[Any, asyncio.Future[Any]]] = []

    def __call__(self, row: Any) -> Awaitable[Any]:
        """Return what waits for the answer to one row.

        Raises
        ------
        Exception
            Whatever the model raises for this row; its neighbours do not notice.
        """
        return self._soon(row) if self.is_free() else self.gathered(row)

    def is_free(self) -> bool:
        """Whether a row need not wait for others: no other event is in flight."""
        return not self._waiting and self._alone is not None and self._alone()

    def at_once(self, row: Any) -> Any:
        """Return the answer to one row, whoever else waits.

        Raises
        ------
        Exception
            Whatever the model raises.
        """
        if self._observe is not None:
            self._observe(1)
        return self._single(row)

    def gathered(self, row: Any) -> "asyncio.Future[Any]":
        """Return the answer to one row as it will be at the end of this turn of the loop."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((row, answer))
        if len(self._waiting) == 1:
            loop.call_soon(self._flush, loop)
        return answer

    async def _soon(self, row: Any) -> Any:
        return self.at_once(row)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        turn, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
        if self._waiting:
            loop.call_soon(self._flush, loop)
        # who went away meanwhile has cancelled the answer: the row is not worth asking for
        wanted = [each for each in turn if not each[1].done()]
        try:
            self._settle(wanted)
        except BaseException:
            # a step that ends the process must not leave the others waiting for ever
            for _, answer in wanted:
                if not answer.done():
                    answer.cancel()
            raise

    def _settle(self, wanted: list[tuple[Any, "asyncio.Future[Any]"]]) -> None:
        if not wanted:
            return
        if self._observe is not None:
            self._observe(len(wanted))
        if len(wanted) > 1:
            try:
                answers = self._batch([row for row, _ in wanted])
                if len(answers) == len(wanted):
                    for (_, future), answer in zip(wanted, answers, strict=True):
                        future.set_result(answer)
                    return
            except Exception:  # noqa: BLE001, S110 (the rows one by one will show which one it is)
                pass
        for row, future in wanted:
            try:
                future.set_result(self._single(row))
            except StopIteration as error:  # a future refuses it
                future.set_exception(RuntimeError(f"the model raised {error!r}"))
            except Exception as error:  # noqa: BLE001 (it is the event's own)
                future.set_exception(error)
