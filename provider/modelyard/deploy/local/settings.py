"""What an environment can say about deploying to this machine, checked field by field."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from modelyard.deploy.errors import SettingInvalid
from modelyard.deploy.requirements import serving_python
from modelyard.serving.access import AccessRules
from modelyard.serving.field_types import check_types
from modelyard.serving.limits import Limits
from modelyard.serving.record_rules import RecordRules
from modelyard.serving.tls import Certificates
from modelyard.serving.trace_rules import TraceRules

__all__ = ["KNOWN_SETTINGS", "Scale", "ServingSettings", "Smoke", "scale_of", "serving_settings"]

MOST_WORKERS = 64
KNOWN_SETTINGS = (
    *("target", "python", "workers", "host", "body_limit", "limits", "batch", "grpc_port", "smoke", "revisions"),
    *("rollout", "access", "certificates", "records", "traces", "metrics_port", "log"),
)
"""What an environment can say about deploying to this target."""


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many worker processes there are, and what decides it.

    Parameters
    ----------
    min, max
        The bounds. With a minimum of 0 the last worker ends, too, and the first request starts one again.
    in_flight
        The requests under way for each worker above which another one is started.
    idle
        Seconds of less work than that after which one is ended.
    """

    min: int = 1
    max: int = 1
    in_flight: float = 4.0
    idle: float = 60.0

    def __post_init__(self) -> None:
        check_types(self)


class Smoke(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request that a new revision must answer rightly before it gets traffic.

    Parameters
    ----------
    body
        What is sent, as JSON.
    path
        Where to; a request to ``/v2/models/…`` counts, too.
    status
        The status that must come back.
    reply
        What must come back; of a mapping, the entries that are given. Nothing here accepts every reply.
    """

    body: Any = None
    path: str = "/"
    status: int = 200
    reply: Any = None

    def __post_init__(self) -> None:
        check_types(self)
        if not 200 <= self.status <= 599:
            raise ValueError(f"status is from 200 to 599, not {self.status}")


class ServingSettings(msgspec.Struct, frozen=True):
    """How the workers run.

    Parameters
    ----------
    python
        The absolute path of their interpreter.
    workers
        How many there are.
    host
        The address that the endpoint listens on.
    limits
        What each of them takes on.
    batch
        How many rows of different requests are gathered for one call of a model.
    grpc_port
        Where gRPC is answered; None leaves it.
    smoke
        What a new revision is asked before it gets traffic.
    revisions
        How many revisions are kept for a rollback, the one that answers included.
    access
        Where the tokens are that clients must have.
    certificates
        What connections are encrypted with; None is plain text.
    records
        Where it is taken down what models saw and said; None is nowhere.
    traces
        Where the workers' spans go; None is as the ``OTEL_`` variables have it.
    metrics_port
        Where the metrics of all workers are, on this machine's own address; 0 takes a free port, None leaves it.
    log
        Whether the lines that workers log are ``text``, or ``json`` objects with the events that they are about.
    """

    python: str
    workers: Scale = Scale()
    host: str = "127.0.0.1"
    limits: Limits = Limits()
    batch: int = 32
    grpc_port: int | None = None
    smoke: tuple[Smoke, ...] = ()
    revisions: int = 10
    access: AccessRules = AccessRules()
    certificates: Certificates | None = None
    records: RecordRules | None = None
    traces: TraceRules | None = None
    metrics_port: int | None = 0
    log: Literal["text", "json"] = "text"

    def __post_init__(self) -> None:
        check_types(self)


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
    others = ("target", "python", "rollout")
    values: dict[str, Any] = {name: value for name, value in given.items() if name not in others}
    values["workers"] = _scale(values.get("workers", 1))
    values["limits"] = _limits(values)
    try:
        # values that came from variables are text
        settings = msgspec.convert({**values, "python": "?"}, ServingSettings, strict=False)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        raise SettingInvalid(where.strip(".`") or "settings", what) from None
    for setting, rule in _broken(settings):
        raise SettingInvalid(setting, rule)
    python = serving_python(str(given.get("python") or ""), root)
    return _with_paths(msgspec.structs.replace(settings, python=python), root)


def _with_paths(settings: ServingSettings, root: Path) -> ServingSettings:
    """Return the settings with paths that hold wherever a process runs: those of files begin at the project."""

    def whole(path: str) -> str:
        return str(root / path) if path else ""

    def sources(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(whole(name) if "/" in name else name for name in names)

    rules, shown, records = settings.access, settings.certificates, settings.records
    return msgspec.structs.replace(
        settings,
        access=AccessRules(sources(rules.infer), sources(rules.admin)),
        certificates=shown and Certificates(whole(shown.certificate), whole(shown.key), whole(shown.clients)),
        records=records and msgspec.structs.replace(records, folder=whole(records.folder)),
    )


def scale_of(settings: ServingSettings, workers: Mapping[str, Any]) -> ServingSettings:
    """Return the settings with other bounds for the number of workers.

    Raises
    ------
    SettingInvalid
        They break a rule.
    """
    changed = msgspec.structs.replace(settings, workers=msgspec.convert(workers, Scale, strict=False))
    for setting, rule in _broken(changed):
        raise SettingInvalid(setting, rule)
    return changed


def _scale(given: Any) -> Any:
    """Return bounds for a number of workers, and bounds as they are."""
    if isinstance(given, Mapping):
        _check_names("workers", given, Scale.__struct_fields__)
        return {"max": given.get("min", 1), **given}
    try:
        number = msgspec.convert(given, int, strict=False)
    except msgspec.ValidationError:
        rule = f"is a number, or min, max, in_flight and idle, not {given!r:.40}"
        raise SettingInvalid("workers", rule) from None
    return {"min": number, "max": number}


def _limits(values: dict[str, Any]) -> Any:
    """Take the shorthand for the largest body into the limits."""
    body = values.pop("body_limit", None)
    given = values.get("limits", {})
    if not isinstance(given, Mapping):
        return given
    _check_names("limits", given, Limits.__struct_fields__)
    for name, value in (("body_limit", body), ("limits.body", given.get("body"))):
        _check_body(name, value)
    return given if body is None else {"body": body, **given}


def _check_body(name: str, value: Any) -> None:
    if value is None:
        return
    try:
        size = msgspec.convert(value, int, strict=False)
    except msgspec.ValidationError as error:
        raise SettingInvalid(name, str(error)) from None
    if size < 1:
        raise SettingInvalid(name, f"must be at least 1, got {size}")


def _check_names(setting: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise SettingInvalid(f"{setting}.{name}", f"{setting} has no {name!r}", known)


def _broken(settings: ServingSettings) -> Iterator[tuple[str, str]]:
    """Yield each setting that breaks a rule, with the rule."""
    scale, port = settings.workers, settings.grpc_port
    if scale.min == scale.max and not 1 <= scale.min <= MOST_WORKERS:
        yield "workers", f"must be from 1 to {MOST_WORKERS}, got {scale.min}"
    if not 1 <= scale.max <= MOST_WORKERS:
        yield "workers.max", f"must be from 1 to {MOST_WORKERS}, got {scale.max}"
    if not 0 <= scale.min <= scale.max:
        yield "workers.min", f"must be from 0 to max, which is {scale.max}, got {scale.min}"
    if not scale.in_flight > 0:
        yield "workers.in_flight", f"must be above 0, got {scale.in_flight:g}"
    if not scale.idle > 0:
        yield "workers.idle", f"must be above 0, got {scale.idle:g}"
    if scale.min == 0 and port is not None:
        yield "workers.min", "must be at least 1 with a grpc_port: only HTTP wakes an endpoint up"
    if settings.batch < 1:
        yield "batch", f"must be at least 1, got {settings.batch}"
    if port is not None and not 0 <= port <= 65535:
        yield "grpc_port", f"must be from 0 to 65535, got {port}"
    if settings.metrics_port is not None and not 0 <= settings.metrics_port <= 65535:
        yield "metrics_port", f"must be from 0 to 65535, got {settings.metrics_port}"
    if settings.revisions < 2:
        yield "revisions", f"must be at least 2, got {settings.revisions}"
