"""Starts the supervisor of an endpoint: ``python -m modelyard.deploy.local FOLDER`` detaches itself and keeps it."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from modelyard.deploy.local.locks import FolderLock
from modelyard.deploy.local.logs import open_log
from modelyard.deploy.local.records import EndpointFolder
from modelyard.deploy.local.supervisor import Supervisor

__all__ = ["main"]

LOCK_TIMEOUT = 3.0
"""A deployer looks at the lock now and then, so it may be held for a moment."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep the endpoint in a folder; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m modelyard.deploy.local", description=__doc__)
    parser.add_argument("folder", type=Path, help="the endpoint's folder")
    folder = EndpointFolder.at(parser.parse_args(arguments).folder)
    if os.fork():
        os._exit(0)  # the deployer need not wait for, nor be the parent of, what lives longer than it
    lock = FolderLock(folder.supervisor_lock, make_folder=False)
    if not lock.acquire(LOCK_TIMEOUT):
        return 0  # another supervisor keeps the endpoint, or it was removed meanwhile
    try:
        os.chdir(folder.root)  # local sockets are bound by relative paths
        log = open_log(folder.log)
    except FileNotFoundError:
        return 0  # removed a moment ago
    try:
        asyncio.run(_keep(folder, log, lock))
    except Exception:
        log.exception("the supervisor failed")
        raise
    return 0


async def _keep(folder: EndpointFolder, log: logging.Logger, lock: FolderLock) -> None:
    await Supervisor(folder, log).run(lock)


if __name__ == "__main__":
    sys.exit(main())
