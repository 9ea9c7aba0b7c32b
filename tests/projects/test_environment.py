"""Environments: the default rule, absolute paths, variables, remote state."""

from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.errors import ErrorKind
from modelyard.projects import (
    EnvironmentNotFound,
    Project,
    ProjectInvalid,
    StateNotLocal,
    VariableMissing,
    open_project,
)

Write = Callable[..., Path]
TWO = "name: x\nenvironments:\n  dev: {}\n  prod: {tracking: 'https://mlflow.example.com'}\n"


def _project(write: Write, text: str) -> Project:
    return open_project(write({"modelyard.yaml": text}))


def test_without_environments_there_is_an_embedded_one(write: Write) -> None:
    project = _project(write, "name: x")
    environment = project.environment()
    own = f"{project.root}/.modelyard"

    assert environment.name == "dev"
    assert environment.tracking == f"sqlite:///{own}/mlflow.db"
    assert environment.tracking.startswith("sqlite:////")
    assert environment.artifacts == f"{own}/artifacts"
    assert environment.state == Path(own)
    assert (dict(environment.deploy), environment.python, list(environment.secrets)) == ({"target": "local"}, None, [])
    assert project.environment("dev") == environment
    assert not environment.state.exists()


def test_the_first_is_the_default_and_a_variable_chooses_another(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    project = _project(write, TWO)

    assert project.environment().name == "dev"
    monkeypatch.setenv("MODELYARD_ENVIRONMENT", "prod")
    assert project.environment().name == "prod"
    assert project.environment("dev").name == "dev"


def test_a_server_chooses_where_artifacts_lie(write: Write) -> None:
    environment = _project(write, TWO).environment("prod")

    assert (environment.tracking, environment.artifacts) == ("https://mlflow.example.com", None)


def test_an_unknown_environment_is_told_with_the_near_one(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    project = _project(write, TWO)
    file = project.file.path

    with pytest.raises(EnvironmentNotFound) as caught:
        project.environment("prd")
    assert str(caught.value) == f"{file}: there is no environment 'prd'. Did you mean prod?"

    monkeypatch.setenv("MODELYARD_ENVIRONMENT", "other")
    with pytest.raises(EnvironmentNotFound) as caught:
        project.environment()
    assert str(caught.value) == (
        f"{file}: there is no environment 'other' (from the variable MODELYARD_ENVIRONMENT). Known: dev, prod."
    )


@pytest.mark.parametrize(
    ("given", "tracking"),
    [
        ("sqlite:///.modelyard/mlflow.db", "sqlite:///{root}/.modelyard/mlflow.db"),
        ("sqlite:////srv/mlflow.db", "sqlite:////srv/mlflow.db"),
        ("sqlite+pysqlite:///a.db?timeout=9", "sqlite+pysqlite:///{root}/a.db?timeout=9"),
        ("postgresql://db/mlflow", "postgresql://db/mlflow"),
        ("databricks", "databricks"),
    ],
)
def test_a_relative_database_lies_in_the_project(given: str, tracking: str, write: Write) -> None:
    project = _project(write, f"name: x\nenvironments: {{dev: {{tracking: '{given}'}}}}")

    assert project.environment().tracking == tracking.format(root=project.root)


def test_relative_places_lie_in_the_project_and_follow_the_state(write: Write) -> None:
    project = _project(write, "name: x\nenvironments: {dev: {state: work/, python: venv/bin/python}}")
    environment = project.environment()

    assert environment.state == project.root / "work"
    assert environment.tracking == f"sqlite:///{project.root}/work/mlflow.db"
    assert environment.artifacts == f"{project.root}/work/artifacts"
    assert environment.python == f"{project.root}/venv/bin/python"


def test_a_command_on_the_path_stays_one(write: Write) -> None:
    assert _project(write, "name: x\nenvironments: {dev: {python: python3.12}}").environment().python == "python3.12"


def test_open_state_makes_the_folder_and_keeps_it_out_of_git(write: Write) -> None:
    environment = _project(write, "name: x").environment()

    assert environment.open_state() == environment.state == environment.open_state()
    assert (environment.state / ".gitignore").read_text() == "*\n"


def test_variables_are_filled_in_when_the_environment_is_used(write: Write) -> None:
    project = _project(
        write,
        "name: x\nenvironments:\n  prod:\n    tracking: ${URL}\n    artifacts: ${BUCKET:-s3://b}/a\n"
        "    deploy: {target: '${TARGET:-local}', args: ['${ONE}', 2], cost: '$${5}'}\n",
    )

    environment = project.environment("prod", {"URL": "http://m:5000", "ONE": "1"})

    assert environment.tracking == "http://m:5000"
    assert environment.artifacts == "s3://b/a"
    assert environment.deploy == {"target": "local", "args": ["1", 2], "cost": "${5}"}


def test_an_unset_variable_is_told_only_where_it_is_needed(write: Write) -> None:
    project = _project(
        write, "name: x\nenvironments:\n  dev: {}\n  prod:\n    deploy:\n      target: local\n      a: [1, '${K8S}']\n"
    )

    assert project.environment().name == "dev"
    with pytest.raises(VariableMissing) as caught:
        project.environment("prod", {})
    assert str(caught.value) == (
        f"{project.file.path}:7: environments.prod.deploy.a[1]: the variable K8S is not set. "
        "Set it, or give a default: ${K8S:-value}."
    )
    assert caught.value.error_kind is ErrorKind.INVALID


URI = "Write one such as sqlite:///.modelyard/mlflow.db or https://mlflow.example.com."
WRONG = {
    "a folder to track in": (
        "tracking: mlruns",
        f'must be the URI of a database or an MLflow server, got "mlruns". {URI}',
    ),
    "a file store": (
        "tracking: 'file:///x'",
        f'must be the URI of a database or an MLflow server, got "file:///x". {URI}',
    ),
    "a database in memory": ("tracking: 'sqlite://'", f'must name a file after sqlite:///, got "sqlite://". {URI}'),
    "an empty variable": ("tracking: '${EMPTY}'", "must not be empty."),
    "an unknown target": (
        "deploy: {target: '${PLACE}'}",
        'must be local or kubernetes, got "lokal". Did you mean local?',
    ),
    "the project itself as state": (
        "state: .",
        'must be a folder of its own, got ".". Name one such as .modelyard/.',
    ),
    "what holds the project as state": (
        "state: ..",
        'must be a folder of its own, got "..". Name one such as .modelyard/.',
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_value_becomes_is_checked_too(case: str, write: Write) -> None:
    line, expected = WRONG[case]
    project = _project(write, f"name: x\nenvironments:\n  dev:\n    {line}\n")

    with pytest.raises(ProjectInvalid) as caught:
        project.environment(variables={"PLACE": "lokal", "EMPTY": ""})

    field = "deploy.target" if "deploy" in line else line.partition(":")[0]
    assert str(caught.value) == f"{project.file.path}:4: environments.dev.{field}: {expected}"


def test_a_remote_state_is_declared_but_not_a_local_folder(write: Write) -> None:
    project = _project(write, "name: x\nenvironments: {prod: {state: 's3://key:secret@ml-state/flights'}}")
    environment = project.environment()

    assert environment.state_uri == "s3://key:secret@ml-state/flights"
    assert environment.tracking == f"sqlite:///{project.root}/.modelyard/mlflow.db"
    asks: list[Callable[[], Path]] = [lambda: environment.state, environment.open_state]
    for ask in asks:
        with pytest.raises(StateNotLocal) as caught:
            ask()
        assert str(caught.value) == (
            "environments.prod.state: the state location s3://ml-state/flights is not a local folder, and this version "
            "keeps its journal in local folders only. "
            "Name a folder, such as .modelyard/, on a disk that outlives the work."
        )


def test_a_file_uri_is_a_local_state(write: Write) -> None:
    environment = _project(write, "name: x\nenvironments: {dev: {state: 'file:///srv/state'}}").environment()

    assert environment.state == Path("/srv/state")


def test_nothing_secret_is_printed(write: Write) -> None:
    environment = _project(write, TWO).environment("prod")

    assert repr(environment) == "<environment prod>"
