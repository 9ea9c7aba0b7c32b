"""Starts the tasks of a pipeline: what all components have in common."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any, Self, TypeAlias, TypedDict, TypeVar, Unpack

from kfp import dsl
from kfp.dsl import PipelineTask
from kfp.dsl.for_loop import LoopArgumentVariable, LoopParameterArgument
from kfp.dsl.pipeline_channel import PipelineArtifactChannel, PipelineChannel
from kfp.dsl.pipeline_context import Pipeline
from kfp.dsl.tasks_group import TasksGroup, TasksGroupType

from modelyard.operations import OperationSpec, Parameter, ParameterMissing, ParameterUnknown
from modelyard.operations.catalogue import load_catalogue
from modelyard.operators.kfp.declaring import operation_of
from modelyard.operators.kfp.delivery import Delivery, Installed
from modelyard.operators.kfp.encoding import carried, exact_text, hole
from modelyard.operators.kfp.errors import LoopWouldBend, SettingInvalid
from modelyard.operators.kfp.pods import PodSettings
from modelyard.operators.kfp.setting_rules import check_items, check_kind, check_text, check_whole
from modelyard.operators.kfp.variants import component_for

__all__ = ["ComponentLibrary", "Given", "TaskSettings"]

ValueT = TypeVar("ValueT")

Given: TypeAlias = ValueT | PipelineChannel
"""What a parameter takes in a pipeline: a value, an output of another task, or a parameter of the pipeline."""

_UNHARMED = (PipelineArtifactChannel, LoopParameterArgument, LoopArgumentVariable)
"""What KFP's local runner hands into a loop as it is."""

_PLACEHOLDERS: dict[str, Any] = {"list": [], "mapping": {}}
"""What KFP is given for a parameter whose value goes another way."""


class TaskSettings(TypedDict, total=False):
    """What a task may be told besides its operation's parameters.

    Parameters
    ----------
    title
        How KFP's pages call it.
    after
        Tasks that must have ended before.
    retries
        How often KFP starts the pod anew when it fails.
    backoff
        Whole seconds before the first of these, doubled before each other.
    cache
        False never takes a result that KFP has kept. True is refused where the operation has side effects.
    pod
        Where the pod runs, instead of what the library says.
    environment, project
        Another environment or project than the library's.
    key
        Names the work; by default made of the run and the task.
    index
        The item of a loop that the task is of: part of the key, so that a pod that takes another's place finds its work
        again even after the run was resumed.
    """

    title: str
    after: Sequence[PipelineTask]
    retries: int
    backoff: int
    cache: bool
    pod: PodSettings
    environment: Given[str]
    project: Given[str]
    key: Given[str]
    index: Given[int]


@dataclass(frozen=True, kw_only=True)
class ComponentLibrary:
    """Starts tasks of components inside a function marked with ``dsl.pipeline``.

    Parameters
    ----------
    delivery
        How the library reaches the pod.
    project
        The project, as a pod can reach it: ``git+URL@commit#subfolder`` (see `reproducible_project`), or a path in the
        image.
    environment
        The environment of ``modelyard.yaml``; the project's first if empty.
    pod
        Where pods run, unless a task says otherwise.
    retries
        How often a failed task is started anew, unless it says otherwise.
    settings
        What the next tasks are told; made by calling the library.
    """

    delivery: Delivery
    project: str
    environment: str = ""
    pod: PodSettings = field(default_factory=PodSettings)
    retries: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what a pod would find out only when it runs.

        Raises
        ------
        SettingInvalid
            There is no delivery, or no project, or something is of another type.
        """
        if isinstance(self.delivery, type) or not callable(getattr(self.delivery, "options", None)):
            raise SettingInvalid("delivery", "one of Image(…), Pip(…), Embedded(…), Installed()", self.delivery)
        check_text("project", self.project, "git+URL@commit#subfolder, or a path in the image, as text")
        check_kind("environment", self.environment, str, "text")
        check_kind("pod", self.pod, PodSettings, "PodSettings(…)")
        check_whole("retries", self.retries, "0 or more")

    def __call__(self, **settings: Unpack[TaskSettings]) -> Self:
        """Return components that tell their tasks more: ``components(title="Fit", retries=2).train(…)``.

        Raises
        ------
        SettingInvalid
            There is no such setting, or it cannot be that.
        """
        for name in settings:
            if name not in TaskSettings.__annotations__:
                known = list(TaskSettings.__annotations__)
                raise SettingInvalid("settings", f"one of {', '.join(known)}", name, known=known)
        _check_settings(settings)
        return replace(self, settings={**self.settings, **settings})

    def start(self, component: Callable[..., Any], given: Mapping[str, Any]) -> PipelineTask:
        """Add a task to the pipeline that is being defined; outside one, run it now.

        Parameters
        ----------
        component
            The generated function of a component, of ours or of another distribution's.
        given
            Its operation's parameters: values, outputs of other tasks, parameters of the pipeline, or lists and
            mappings of these. A parameter that names a model or a dataset also takes an artifact.

        Raises
        ------
        ParameterUnknown, ParameterMissing, ParameterInvalid
            A parameter does not fit.
        SettingInvalid
            A setting does not fit.
        """
        spec = load_catalogue().spec(operation_of(component))
        bundle = _Bundle(spec, local=isinstance(self.delivery, Installed))
        bundle.take(given)
        own = self.settings.get("pod", self.pod)
        pod = "" if own == self.pod else f"{zlib.crc32(repr(own).encode()):08x}"
        made = component_for(component, tuple(bundle.types), self.delivery, pod)
        task = made(**bundle.arguments(), **self._circumstances(spec))
        return self._told(task, spec)

    def _circumstances(self, spec: OperationSpec) -> dict[str, Any]:
        told = self.settings
        found = {
            "project": told.get("project", self.project),
            "environment": told.get("environment", self.environment),
            "library": version("modelyard"),
        }
        if spec.side_effects == "none" and "key" not in told:
            # The run's id among the inputs would keep KFP from ever taking a result that it has kept.
            return found
        found["workflow_run"] = dsl.PIPELINE_JOB_ID_PLACEHOLDER
        found["step"] = dsl.PIPELINE_TASK_NAME_PLACEHOLDER
        found["key"] = told.get("key") or _key(told.get("index"))
        return found

    def _told(self, task: PipelineTask, spec: OperationSpec) -> PipelineTask:
        told = self.settings
        cache = told.get("cache", spec.side_effects == "none")
        if cache and spec.side_effects != "none":
            raise SettingInvalid("cache", f"left out where an operation has side effects, as {spec.name} has", cache)
        task.set_caching_options(cache)
        retries = told.get("retries", self.retries)
        if retries:
            task.set_retry(retries, backoff_duration=f"{told.get('backoff', 0)}s", backoff_factor=2.0)
        if told.get("title"):
            task.set_display_name(told["title"])
        if told.get("after"):
            task.after(*told["after"])
        told.get("pod", self.pod).apply(task)
        return task


def _check_settings(told: TaskSettings) -> None:
    text = (str, PipelineChannel)
    kinds: dict[str, tuple[Any, str]] = {
        "title": (str, "text"),
        "cache": (bool, "true or false"),
        "pod": (PodSettings, "PodSettings(…)"),
        "environment": (text, "text, or an output of a task"),
        "project": (text, "text, or an output of a task"),
        "key": (text, "text, or an output of a task"),
        "index": ((int, PipelineChannel), "a whole number, or the item of a loop"),
    }
    for name, value in told.items():
        if name in kinds:
            check_kind(name, value, *kinds[name])
    check_items("after", told.get("after", ()), (PipelineTask, TasksGroup), "a list of tasks")
    check_whole("retries", told.get("retries", 0), "0 or more")
    check_whole("backoff", told.get("backoff", 0), "0 or more whole seconds")


def _key(index: Any) -> str:
    """Return what names a task's work: the same for every pod that does it, different for every item of a loop."""
    stem = f"kfp/{dsl.PIPELINE_JOB_ID_PLACEHOLDER}/{dsl.PIPELINE_TASK_NAME_PLACEHOLDER}"
    if index is not None:
        return f"{stem}[{index}]"
    return f"{stem}[{dsl.PIPELINE_TASK_ID_PLACEHOLDER}]" if _in_loop() else stem


def _in_loop() -> bool:
    pipeline = Pipeline.get_default_pipeline()
    groups = pipeline.groups if pipeline else []
    return any(each.group_type == TasksGroupType.FOR_LOOP for each in groups)


class _Bundle:
    """Sorts the parameters of a task by how they travel."""

    def __init__(self, spec: OperationSpec, *, local: bool) -> None:
        self._local = local
        self.types: list[str] = []
        self._spec = spec
        self._arguments: dict[str, Any] = {}
        self._exact: dict[str, Any] = {}

    def take(self, given: Mapping[str, Any]) -> None:
        known = [each.name for each in self._spec.parameters]
        for name in given:
            if name not in known:
                raise ParameterUnknown(self._spec.name, name, known)
        for each in self._spec.parameters:
            if each.name in given and not _is_left_out(each, given[each.name]):
                self._take(each, given[each.name])
            elif each.required:
                raise ParameterMissing(self._spec.name, each.name, each.doc or each.type.described())
            else:
                self._put(each, each.default)

    def arguments(self) -> dict[str, Any]:
        return {**self._arguments, "exact": exact_text(self._exact)}

    def _take(self, parameter: Parameter, value: Any) -> None:
        if isinstance(value, PipelineTask):
            rule = "a value or an output of a task, as task.outputs[…]"
            raise SettingInvalid(parameter.name, rule, f"the task {value.name}")
        if self._local:
            _check_loop(parameter.name, value)
        if isinstance(value, PipelineArtifactChannel):
            if parameter.type.kind not in ("model", "dataset"):
                raise SettingInvalid(parameter.name, parameter.type.described(), "an artifact")
            self._arguments[f"{parameter.name}_from"] = value
        elif isinstance(value, PipelineChannel):
            if parameter.type.kind == "any":
                self._exact[parameter.name] = self._holed(value)
            else:
                self._arguments[parameter.name] = value
        elif _has_channel(value):
            self._exact[parameter.name] = self._holed(value)
            self._arguments[parameter.name] = _PLACEHOLDERS.get(parameter.type.kind, "null")
        else:
            if not isinstance(value, str) and _names_workspace(value):
                rule = "text where it names the workspace: KFP's local runner fills that into nothing else"
                raise SettingInvalid(parameter.name, rule, value)
            self._put(parameter, parameter.type.coerce(value, parameter.name))

    def _put(self, parameter: Parameter, value: Any) -> None:
        way = carried(parameter, value)
        if way.plain is not None:
            self._arguments[parameter.name] = way.plain
        if way.exact:
            self._exact[parameter.name] = value

    def _holed(self, value: Any) -> Any:
        """Return a value for ``exact``, each output in it replaced by a hole that an input of its own fills."""
        if isinstance(value, PipelineChannel):
            name = f"value_{len(self.types) + 1}"
            self.types.append(str(value.channel_type))
            self._arguments[name] = value
            return hole(name)
        if isinstance(value, Mapping):
            return {key: self._holed(each) for key, each in value.items()}
        return [self._holed(each) for each in value] if isinstance(value, list | tuple) else value


def _check_loop(name: str, value: Any) -> None:
    """Refuse, in a loop, an output of a task beside it: the local runner would put the loop's item in its place."""
    if isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            _check_loop(name, each)
    if not isinstance(value, PipelineChannel) or isinstance(value, _UNHARMED) or not value.task_name:
        return
    pipeline = Pipeline.get_default_pipeline()
    groups = pipeline.groups if pipeline else []
    loops = [each for each in groups if each.group_type == TasksGroupType.FOR_LOOP]
    if loops and value.task_name not in _tasks_in(loops[0]):
        raise LoopWouldBend(name, value.task_name, value.name)


def _tasks_in(group: TasksGroup) -> set[str]:
    return {task.name for task in group.tasks}.union(*(_tasks_in(each) for each in group.groups))


def _is_left_out(parameter: Parameter, value: Any) -> bool:
    """Whether None stands for the default, as in the methods' signatures for lists and mappings."""
    return value is None and not parameter.type.optional and parameter.type.kind != "any" and not parameter.required


def _names_workspace(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_names_workspace, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_names_workspace, value))
    return isinstance(value, str) and dsl.WORKSPACE_PATH_PLACEHOLDER in value


def _has_channel(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_channel, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_channel, value))
    return isinstance(value, PipelineChannel)
