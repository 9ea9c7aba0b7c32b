"""What Kubernetes is told of a task's pod."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from modelyard.operators.kfp.errors import KfpMissing, SettingInvalid
from modelyard.operators.kfp.setting_rules import check_items, check_mapping, check_text, check_whole

if TYPE_CHECKING:
    from kfp.dsl import PipelineTask

__all__ = ["PodSettings", "SecretKey", "Toleration"]


Operator = Literal["Equal", "Exists"]
Effect = Literal["NoExecute", "NoSchedule", "PreferNoSchedule"]

_CPU = re.compile(r"\d+|\d*\.\d+|\d+m")
_MEMORY = re.compile(r"\d+(E|Ei|P|Pi|T|Ti|G|Gi|M|Mi|K|Ki)?")
"""What KFP takes of Kubernetes' quantities."""


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

    def __post_init__(self) -> None:
        """Refuse a secret or a key without a name.

        Raises
        ------
        SettingInvalid
            One is empty, or no text.
        """
        for name in ("secret", "key"):
            check_text(name, getattr(self, name), "the name of a Kubernetes secret and of a key in it")


@dataclass(frozen=True, kw_only=True)
class Toleration:
    """A taint that the pod puts up with.

    Parameters
    ----------
    key, operator, value, effect
        As Kubernetes has them.

    Raises
    ------
    SettingInvalid
        A value breaks a rule of Kubernetes.
    """

    key: str
    operator: Operator = "Equal"
    value: str = ""
    effect: Effect = "NoSchedule"

    def __post_init__(self) -> None:
        """Check what Kubernetes would refuse only when the pod is made."""
        for name, choices in (("operator", get_args(Operator)), ("effect", get_args(Effect))):
            if getattr(self, name) not in choices:
                raise SettingInvalid(name, f"one of {', '.join(choices)}", getattr(self, name))
        if not isinstance(self.key, str) or not (self.key or self.operator == "Exists"):
            raise SettingInvalid("key", "the key of a taint, and empty only with the operator Exists", self.key)
        if not isinstance(self.value, str) or (self.value and self.operator == "Exists"):
            raise SettingInvalid("value", "text, and empty with the operator Exists", self.value)


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
        """Check what KFP or Kubernetes would refuse only later."""
        self._check_resources()
        for name in ("node_selector", "variables", "labels", "annotations"):
            check_mapping(name, getattr(self, name), str, "texts")
        check_mapping("volumes", self.volumes, str, "names of persistent volume claims")
        for path in self.volumes:
            if not path.startswith("/") or path == "/":
                raise SettingInvalid("volumes", "an absolute path below /", path)
        check_mapping("secrets", self.secrets, SecretKey, 'SecretKey("SECRET", "KEY")')
        if both := sorted(set(self.secrets) & set(self.variables)):
            raise SettingInvalid("variables", "other variables than those of secrets", both[0])
        check_items("tolerations", self.tolerations, Toleration, "a tuple of Toleration(…)")
        check_items("image_pull_secrets", self.image_pull_secrets, str, "a tuple of secrets' names")

    def _check_resources(self) -> None:
        rules = {"cpu": (_CPU, "2, 0.5 or 500m"), "memory": (_MEMORY, "4Gi or 512Mi")}
        for name, (pattern, examples) in rules.items():
            value = getattr(self, name)
            if not isinstance(value, str) or (value and not pattern.fullmatch(value)):
                raise SettingInvalid(name, f"a quantity of Kubernetes as text, such as {examples}", value)
        if not isinstance(self.accelerator, str):
            raise SettingInvalid("accelerator", "text, such as nvidia.com/gpu", self.accelerator)
        for name, rule in {"accelerators": "0 or more", "timeout": "0 or more seconds"}.items():
            check_whole(name, getattr(self, name), f"a whole number, {rule}")
        if bool(self.accelerator) != bool(self.accelerators):
            raise SettingInvalid("accelerators", "given together with accelerator", self.accelerators)

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
