"""Tells Kubeflow's Model Registry of model versions, so that people and tools of a cluster find them there.

MLflow's registry stays the truth: the other one gets a copy of what is registered, over its REST API, v1alpha3.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from modelyard.projects.environment import Environment
from modelyard.tracking.errors import MirrorInvalid, MirrorRefused, MirrorUnreachable
from modelyard.tracking.references import ResolvedModel

__all__ = ["KubeflowRegistry", "mirror_of"]

_ROOT = "/api/model_registry/v1alpha3"
_TOKEN_VARIABLE = "MODELYARD_MODEL_REGISTRY_TOKEN"  # noqa: S105 - the name of a variable
_TOKEN_PATH_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105
_TOKEN_PATH = Path("/var/run/secrets/kubeflow/pipelines/token")


@dataclass(frozen=True, kw_only=True)
class KubeflowRegistry:
    """Talks to a Model Registry of Kubeflow.

    Parameters
    ----------
    endpoint
        The server's address.
    token
        A bearer token; by default MODELYARD_MODEL_REGISTRY_TOKEN, else the file that KF_PIPELINES_SA_TOKEN_PATH names,
        else Kubeflow's usual place.
    timeout
        Seconds for one request.
    """

    endpoint: str
    token: str = field(default="", repr=False)
    timeout: float = 30.0

    def mirror(self, model: ResolvedModel, *, description: str = "", tags: Mapping[str, str] | None = None) -> str:
        """Write down a version, unless it is there, and return the registry's id of it.

        To do it again gives the same id, wherever an earlier try ended: what is missing is added, nothing is changed.

        Parameters
        ----------
        model
            A registered version.
        description
            What is to be said about it.
        tags
            Its tags; they become its properties, with the digest, the reference and the run.

        Raises
        ------
        MirrorRefused
            The registry says no.
        MirrorUnreachable
            It does not answer.
        """
        properties = _properties({**(tags or {}), "modelyard.model": model.uri, "modelyard.digest": model.digest})
        parent = self._found_or_made("registered_model", {"name": model.name}, {"name": model.name, "state": "LIVE"})
        number = str(model.version)
        version = self._found_or_made(
            "model_version",
            {"name": number, "parentResourceId": parent},
            {
                "name": number,
                "registeredModelId": parent,
                "state": "LIVE",
                "customProperties": properties,
                **({"description": description} if description else {}),
            },
        )
        self._add_artifact(version, model)
        return version

    def _found_or_made(self, kind: str, query: Mapping[str, str], body: Mapping[str, Any]) -> str:
        for _ in range(2):
            found = self._find(kind, query)
            if found:
                return found
            try:
                return str(self._ask("POST", f"/{kind}s", body=body)["id"])
            except MirrorRefused as error:
                if error.status != 409:
                    raise
                # Somebody else has made it a moment ago: then it is found.
        raise MirrorRefused(self.endpoint, f"POST /{kind}s", 409, f"{query['name']} is there, and cannot be found")

    def _find(self, kind: str, query: Mapping[str, str]) -> str:
        try:
            return str(self._ask("GET", f"/{kind}", query)["id"])
        except MirrorRefused as error:
            if error.status == 404:
                return ""
            raise

    def _add_artifact(self, version: str, model: ResolvedModel) -> None:
        path = f"/model_versions/{quote(version, safe='')}/artifacts"
        name = f"{model.name}-{model.version}"
        if self._ask("GET", path, {"name": name}).get("items"):
            return
        body = {
            "artifactType": "model-artifact",
            "name": name,
            "uri": model.location,
            "state": "LIVE",
            "modelFormatName": "mlflow",
            "modelSourceKind": "mlflow",
            "modelSourceClass": "model-version",
            "modelSourceName": model.uri,
            **({"modelSourceId": model.run_id} if model.run_id else {}),
        }
        self._ask("POST", path, body=body)

    def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        told = f"?{urlencode(query)}" if query else ""
        url = f"{self.endpoint.rstrip('/')}{_ROOT}{path}{told}"
        headers = {"Content-Type": "application/json", "Accept": "application/json", **self._authorization()}
        content = None if body is None else json.dumps(body).encode()
        request = Request(url, data=content, headers=headers, method=method)  # noqa: S310 - the user's own server
        try:
            with urlopen(request, timeout=self.timeout) as answer:  # noqa: S310
                found: dict[str, Any] = json.loads(answer.read() or b"{}")
        except HTTPError as error:
            raise MirrorRefused(self.endpoint, f"{method} {path}", error.code, _reason(error.read())) from error
        except (URLError, OSError, HTTPException, ValueError) as error:
            raise MirrorUnreachable(self.endpoint, str(getattr(error, "reason", error))) from error
        return found

    def _authorization(self) -> dict[str, str]:
        path = Path(os.environ.get(_TOKEN_PATH_VARIABLE) or _TOKEN_PATH)
        token = self.token or os.environ.get(_TOKEN_VARIABLE, "")
        token = token or (path.read_text().strip() if path.is_file() else "")
        return {"Authorization": f"Bearer {token}"} if token else {}


def _properties(values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {
        name: {"metadataType": "MetadataStringValue", "string_value": value} for name, value in values.items() if value
    }


def _reason(content: bytes) -> str:
    try:
        told = json.loads(content)
        return str(told.get("message") or told)
    except (ValueError, AttributeError):
        return content.decode(errors="replace").strip()[:300]


def mirror_of(environment: Environment) -> KubeflowRegistry | None:
    """Return the registry that an environment names as ``kfp.model_registry``; None if it names none.

    Raises
    ------
    MirrorInvalid
        It is no address.
    """
    address = environment.kfp.get("model_registry")
    if not address:
        return None
    if not isinstance(address, str) or not address.startswith(("http://", "https://")):
        raise MirrorInvalid(environment.name, address)
    return KubeflowRegistry(endpoint=address)
