"""What Kubernetes is told of a task's pod."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from modelyard.operators.kfp.errors import KfpMissing, SettingInvalid

if TYPE_CHECKING:
    from kfp.dsl import PipelineTask

__all__ = ["PodSettings", "SecretKey", "Toleration"]


@dataclass(frozen=True)
class SecretKey:
    """A key of a Kubernetes secret.

    Parameters
    ----------
    secret
        The secret's name.
    key
        The key in it.
    """

    secret: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Toleration:
    """A taint that the pod puts up with.

    Parameters
    ----------
    key, operator, value, effect
        As Kubernetes has them.
    """

    key: str
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] = "NoSchedule"


@dataclass(frozen=True, kw_only=True)
class PodSettings:
    """Where a task's pod runs, and with what. The service account is one of the run's, not of a task: see `submit`.

    Parameters
    ----------
    cpu, memory
        Both requested and the limit, such as ``2`` and ``4Gi``; empty leaves it to the cluster.
    accelerator
        The kind of accelerator, such as ``nvidia.com/gpu``.
    accelerators
        How many.
    node_selector
        Labels that the node must have.
    tolerations
        Taints that the pod puts up with.
    secrets
        Environment variable → key of a Kubernetes secret: how a project's secrets get their values.
    variables
        Environment variables; never a secret.
    volumes
        Path → name of the persistent volume claim to mount there, such as the one with the environment's state.
    image_pull_secrets
        Secrets for the registry.
    labels, annotations
        Of the pod.
    timeout
        Seconds after which Kubernetes ends the pod; 0 is never.

    Raises
    ------
    SettingInvalid
        A value breaks a rule.
    """

    cpu: str = ""
    memory: str = ""
    accelerator: str = ""
    accelerators: int = 0
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    secrets: Mapping[str, SecretKey] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    image_pull_secrets: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    timeout: int = 0

    def __post_init__(self) -> None:
        """Check what Kubernetes would refuse only when the pod is made."""
        if bool(self.accelerator) != bool(self.accelerators):
            raise SettingInvalid("accelerators", "given together with accelerator", self.accelerators)
        for path in self.volumes:
            if not path.startswith("/") or path == "/":
                raise SettingInvalid("volumes", "an absolute path below /", path)
        both = sorted(set(self.secrets) & set(self.variables))
        if both:
            raise SettingInvalid("variables", "other variables than those of secrets", both[0])
        for each in self.secrets.values():
            if not isinstance(each, SecretKey):
                raise SettingInvalid("secrets", 'SecretKey("SECRET", "KEY") for each variable', each)
        if self.timeout < 0:
            raise SettingInvalid("timeout", "0 or more seconds", self.timeout)

    def apply(self, task: "PipelineTask") -> None:
        """Tell a task of a pipeline all of it."""
        if self.cpu:
            task.set_cpu_request(self.cpu).set_cpu_limit(self.cpu)
        if self.memory:
            task.set_memory_request(self.memory).set_memory_limit(self.memory)
        if self.accelerator:
            task.set_accelerator_type(self.accelerator).set_accelerator_limit(self.accelerators)
        for name, value in self.variables.items():
            task.set_env_variable(name, value)
        if self._needs_kubernetes():
            self._apply_kubernetes(task)

    def _needs_kubernetes(self) -> bool:
        told = (self.node_selector, self.tolerations, self.secrets, self.volumes, self.image_pull_secrets)
        return any((*told, self.labels, self.annotations, self.timeout))

    def _apply_kubernetes(self, task: "PipelineTask") -> None:
        try:
            from kfp import kubernetes
        except ImportError as error:
            raise KfpMissing("kfp-kubernetes") from error
        for label, value in self.node_selector.items():
            kubernetes.add_node_selector(task, label, value)
        for each in self.tolerations:
            kubernetes.add_toleration(task, each.key, each.operator, each.value or None, each.effect)
        for variable, found in self.secrets.items():
            kubernetes.use_secret_as_env(task, found.secret, {found.key: variable})
        for path, claim in self.volumes.items():
            kubernetes.mount_pvc(task, claim, path)
        if self.image_pull_secrets:
            kubernetes.set_image_pull_secrets(task, list(self.image_pull_secrets))
        for label, value in self.labels.items():
            kubernetes.add_pod_label(task, label, value)
        for name, value in self.annotations.items():
            kubernetes.add_pod_annotation(task, name, value)
        if self.timeout:
            kubernetes.set_timeout(task, self.timeout)
