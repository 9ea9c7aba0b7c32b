"""Sends a workflow to a KFP server, and follows its run."""

import logging
import tempfile
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from modelyard.operations import RunState
from modelyard.operations.atomic import write_atomically
from modelyard.operators.kfp.api import KfpApi, PipelineRun, pipeline_document
from modelyard.operators.kfp.sources import reproducible_project
from modelyard.projects.environment import Environment
from modelyard.projects.project import Project
from modelyard.workflows.definition import Workflow
from modelyard.workflows.engines.kfp import KfpEngine
from modelyard.workflows.engines.kfp_inputs import pipeline_arguments
from modelyard.workflows.engines.kfp_settings import KfpSettings, settings_of
from modelyard.workflows.engines.remote import Publication

__all__ = ["Submission", "submission_of"]


class Submission:
    """A workflow of a project, and the KFP server that one of its environments names.

    Parameters
    ----------
    workflow
        The workflow.
    settings
        What the environment says of KFP.
    engine
        What renders the workflow.
    """

    def __init__(self, workflow: Workflow, settings: KfpSettings, engine: KfpEngine) -> None:
        self.workflow = workflow
        self.settings = settings
        self.engine = engine

    def compiled(self) -> bytes:
        """Return the workflow as KFP's intermediate representation, in YAML.

        Raises
        ------
        KfpMissing
            There is no KFP in this environment.
        """
        with tempfile.TemporaryDirectory(prefix="modelyard-kfp-") as folder:
            path = Path(folder) / "pipeline.yaml"
            self.engine.compile(self.workflow, path)
            return path.read_bytes()

    def manifests(self, name: str, version: str) -> bytes:
        """Return the workflow as the Kubernetes objects ``Pipeline`` and ``PipelineVersion``, in YAML.

        Parameters
        ----------
        name
            The pipeline's name in the cluster.
        version
            The version's name; the object's has the pipeline's before it.

        Raises
        ------
        KfpMissing
            There is no KFP in this environment.
        """
        pipeline = self.engine.pipeline(self.workflow)
        write = import_module("modelyard.operators.kfp.manifests").write_manifests
        with tempfile.TemporaryDirectory(prefix="modelyard-kfp-") as folder:
            path = Path(folder) / "pipeline.yaml"
            namespace = self.settings.namespace or "kubeflow"
            write(pipeline, path, name=name, version=f"{name}-{version}", namespace=namespace)
            return path.read_bytes()

    def start(self, inputs: Mapping[str, Any], *, name: str = "") -> str:
        """Start a run and return its id.

        Parameters
        ----------
        inputs
            The workflow's inputs.
        name
            What people see; the workflow's name if empty.

        Raises
        ------
        ParameterUnknown, ParameterMissing, ParameterInvalid
            An input does not fit; nothing was sent.
        KfpMissing
            There is no KFP in this environment, which is needed to compile.
        ApiRefused, ApiUnreachable
            The server refuses the run, or does not answer.
        """
        arguments = pipeline_arguments(self.workflow, inputs)
        api, settings = self._api(), self.settings
        with tempfile.TemporaryDirectory(prefix="modelyard-kfp-") as folder:
            path = Path(folder) / "pipeline.yaml"
            write_atomically(path, self.compiled())
            return api.start_run(
                name or self.workflow.name,
                pipeline_document(path),
                arguments=arguments,
                experiment=api.experiment(settings.experiment) if settings.experiment else "",
                service_account=settings.service_account,
                pipeline_root=settings.pipeline_root,
            )

    def start_or_attach(self, inputs: Mapping[str, Any], *, name: str) -> str:
        """Return the id of the run of that name: one that is there, or else a new one; raises as `start`.

        A run that failed, or was ended, goes on: KFP starts its failed tasks again.

        Parameters
        ----------
        inputs
            The workflow's inputs.
        name
            What people see, and what tells this run from others.
        """
        api = self._api()
        found = api.find_run(name)
        if found is None or found.phase == "CANCELING":
            return self.start(inputs, name=name)
        log = logging.getLogger("modelyard.workflows")
        if found.state in (RunState.FAILED, RunState.CANCELLED):
            api.retry(found.run_id)
            log.info("the run %s goes on where it failed", found.run_id)
        else:
            log.info("the run %s is there already", found.run_id)
        return found.run_id

    def publish(
        self, name: str, version: str, *, cron: str = "", inputs: Mapping[str, Any] | None = None
    ) -> Publication:
        """Upload the workflow as a version of a pipeline, and have the server start it by a schedule.

        An earlier schedule of that name is switched off, as soon as the new one is there.

        Parameters
        ----------
        name
            The pipeline's name on the server; made if it is new.
        version
            The version's name, which must be new.
        cron
            The schedule, in six fields with seconds; none if empty.
        inputs
            The workflow's inputs of the runs that the schedule starts.

        Raises
        ------
        KfpMissing
            There is no KFP in this environment, which is needed to compile.
        ApiRefused, ApiUnreachable
            The server refuses it, or does not answer.
        """
        api, settings = self._api(), self.settings
        arguments = pipeline_arguments(self.workflow, inputs or {}) if cron else {}
        with tempfile.TemporaryDirectory(prefix="modelyard-kfp-") as folder:
            path = Path(folder) / "pipeline.yaml"
            write_atomically(path, self.compiled())
            pipeline = api.create_pipeline(name, description=self.workflow.summary)
            found = api.upload_version(path, pipeline, version)
        url = f"{api.endpoint}/#/pipelines/details/{pipeline}/version/{found}"
        if not cron:
            return Publication(name=name, version=version, url=url)
        before = api.schedules(name)
        schedule = api.schedule(
            name,
            {"pipeline_id": pipeline, "pipeline_version_id": found},
            cron,
            arguments=arguments,
            experiment=api.experiment(settings.experiment) if settings.experiment else "",
            service_account=settings.service_account,
        )
        for each in before:
            api.disable_schedule(each)
        return Publication(name=name, version=version, url=url, schedule=schedule, replaced=tuple(before))

    def page(self, run_id: str) -> str:
        """Return where people look at a run."""
        return self._api().page(run_id)

    def follow(
        self, run_id: str, on_change: Callable[[PipelineRun], None] | None = None, *, pause: float = 5.0
    ) -> PipelineRun:
        """Wait for the end of a run that succeeds, and return it; Ctrl-C and SIGTERM end the run.

        Raises
        ------
        RunFailed
            It failed, or was ended.
        """
        api = self._api()
        try:
            return api.follow(run_id, on_change or _log, pause=pause)
        except (KeyboardInterrupt, SystemExit):
            api.terminate(run_id)
            raise

    def _api(self) -> KfpApi:
        return KfpApi(endpoint=self.settings.endpoint, namespace=self.settings.namespace)


def _log(run: PipelineRun) -> None:
    log = logging.getLogger("modelyard.workflows")
    log.info("%s: %s%s", run.run_id, run.state, "".join(f", {name} {state}" for name, state in run.tasks.items()))


def submission_of(project: Project, workflow: Workflow, environment: Environment) -> Submission:
    """Return what sends a workflow of a project to the KFP server of an environment.

    Parameters
    ----------
    project
        The project; its commit must be where pods can fetch it, unless the environment says that the image has it.
    workflow
        The workflow.
    environment
        The environment.

    Raises
    ------
    SettingInvalid, ImageNotPinned
        What the environment says of KFP breaks a rule.
    ProjectNotReproducible
        Pods could not get the project exactly as it is here.
    """
    settings = settings_of(environment.name, environment.kfp)
    engine = KfpEngine(
        delivery=settings.delivery,
        project=settings.project or reproducible_project(project.root),
        environment=environment.name,
        pod=settings.pod,
        pod_retries=settings.pod_retries,
    )
    return Submission(workflow, settings, engine)
