"""The operation register: makes a stored model a version of a name."""

import msgspec

from modelyard.operations import ModelRef, OperationContext, operation
from modelyard.projects import open_project
from modelyard.tracking import open_tracking, run_tags
from modelyard.tracking.kubeflow_registry import mirror_of
from modelyard.tracking.references import ModelReference, check_model_name

__all__ = ["RegisterResult", "register"]


class RegisterResult(msgspec.Struct, frozen=True):
    """What register returns.

    Attributes
    ----------
    model
        The exact version, such as ``models:/delays/3``.
    name
        The registered name.
    version
        The version's number.
    digest
        The SHA-256 over the model's files, which the registry vouches for from now on.
    created
        Whether the version is new; false if this model of this run had been registered before.
    """

    model: ModelRef
    name: str
    version: int
    digest: str
    created: bool


@operation(kind="register", side_effects="registry")
def register(
    context: OperationContext,
    *,
    model: ModelRef,
    name: str,
    description: str = "",
    tags: dict[str, str] = {},  # noqa: B006 (copied for each call)
) -> RegisterResult:
    """Make a stored model a version of a registered model.

    The same model of the same run is registered once under a name: to do it again gives the same version. What is
    registered is trusted: the registry records the digest of its files, and only files with that digest are loaded.
    Where the environment names Kubeflow's Model Registry (``kfp.model_registry``), it is told of the version, too.

    Parameters
    ----------
    model
        The model to register, such as ``runs:/run-id/model`` or ``models:/m-…`` as train returns it.
    name
        The name to register it under; made if it is new.
    description
        What is to be said about the version.
    tags
        Tags for the version.

    Examples
    --------
    $ modelyard register --model models:/m-0123456789abcdef0123456789abcdef --name delays
    """
    check_model_name(name)
    ModelReference.parse(model)
    project = open_project(context.project)
    environment = project.environment(context.environment)
    mirror = mirror_of(environment)
    tracking = open_tracking(environment, project.name)
    known = {**tags, **run_tags(project, context, operation="register")}
    resolved, created = tracking.register_once(model, name, tags=known, description=description)
    context.log.info("%s %s", "registered" if created else "already registered:", resolved.uri)
    if mirror:
        version = mirror.mirror(resolved, description=description, tags=known)
        context.log.info("told %s of it: version %s", mirror.endpoint, version)
    return RegisterResult(
        model=resolved.uri,
        name=name,
        version=resolved.version or 0,
        digest=resolved.digest,
        created=created,
    )
