"""A stand-in for Kubeflow's Model Registry: it keeps what it is given, but for what its definition forbids."""

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from stand_in import StandIn

DEFINITION = json.loads(Path(__file__).with_name("model_registry_definition.json").read_text())
ROOT = "/api/model_registry/v1alpha3"


class FakeModelRegistry(StandIn):
    """The server, what it keeps, and what it has been asked."""

    def __init__(self) -> None:
        self.kept: dict[str, list[dict[str, Any]]] = {"registered_model": [], "model_version": [], "artifact": []}
        self.asked: list[str] = []
        self.failing: dict[str, int] = {}
        """Request → the status that it gets once."""
        self.racing = False
        """Whether what is asked for appears only when it is made."""
        super().__init__()

    def answer(self, verb: str, path: str, query: dict[str, str], kind: str, content: bytes) -> tuple[int, Any]:
        """Answer as the definition says, and keep what is made."""
        del kind
        body = json.loads(content or b"null")
        short = path.removeprefix(ROOT)
        template = re.sub(r"/model_versions/[^/]+/", "/model_versions/{modelversionId}/", short)
        operation = DEFINITION["paths"].get(f"{verb} {template}")
        self.asked.append(f"{verb} {short}")
        if operation is None or set(query) - set(operation["query"]):
            return 400, {"code": "", "message": f"{verb} {path} {query} is not in the definition"}
        if status := self.failing.pop(f"{verb} {template}", 0):
            return status, {"code": str(status), "message": "not now"}
        schema = "ModelArtifactCreate" if operation["body"] == "Artifact" else operation["body"]
        if schema and (problem := mismatch(body, schema)):
            return 400, {"code": "400", "message": problem}
        return self._reply(verb, short, query, body)

    def _reply(self, verb: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path.endswith("/artifacts"):
            parent, kind = path.split("/")[2], "artifact"
        else:
            kind = path.strip("/").removesuffix("s")
            parent = query.get("parentResourceId") or (body or {}).get("registeredModelId", "")
        name = query.get("name") or body["name"]
        found = [each for each in self.kept[kind] if (each["name"], each["parent"]) == (name, parent)]
        if verb == "POST":
            if found:
                return 409, {"code": "409", "message": f"{name} is there already"}
            number = str(sum(map(len, self.kept.values())) + 1)
            made = {**body, "id": number, "parent": parent}
            self.kept[kind].append(made)
            if self.racing:
                self.racing = False
                return 409, {"code": "409", "message": f"{name} was made a moment ago"}
            return 201, shown(made)
        if path.endswith("/artifacts"):
            return 200, {
                "items": [shown(each) for each in found],
                "size": len(found),
                "pageSize": 0,
                "nextPageToken": "",
            }
        return (200, shown(found[0])) if found else (404, {"code": "404", "message": "there is none"})


def shown(made: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept as the server tells it."""
    return {name: value for name, value in made.items() if name != "parent"}


def mismatch(body: Any, name: str) -> str:
    """Return what of a body the published definition does not allow; empty if nothing."""
    schema = {"$ref": f"#/components/schemas/{name}", "unevaluatedProperties": False}
    validator = Draft202012Validator({**schema, "components": {"schemas": DEFINITION["schemas"]}})
    return "; ".join(error.message for error in validator.iter_errors(body))
