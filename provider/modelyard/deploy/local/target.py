"""The target ``local``: endpoints on this machine, each kept by a supervisor of its own."""

import http.client
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from modelyard.deploy.endpoints import check_endpoint_name
from modelyard.deploy.errors import EndpointBusy, SettingInvalid, SupervisorLost, restored
from modelyard.deploy.local.locks import FolderLock, is_held
from modelyard.deploy.local.logs import tail
from modelyard.deploy.local.records import (
    Deployed,
    EndpointFolder,
    Outcome,
    Request,
    ServingSettings,
    Status,
    read_json,
    write_json,
)
from modelyard.deploy.requirements import locked_requirements, serving_python
from modelyard.deploy.revision import PARTIAL
from modelyard.deploy.targets import Deployment, Order

__all__ = ["KNOWN_SETTINGS", "LocalTarget", "serving_settings"]

KEPT_REVISIONS = 5
REMOVED = ".removed-"
STARTS = 3
"""How often a supervisor that ends without an answer is started."""
SLACK = 20.0
"""Seconds beyond the order's own timeout: the supervisor's start, and stopping the workers before."""
_TICK = 0.02
KNOWN_SETTINGS = ("target", "python", "workers", "host", "body_limit")
"""What an environment can say about deploying to this target."""


class LocalTarget:
    """Runs endpoints as processes of this machine; a `modelyard.deploy.targets.Target`.

    Settings: ``python`` (the workers' interpreter), ``workers`` (how many), ``host`` (loopback, unless you say
    otherwise) and ``body_limit`` (bytes).
    """

    def check(self, settings: Mapping[str, Any], root: Path) -> None:
        """Refuse settings that `deploy` would refuse, without deploying.

        Raises
        ------
        SettingInvalid, ServingEnvironmentInvalid
            The settings break a rule.
        """
        serving_settings(settings, root)

    def deploy(self, order: Order) -> Deployment:
        """Make the revision answer at the endpoint, and return when it does.

        Raises
        ------
        RevisionNotReady
            Its workers did not get ready; what answered before still does.
        PortTaken
            Something else listens on the port.
        EndpointBusy
            Somebody else is deploying to the endpoint for too long.
        SettingInvalid, ServingEnvironmentInvalid
            The settings break a rule.
        """
        if not 0 <= order.port <= 65535:
            raise SettingInvalid("port", f"must be from 0 to 65535, got {order.port}")
        if order.timeout <= 0:
            raise SettingInvalid("timeout", f"must be above 0, got {order.timeout:g}")
        settings = serving_settings(order.settings, order.root)
        requirements = locked_requirements(settings.python)
        folder = EndpointFolder(order.state, check_endpoint_name(order.endpoint))
        with _sole_deployer(folder, order.timeout):
            before = read_json(folder.deployed, Deployed)
            try:
                manifest = order.source.write(folder.revisions, requirements)
                order.log.info("revision %s of endpoint %s", manifest.revision, order.endpoint)
                changed, now = _switch(folder, order, manifest.revision, settings)
                order.log.info("it %s %s", "answers at" if changed else "answered before at", now.url)
            finally:
                _tidy(folder)
            previous = before.revision if before and changed else now.previous
            return Deployment(now.url, manifest, changed, previous)

    def undeploy(self, endpoint: str, state: Path, timeout: float) -> bool:
        """End the endpoint and remove all of it; return whether there was one.

        Raises
        ------
        EndpointBusy
            Somebody else is deploying to it for too long.
        """
        folder = EndpointFolder(state, check_endpoint_name(endpoint))
        existed = folder.deployed.exists()
        if not folder.root.exists():
            _sweep(folder)
            return False
        with _sole_deployer(folder, timeout):
            _end_supervisor(folder, timeout)
            _remove(folder)
        return existed


def serving_settings(given: Mapping[str, Any], root: Path) -> ServingSettings:
    """Return how the workers run, from what the environment says about deploying.

    Raises
    ------
    SettingInvalid
        A setting is unknown, or its value breaks a rule.
    ServingEnvironmentInvalid
        There is no such interpreter.
    """
    for name in given:
        if name not in KNOWN_SETTINGS:
            raise SettingInvalid(name, f"the target local has no setting {name!r}", KNOWN_SETTINGS)
    values: dict[str, Any] = {name: value for name, value in given.items() if name not in ("target", "python")}
    try:
        # values that came from variables are text
        settings = msgspec.convert(
            {**values, "python": serving_python(str(given.get("python") or ""), root)}, ServingSettings, strict=False
        )
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        raise SettingInvalid(where.rstrip("`") or "settings", what) from None
    if not 1 <= settings.workers <= 64:
        raise SettingInvalid("workers", f"must be from 1 to 64, got {settings.workers}")
    if settings.body_limit < 1:
        raise SettingInvalid("body_limit", f"must be at least 1, got {settings.body_limit}")
    return settings


@contextmanager
def _sole_deployer(folder: EndpointFolder, timeout: float) -> Iterator[None]:
    lock = FolderLock(folder.deploy_lock)
    if not lock.acquire(timeout):
        raise EndpointBusy(folder.name, timeout)
    try:
        _clear_partial(folder)
        _sweep(folder)
        yield
    finally:
        lock.release()


def _clear_partial(folder: EndpointFolder) -> None:
    """Remove what deployers and supervisors left that were killed while they wrote."""
    for partial in folder.revisions.glob(f"{PARTIAL}*"):
        shutil.rmtree(partial, ignore_errors=True)
    pattern = f".{folder.request.name}.*" if is_held(folder.supervisor_lock) else ".*.tmp"
    for partial in folder.root.glob(pattern):
        partial.unlink(missing_ok=True)


def _switch(folder: EndpointFolder, order: Order, revision: str, settings: ServingSettings) -> tuple[bool, Deployed]:
    """Let the supervisor bring the revision up; return whether anything changed, and what answers."""
    request = Request(secrets.token_hex(8), "deploy", revision, order.port, order.timeout, settings)
    try:
        outcome = _ask(folder, request, order.timeout + SLACK)
    except KeyboardInterrupt:
        if is_held(folder.supervisor_lock):
            _ask(folder, Request(secrets.token_hex(8), "withdraw"), SLACK)
        raise
    if outcome.error:
        raise restored(outcome.error)
    now = read_json(folder.deployed, Deployed)
    if not now or not _answers(now, order.timeout):
        raise SupervisorLost(order.endpoint, tail(folder.log, 5))
    return outcome.changed, now


def _ask(folder: EndpointFolder, request: Request, timeout: float) -> Outcome:
    """Hand the request to the supervisor, start one if there is none, and wait for the outcome."""
    write_json(folder.request, request)
    deadline, starts = time.monotonic() + timeout, 0
    while True:
        status = read_json(folder.status, Status)
        if status and status.outcome and status.outcome.request == request.id:
            return status.outcome
        if not is_held(folder.supervisor_lock):
            if starts == STARTS:
                raise SupervisorLost(folder.name, tail(folder.supervisor_log, 5))
            starts += 1
            _start_supervisor(folder)
        if time.monotonic() > deadline:
            raise SupervisorLost(folder.name, tail(folder.log, 5))
        time.sleep(_TICK)


def _start_supervisor(folder: EndpointFolder) -> None:
    """Start the supervisor in a session of its own, and return when it holds its lock or has ended."""
    folder.supervisor_log.parent.mkdir(parents=True, exist_ok=True)
    with folder.supervisor_log.open("wb") as output:
        subprocess.run(  # noqa: S603 (our own module)
            [sys.executable, "-m", "modelyard.deploy.local.supervisor", str(folder.root.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            check=False,
            cwd="/",
        )
    deadline = time.monotonic() + 5
    while not is_held(folder.supervisor_lock) and time.monotonic() < deadline:
        if tail(folder.supervisor_log, 1):
            return  # it said something, which it does only when it fails
        time.sleep(_TICK)


def _answers(now: Deployed, timeout: float) -> bool:
    """Ask the endpoint itself, as any client would, whether the revision answers."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(now.reachable_host, now.port, timeout=5)
        with suppress(OSError, http.client.HTTPException, msgspec.DecodeError):
            connection.request("GET", "/v2", headers={"connection": "close"})
            told = msgspec.json.decode(connection.getresponse().read())
            if told.get("revision") == now.revision:
                return True
        connection.close()
        time.sleep(_TICK)
    return False


def _tidy(folder: EndpointFolder) -> None:
    """Remove revisions that are too old or never answered; and everything, if nothing ever answered."""
    now = read_json(folder.deployed, Deployed)
    if not now:
        deadline = time.monotonic() + SLACK
        while is_held(folder.supervisor_lock) and time.monotonic() < deadline:
            time.sleep(_TICK)
        if not is_held(folder.supervisor_lock):
            _remove(folder)
        return
    kept = {now.revision, now.previous, *(past.revision for past in now.history[-KEPT_REVISIONS:])}
    status = read_json(folder.status, Status)
    kept |= {worker.revision for worker in status.workers} if status else set()
    for bundle in folder.revisions.iterdir():
        if bundle.name not in kept:
            shutil.rmtree(bundle, ignore_errors=True)


def _end_supervisor(folder: EndpointFolder, timeout: float) -> None:
    if not is_held(folder.supervisor_lock):
        return
    write_json(folder.request, Request(secrets.token_hex(8), "stop"))
    deadline = time.monotonic() + timeout
    while is_held(folder.supervisor_lock) and time.monotonic() < deadline:
        time.sleep(_TICK)
    status = read_json(folder.status, Status)
    if status and is_held(folder.supervisor_lock):  # its lock proves that the process is the one that wrote this
        with suppress(ProcessLookupError):
            os.kill(status.pid, signal.SIGKILL)
        while is_held(folder.supervisor_lock):
            time.sleep(_TICK)


def _remove(folder: EndpointFolder) -> None:
    """Make the folder disappear at once, then delete what was in it."""
    with suppress(FileNotFoundError):
        folder.root.rename(folder.root.with_name(f"{REMOVED}{folder.name}-{secrets.token_hex(4)}"))
    _sweep(folder)
    with suppress(OSError):
        folder.root.parent.rmdir()


def _sweep(folder: EndpointFolder) -> None:
    for removed in folder.root.parent.glob(f"{REMOVED}{folder.name}-*"):
        shutil.rmtree(removed, ignore_errors=True)
