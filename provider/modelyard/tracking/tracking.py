"""The door to tracking: the runs, models and registry of one environment."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.projects import Environment
from modelyard.projects.locks import locked
from modelyard.tracking.author import author
from modelyard.tracking.connection import border, connect
from modelyard.tracking.errors import RunFinished
from modelyard.tracking.files import fetch_files
from modelyard.tracking.listings import ModelSummary, ModelVersion
from modelyard.tracking.loading import open_files
from modelyard.tracking.references import ResolvedModel
from modelyard.tracking.registry import Registry
from modelyard.tracking.runs import LOCK_SECONDS, TrackedRun
from modelyard.tracking.tags import ATTEMPT, CLAIM, ENVIRONMENT, GENERATION, KEY, PROJECT, SUPERSEDED_BY, claim_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from modelyard.graphs.models.files import LoadedModel

__all__ = ["Tracking", "open_tracking"]


_UNSAFE = re.compile(r"[^\w.-]+")


def open_tracking(environment: Environment, project_name: str) -> "Tracking":
    """Open the tracking of an environment; a database that does not exist yet is made.

    Parameters
    ----------
    environment
        The project's environment.
    project_name
        The project's name, which is also the name of its experiment.

    Raises
    ------
    TrackingUnavailable
        The server does not answer; found out in seconds.
    """
    return Tracking(connect(environment.tracking, environment.open_state()), environment, project_name)


class Tracking:
    """Runs, models and registry of one environment.

    Parameters
    ----------
    client
        A client that is known to reach the store.
    environment
        The project's environment.
    project_name
        The project's name.
    """

    def __init__(self, client: "MlflowClient", environment: Environment, project_name: str) -> None:
        self.client = client
        self.environment = environment
        self.project_name = project_name
        self.uri = environment.tracking
        self.registry = Registry(client, environment.tracking, environment.state)

    # --- runs ---------------------------------------------------------------------------------------------------------

    @border
    def start_run(
        self,
        name: str,
        *,
        tags: Mapping[str, str] | None = None,
        key: str = "",
        generation: int = 1,
        attempt: int = 1,
        experiment: str = "",
    ) -> TrackedRun:
        """Start a run; earlier unfinished runs of the same key and generation are killed and marked superseded.

        Parameters
        ----------
        name
            What people see in lists.
        tags
            Where it comes from; see `run_tags`.
        key, generation, attempt
            The work that it is an attempt at; without a key it stands alone.
        experiment
            The experiment; the project's own if empty.

        Returns
        -------
        TrackedRun
            A context that ends the run.

        Raises
        ------
        RunFinished
            The work is done already: take `finished_run`.
        """
        experiment_id = self._experiment_id(experiment or self.project_name)
        known = {PROJECT: self.project_name, ENVIRONMENT: self.environment.name, **(tags or {})}
        known |= {"mlflow.user": author(), "mlflow.source.name": f"modelyard {name}"}
        if not key:
            return TrackedRun(self.client, self.uri, self._create(experiment_id, name, known), None)
        known |= {KEY: key, GENERATION: str(generation), ATTEMPT: str(attempt), CLAIM: claim_of(key, generation)}
        file = self.environment.state / "locks" / f"run-{claim_of(key, generation)}.lock"
        with locked(file, f"starting a run of {key}", timeout=LOCK_SECONDS):
            attempts = self._attempts(key, generation, experiment_id)
            for earlier in attempts:
                if earlier.info.status == "FINISHED":
                    raise RunFinished(earlier.info.run_id, key, generation)
            run = self._create(experiment_id, name, known)
            for earlier in attempts:
                if earlier.info.status in ("RUNNING", "SCHEDULED"):
                    self.client.set_tag(earlier.info.run_id, SUPERSEDED_BY, run.info.run_id)
                    self.client.set_terminated(earlier.info.run_id, "KILLED")
        return TrackedRun(self.client, self.uri, run, file)

    @border
    def finished_run(self, key: str, generation: int = 1, *, experiment: str = "") -> Any:
        """Return the finished MLflow run of this key and generation, or None: there is at most one."""
        found = self.client.get_experiment_by_name(experiment or self.project_name)
        if found is None or not key:
            return None
        runs = self._attempts(key, generation, found.experiment_id)
        return next((run for run in runs if run.info.status == "FINISHED"), None)

    def _create(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> Any:
        return self.client.create_run(experiment_id, tags=dict(tags), run_name=name)

    def _attempts(self, key: str, generation: int, experiment_id: str) -> list[Any]:
        claim = claim_of(key, generation)
        return list(self.client.search_runs([experiment_id], f"tags.`{CLAIM}` = '{claim}'", max_results=1000))

    def _experiment_id(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        root = self.environment.artifacts
        place = f"{root.rstrip('/')}/{_UNSAFE.sub('-', name)}" if root else None
        try:
            return str(self.client.create_experiment(name, artifact_location=place))
        except MlflowException as error:
            found = self.client.get_experiment_by_name(name)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
                raise
            return str(found.experiment_id)

    # --- models -------------------------------------------------------------------------------------------------------

    def resolve(self, reference: str) -> ResolvedModel:
        """Return the one exact model that `reference` names at this moment; see `Registry.resolve`."""
        return self.registry.resolve(reference)

    def register(
        self, model_uri: str, name: str, *, tags: Mapping[str, str] | None = None, description: str = ""
    ) -> ResolvedModel:
        """Register a model under `name`, once; see `register_once`."""
        return self.register_once(model_uri, name, tags=tags, description=description)[0]

    @border
    def register_once(
        self, model_uri: str, name: str, *, tags: Mapping[str, str] | None = None, description: str = ""
    ) -> tuple[ResolvedModel, bool]:
        """Register a model under `name`: the same model of the same run gives the same version again.

        Parameters
        ----------
        model_uri
            Any model reference.
        name
            The registered name; made if it is new.
        tags, description
            For the version.

        Returns
        -------
        tuple
            The version, and whether it is new.

        Raises
        ------
        ModelDigestWrong
            The files are not those that the run stored.
        """
        source = self.registry.resolve(model_uri)
        with tempfile.TemporaryDirectory(prefix="modelyard-register-") as scratch:
            _, digest = fetch_files(source, Path(scratch) / "model", self.uri)
        return self.registry.add_version(source, name, digest=digest, tags=tags or {}, description=description)

    @border
    def fetch_model(self, model: ResolvedModel, folder: Path) -> Path:
        """Bring the exact files of a model into `folder`, whole or not at all.

        Raises
        ------
        ModelDigestWrong
            The files are not those whose digest is recorded.
        ModelNotFound
            The files are gone.
        """
        return fetch_files(model, folder, self.uri)[0]

    @border
    def load_model(self, model: ResolvedModel, *, trust: bool = False) -> "LoadedModel":
        """Load a model, if this environment's registry vouches for its files.

        Parameters
        ----------
        model
            The resolved model.
        trust
            Load it in any case: the explicit yes of somebody who knows where it comes from.

        Raises
        ------
        ModelNotTrusted
            No version in the registry has the digest of these files, and `trust` is not given.
        """
        with tempfile.TemporaryDirectory(prefix="modelyard-load-") as scratch:
            folder, digest = fetch_files(model, Path(scratch) / "model", self.uri, verify=not trust)
            vouched = digest if self.registry.vouches_for(digest) else None
            return open_files(folder, digest=vouched, trust=trust, name=model.uri)

    def set_alias(self, name: str, alias: str, version: int, *, expected: int | None) -> None:
        """Point `alias` to `version` if it still points to `expected`; see `Registry.set_alias`."""
        self.registry.set_alias(name, alias, version, expected=expected)

    def models(self) -> list[ModelSummary]:
        """Return the registered models by name."""
        return self.registry.models()

    def versions(self, name: str) -> list[ModelVersion]:
        """Return the versions of a model, newest first; see `Registry.versions`."""
        return self.registry.versions(name)
