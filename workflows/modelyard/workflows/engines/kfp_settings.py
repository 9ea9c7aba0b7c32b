"""What an environment of modelyard.yaml says of Kubeflow Pipelines."""

from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.operators.kfp.delivery import Delivery, Image, Pip
from modelyard.operators.kfp.errors import SettingInvalid
from modelyard.operators.kfp.pods import PodSettings, SecretKey

__all__ = ["KfpSettings", "settings_of"]


class KfpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section ``kfp`` of an environment.

    Parameters
    ----------
    endpoint
        The server's address; the variable KF_PIPELINES_ENDPOINT if empty.
    namespace, experiment, service_account, pipeline_root
        Where runs belong, under whom their pods run, and where KFP keeps artifacts; the server's defaults if empty.
    image
        The image of all pods, by its digest, with modelyard, kfp and what the project needs. Without one pods are
        made of a plain Python image, into which this release is installed.
    requirements
        What to install besides where there is no image.
    project
        The project's path in the image; without it pods fetch the commit from the repository's remote.
    volumes
        Path → persistent volume claim, in every pod; the environment's state must lie on one.
    secrets
        Environment variable → ``secret/key``.
    variables
        Environment variables of every pod.
    node_selector
        Labels that nodes must have.
    image_pull_secrets
        Secrets for the registry.
    pod_retries
        How often KFP starts a pod anew that ended without doing its work.
    model_registry
        The address of Kubeflow's Model Registry, which is told of every version that is registered; none if empty.
    """

    endpoint: str = ""
    namespace: str = ""
    experiment: str = ""
    service_account: str = ""
    pipeline_root: str = ""
    image: str = ""
    requirements: tuple[str, ...] = ()
    project: str = ""
    volumes: dict[str, str] = {}
    secrets: dict[str, str] = {}
    variables: dict[str, str] = {}
    node_selector: dict[str, str] = {}
    image_pull_secrets: tuple[str, ...] = ()
    pod_retries: int = 0
    model_registry: str = ""

    @property
    def delivery(self) -> Delivery:
        """How the library reaches the pods."""
        return Image(self.image) if self.image else Pip(requirements=self.requirements)

    @property
    def pod(self) -> PodSettings:
        """Where pods run, and with what."""
        return PodSettings(
            volumes=self.volumes,
            secrets={name: _secret(name, place) for name, place in self.secrets.items()},
            variables=self.variables,
            node_selector=self.node_selector,
            image_pull_secrets=self.image_pull_secrets,
        )


def _secret(name: str, place: str) -> SecretKey:
    secret, slash, key = place.partition("/")
    if not (secret and slash and key):
        raise SettingInvalid(f"kfp.secrets.{name}", "secret/key", place)
    return SecretKey(secret, key)


def settings_of(environment: str, section: Mapping[str, Any]) -> KfpSettings:
    """Return the settings of an environment.

    Parameters
    ----------
    environment
        Its name, for errors.
    section
        Its section ``kfp``.

    Raises
    ------
    SettingInvalid
        A field is unknown, or of another type.

    Examples
    --------
    >>> settings_of("prod", {"volumes": {"/state": "ml-state"}}).pod.volumes
    {'/state': 'ml-state'}
    """
    known = KfpSettings.__struct_fields__
    for name in section:
        if name not in known:
            raise SettingInvalid(f"environments.{environment}.kfp", f"one of {', '.join(known)}", name, known=known)
    try:
        return msgspec.convert(dict(section), KfpSettings, strict=False)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        where = f"environments.{environment}.kfp{place.rstrip('`')}"
        raise SettingInvalid(where, f"as described ({reason.lower()})", section) from error
