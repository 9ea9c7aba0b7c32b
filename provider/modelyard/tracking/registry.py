"""The model registry: names, versions, aliases, and from a reference to one exact model."""

import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.projects.locks import locked
from modelyard.tracking.connection import border
from modelyard.tracking.errors import AliasMoved, AliasNotFound, ModelNotFound, ModelVersionNotFound
from modelyard.tracking.listings import (
    ModelSummary,
    ModelVersion,
    described_versions,
    each_model,
    each_version,
    summaries,
)
from modelyard.tracking.references import ModelReference, ResolvedModel, check_alias, check_model_name
from modelyard.tracking.tags import DIGEST, MODEL_ID
from modelyard.tracking.translation import is_not_found

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Registry"]

LOCK_SECONDS = 60.0


class Registry:
    """The registered models of one environment.

    Parameters
    ----------
    client
        A client of the store.
    uri
        The store's address.
    state
        Where leases lie.
    """

    def __init__(self, client: "MlflowClient", uri: str, state: Path) -> None:
        self.client = client
        self.uri = uri
        self.state = state

    # --- from a reference to one exact model --------------------------------------------------------------------------

    @border
    def resolve(self, reference: str) -> ResolvedModel:
        """Return the one exact model that `reference` names at this moment.

        Parameters
        ----------
        reference
            ``models:/name@alias``, ``models:/name/version``, ``models:/m-…`` or ``runs:/run-id/name``.

        Raises
        ------
        ModelReferenceInvalid, ModelNotFound, AliasNotFound, ModelVersionNotFound
            It names nothing.
        """
        parsed = ModelReference.parse(reference)
        if parsed.name:
            return self._version(parsed)
        if parsed.model_id:
            return self._logged(reference, self._logged_model(reference, parsed.model_id))
        return self._of_run(parsed)

    def _version(self, parsed: ModelReference) -> ResolvedModel:
        aliases = self.aliases(parsed.name, reference=parsed.text)
        number = parsed.version
        if parsed.alias:
            number = aliases.get(parsed.alias)
            if number is None:
                raise AliasNotFound(parsed.text, parsed.name, parsed.alias, list(aliases))
        assert number is not None  # noqa: S101 (a reference by name has an alias or a version)
        found = self._get_version(parsed.text, parsed.name, number)
        digest = found.tags.get(DIGEST, "")
        return ResolvedModel(
            reference=parsed.text,
            uri=f"models:/{parsed.name}/{number}",
            location=self._location(parsed.name, number),
            name=parsed.name,
            version=number,
            alias=parsed.alias,
            run_id=found.run_id or "",
            model_id=_model_id_of(found),
            digest=digest,
            trusted=bool(digest),
            created=found.creation_timestamp,
        )

    def _get_version(self, reference: str, name: str, number: int) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_model_version(name, str(number))
        except MlflowException as error:
            if not is_not_found(error):
                raise
            known = [int(each.version) for each in each_version(self.client, name)]
            raise ModelVersionNotFound(reference, name, number, known) from error

    def _location(self, name: str, number: int) -> str:
        uri: str = self.client.get_model_version_download_uri(name, str(number))
        if uri.startswith(("models:/", "runs:/")):
            return self.resolve(uri).location
        return uri

    def _logged_model(self, reference: str, model_id: str) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_logged_model(model_id)
        except MlflowException as error:
            if not is_not_found(error):
                raise
            raise ModelNotFound(reference, reason=f"there is no logged model {model_id}") from error

    def _logged(self, reference: str, model: Any) -> ResolvedModel:
        digest = model.tags.get(DIGEST, "")
        return ResolvedModel(
            reference=reference,
            uri=f"models:/{model.model_id}",
            location=model.artifact_location,
            run_id=model.source_run_id or "",
            model_id=model.model_id,
            digest=digest,
            trusted=self.vouches_for(digest),
            created=model.creation_timestamp,
        )

    def _of_run(self, parsed: ModelReference) -> ResolvedModel:
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(parsed.run_id)
        except MlflowException as error:
            if not is_not_found(error):
                raise
            raise ModelNotFound(parsed.text, reason=f"there is no run {parsed.run_id}") from error
        outputs = sorted(run.outputs.model_outputs, key=lambda each: each.step) if run.outputs else []
        models = [self._logged_model(parsed.text, each.model_id) for each in outputs]
        named = [model for model in models if model.name == parsed.path]
        if named:
            return self._logged(parsed.text, named[-1])
        files = {each.path for each in self.client.list_artifacts(parsed.run_id, parsed.path)}
        if f"{parsed.path}/MLmodel" in files:
            return ResolvedModel(
                reference=parsed.text,
                uri=parsed.text,
                location=f"{run.info.artifact_uri}/{parsed.path}",
                run_id=parsed.run_id,
                created=run.info.end_time or run.info.start_time,
            )
        reason = f"the run {parsed.run_id} has no model {parsed.path!r}"
        raise ModelNotFound(parsed.text, reason=reason, name=parsed.path, known=[model.name for model in models])

    @border
    def vouches_for(self, digest: str) -> bool:
        """Return whether some version in this registry is tagged with `digest`."""
        if not digest or not digest.isalnum():
            return False
        return bool(self.client.search_model_versions(f"tag.`{DIGEST}` = '{digest}'", max_results=1))

    # --- new versions -------------------------------------------------------------------------------------------------

    @border
    def find_version(self, name: str, run_id: str, digest: str) -> ResolvedModel | None:
        """Return the version of `name` that already holds this model of this run, or None."""
        for version in each_version(self.client, name):
            if version.tags.get(DIGEST) == digest and (version.run_id or "") == run_id:
                return self._version(ModelReference.parse(f"models:/{name}/{version.version}"))
        return None

    @border
    def add_version(
        self, source: ResolvedModel, name: str, *, digest: str, tags: Mapping[str, str], description: str
    ) -> tuple[ResolvedModel, bool]:
        """Make `source` a version of `name`, once: the same model of the same run is found again.

        Parameters
        ----------
        source
            The resolved model.
        name
            The registered name; made if it is new.
        digest
            The digest of its files, from now on vouched for.
        tags, description
            For the version.

        Returns
        -------
        tuple
            The version, and whether it is new.
        """
        check_model_name(name)
        with locked(self._lock_file("register", name), f"registering {name}", timeout=LOCK_SECONDS):
            self._ensure_name(name)
            found = self.find_version(name, source.run_id, digest)
            if found:
                return found, False
            made = self.client.create_model_version(
                name,
                source.location,
                run_id=source.run_id or None,
                tags={**tags, DIGEST: digest, **({MODEL_ID: source.model_id} if source.model_id else {})},
                description=description or None,
                model_id=source.model_id or None,
            )
            if source.model_id:
                self._link_back(source.model_id, name, int(made.version))
        return self._version(ModelReference.parse(f"models:/{name}/{made.version}")), True

    def _ensure_name(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _link_back(self, model_id: str, name: str, version: int) -> None:
        """Let MLflow's page of the logged model show its versions; a server has done so by itself."""
        tag = "mlflow.modelVersions"
        links = json.loads(self.client.get_logged_model(model_id).tags.get(tag) or "[]")
        if not any(each["name"] == name and int(each["version"]) == version for each in links):
            links.append({"name": name, "version": version})
            self.client.set_logged_model_tags(model_id, {tag: json.dumps(links)})

    @border
    def version_tags(self, name: str, version: int) -> dict[str, str]:
        """Return the tags of a version."""
        return dict(self._get_version(f"models:/{name}/{version}", name, version).tags)

    @border
    def tag_version(self, name: str, version: int, tag: str, value: str) -> None:
        """Set one tag of a version."""
        self.client.set_model_version_tag(name, str(version), tag, value)

    # --- aliases ------------------------------------------------------------------------------------------------------

    @border
    def aliases(self, name: str, *, reference: str = "") -> dict[str, int]:
        """Return alias → version of a registered model.

        Raises
        ------
        ModelNotFound
            There is no such model; the error names the nearest.
        """
        from mlflow.exceptions import MlflowException

        try:
            model = self.client.get_registered_model(name)
        except MlflowException as error:
            if not is_not_found(error):
                raise
            known = [each.name for each in each_model(self.client)]
            raise ModelNotFound(reference or f"models:/{name}", name=name, known=known) from error
        return {alias: int(version) for alias, version in (model.aliases or {}).items()}

    @border
    def set_alias(self, name: str, alias: str, version: int, *, expected: int | None) -> None:
        """Point `alias` to `version`, if it still points to `expected`.

        Parameters
        ----------
        name, alias
            What is moved.
        version
            Where to.
        expected
            Where the caller believes it is; None for not set.

        Raises
        ------
        AliasMoved
            It is somewhere else by now.
        """
        check_alias(alias)
        with self.alias_lock(name, alias):
            found = self.aliases(name).get(alias)
            if found not in (expected, version):
                raise AliasMoved(name, alias, expected, found)
            if found != version:
                self.point_alias(name, alias, version)

    @border
    def point_alias(self, name: str, alias: str, version: int) -> None:
        """Point `alias` to `version` without a question; for the holder of `alias_lock`."""
        self.client.set_registered_model_alias(name, alias, str(version))

    def alias_lock(self, name: str, alias: str) -> AbstractContextManager[None]:
        """Return the lock under which an alias is moved, as a context; who holds it moves it by `point_alias`."""
        file = self._lock_file("alias", f"{name}@{alias}")
        return locked(file, f"moving models:/{name}@{alias}", timeout=LOCK_SECONDS)

    def _lock_file(self, kind: str, name: str) -> Path:
        place = sha256(f"{self.uri}\n{name}".encode()).hexdigest()[:16]
        return self.state / "locks" / f"{kind}-{place}.lock"

    # --- listings -----------------------------------------------------------------------------------------------------

    @border
    def models(self) -> list[ModelSummary]:
        """Return the registered models by name."""
        return summaries(self.client)

    @border
    def versions(self, name: str) -> list[ModelVersion]:
        """Return the versions of a model, newest first.

        Raises
        ------
        ModelNotFound
            There is no such model.
        """
        return described_versions(self.client, name, self.aliases(name))


def _model_id_of(version: Any) -> str:
    """Return the logged model of a version; MLflow's SQL registry does not keep it, but its source may name it."""
    named = re.search(r"(?:^models:/|/models/)(m-[0-9a-f]{32})(?:/|$)", version.source or "")
    return str(version.model_id or version.tags.get(MODEL_ID) or (named[1] if named else ""))
