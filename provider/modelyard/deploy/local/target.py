"""The target ``local``: endpoints on this machine, each kept by a supervisor of its own."""

import http.client
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec

from modelyard.deploy.endpoints import check_endpoint_name, list_endpoints
from modelyard.deploy.errors import (
    EndpointBusy,
    EndpointNotFound,
    RevisionNotFound,
    SettingInvalid,
    SupervisorLost,
    restored,
)
from modelyard.deploy.local.locks import FolderLock, is_held
from modelyard.deploy.local.logs import tail
from modelyard.deploy.local.records import (
    Author,
    Deployed,
    EndpointFolder,
    Outcome,
    Request,
    Status,
    commit_of,
    read_json,
    write_json,
)
from modelyard.deploy.local.settings import Scale, ServingSettings, scale_of, serving_settings
from modelyard.deploy.requirements import locked_requirements
from modelyard.deploy.revision import PARTIAL
from modelyard.deploy.rollout import Rollout, RolloutStatus, read_rollout
from modelyard.deploy.targets import Deployment, EarlierRevision, Order
from modelyard.serving.bundle import MANIFEST, Manifest

__all__ = ["LocalTarget"]

REMOVED = ".removed-"
STARTS = 3
"""How often a supervisor that ends without an answer is started."""
SLACK = 20.0
"""Seconds beyond the order's own timeout: the supervisor's start, and stopping the workers before."""
_TICK = 0.02


class LocalTarget:
    """Runs endpoints as processes of this machine; a `modelyard.deploy.targets.Target`.

    Its settings are those of `modelyard.deploy.local.settings.ServingSettings`, and ``rollout``.
    """

    def check(self, settings: Mapping[str, Any], root: Path) -> None:
        """Refuse settings that `deploy` would refuse, without deploying.

        Raises
        ------
        SettingInvalid, ServingEnvironmentInvalid
            The settings break a rule.
        """
        serving_settings(settings, root)
        read_rollout(settings.get("rollout"), {}, shadow=False)

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
        rollout = read_rollout(order.settings.get("rollout"), order.traffic, shadow=order.shadow)
        requirements = locked_requirements(settings.python)
        folder = EndpointFolder(order.state, check_endpoint_name(order.endpoint))
        with _sole_deployer(folder, order.timeout):
            return _deploy(folder, order, settings, rollout, requirements)

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

    def rollback(self, order: Order, revision: str) -> Deployment:
        """Make an earlier revision answer, and return when it does; a rollout that runs is ended.

        Raises
        ------
        EndpointNotFound
            There is no such endpoint.
        RevisionNotFound
            It is not kept; the error names those that are.
        RevisionNotReady
            Its workers did not get ready; what answered before still does.
        """
        folder = EndpointFolder(order.state, check_endpoint_name(order.endpoint))
        with _existing(folder, order.timeout) as now:
            rollout = read_json(folder.rollout, RolloutStatus)
            if not revision and rollout and rollout.state == "running":
                author = Author("rollback", order.by)
                changed = _ask(folder, Request(secrets.token_hex(8), "abort", author=author), SLACK).changed
                manifest = EarlierRevision(now.revision).write(folder.revisions, ())
                return Deployment(now.url, manifest, changed, rollout.revision, grpc=now.grpc)
            source = EarlierRevision(_earlier(folder, now, revision))
            return _deploy(folder, replace(order, source=source, action="rollback"), now.settings, None, ())

    def promote(self, endpoint: str, state: Path, by: str) -> bool:
        """Give everything to the revision that is tried; return whether there was one."""
        folder = EndpointFolder(state, check_endpoint_name(endpoint))
        with _existing(folder, SLACK):
            request = Request(secrets.token_hex(8), "promote", author=Author("promote", by))
            return is_held(folder.supervisor_lock) and _ask(folder, request, SLACK * 3).changed

    def scale(self, endpoint: str, state: Path, workers: Mapping[str, Any]) -> bool:
        """Change the bounds of the number of workers until the next deployment; return whether that changed them.

        Raises
        ------
        SettingInvalid
            The bounds break a rule.
        """
        folder = EndpointFolder(state, check_endpoint_name(endpoint))
        with _existing(folder, SLACK) as now:
            before = {name: getattr(now.settings.workers, name) for name in Scale.__struct_fields__}
            settings = scale_of(now.settings, {**before, **workers})
            request = Request(secrets.token_hex(8), "scale", settings=settings)
            return _ask(folder, request, SLACK).changed

    def rollout(self, endpoint: str, state: Path) -> RolloutStatus | None:
        """Return where the last rollout stands; None if there was none."""
        return read_json(EndpointFolder(state, check_endpoint_name(endpoint)).rollout, RolloutStatus)


@contextmanager
def _existing(folder: EndpointFolder, timeout: float) -> Iterator[Deployed]:
    """Be the only one who changes an endpoint that must exist."""
    if not folder.deployed.exists():
        raise EndpointNotFound(folder.name, [each.name for each in list_endpoints(folder.root.parent.parent)])
    with _sole_deployer(folder, timeout):
        now = read_json(folder.deployed, Deployed)
        if not now:
            raise EndpointNotFound(folder.name, [])
        yield now


def _earlier(folder: EndpointFolder, now: Deployed, wanted: str) -> str:
    """Return the id of the earlier revision that is meant."""
    kept = [past.revision for past in reversed(now.history) if (folder.revisions / past.revision / MANIFEST).exists()]
    known = list(dict.fromkeys(each for each in kept if each != now.revision))
    if not wanted and now.previous in known:
        return str(now.previous)
    found = [each for each in known if wanted and each.startswith(wanted)]
    if len(found) != 1:
        raise RevisionNotFound(folder.name, wanted, known)
    return found[0]


def _deploy(
    folder: EndpointFolder,
    order: Order,
    settings: ServingSettings,
    rollout: Rollout | None,
    requirements: Sequence[str],
) -> Deployment:
    before = read_json(folder.deployed, Deployed)
    try:
        manifest = order.source.write(folder.revisions, requirements)
        order.log.info("revision %s of endpoint %s", manifest.revision, order.endpoint)
        changed, now = _switch(folder, order, manifest, settings, rollout)
        tried = now.revision != manifest.revision
        how = "has a part of the traffic at" if tried else "answers at" if changed else "answered before at"
        order.log.info("it %s %s", how, now.url)
    finally:
        _tidy(folder)
    previous = before.revision if before and changed else now.previous
    trial = ("shadow" if rollout and rollout.shadow else "canary") if tried else ""
    return Deployment(now.url, manifest, changed, previous, trial, now.grpc)


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


def _switch(
    folder: EndpointFolder, order: Order, manifest: Manifest, settings: ServingSettings, rollout: Rollout | None
) -> tuple[bool, Deployed]:
    """Let the supervisor bring the revision up; return whether anything changed, and what answers."""
    models = {step: model.reference for step, model in manifest.models.items()}
    author = Author(order.action, order.by, commit_of(manifest.provenance), models)
    request = Request(
        secrets.token_hex(8), "deploy", manifest.revision, order.port, order.timeout, settings, author, rollout
    )
    try:
        outcome = _ask(folder, request, order.timeout + SLACK)
    except KeyboardInterrupt:
        if is_held(folder.supervisor_lock):
            _ask(folder, Request(secrets.token_hex(8), "withdraw"), SLACK)
        raise
    if outcome.error:
        raise restored(outcome.error)
    now = read_json(folder.deployed, Deployed)
    if not now or not (_answers(now, order.timeout)):
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
            [sys.executable, "-m", "modelyard.deploy.local", str(folder.root.resolve())],
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
        shown = now.settings.certificates
        if shown and shown.clients:  # nor need whoever deploys have a certificate
            with suppress(OSError), socket.create_connection((now.reachable_host, now.port), timeout=5):
                return True
        connection = _connection(now)
        with suppress(OSError, http.client.HTTPException, msgspec.DecodeError):
            connection.request("GET", "/v2", headers={"connection": "close"})
            reply = connection.getresponse()
            if reply.status == HTTPStatus.UNAUTHORIZED:
                return True  # whoever deploys need not have a token; the supervisor has asked each worker
            if msgspec.json.decode(reply.read()).get("revision") == now.revision:
                return True
        connection.close()
        time.sleep(_TICK)
    return False


def _connection(now: Deployed) -> http.client.HTTPConnection:
    shown = now.settings.certificates
    if not shown:
        return http.client.HTTPConnection(now.reachable_host, now.port, timeout=5)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the certificate is for clients' names of the endpoint, not for this address
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(now.reachable_host, now.port, timeout=5, context=context)


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
    latest = dict.fromkeys(past.revision for past in reversed(now.history))
    kept = {now.revision, now.previous, *list(latest)[: now.settings.revisions]}
    status = read_json(folder.status, Status)
    kept |= {worker.revision for worker in status.workers} if status else set()
    rollout = read_json(folder.rollout, RolloutStatus)
    kept |= {rollout.revision} if rollout and rollout.state == "running" else set()
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
