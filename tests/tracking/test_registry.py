import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from modelyard.data.digests import digest_of
from modelyard.graphs.errors import ModelDigestWrong, ModelNotTrusted
from modelyard.projects import Environment
from modelyard.tracking import (
    AliasMoved,
    AliasNotFound,
    LoggedModelInfo,
    ModelNameInvalid,
    ModelNotFound,
    ModelVersionNotFound,
    Tracking,
    open_tracking,
)


@pytest.fixture
def plain(environment: Environment, tracking: Tracking) -> MlflowClient:
    return MlflowClient(environment.tracking)


# --- versions ---------------------------------------------------------------------------------------------------------


def test_a_registered_version_says_where_it_comes_from(
    tracking: Tracking, plain: MlflowClient, stored: LoggedModelInfo
) -> None:
    registered = tracking.register(stored.uri, "delays", tags={"team": "ops"}, description="first")
    version = plain.get_model_version("delays", "1")
    assert (version.run_id, version.description, version.status) == (stored.run_id, "first", "READY")
    assert version.tags == {"team": "ops", "modelyard.digest": stored.digest, "modelyard.model_id": stored.model_id}
    assert registered.uri == "models:/delays/1"
    assert (registered.version, registered.run_id, registered.model_id) == (1, stored.run_id, stored.model_id)
    assert (registered.digest, registered.trusted, registered.created > 0) == (stored.digest, True, True)
    assert plain.get_logged_model(stored.model_id).tags["mlflow.modelVersions"] == '[{"name": "delays", "version": 1}]'


def test_registering_again_gives_the_same_version(
    tracking: Tracking, plain: MlflowClient, stored: LoggedModelInfo, estimator: Any
) -> None:
    forms = [stored.uri, f"runs:/{stored.run_id}/model", "models:/delays/1"]
    found = [tracking.register_once(form, "delays") for form in forms]
    assert [(model.uri, created) for model, created in found] == [
        ("models:/delays/1", True),
        ("models:/delays/1", False),
        ("models:/delays/1", False),
    ]
    assert tracking.register(stored.uri, "other").uri == "models:/other/1"
    with tracking.start_run("train") as run:
        another = run.log_model(estimator)
    assert tracking.register(another.uri, "delays").uri == "models:/delays/2"
    assert sorted(int(each.version) for each in plain.search_model_versions("name = 'delays'")) == [1, 2]


def test_a_model_that_changed_since_it_was_stored_is_not_registered(
    tracking: Tracking, plain: MlflowClient, stored: LoggedModelInfo
) -> None:
    tamper(plain, stored)
    with pytest.raises(ModelDigestWrong):
        tracking.register(stored.uri, "delays")
    assert plain.search_registered_models() == []


def test_a_model_that_mlflow_logged_itself_can_be_registered(
    tracking: Tracking, plain: MlflowClient, environment: Environment, estimator: Any, matrix: Any
) -> None:
    with tracking.start_run("foreign") as run:
        mlflow.sklearn.log_model(estimator, name="theirs", serialization_format="pickle", pip_requirements=["numpy"])
    found = tracking.resolve(f"runs:/{run.run_id}/theirs")
    assert (found.digest, found.trusted) == ("", False)
    registered = tracking.register(found.uri, "delays")
    assert registered.digest == digest_of(Path(found.location))
    assert tracking.load_model(registered).predict(matrix).labels.tolist() == estimator.predict(matrix).tolist()


def test_a_name_that_no_reference_could_carry_is_refused(
    tracking: Tracking, plain: MlflowClient, stored: LoggedModelInfo
) -> None:
    with pytest.raises(ModelNameInvalid):
        tracking.register(stored.uri, "a/b")
    assert plain.search_registered_models() == []


@pytest.mark.parametrize("name", ["it's", 'a "b"', "late flights", "délais"])
def test_odd_names_work(tracking: Tracking, stored: LoggedModelInfo, name: str) -> None:
    assert tracking.register_once(stored.uri, name)[1]
    assert not tracking.register_once(stored.uri, name)[1]
    assert tracking.resolve(f"models:/{name}/1").name == name
    assert [each.version for each in tracking.versions(name)] == [1]


# --- references -------------------------------------------------------------------------------------------------------


def test_every_form_leads_to_the_same_files(tracking: Tracking, plain: MlflowClient, stored: LoggedModelInfo) -> None:
    tracking.register(stored.uri, "delays")
    plain.set_registered_model_alias("delays", "champion", "1")
    forms = ["models:/delays@champion", "models:/delays/1", stored.uri, f"runs:/{stored.run_id}/model"]
    found = [tracking.resolve(form) for form in forms]
    assert [each.uri for each in found] == ["models:/delays/1", "models:/delays/1", stored.uri, stored.uri]
    assert [each.alias for each in found] == ["champion", "", "", ""]
    assert {(each.digest, each.model_id, each.location, each.trusted) for each in found} == {
        (stored.digest, stored.model_id, plain.get_logged_model(stored.model_id).artifact_location, True)
    }


def test_a_model_that_is_not_registered_is_not_trusted(tracking: Tracking, stored: LoggedModelInfo) -> None:
    found = tracking.resolve(stored.uri)
    assert (found.digest, found.trusted, found.version) == (stored.digest, False, None)


@pytest.mark.parametrize(
    ("reference", "error", "said"),
    [
        ("models:/delay/1", ModelNotFound, "there is no registered model 'delay'. Did you mean delays?"),
        ("models:/delay@champion", ModelNotFound, "Did you mean delays?"),
        ("models:/delays@champoin", AliasNotFound, "has no alias 'champoin'. Did you mean champion?"),
        ("models:/delays/7", ModelVersionNotFound, "has no version 7. Newest versions: 1."),
        (f"models:/m-{'0' * 32}", ModelNotFound, "there is no logged model m-0000"),
        ("runs:/0123456789abcdef0123456789abcdef/model", ModelNotFound, "there is no run 0123"),
    ],
)
def test_what_is_not_there_suggests_what_is(
    tracking: Tracking, plain: MlflowClient, stored: LoggedModelInfo, reference: str, error: type, said: str
) -> None:
    tracking.register(stored.uri, "delays")
    plain.set_registered_model_alias("delays", "champion", "1")
    with pytest.raises(error) as raised:
        tracking.resolve(reference)
    assert said in str(raised.value)
    assert str(raised.value).startswith(f"{reference}: ")
    assert "\n" not in str(raised.value)


def test_a_run_without_that_model_names_those_it_has(tracking: Tracking, stored: LoggedModelInfo) -> None:
    with pytest.raises(ModelNotFound, match=r"has no model 'modl'. Did you mean model\?"):
        tracking.resolve(f"runs:/{stored.run_id}/modl")


def test_a_model_without_an_alias_says_so(tracking: Tracking, stored: LoggedModelInfo) -> None:
    tracking.register(stored.uri, "delays")
    with pytest.raises(AliasNotFound, match="It has none yet"):
        tracking.resolve("models:/delays@champion")


# --- aliases ----------------------------------------------------------------------------------------------------------


def test_an_alias_moves_only_from_where_it_is_expected(
    tracking: Tracking, plain: MlflowClient, stored: LoggedModelInfo, estimator: Any
) -> None:
    tracking.register(stored.uri, "delays")
    with tracking.start_run("train") as run:
        tracking.register(run.log_model(estimator).uri, "delays")
    tracking.set_alias("delays", "champion", 1, expected=None)
    tracking.set_alias("delays", "champion", 2, expected=1)
    tracking.set_alias("delays", "champion", 2, expected=1)
    with pytest.raises(AliasMoved, match="'champion' is at version 2, not at version 1 as expected"):
        tracking.set_alias("delays", "champion", 1, expected=1)
    with pytest.raises(AliasMoved, match="is at version 2, not not set as expected"):
        tracking.set_alias("delays", "champion", 1, expected=None)
    assert int(plain.get_model_version_by_alias("delays", "champion").version) == 2


# --- listings ---------------------------------------------------------------------------------------------------------


def test_models_and_versions_are_listed(tracking: Tracking, stored: LoggedModelInfo, estimator: Any) -> None:
    tracking.register(stored.uri, "delays")
    with tracking.start_run("train") as run:
        run.log_metrics({"auc": 0.8})
        tracking.register(run.log_model(estimator).uri, "delays", description="better")
    tracking.register(stored.uri, "cancelled")
    tracking.set_alias("delays", "champion", 2, expected=None)
    tracking.set_alias("delays", "best", 2, expected=None)
    models = tracking.models()
    assert [(each.name, each.versions, each.aliases) for each in models] == [
        ("cancelled", 1, {}),
        ("delays", 2, {"best": 2, "champion": 2}),
    ]
    newest, oldest = tracking.versions("delays")
    assert (newest.uri, newest.aliases, newest.metrics) == ("models:/delays/2", ("best", "champion"), {"auc": 0.8})
    assert (oldest.uri, oldest.aliases, oldest.metrics) == ("models:/delays/1", (), {"auc": 0.75})
    assert (newest.description, newest.run_id, oldest.digest) == ("better", run.run_id, stored.digest)
    assert newest.created >= oldest.created > 0
    with pytest.raises(ModelNotFound, match=r"Did you mean delays\?"):
        tracking.versions("delay")


# --- files and trust --------------------------------------------------------------------------------------------------


def tamper(client: MlflowClient, stored: LoggedModelInfo) -> None:
    """Change one byte of the stored model."""
    file = Path(client.get_logged_model(stored.model_id).artifact_location, "model.pkl")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_exactly_the_stored_files_are_fetched(
    tracking: Tracking, plain: MlflowClient, stored: LoggedModelInfo, tmp_path: Path
) -> None:
    registered = tracking.register(stored.uri, "delays")
    folder = tracking.fetch_model(registered, tmp_path / "deep/model")
    assert digest_of(folder) == stored.digest
    assert (folder / "MLmodel").is_file()
    assert [each.name for each in folder.parent.iterdir()] == ["model"]
    before = (folder / "MLmodel").stat().st_ino
    assert tracking.fetch_model(registered, folder) == folder
    assert (folder / "MLmodel").stat().st_ino == before
    (folder / "MLmodel").write_text("broken")
    assert digest_of(tracking.fetch_model(registered, folder)) == stored.digest


def test_a_changed_byte_is_noticed_and_leaves_nothing(
    tracking: Tracking, plain: MlflowClient, stored: LoggedModelInfo, tmp_path: Path
) -> None:
    registered = tracking.register(stored.uri, "delays")
    tamper(plain, stored)
    with pytest.raises(ModelDigestWrong) as raised:
        tracking.fetch_model(registered, tmp_path / "model")
    assert raised.value.facts["expected"] == stored.digest
    assert raised.value.facts["found"] not in ("", stored.digest)
    assert raised.value.kind == "denied"
    assert not [each for each in tmp_path.iterdir() if "model" in each.name]
    with pytest.raises(ModelNotTrusted):
        tracking.load_model(registered)


def test_an_explicit_yes_loads_what_nobody_vouches_for(
    tracking: Tracking, plain: MlflowClient, stored: LoggedModelInfo, matrix: Any, estimator: Any
) -> None:
    with pytest.raises(ModelNotTrusted, match="no digest of it is registered"):
        tracking.load_model(tracking.resolve(stored.uri))
    loaded = tracking.load_model(tracking.resolve(stored.uri), trust=True)
    assert loaded.predict(matrix).labels.tolist() == estimator.predict(matrix).tolist()


def test_a_registered_model_is_trusted_by_whatever_reference(
    tracking: Tracking, stored: LoggedModelInfo, matrix: Any, estimator: Any
) -> None:
    tracking.register(stored.uri, "delays")
    for reference in (stored.uri, f"runs:/{stored.run_id}/model", "models:/delays/1"):
        loaded = tracking.load_model(tracking.resolve(reference))
        assert loaded.digest == stored.digest
        assert loaded.classes == ("late", "on time")
        assert loaded.predict(matrix).labels.tolist() == estimator.predict(matrix).tolist()


def test_another_environment_vouches_for_nothing_here(
    tracking: Tracking, stored: LoggedModelInfo, tmp_path: Path, new_environment: Callable[[Path], Environment]
) -> None:
    tracking.register(stored.uri, "delays")
    other = open_tracking(new_environment(tmp_path / "other"), "flights")
    foreign = tracking.resolve("models:/delays/1")
    with pytest.raises(ModelNotTrusted):
        other.load_model(foreign)
    assert other.load_model(foreign, trust=True).digest == stored.digest


def test_a_version_that_mlflow_registered_itself_is_trusted_once_it_is_registered_again(
    tracking: Tracking, plain: MlflowClient, stored: LoggedModelInfo
) -> None:
    plain.create_registered_model("theirs")
    source = plain.get_logged_model(stored.model_id).artifact_location
    plain.create_model_version("theirs", source, stored.run_id)
    found = tracking.resolve("models:/theirs/1")
    assert (found.digest, found.trusted, found.model_id) == ("", False, stored.model_id)
    with pytest.raises(ModelNotTrusted):
        tracking.load_model(found)
    vouched, created = tracking.register_once("models:/theirs/1", "theirs")
    assert (vouched.uri, created, vouched.digest) == ("models:/theirs/2", True, stored.digest)
    assert tracking.load_model(vouched).digest == stored.digest


def test_files_that_are_gone_are_said_to_be(
    tracking: Tracking, plain: MlflowClient, stored: LoggedModelInfo, tmp_path: Path
) -> None:
    registered = tracking.register(stored.uri, "delays")
    shutil.rmtree(plain.get_logged_model(stored.model_id).artifact_location)
    with pytest.raises(ModelNotFound, match="the files of models:/delays/1 are gone from"):
        tracking.fetch_model(registered, tmp_path / "model")
    assert not (tmp_path / "model").exists()
