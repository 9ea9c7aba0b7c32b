"""Deploys a graph with a request's models, asks it requests beside the champion, and takes it away again."""

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from modelyard.ci.job import CiJob
from modelyard.ci.previewing.asking import Answered, ask, compared, latencies
from modelyard.ci.previewing.register import LastingPreview, PreviewRegister
from modelyard.ci.previewing.requests import PreviewRequest, smoke_requests
from modelyard.ci.previews import PreviewRecord, ShadowRecord
from modelyard.ci.records import PlanRecord, RunRecord
from modelyard.ci.served import by_registered_name, graphs_serving, registered_name
from modelyard.deploy import read_endpoint
from modelyard.deploy.errors import EndpointNotFound
from modelyard.deploy.revision import load_graph
from modelyard.errors import ModelyardError
from modelyard.projects.dispatch import acknowledge, dispatch
from modelyard.tracking import AliasNotFound, ModelNotFound, Tracking, open_tracking

__all__ = ["PreviewRequestFacts", "Previewing"]

_MOST_EXAMPLES = 20
_CHAMPION = "-champion"
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class PreviewRequestFacts:
    """What is asked of previews.

    Parameters
    ----------
    graphs
        The graphs; those that the change touches, and those that serve a candidate, if there is none.
    requests
        What to ask them; what the environment or the model has if there is none.
    lasting
        Whether they stay when the job has ended.
    seconds
        How long a lasting one stays; 0 for as long as nobody stops it.
    target
        The kind of place; what the environment says if empty.
    endpoint
        The endpoint's name; made of graph and request if empty.
    environment
        The environment's name.
    """

    graphs: Sequence[str] = ()
    requests: Sequence[PreviewRequest] = ()
    lasting: bool = False
    seconds: float = 0.0
    target: str = ""
    endpoint: str = ""
    environment: str = ""


class Previewing:
    """The previews of one job.

    Parameters
    ----------
    job
        The job.
    asked
        What is asked.
    log
        Where to tell how it goes.
    """

    def __init__(self, job: CiJob, asked: PreviewRequestFacts, log: logging.Logger | None = None) -> None:
        self._job = job
        self._project = job.project
        self._asked = asked
        self._log = log or logging.getLogger("modelyard.ci")
        self._environment = job.project.environment(asked.environment)
        self._register = PreviewRegister(self._environment.state)

    def graphs(self, plan: PlanRecord | None, run: RunRecord | None) -> list[str]:
        """Return the graphs to preview: those asked for, or those touched and those that serve a candidate."""
        if self._asked.graphs:
            return list(dict.fromkeys(self._asked.graphs))
        touched = [each.name for each in plan.graphs] if plan else []
        return list(dict.fromkeys([*touched, *graphs_serving(self._project, run.candidates if run else ())]))

    def models(self, graph: str, run: RunRecord | None) -> dict[str, str]:
        """Return the candidates that take the place of a graph's models: step → exact version."""
        return self._in_place(graph, by_registered_name(run.candidates if run else ()))

    def _of_merge_base(self, graph: str, run: RunRecord | None) -> dict[str, str]:
        """Return what stands in for champions that there are none of: step → the merge base's model."""
        candidates = run.candidates if run else ()
        return self._in_place(
            graph,
            {
                registered_name(each.model): each.baseline
                for each in candidates
                if each.baseline_kind == "merge-base" and each.baseline
            },
        )

    def _in_place(self, graph: str, found: Mapping[str, str]) -> dict[str, str]:
        named = load_graph(self._project, graph).models
        return {step: found[name] for step, each in named.items() if (name := registered_name(each)) in found}

    def run(self, graph: str, run: RunRecord | None) -> PreviewRecord:
        """Preview one graph; what goes wrong is in the record.

        One that does not last is taken away again, whatever happens.
        """
        target = self._asked.target or str(self._environment.deploy.get("target") or "local")
        endpoint = self._asked.endpoint or endpoint_name(graph, self._job.context.request, self._job.context.branch)
        record = PreviewRecord(graph, endpoint, target)
        try:
            models = self.models(graph, run)
            record = msgspec.structs.replace(record, models=models)
            if missing := self._missing(graph, models):
                return msgspec.structs.replace(record, note=f"It was not deployed: {missing}.")
            if self._asked.lasting:
                expires = time.time() + self._asked.seconds if self._asked.seconds else 0.0
                self._keep(graph, endpoint, target, expires)
                record = msgspec.structs.replace(record, expires=expires)
                return self._tested(record, models, run)
            with self._taken_away(endpoint, target):
                return self._tested(record, models, run)
        except ModelyardError as error:
            return msgspec.structs.replace(record, failure=str(error))

    def stop(self) -> list[str]:
        """End the lasting previews of this request or branch, and return their endpoints."""
        return [each.endpoint for each in self.mine() if self._end(each)]

    def reap(self, now: float | None = None) -> list[str]:
        """End the lasting previews whose time is over, and return their endpoints."""
        return [each.endpoint for each in self._register.expired(now) if self._end(each)]

    def mine(self) -> list[LastingPreview]:
        """Return the lasting previews of this request or branch."""
        return self._register.of_request(self._job.context.request, self._job.context.branch)

    def expired(self) -> list[LastingPreview]:
        """Return the lasting previews whose time is over."""
        return self._register.expired()

    # --- the steps ----------------------------------------------------------------------------------------------------

    def _missing(self, graph: str, models: Mapping[str, str]) -> str:
        """Return which model of a graph this environment does not have; empty if it has all.

        On a fresh runner there is no champion: a change of the graph alone cannot be previewed there.
        """
        others = {step: each for step, each in load_graph(self._project, graph).models.items() if step not in models}
        if not others:
            return ""
        tracking = open_tracking(self._environment, self._project.name)
        for reference in others.values():
            try:
                tracking.resolve(reference)
            except (AliasNotFound, ModelNotFound) as error:
                return error.what
        return ""

    def _tested(self, record: PreviewRecord, models: Mapping[str, str], run: RunRecord | None) -> PreviewRecord:
        self._log.info("deploying %s as %s", record.graph, record.endpoint)
        deployed = self._deploy(record.graph, record.endpoint, models, record.target)
        record = msgspec.structs.replace(record, revision=deployed["revision"], models=dict(deployed["models"]))
        requests, guessed = self._requests(deployed["models"])
        answers = ask(deployed["url"], requests)
        if guessed and answers and all(400 <= each.status < 500 for each in answers):
            # The model's rows are no requests of this graph: nothing was tested, and nothing has failed.
            requests, answers = [], []
        shadow, remark = None, "It was asked nothing: no requests are given, and no example of its models is one."
        if answers:
            instead = self._of_merge_base(record.graph, run) if models else None
            shadow, remark = self._beside(record, instead, requests, answers)
        return msgspec.structs.replace(
            record,
            url=deployed["url"] if self._asked.lasting else "",
            smoke_requests=len(answers),
            smoke_failures=sum(1 for each in answers if each.failed),
            latency_ms=latencies(answers),
            shadow=shadow,
            remark=remark,
        )

    def _beside(
        self,
        record: PreviewRecord,
        merge_base: Mapping[str, str] | None,
        requests: Sequence[PreviewRequest],
        answers: Sequence[Answered],
    ) -> tuple[ShadowRecord | None, str]:
        """Ask the same what answers now, and return how that differs, or why there is no such thing.

        Without an endpoint, it is this graph with the models that it names, or with the merge base's where the
        request is compared with these. Where no candidate takes part (`merge_base` is None), that would be the
        preview itself.
        """
        graph, other = record.graph, f"{record.endpoint[: 63 - len(_CHAMPION)]}{_CHAMPION}"
        try:
            present = read_endpoint(self._environment.state, graph)
        except EndpointNotFound:
            present = None
        if present is not None and present.state in ("running", "idle"):
            return compared(answers, ask(present.url, requests)), ""
        if merge_base is None:
            return None, f"Nothing was asked beside it: no endpoint {graph} answers in this environment."
        try:
            if missing := self._missing(graph, merge_base):
                return None, f"Nothing was asked beside it: {missing}."
            with self._taken_away(other, record.target):
                deployed = self._deploy(graph, other, merge_base, record.target)
                found = compared(answers, ask(deployed["url"], requests))
        except ModelyardError as error:
            return None, f"Nothing was asked beside it: {error}"
        return msgspec.structs.replace(found, baseline="merge-base" if merge_base else "champion"), ""

    def _deploy(self, graph: str, endpoint: str, models: Mapping[str, str], target: str) -> dict[str, Any]:
        parameters = {"graph": graph, "endpoint": endpoint, "models": dict(models), "target": target}
        return self._dispatched("deploy", parameters)

    def _dispatched(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        done = dispatch(operation, parameters, project=self._project.reference, environment=self._environment.name)
        acknowledge(done)
        return done.result

    @contextmanager
    def _taken_away(self, endpoint: str, target: str) -> Iterator[None]:
        try:
            yield
        finally:
            self._dispatched("undeploy", {"endpoint": endpoint, "target": target})

    def _requests(self, models: Mapping[str, str]) -> tuple[list[PreviewRequest], bool]:
        """Return what to ask, and whether that is only a guess."""
        given = list(self._asked.requests) or smoke_requests(self._environment.deploy.get("smoke"))
        if given:
            return given, False
        tracking = open_tracking(self._environment, self._project.name)
        for reference in models.values():
            if examples := _examples(tracking, reference):
                return [PreviewRequest(each) for each in examples[:_MOST_EXAMPLES]], True
        return [], True

    def _keep(self, graph: str, endpoint: str, target: str, expires: float) -> None:
        context = self._job.context
        self._environment.open_state()
        self._register.keep(LastingPreview(endpoint, graph, target, context.request, context.branch, expires))

    def _end(self, preview: LastingPreview) -> bool:
        """End a preview, and only then strike it out: one that could not be ended is tried again."""
        try:
            self._dispatched("undeploy", {"endpoint": preview.endpoint, "target": preview.target})
        except ModelyardError as error:
            self._log.warning("%s could not be ended: %s", preview.endpoint, error)
            return False
        self._register.forget(preview.endpoint)
        return True


def endpoint_name(graph: str, request: int, branch: str) -> str:
    """Return the name of a preview's endpoint: of the graph, and of the request or branch.

    Examples
    --------
    >>> endpoint_name("delays", 7, "any"), endpoint_name("delays", 0, "feature/$(x)")
    ('delays-pr-7', 'delays-feature-x')
    """
    suffix = f"pr-{request}" if request else _UNSAFE.sub("-", branch).strip("-") or "preview"
    return _UNSAFE.sub("-", f"{graph[:40]}-{suffix}")[:54].strip("-")


def _examples(tracking: Tracking, reference: str) -> list[Any]:
    try:
        return list(tracking.load_model(tracking.resolve(reference)).examples)
    except ModelyardError:
        return []
