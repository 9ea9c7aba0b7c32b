"""GitHub's part: each request is held to the official description, then done."""

from collections.abc import Callable
from typing import Any

from fake_forge.answer import Answer, Asked, page_of, refused
from fake_forge.forge import Forge, Token
from fake_forge.openapi_check import Operation, operation_of, wrong_in

_COMMENT, _DESCRIPTION, _SUMMARY = 65_536, 140, 65_535
_Handler = Callable[[Forge, Token, Asked, Operation], Answer]


def answer_github(forge: Forge, asked: Asked) -> Answer:
    """Return GitHub's answer."""
    token = _token(forge, asked)
    if token is None:
        return refused(401, "Bad credentials" if "authorization" in asked.headers else "Requires authentication")
    operation = operation_of(asked.method, asked.path)
    if operation is None:
        return refused(404, "Not Found")
    wrong = wrong_in(operation, asked.json())
    if wrong:
        return refused(422, "Validation Failed", errors=wrong)
    if not _may(token, asked.method, operation.id):
        return refused(403, "Resource not accessible by integration")
    handler = _HANDLERS.get(operation.id)
    return handler(forge, token, asked, operation) if handler else refused(501, f"{operation.id} is not modelled")


def _token(forge: Forge, asked: Asked) -> Token | None:
    kind, _, value = asked.headers.get("authorization", "").partition(" ")
    return forge.tokens.get(value) if kind.lower() in ("bearer", "token") else None


def _may(token: Token, method: str, operation: str) -> bool:
    if operation == "users/get-authenticated":
        return token.is_person
    if method == "GET" or token.may == "write":
        return True
    if token.may == "request":
        return not operation.startswith("repos/create-deployment")
    return token.may == "statuses" and operation == "repos/create-commit-status"


def _user(forge: Forge, token: Token, asked: Asked, operation: Operation) -> Answer:
    return Answer(200, _person(token))


def _person(token: Token) -> dict[str, Any]:
    return {"login": token.login, "id": 1, "type": "User" if token.is_person else "Bot"}


def _pull(forge: Forge, token: Token, asked: Asked, operation: Operation) -> Answer:
    found = forge.requests.get(int(operation.values["pull_number"]))
    return Answer(200, found) if found else refused(404, "Not Found")


def _pulls_of_commit(forge: Forge, token: Token, asked: Asked, operation: Operation) -> Answer:
    sha = operation.values["commit_sha"]
    return Answer(200, [each for each in forge.requests.values() if each["head"]["sha"] == sha])


def _list_comments(forge: Forge, token: Token, asked: Asked, operation: Operation) -> Answer:
    rows = forge.comments[int(operation.values["issue_number"])]
    return page_of(asked, rows, 30, f"{forge.github}{asked.path}")


def _create_comment(forge: Forge, token: Token, asked: Asked, operation: Operation) -> Answer:
    body, number = asked.json()["body"], int(operation.values["issue_number"])
    if len(body) > _COMMENT:
        return refused(422, "Validation Failed", errors=["body is too long (maximum is 65536 characters)"])
    made = {
        "id": forge.new_id(),
        "body": body,
        "user": _person(token),
        "html_url": f"{forge.url}/web/pull/{number}#comment",
        "updates": 0,
    }
    forge.comments[number].append(made)
    return Answer(201, made)


def _comment(forge: Forge, operation: Operation) -> dict[str, Any] | None:
    wanted = int(operation.values["comment_id"])
    return next((each for rows in forge.comments.values() for each in rows if each["id"] == wanted), None)


def _update_comment(forge: Forge, token: Token, asked: Asked, operation: Operation) -> Answer:
    found, body = _comment(forge, operation), asked.json()["body"]
    if found is None:
        return refused(404, "Not Found")
    if len(body) > _COMMENT:
        return refused(422, "Validation Failed", errors=["body is too long (maximum is 65536 characters)"])
    found.update(body=body, updates=found["updates"] + 1)
    return Answer(200, found)


def _status(forge: Forge, token: Token, asked: Asked, operation: Operation) -> Answer:
    body = asked.json()
    if len(body.get("description") or "") > _DESCRIPTION:
        return refused(422, "Validation Failed", errors=["description is too long (maximum is 140 characters)"])
    made = {"id": forge.new_id(), "sha": operation.values["sha"], **body}
    forge.statuses.append(made)
    return Answer(201, made)


def _check_run(forge: Forge, token: Token, asked: Asked, operation: Operation) -> Answer:
    body = asked.json()
    if len(body.get("output", {}).get("summary") or "") > _SUMMARY:
        return refused(422, "Validation Failed", errors=["summary is too long"])
    made = {"id": forge.new_id(), **body}
    forge.check_runs.append(made)
    return Answer(201, made)


def _update_check_run(forge: Forge, token: Token, asked: Asked, operation: Operation) -> Answer:
    wanted = int(operation.values["check_run_id"])
    found = next((each for each in forge.check_runs if each["id"] == wanted), None)
    if found is None:
        return refused(404, "Not Found")
    body = asked.json()
    more = body.get("output", {}).get("annotations", [])
    before = found.get("output", {}).get("annotations", [])
    found.update(body)
    found["output"] = {**found.get("output", {}), "annotations": [*before, *more]}
    return Answer(200, found)


def _deployment(forge: Forge, token: Token, asked: Asked, operation: Operation) -> Answer:
    made = {"id": forge.new_id(), **asked.json()}
    forge.deployments.append(made)
    return Answer(201, made)


def _deployments(forge: Forge, token: Token, asked: Asked, operation: Operation) -> Answer:
    wanted = asked.query.get("environment", "")
    rows = [each for each in forge.deployments if wanted in ("", each.get("environment"))]
    return page_of(asked, rows, 30, f"{forge.github}{asked.path}")


def _deployment_status(forge: Forge, token: Token, asked: Asked, operation: Operation) -> Answer:
    made = {"id": forge.new_id(), "deployment": int(operation.values["deployment_id"]), **asked.json()}
    forge.deployment_statuses.append(made)
    return Answer(201, made)


def _dispatch(forge: Forge, token: Token, asked: Asked, operation: Operation) -> Answer:
    forge.dispatches.append(asked.json())
    return Answer(204)


_HANDLERS: dict[str, _Handler] = {
    "users/get-authenticated": _user,
    "pulls/get": _pull,
    "repos/list-pull-requests-associated-with-commit": _pulls_of_commit,
    "issues/list-comments": _list_comments,
    "issues/create-comment": _create_comment,
    "issues/update-comment": _update_comment,
    "repos/create-commit-status": _status,
    "checks/create": _check_run,
    "checks/update": _update_check_run,
    "repos/create-deployment": _deployment,
    "repos/list-deployments": _deployments,
    "repos/create-deployment-status": _deployment_status,
    "repos/create-dispatch-event": _dispatch,
}
