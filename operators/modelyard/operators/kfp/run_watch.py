"""Looks at a run again and again, and puts up with a server that is away for a moment."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from modelyard.errors import ErrorKind, ModelyardError

if TYPE_CHECKING:
    from modelyard.operators.kfp.api import KfpApi, PipelineRun

__all__ = ["PATIENCE", "RunWatch"]

PATIENCE = 120.0
"""Seconds for which a server may be away before following a run is given up."""

_PASSING = (ErrorKind.UNAVAILABLE, ErrorKind.EXHAUSTED)


class RunWatch:
    """Follows one run of a pipeline, a look at a time; it neither waits nor ends the run.

    Parameters
    ----------
    api
        The server.
    run_id
        The run.
    patience
        Seconds for which the server may give no answer. A run goes on without anybody who looks, so a server that is
        restarted must not fail what waits for the run.
    clock
        Tells the time in seconds.
    """

    def __init__(
        self,
        api: "KfpApi",
        run_id: str,
        *,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._run_id = run_id
        self._patience = patience
        self._clock = clock
        self._away_since: float | None = None

    def look(self) -> "PipelineRun | None":
        """Return the run as it stands; None where the server gives no answer now.

        Raises
        ------
        ApiUnreachable
            It has given none for longer than the patience lasts.
        ApiRefused
            There is no such run, or one may not look at it.
        StateUnknown
            The server names a state that nobody has heard of.
        """
        try:
            run = self._api.run(self._run_id)
        except ModelyardError as error:
            if error.error_kind not in _PASSING:
                raise
            now = self._clock()
            self._away_since = now if self._away_since is None else self._away_since
            if now - self._away_since >= self._patience:
                raise
            return None
        self._away_since = None
        return run
