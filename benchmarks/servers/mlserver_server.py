"""MLServer with its own scikit-learn runtime: ``python mlserver_server.py FOLDER MODEL PORT``.

It writes the settings files that MLServer wants and becomes ``mlserver start``. A vote is a custom runtime, as its
documentation shows it.
"""

import json
import os
import shutil
import socket
import sys
from pathlib import Path
from tempfile import mkdtemp

PORTS = ("grpc_port", "metrics_port")


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def write(folder: Path, which: str, port: int) -> str:
    """Write the settings, and return the folder."""
    home = Path(mkdtemp(dir=folder, prefix="mlserver-"))
    ports = {"http_port": port, **{name: free_port() for name in PORTS}}
    settings = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **ports}
    (home / "settings.json").write_text(json.dumps(settings))
    if which == "vote":
        uri, runtime = folder, "mlserver_vote.Vote"
    else:
        uri, runtime = home / "model.joblib", "mlserver_sklearn.SKLearnModel"
        shutil.copy(folder / f"{which}.pkl", uri)  # joblib reads pickles
    model = {"name": "model", "implementation": runtime, "parameters": {"uri": str(uri)}}
    (home / "model-settings.json").write_text(json.dumps(model))
    return str(home)


if __name__ == "__main__":
    folder, which, port = sys.argv[1:4]
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    command = Path(sys.executable).with_name("mlserver")
    os.execv(command, [str(command), "start", write(Path(folder), which, int(port))])
