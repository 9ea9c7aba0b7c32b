"""The part of MLflow's protocol that GitLab speaks: experiments and runs."""

from typing import Any

from fake_forge.answer import Answer, Asked, refused
from fake_forge.forge import Forge


def answer_mlflow(forge: Forge, asked: Asked) -> Answer:
    """Return GitLab's answer to an MLflow client."""
    action = asked.path.partition("/ml/mlflow/api/2.0/mlflow/")[2]
    body = asked.json() or asked.query
    if action in ("experiments/get-by-name", "experiments/create"):
        return _experiment(forge, action, body)
    if action == "runs/create":
        return _create(forge, body)
    if action in ("runs/get", "runs/update", "runs/log-batch", "runs/log-metric", "runs/log-parameter", "runs/set-tag"):
        run = forge.mlflow["runs"].get(body.get("run_id") or body.get("run_uuid"))
        return _change(run, action, body) if run else _missing("Run")
    return refused(404, "404 Not Found")


def _missing(what: str) -> Answer:
    return Answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"{what} not found"})


def _experiment(forge: Forge, action: str, body: dict[str, Any]) -> Answer:
    if action == "experiments/create":
        number = str(forge.new_id())
        forge.mlflow["experiments"][body["name"]] = number
        return Answer(200, {"experiment_id": number})
    name = body["experiment_name"]
    number = forge.mlflow["experiments"].get(name)
    if number is None:
        return _missing("Experiment")
    found = {"experiment_id": number, "name": name, "lifecycle_stage": "active", "artifact_location": "not_implemented"}
    return Answer(200, {"experiment": found})


def _create(forge: Forge, body: dict[str, Any]) -> Answer:
    name = f"run-{forge.new_id()}"
    run = {"name": body.get("run_name", ""), "metrics": {}, "params": {}, "tags": {}, "status": "RUNNING"}
    run["tags"] = {each["key"]: each["value"] for each in body.get("tags", [])}
    forge.mlflow["runs"][name] = {**run, "experiment": body["experiment_id"]}
    return Answer(200, {"run": _shown(name, forge.mlflow["runs"][name])})


def _change(run: dict[str, Any], action: str, body: dict[str, Any]) -> Answer:
    measured = [body] if action == "runs/log-metric" else body.get("metrics", [])
    run["metrics"] |= {each["key"]: each["value"] for each in measured}
    run["params"] |= {each["key"]: each["value"] for each in body.get("params", [])}
    run["tags"] |= {each["key"]: each["value"] for each in body.get("tags", [])}
    run["status"] = body.get("status", run["status"])
    name = body.get("run_id") or body.get("run_uuid")
    return Answer(
        200, {"run_info": _shown(name, run)["info"]} if action == "runs/update" else {"run": _shown(name, run)}
    )


def _shown(name: str, run: dict[str, Any]) -> dict[str, Any]:
    info = {
        "run_id": name,
        "run_uuid": name,
        "run_name": run["name"],
        "experiment_id": run["experiment"],
        "status": run["status"],
        "start_time": 1,
        "artifact_uri": "not_implemented",
        "lifecycle_stage": "active",
    }
    return {"info": info, "data": {"metrics": [], "params": [], "tags": []}}
