"""GitLab's part, modelled by hand after its documentation: each body is held to a schema, then done."""

import re
from collections.abc import Callable
from typing import Any

from jsonschema import Draft202012Validator

from fake_forge.answer import Answer, Asked, page_of, refused
from fake_forge.forge import Forge, Token
from fake_forge.gitlab_mlflow import answer_mlflow

_NOTE = 1_000_000
_BODY = {"type": "object", "required": ["body"], "properties": {"body": {"type": "string", "minLength": 1}}}
_STATUS = {
    "type": "object",
    "required": ["state"],
    "additionalProperties": False,
    "properties": {
        "state": {"enum": ["pending", "running", "success", "failed", "canceled", "skipped"]},
        "name": {"type": "string", "maxLength": 255},
        "ref": {"type": "string"},
        "description": {"type": "string", "maxLength": 255},
        "target_url": {"type": "string", "pattern": "^https?://", "maxLength": 255},
        "coverage": {"type": "number"},
        "pipeline_id": {"type": "integer"},
    },
}
_Handler = Callable[[Forge, Token, Asked, dict[str, str]], Answer]


def answer_gitlab(forge: Forge, asked: Asked) -> Answer:
    """Return GitLab's answer."""
    if "job-token" in asked.headers:
        # It opens a few places of the API; merge requests and statuses are none of them.
        return refused(403, "403 Forbidden")
    value = asked.headers.get("private-token") or asked.headers.get("authorization", "").removeprefix("Bearer ")
    token = forge.tokens.get(value)
    if token is None:
        return refused(401, "401 Unauthorized")
    if "/ml/mlflow/" in asked.path:
        return answer_mlflow(forge, asked)
    for method, pattern, schema, handler in _ROUTES:
        found = re.fullmatch(pattern, asked.path)
        if found and method == asked.method:
            if schema:
                wrong = [each.message for each in Draft202012Validator(schema).iter_errors(asked.json())]
                if wrong:
                    return refused(400, "400 Bad request", errors=wrong)
            if method != "GET" and token.may != "write":
                return refused(403, "403 Forbidden")
            return handler(forge, token, asked, found.groupdict())
    return refused(404, "404 Not Found")


def _user(forge: Forge, token: Token, asked: Asked, values: dict[str, str]) -> Answer:
    return Answer(200, {"id": 7, "username": token.login})


def _request(forge: Forge, token: Token, asked: Asked, values: dict[str, str]) -> Answer:
    found = forge.requests.get(int(values["iid"]))
    return Answer(200, found) if found else refused(404, "404 Not found")


def _list_notes(forge: Forge, token: Token, asked: Asked, values: dict[str, str]) -> Answer:
    return page_of(asked, forge.notes[int(values["iid"])], 20, f"{forge.gitlab}{asked.path}")


def _create_note(forge: Forge, token: Token, asked: Asked, values: dict[str, str]) -> Answer:
    body: str = asked.json()["body"]
    if len(body) > _NOTE:
        return refused(400, "body is too long")
    made = {"id": forge.new_id(), "body": body, "author": {"username": token.login}, "system": False, "updates": 0}
    forge.notes[int(values["iid"])].append(made)
    return Answer(201, made)


def _update_note(forge: Forge, token: Token, asked: Asked, values: dict[str, str]) -> Answer:
    wanted = int(values["note"])
    found = next((each for each in forge.notes[int(values["iid"])] if each["id"] == wanted), None)
    if found is None:
        return refused(404, "404 Not found")
    if found["author"]["username"] != token.login:
        return refused(403, "403 Forbidden")
    found.update(body=asked.json()["body"], updates=found["updates"] + 1)
    return Answer(200, found)


def _status(forge: Forge, token: Token, asked: Asked, values: dict[str, str]) -> Answer:
    made = {"id": forge.new_id(), "sha": values["sha"], **asked.json()}
    forge.statuses.append(made)
    return Answer(201, made)


def _requests_of_commit(forge: Forge, token: Token, asked: Asked, values: dict[str, str]) -> Answer:
    return Answer(200, [each for each in forge.requests.values() if each["sha"] == values["sha"]])


_PROJECT = r"/projects/(?P<project>[^/]+)"
_ROUTES: list[tuple[str, str, dict[str, Any] | None, _Handler]] = [
    ("GET", "/user", None, _user),
    ("GET", rf"{_PROJECT}/merge_requests/(?P<iid>\d+)", None, _request),
    ("GET", rf"{_PROJECT}/merge_requests/(?P<iid>\d+)/notes", None, _list_notes),
    ("POST", rf"{_PROJECT}/merge_requests/(?P<iid>\d+)/notes", _BODY, _create_note),
    ("PUT", rf"{_PROJECT}/merge_requests/(?P<iid>\d+)/notes/(?P<note>\d+)", _BODY, _update_note),
    ("POST", rf"{_PROJECT}/statuses/(?P<sha>[0-9a-f]+)", _STATUS, _status),
    ("GET", rf"{_PROJECT}/repository/commits/(?P<sha>[0-9a-f]+)/merge_requests", None, _requests_of_commit),
]
