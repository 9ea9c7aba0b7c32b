"""Errors of pipelines that use our components, and of the pods that run them."""

from collections.abc import Sequence

from modelyard.errors import ErrorKind, ModelyardError, near_name

__all__ = [
    "ImageNotPinned",
    "KfpMissing",
    "LibraryDiffers",
    "LoopWouldBend",
    "NotAComponent",
    "ProjectNotReproducible",
    "SettingInvalid",
    "StateNotShared",
    "TargetNotReachable",
]


class NotAComponent(ModelyardError):
    """Raised when a function that is no component is to be started as one."""

    kind = ErrorKind.INVALID

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is not the component of an operation",
            mend="Pass a function that modelyard generate has written.",
            facts={"function": name},
        )


class KfpMissing(ModelyardError):
    """Raised when a pipeline is to be compiled where there is no KFP."""

    kind = ErrorKind.INVALID

    def __init__(self, library: str) -> None:
        super().__init__(
            f"{library} is not installed",
            mend='pip install "modelyard[kfp]"',
            facts={"library": library, "extra": "kfp"},
        )


class SettingInvalid(ModelyardError):
    """Raised when a setting of a task or of its pod breaks a rule."""

    kind = ErrorKind.INVALID

    def __init__(self, setting: str, rule: str, value: object, *, known: Sequence[str] = ()) -> None:
        mend = near_name(str(value), list(known)) if known else ""
        super().__init__(f"must be {rule}, got {value!r}", where=setting, mend=mend, facts={"setting": setting})


class LoopWouldBend(ModelyardError):
    """Raised when a task in a loop takes an output from beside the loop where KFP's local runner shall run it.

    That runner hands over the loop's item instead, and ends well. A cluster does not.
    """

    kind = ErrorKind.INVALID

    def __init__(self, parameter: str, task: str, output: str) -> None:
        super().__init__(
            f"KFP's local runner would put the loop's item in the place of the output {output} of {task}",
            where=parameter,
            mend="Put the loop into a dsl.pipeline of its own, and call that with the value.",
            facts={"parameter": parameter, "task": task, "output": output},
        )


class ImageNotPinned(ModelyardError):
    """Raised when an image is named by a tag: what it means tomorrow, and what KFP has cached, nobody can tell."""

    kind = ErrorKind.INVALID

    def __init__(self, image: object) -> None:
        super().__init__(
            f"the image must be named by its digest, got {image!r}",
            where="image",
            mend="Write NAME@sha256:…, as docker inspect or the registry shows it.",
            facts={"image": str(image)},
        )


class ProjectNotReproducible(ModelyardError):
    """Raised when pods could not get the project exactly as it is here."""

    kind = ErrorKind.INVALID

    def __init__(self, project: str, reason: str, mend: str) -> None:
        super().__init__(reason, where=project, mend=mend, facts={"project": project})


class LibraryDiffers(ModelyardError):
    """Raised in a pod whose modelyard is not the one that the pipeline was compiled with."""

    kind = ErrorKind.INVALID

    def __init__(self, compiled: str, found: str) -> None:
        super().__init__(
            f"the pipeline was compiled with modelyard {compiled}, the pod has {found}",
            where="library",
            mend="Compile it again with the version of the image, or name the image that has this version.",
            facts={"compiled": compiled, "found": found},
        )


class StateNotShared(ModelyardError):
    """Raised in a pod whose environment keeps its state, or its tracking, where it ends with the pod."""

    kind = ErrorKind.INVALID

    def __init__(self, environment: str, what: str, place: str) -> None:
        super().__init__(
            f"the {what} of the environment {environment} lies in the pod's own file system: {place}",
            where=f"environments.{environment}",
            mend="Name a folder on a volume that is mounted into every pod, or a server.",
            facts={"environment": environment, "place": place},
        )


class TargetNotReachable(ModelyardError):
    """Raised in a pod that shall deploy to itself: the endpoint would end with the pod."""

    kind = ErrorKind.INVALID

    def __init__(self, operation: str, environment: str) -> None:
        super().__init__(
            f"{operation} to the target local would end with the pod",
            where=f"environments.{environment}.deploy.target",
            mend="Name a target that outlives it, such as kubernetes.",
            facts={"operation": operation, "environment": environment},
        )
