"""An MLflow server, read by plain HTTP: what Airflow asks needs no MLflow here."""

from collections.abc import Mapping
from typing import Any

from modelyard.airflow.errors import AnswerUnreadable, ReaderUnavailable

__all__ = ["MlflowServer"]

_SECONDS = 10.0
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

    def metrics(self, run_id: str) -> dict[str, float]:
        """Return the metrics of a run; none where the run is gone."""
        found = self._get("runs/get", {"run_id": run_id}) if run_id else None
        metrics = found["run"]["data"].get("metrics", []) if found else []
        return {each["key"]: each["value"] for each in metrics}

    def _newest(self, name: str) -> dict[str, Any] | None:
        # MLflow's filters know no escape: a name with a quote is searched with the other quote.
        quoted = f'"{name}"' if "'" in name else f"'{name}'"
        asked = {"filter": f"name = {quoted}", "order_by": "version_number DESC", "max_results": "1"}
        found = self._get("model-versions/search", asked) or {}
        versions = found.get("model_versions", [])
        # The search leaves out the aliases.
        return self.version(name, str(versions[0]["version"])) if versions else None

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
