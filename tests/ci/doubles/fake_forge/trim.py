"""Makes openapi/github.json of GitHub's official description: the operations that are used, and what they refer to.

::

    npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz
    python trim.py package/generated/api.github.com.json
"""

import json
import sys
from pathlib import Path
from typing import Any

REPOSITORY = "/repos/{owner}/{repo}"
USED = {
    "/user": ["get"],
    f"{REPOSITORY}/pulls/{{pull_number}}": ["get"],
    f"{REPOSITORY}/commits/{{commit_sha}}/pulls": ["get"],
    f"{REPOSITORY}/issues/{{issue_number}}/comments": ["get", "post"],
    f"{REPOSITORY}/issues/comments/{{comment_id}}": ["get", "patch", "delete"],
    f"{REPOSITORY}/statuses/{{sha}}": ["post"],
    f"{REPOSITORY}/check-runs": ["post"],
    f"{REPOSITORY}/check-runs/{{check_run_id}}": ["patch"],
    f"{REPOSITORY}/commits/{{ref}}/check-runs": ["get"],
    f"{REPOSITORY}/deployments": ["get", "post"],
    f"{REPOSITORY}/deployments/{{deployment_id}}/statuses": ["post"],
    f"{REPOSITORY}/dispatches": ["post"],
    f"{REPOSITORY}/collaborators/{{username}}/permission": ["get"],
}
PLACE = Path(__file__).with_name("openapi") / "github.json"
PROSE = {"description", "summary", "externalDocs", "x-github", "examples", "example", "tags", "x-multi-segment"}


def trimmed(whole: dict[str, Any]) -> dict[str, Any]:
    """Return the description of the operations in `USED`, as far as requests go."""
    paths: dict[str, Any] = {}
    for path, methods in USED.items():
        for method in methods:
            operation = whole["paths"][path][method]
            kept = {name: operation[name] for name in ("operationId", "parameters", "requestBody") if name in operation}
            paths.setdefault(path, {})[method] = without_prose(kept)
    components: dict[str, Any] = {}
    waiting = list(references(paths))
    while waiting:
        section, name = waiting.pop().removeprefix("#/components/").split("/")
        if name not in components.setdefault(section, {}):
            components[section][name] = without_prose(whole["components"][section][name])
            waiting += references(components[section][name])
    about = {name: whole["info"][name] for name in ("title", "version", "license")}
    return {"openapi": whole["openapi"], "info": about, "paths": paths, "components": components}


def without_prose(value: Any, *, names: bool = False) -> Any:
    """Return a description without what only people read; a property may be called `description`."""
    if isinstance(value, dict):
        kept = value if names else {name: each for name, each in value.items() if name not in PROSE}
        return {name: without_prose(each, names=name == "properties" and not names) for name, each in kept.items()}
    return [without_prose(each) for each in value] if isinstance(value, list) else value


def references(value: Any) -> list[str]:
    """Return every `$ref` inside a value."""
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for each in value.values() for found in references(each)]
    return [found for each in value for found in references(each)] if isinstance(value, list) else []


if __name__ == "__main__":
    PLACE.write_text(json.dumps(trimmed(json.loads(Path(sys.argv[1]).read_text())), indent=1) + "\n")
