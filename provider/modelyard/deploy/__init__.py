"""Puts graphs into production: targets, revisions, endpoints; the operations deploy, rollback and undeploy."""

from modelyard.deploy.endpoints import EndpointRecord, list_endpoints, read_endpoint, tail_log
from modelyard.deploy.errors import (
    DeploymentWithdrawn,
    EndpointBusy,
    EndpointNameInvalid,
    EndpointNotFound,
    RevisionNotFound,
    RevisionNotReady,
    RolloutFailed,
    ServingEnvironmentInvalid,
    SettingInvalid,
    SupervisorLost,
    TargetNotFound,
)
from modelyard.deploy.rollout import RolloutStatus
from modelyard.deploy.targets import TARGETS, Deployment, Order, RevisionSource, Target, find_target

__all__ = [
    "TARGETS",
    "Deployment",
    "DeploymentWithdrawn",
    "EndpointBusy",
    "EndpointNameInvalid",
    "EndpointNotFound",
    "EndpointRecord",
    "Order",
    "RevisionNotFound",
    "RevisionNotReady",
    "RevisionSource",
    "RolloutFailed",
    "RolloutStatus",
    "ServingEnvironmentInvalid",
    "SettingInvalid",
    "SupervisorLost",
    "Target",
    "TargetNotFound",
    "find_target",
    "list_endpoints",
    "read_endpoint",
    "tail_log",
]
