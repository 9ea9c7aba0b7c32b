"""The model registry: names, versions, aliases, and from a reference to one exact model."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.tracking.connection import border
from modelyard.tracking.errors import AliasMoved, AliasNotFound, ModelNotFound, ModelVersionNotFound
from modelyard.tracking.leases import lease
from modelyard.tracking.references import ModelReference, ResolvedModel, check_alias, check_model_name
from modelyard.tracking.tags import DIGEST, MODEL_ID

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["ModelSummary", "ModelVersion", "Registry"]

PAGE = 200


class ModelSummary(msgspec.Struct, frozen=True):
    """One registered model in a listing.

    Parameters
    ----------
    name
        The registered name.
    description
        What it is for.
    aliases
        Alias → version.
    versions
        How many versions it has.
    updated
        When it last changed, in milliseconds since 1970.
    """

    name: str
    description: str
    aliases: dict[str, int]
    versions: int
    updated: int


class ModelVersion(msgspec.Struct, frozen=True):
    """One version in a listing, with what is known about the run that made it.

    Parameters
    ----------
    name, version
        Which version.
    aliases
        The aliases that point to it now.
    created
        When it was registered, in milliseconds since 1970.
    run_id
        The run that made it; empty if unknown.
    digest
        The recorded digest of its files; empty if none is.
    metrics
        The metrics of the run that made it.
    tags
        All tags of the version.
    description
        What was said about it.
    """

    name: str
    version: int
    aliases: tuple[str, ...]
    created: int
    run_id: str
    digest: str
    metrics: dict[str, float]
    tags: dict[str, str]
    description: str

    @property
    def uri(self) -> str:
        """The exact reference."""
        return f"models:/{self.name}/{self.version}"


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
            model_id=found.model_id or found.tags.get(MODEL_ID, ""),
            digest=digest,
            trusted=bool(digest),
            created=found.creation_timestamp,
        )

    def _get_version(self, reference: str, name: str, number: int) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_model_version(name, str(number))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            known = [int(each.version) for each in self._versions(name)]
            raise ModelVersionNotFound(reference, name, number, known) from error

    def _location(self, name: str, number: int) -> str:
        uri: str = self.client.get_model_version_download_uri(name, str(number))
        if uri.startswith("models:/") or uri.startswith("runs:/"):
            return self.resolve(uri).location
        return uri

    def _logged_model(self, reference: str, model_id: str) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_logged_model(model_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
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
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
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
        for version in self._versions(name):
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
        with lease(self._lease_file("register", name), f"new versions of {name}"):
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
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            known = [each.name for each in self._models()]
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
        with self.alias_lease(name, alias):
            found = self.aliases(name).get(alias)
            if found not in (expected, version):
                raise AliasMoved(name, alias, expected, found)
            if found != version:
                self.client.set_registered_model_alias(name, alias, str(version))

    def alias_lease(self, name: str, alias: str) -> Any:
        """Return the lease under which an alias is moved, as a context."""
        return lease(self._lease_file("alias", f"{name}@{alias}"), f"models:/{name}@{alias}")

    def _lease_file(self, kind: str, name: str) -> Path:
        place = sha256(f"{self.uri}\n{name}".encode()).hexdigest()[:16]
        return self.state / "locks" / f"{kind}-{place}.lock"

    # --- listings -----------------------------------------------------------------------------------------------------

    @border
    def models(self) -> list[ModelSummary]:
        """Return the registered models by name."""
        found = []
        for model in self._models():
            aliases = {alias: int(version) for alias, version in (model.aliases or {}).items()}
            count = sum(1 for _ in self._versions(model.name))
            found.append(
                ModelSummary(model.name, model.description or "", aliases, count, model.last_updated_timestamp)
            )
        return sorted(found, key=lambda each: each.name)

    @border
    def versions(self, name: str) -> list[ModelVersion]:
        """Return the versions of a model, newest first.

        Raises
        ------
        ModelNotFound
            There is no such model.
        """
        pointing: dict[int, list[str]] = {}
        for alias, number in self.aliases(name).items():
            pointing.setdefault(number, []).append(alias)
        found = []
        for each in self._versions(name):
            number = int(each.version)
            found.append(
                ModelVersion(
                    name=name,
                    version=number,
                    aliases=tuple(sorted(pointing.get(number, []))),
                    created=each.creation_timestamp,
                    run_id=each.run_id or "",
                    digest=each.tags.get(DIGEST, ""),
                    metrics=self._metrics(each.run_id),
                    tags=dict(each.tags),
                    description=each.description or "",
                )
            )
        return sorted(found, key=lambda version: -version.version)

    def _metrics(self, run_id: str | None) -> dict[str, float]:
        from mlflow.exceptions import MlflowException

        if not run_id:
            return {}
        try:
            return dict(self.client.get_run(run_id).data.metrics)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return {}

    def _models(self) -> Iterator[Any]:
        token = None
        while True:
            page = self.client.search_registered_models(max_results=PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _versions(self, name: str) -> Iterator[Any]:
        token = None
        quoted = name.replace("'", "''")
        while True:
            page = self.client.search_model_versions(f"name = '{quoted}'", max_results=PAGE, page_token=token)
            yield from (each for each in page if each.name == name)
            token = page.token
            if not token:
                return
