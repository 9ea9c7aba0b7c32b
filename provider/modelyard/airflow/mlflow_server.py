"""An MLflow server, read by plain HTTP: what Airflow asks needs no MLflow here."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from modelyard.airflow.errors import AnswerUnreadable, ReaderUnavailable

__all__ = ["MlflowServer"]

_SECONDS = 10.0
_PAGE = "1000"
_ABSENT = "RESOURCE_DOES_NOT_EXIST"


class MlflowServer:
    """Reads registered models from an MLflow server.

    Parameters
    ----------
    uri
        Its address, ``http://…`` or ``https://…``.
    variables
        Holds MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, where it asks for them.
    """

    def __init__(self, uri: str, variables: Mapping[str, str]) -> None:
        self.uri = uri.rstrip("/")
        self._variables = variables

    def check(self) -> None:
        """Ask for one model.

        Raises
        ------
        ReaderUnavailable, AnswerUnreadable
            It does not answer, or not as MLflow does.
        """
        self._get("registered-models/search", {"max_results": "1"})

    def version(self, name: str, which: str) -> dict[str, Any] | None:
        """Return MLflow's record of a model version; None where there is none.

        Parameters
        ----------
        name
            The registered model.
        which
            ``@alias``, a version's number, or empty for the newest.

        Raises
        ------
        ReaderUnavailable, AnswerUnreadable
            The server does not answer, or not as MLflow does.
        """
        if which.startswith("@"):
            found = self._get("registered-models/alias", {"name": name, "alias": which[1:]})
        elif which:
            found = self._get("model-versions/get", {"name": name, "version": which})
        else:
            return self._newest(name)
        return found["model_version"] if found else None

    def models(self) -> list[dict[str, Any]]:
        """Return the registered models by name, each as ``modelyard models list --json`` has it.

        Raises
        ------
        ReaderUnavailable, AnswerUnreadable
            The server does not answer, or not as MLflow does.
        """
        # Without a filter, one search counts the versions of all models.
        counted = Counter(each["name"] for each in self._each("model-versions/search", "model_versions"))
        found = [
            {
                "name": each["name"],
                "description": each.get("description", ""),
                "aliases": {alias["alias"]: int(alias["version"]) for alias in each.get("aliases", [])},
                "versions": counted[each["name"]],
                "updated": int(each.get("last_updated_timestamp", 0)),
            }
            for each in self._each("registered-models/search", "registered_models")
        ]
        return sorted(found, key=lambda each: str(each["name"]))

    def versions(self, name: str, limit: int) -> list[dict[str, Any]]:
        """Return the newest versions of a model, each as ``modelyard models show --json`` has it.

        Parameters
        ----------
        name
            The registered model; one that is not there has none.
        limit
            How many at most: the metrics of each are another question to the server.

        Raises
        ------
        ReaderUnavailable, AnswerUnreadable
            The server does not answer, or not as MLflow does.
        """
        model = self._get("registered-models/get", {"name": name})
        if model is None:
            return []
        # The search leaves out the aliases.
        aliases = [(str(each["version"]), each["alias"]) for each in model["registered_model"].get("aliases", [])]
        found = self._get("model-versions/search", _newest_first(name, limit)) or {}
        return [
            _described(
                each,
                sorted(alias for number, alias in aliases if number == str(each["version"])),
                self.metrics(each.get("run_id", "")),
            )
            for each in found.get("model_versions", [])
        ]

    def metrics(self, run_id: str) -> dict[str, float]:
        """Return the metrics of a run; none where the run is gone."""
        found = self._get("runs/get", {"run_id": run_id}) if run_id else None
        metrics = found["run"]["data"].get("metrics", []) if found else []
        return {each["key"]: each["value"] for each in metrics}

    def _newest(self, name: str) -> dict[str, Any] | None:
        found = self._get("model-versions/search", _newest_first(name, 1)) or {}
        versions = found.get("model_versions", [])
        # The search leaves out the aliases.
        return self.version(name, str(versions[0]["version"])) if versions else None

    def _each(self, path: str, field: str) -> Iterator[dict[str, Any]]:
        """Yield what a search finds, page by page."""
        token = ""
        while True:
            page = self._get(path, {"max_results": _PAGE, **({"page_token": token} if token else {})}) or {}
            yield from page.get(field, [])
            token = page.get("next_page_token", "")
            if not token:
                return

    def _get(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any] | None:
        import httpx

        try:
            reply = httpx.get(
                f"{self.uri}/api/2.0/mlflow/{path}",
                params=parameters,
                headers=self._headers(),
                auth=self._authentication(),
                timeout=_SECONDS,
            )
        except httpx.HTTPError as error:
            raise ReaderUnavailable(self._shown, type(error).__name__) from error
        if reply.status_code >= 500 or reply.status_code == 429:
            raise ReaderUnavailable(self._shown, f"status {reply.status_code}")
        try:
            body = reply.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise AnswerUnreadable(self._shown, f"status {reply.status_code}, and no JSON")
        if reply.is_success:
            return body
        if body.get("error_code") == _ABSENT or ("alias" in path and "not found" in str(body.get("message", ""))):
            return None
        raise AnswerUnreadable(self._shown, f"status {reply.status_code}, {body.get('error_code', 'no error code')}")

    @property
    def _shown(self) -> str:
        from modelyard.projects.credentials import without_credentials

        return without_credentials(self.uri)

    def _authentication(self) -> tuple[str, str] | None:
        user = self._variables.get("MLFLOW_TRACKING_USERNAME", "")
        return (user, self._variables.get("MLFLOW_TRACKING_PASSWORD", "")) if user else None

    def _headers(self) -> dict[str, str]:
        token = self._variables.get("MLFLOW_TRACKING_TOKEN", "")
        return {"Authorization": f"Bearer {token}"} if token else {}


def _newest_first(name: str, limit: int) -> dict[str, str]:
    # MLflow's filters know no escape: a name with a quote is searched with the other quote.
    quoted = f'"{name}"' if "'" in name else f"'{name}'"
    return {"filter": f"name = {quoted}", "order_by": "version_number DESC", "max_results": str(limit)}


def _described(found: Mapping[str, Any], aliases: list[str], metrics: Mapping[str, float]) -> dict[str, Any]:
    from modelyard.tracking.tags import DIGEST

    tags = {each["key"]: each.get("value", "") for each in found.get("tags", [])}
    return {
        "name": found["name"],
        "version": int(found["version"]),
        "aliases": aliases,
        "created": int(found.get("creation_timestamp", 0)),
        "run_id": found.get("run_id", ""),
        "digest": tags.get(DIGEST, ""),
        "metrics": dict(metrics),
        "tags": tags,
        "description": found.get("description", ""),
    }
