"""Renders a workflow as a pipeline of Kubeflow Pipelines."""

import inspect
import json
import keyword
import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec

from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.generation.components import artifacts_of
from modelyard.operators.kfp.delivery import Delivery
from modelyard.operators.kfp.encoding import exact_text
from modelyard.operators.kfp.errors import KfpMissing
from modelyard.operators.kfp.pods import PodSettings
from modelyard.workflows.definition import Choice, Loop, Node, Step, Workflow
from modelyard.workflows.engines.kfp_inputs import EXACT, annotation_of, defaults_of, plain_default
from modelyard.workflows.references import as_json

__all__ = ["KfpEngine"]

Task: TypeAlias = Any
"""A ``kfp.dsl.PipelineTask``: type checkers of this environment do not know KFP."""

_POD = "modelyard.workflows.engines.kfp_run"
_PLACE = "project: str, environment: str, library: str, run: str"


@dataclass(frozen=True, kw_only=True)
class KfpEngine:
    """Makes a pipeline of a workflow: a task for each step, a pipeline of its own for each branch and each loop.

    What runs is decided by the same code as on a laptop: each task reads from the environment's state location, which
    all pods must share, what the run has so far. KFP never carries a value that it would bend.

    Parameters
    ----------
    delivery
        How the library reaches the pods.
    project
        The project, as a pod can reach it; see `modelyard.operators.kfp.reproducible_project`.
    environment
        The environment of ``modelyard.yaml``; the project's first if empty.
    pod
        Where pods run. A step's own resources go before.
    pod_retries
        How often KFP starts a pod anew that ended without doing its work; a step's retries are its own affair.
    """

    delivery: Delivery
    project: str
    environment: str = ""
    pod: PodSettings = field(default_factory=PodSettings)
    pod_retries: int = 0

    def pipeline(self, workflow: Workflow) -> Any:
        """Return a workflow as a pipeline.

        Raises
        ------
        KfpMissing
            There is no KFP in this environment.
        """
        root = _Rendering(self, workflow).root()
        return _dsl().pipeline(root, name=workflow.name, description=workflow.summary or None)

    def compile(self, workflow: Workflow, path: Path) -> None:
        """Write a workflow as intermediate representation, which KFP runs.

        Raises
        ------
        KfpMissing
            There is no KFP in this environment.
        """
        pipeline = self.pipeline(workflow)
        path.parent.mkdir(parents=True, exist_ok=True)
        import_module("kfp.compiler").Compiler().compile(pipeline, str(path))


def _dsl() -> Any:
    try:
        return import_module("kfp.dsl")
    except ModuleNotFoundError as error:
        raise KfpMissing("kfp") from error


class _Rendering:
    """One workflow on its way to a pipeline."""

    def __init__(self, engine: KfpEngine, workflow: Workflow) -> None:
        self._engine = engine
        self._workflow = workflow.in_order()
        self._names = _identifiers(self._workflow)
        self._blocks: dict[str, Any] = {}
        # The innermost first: KFP defines one pipeline at a time.
        for node, _ in reversed(list(self._workflow.walk())):
            if not isinstance(node, Step):
                self._blocks[node.name] = self._block(node)

    def root(self) -> Callable[..., None]:
        """Return the function of the whole pipeline."""
        inputs = self._workflow.inputs
        names = [*(each.name for each in inputs), EXACT]

        def root(*values: Any) -> None:
            self._whole(dict(zip(names, values, strict=True)))

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [
            inspect.Parameter(
                each.name,
                kind,
                default=inspect.Parameter.empty if each.required else plain_default(each),
                annotation=annotation_of(each),
            )
            for each in sorted(inputs, key=lambda each: not each.required)
        ]
        names[:-1] = [each.name for each in parameters]
        parameters.append(inspect.Parameter(EXACT, kind, default=defaults_of(inputs), annotation=str))
        vars(root)["__signature__"] = inspect.Signature(parameters)
        return root

    def _whole(self, inputs: Mapping[str, Any]) -> None:
        dsl = _dsl()

        finish = self._start("workflow-finish", self._finish())
        with dsl.ExitHandler(finish):
            begun = self._start(
                "workflow-begin",
                self._begin(),
                workflow=_settled(self._workflow),
                exact=inputs[EXACT],
                **{f"input_{each.name}": inputs[each.name] for each in self._workflow.inputs},
            )
            self._body(self._workflow.body, "", [begun])

    def _body(self, nodes: Sequence[Node], position: Any, first: Sequence[Task] = ()) -> None:
        """Add the tasks of nodes side by side; each waits for those that it needs."""
        owner = {name: node.name for node in nodes for name in (node.name, *_names_inside(node))}
        made: dict[str, Task] = {}
        for node in nodes:
            needed = dict.fromkeys(owner[name] for name in node.needs if name in owner)
            after = [made[name] for name in needed] or list(first)
            made[node.name] = self._node(node, position, after)

    def _block(self, block: Choice | Loop) -> Any:
        function = self._branches(block) if isinstance(block, Choice) else self._turns(block)
        return _dsl().pipeline(function, name=block.name)

    def _node(self, node: Node, position: Any, after: Sequence[Task]) -> Task:
        if isinstance(node, Step):
            return self._step(node, position).after(*after)
        if isinstance(node, Choice):
            decided = self._start(
                f"{node.name}-decides", _question(node, self._names[node.name], "decide", "bool"), position=position
            )
            decided.after(*after)
            inner = self._blocks[node.name](taken=decided.output, position=position)
            return inner.set_caching_options(False)
        listed = self._start(
            f"{node.name}-items", _question(node, self._names[node.name], "list_items", "list"), position=position
        )
        listed.after(*after)
        return self._blocks[node.name](items=listed.output).set_caching_options(False)

    def _branches(self, choice: Choice) -> Callable[..., None]:
        dsl = _dsl()

        def branches(taken: bool, position: str) -> None:
            # A pipeline of its own: on a parameter of it KFP decides the same way everywhere.
            if choice.then:
                with dsl.If(taken == True):  # noqa: E712 - makes a condition of KFP's
                    self._body(choice.then, position)
            if choice.otherwise:
                with dsl.If(taken == False):  # noqa: E712
                    self._body(choice.otherwise, position)

        return branches

    def _turns(self, loop: Loop) -> Callable[..., None]:
        dsl = _dsl()

        def turns(items: list[str]) -> None:
            with dsl.ParallelFor(items, parallelism=loop.parallel or None) as item:
                self._body(loop.body, item)

        return turns

    def _step(self, step: Step, position: Any) -> Task:
        dsl = _dsl()

        return self._start(
            step.name,
            _of_step(step, self._names[step.name]),
            pod=_with_resources(self._engine.pod, step),
            position=position,
            task=dsl.PIPELINE_TASK_ID_PLACEHOLDER,
            operation=step.operation,
            parameters=exact_text(as_json(step.parameters)),
        )

    def _begin(self) -> str:
        inputs = "".join(f", input_{each.name}: {annotation_of(each).__name__}" for each in self._workflow.inputs)
        return _source(
            "workflow_begin",
            f"workflow: str, exact: str{inputs}, {_PLACE}",
            "",
            "    names = [name for name in given if name.startswith('input_')]\n"
            f"    from {_POD} import begin\n\n"
            "    begin(given, workflow, {name[6:]: given[name] for name in names})\n",
        )

    def _finish(self) -> str:
        body = f"    from {_POD} import finish\n\n    return finish(given, status.state, status.error_message)\n"
        return _source("workflow_finish", f"status: dsl.PipelineTaskFinalStatus, {_PLACE}", "str", body)

    def _start(self, name: str, source: str, *, pod: PodSettings | None = None, **given: Any) -> Task:
        """Add a task of a component that is made of source text."""
        dsl = _dsl()
        component = _component(name, source, self._engine.delivery)
        task: Task = component(
            project=self._engine.project,
            environment=self._engine.environment,
            library=version("modelyard"),
            run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            **given,
        )
        task.set_caching_options(False)
        if self._engine.pod_retries:
            task.set_retry(self._engine.pod_retries)
        (pod or self._engine.pod).apply(task)
        return task


def _settled(workflow: Workflow) -> str:
    """Return the workflow for the pods; how many items may be at work at a time, KFP sees to."""

    def free(node: Node) -> Node:
        if isinstance(node, Loop):
            return msgspec.structs.replace(node, parallel=0, body=tuple(map(free, node.body)))
        if isinstance(node, Choice):
            then, otherwise = tuple(map(free, node.then)), tuple(map(free, node.otherwise))
            return msgspec.structs.replace(node, then=then, otherwise=otherwise)
        return node

    settled = msgspec.structs.replace(workflow, body=tuple(map(free, workflow.body)))
    return exact_text(json.loads(settled.encoded()))


def _names_inside(node: Node) -> list[str]:
    if isinstance(node, Step):
        return []
    members = node.body if isinstance(node, Loop) else (*node.then, *node.otherwise)
    return [name for each in members for name in (each.name, *_names_inside(each))]


def _with_resources(pod: PodSettings, step: Step) -> PodSettings:
    told = step.resources
    if told is None:
        return pod
    return replace(
        pod,
        cpu=str(told.cpu) if told.cpu else pod.cpu,
        memory=told.memory or pod.memory,
        accelerator="nvidia.com/gpu" if told.gpu else pod.accelerator,
        accelerators=told.gpu or pod.accelerators,
    )


def _of_step(step: Step, name: str) -> str:
    spec = load_catalogue().spec(step.operation)
    ports = "".join(f"{port.name}: dsl.Output[dsl.{port.type}], " for port in artifacts_of(spec))
    taken = f"{ports}operation: str, parameters: str, position: str, task: str, {_PLACE}"
    body = f"    from {_POD} import do_step\n\n    return do_step(given, {step.name!r})\n"
    return _source(name, taken, 'NamedTuple("Outputs", [("state", str), ("result", str)])', body)


def _question(block: Choice | Loop, name: str, function: str, answer: str) -> str:
    body = f"    from {_POD} import {function}\n\n    return {function}(given, {block.name!r}, position)\n"
    return _source(name, f"position: str, {_PLACE}", answer, body)


def _identifiers(workflow: Workflow) -> dict[str, str]:
    """Return the names of the functions of steps and blocks, of which KFP makes the names of tasks.

    All differ, also for KFP: components of one name it numbers, and then confuses when it puts a pipeline into another.
    """
    nodes = [node for node, _ in workflow.walk()]
    found: dict[str, str] = {}
    taken = {"workflow_begin", "workflow_finish"}
    for node in sorted(nodes, key=lambda each: not isinstance(each, Step)):
        suffix = "" if isinstance(node, Step) else "_decides" if isinstance(node, Choice) else "_items"
        made = node.name.replace("-", "_") + suffix
        while made in taken or keyword.iskeyword(made):
            made += "_x"
        taken.add(made)
        found[node.name] = made
    return found


def _source(name: str, parameters: str, answer: str, body: str) -> str:
    arrow = f" -> {answer}" if answer else ""
    return f"def {name}({parameters}){arrow}:\n    given = {{**locals()}}\n{body}"


def _component(name: str, source: str, delivery: Delivery) -> Any:
    made = _dsl().component(_function(name, source), **delivery.options())
    return import_module("modelyard.operators.kfp.variants").prefixed(made, delivery)


def _function(name: str, source: str) -> Callable[..., Any]:
    """Make a function of source text that KFP can read again."""
    place = f"<modelyard workflow step {name} {hash(source):x}>"
    linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)
    namespace: dict[str, Any] = {"dsl": _dsl(), "NamedTuple": NamedTuple, "__name__": __name__}
    exec(compile(source, place, "exec"), namespace)  # noqa: S102 - our own text
    made: Callable[..., Any] = namespace[source[4 : source.index("(")]]
    return made
