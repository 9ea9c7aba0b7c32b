"""A loaded model on its way to worker processes: written to a file once, read once by each worker."""

import pickle
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["ShippedModel"]


class ShippedModel:
    """Stands for a model server in a worker process; what is sent with each request is the file's path alone.

    Parameters
    ----------
    server
        The loaded server; raises what pickle raises if it cannot be sent.
    """

    def __init__(self, server: Any) -> None:
        with tempfile.NamedTemporaryFile(prefix="modelyard-model-", suffix=".pickle", delete=False) as file:
            self.path = Path(file.name)
            try:
                pickle.dump(server, file)
            except BaseException:
                self.remove()
                raise
        self._server: Any = None

    def do(self, body: Any) -> Any:
        """Return what the model predicts."""
        return self._loaded().do(body)

    def do_event(self, event: Any) -> Any:
        """Return what the event asks for."""
        return self._loaded().do_event(event)

    def remove(self) -> None:
        """Remove the file: no new worker can start after this."""
        self.path.unlink(missing_ok=True)

    def _loaded(self) -> Any:
        if self._server is None:
            self._server = pickle.loads(self.path.read_bytes())  # noqa: S301 (written by the parent process)
        return self._server

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_server": None}
