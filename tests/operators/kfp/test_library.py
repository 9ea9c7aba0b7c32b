"""What KFP is told of a task: caching, retries, keys, pods, and how the library reaches it."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from act_component import act
from door_component import door
from google.protobuf import json_format
from kfp import dsl
from kfp.compiler import Compiler
from kfp.pipeline_spec import pipeline_spec_pb2

from modelyard.operators.kfp import (
    ComponentLibrary,
    Components,
    Embedded,
    Image,
    Installed,
    Pip,
    PodSettings,
    SecretKey,
    Toleration,
)
from modelyard.operators.kfp.api import KfpApi
from modelyard.operators.kfp.delivery import Delivery
from modelyard.operators.kfp.errors import ImageNotPinned, NotAComponent, SettingInvalid

DIGEST = f"registry.example.com/ml/flights@sha256:{'0' * 64}"
LIBRARY = ComponentLibrary(delivery=Installed(), project="/app")


def _compiled(body: Callable[[], Any], path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the pipeline and the platform part of what a pipeline function compiles to."""

    @dsl.pipeline(name="compiled")
    def compiled() -> None:
        body()

    Compiler().compile(compiled, str(path / "pipeline.yaml"))
    pipeline, *platform = yaml.safe_load_all((path / "pipeline.yaml").read_text())
    json_format.ParseDict(pipeline, pipeline_spec_pb2.PipelineSpec())
    return pipeline, platform[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if platform else {}


def _constants(pipeline: dict[str, Any], task: str) -> dict[str, Any]:
    inputs = pipeline["root"]["dag"]["tasks"][task]["inputs"]["parameters"]
    return {name: each["runtimeValue"]["constant"] for name, each in inputs.items() if "runtimeValue" in each}


def test_work_with_side_effects_is_never_taken_from_the_cache_and_has_a_key(tmp_path: Path) -> None:
    pipeline, _ = _compiled(lambda: LIBRARY.start(act, {"folder": "f"}), tmp_path)
    task = pipeline["root"]["dag"]["tasks"]["act"]
    constants = _constants(pipeline, "act")

    assert "cachingOptions" not in task or task["cachingOptions"] == {}
    assert constants["key"] == "kfp/{{$.pipeline_job_uuid}}/{{$.pipeline_task_name}}"
    assert (constants["workflow_run"], constants["step"]) == ("{{$.pipeline_job_uuid}}", "{{$.pipeline_task_name}}")
    assert constants["library"] == version("modelyard")


def test_work_without_side_effects_may_be_cached_by_the_version_and_nothing_of_the_run(tmp_path: Path) -> None:
    pipeline, _ = _compiled(lambda: LIBRARY.start(door, {"text": "t"}), tmp_path)
    constants = _constants(pipeline, "door")

    assert pipeline["root"]["dag"]["tasks"]["door"]["cachingOptions"] == {"enableCache": True}
    assert constants["library"] == version("modelyard")
    assert not {"key", "workflow_run", "step"} & set(constants)
    assert "{{$" not in str(constants)


def test_caching_can_be_switched_off_but_not_on_where_there_are_side_effects(tmp_path: Path) -> None:
    pipeline, _ = _compiled(lambda: LIBRARY(cache=False).start(door, {"text": "t"}), tmp_path)

    assert not pipeline["root"]["dag"]["tasks"]["door"].get("cachingOptions")
    with pytest.raises(SettingInvalid, match="cache: must be left out where an operation has side effects, as act has"):
        _compiled(lambda: LIBRARY(cache=True).start(act, {"folder": "f"}), tmp_path)


def test_in_a_loop_every_item_has_a_key_of_its_own(tmp_path: Path) -> None:
    def body() -> None:
        with dsl.ParallelFor([1, 2]) as item:
            LIBRARY.start(act, {"folder": "f", "rows": item})
            LIBRARY(index=item).start(act, {"folder": "f"})

    pipeline, _ = _compiled(body, tmp_path)
    tasks = pipeline["components"]["comp-for-loop-2"]["dag"]["tasks"]
    keys = [tasks[name]["inputs"]["parameters"]["key"]["runtimeValue"]["constant"] for name in ("act", "act-2")]

    stem = "kfp/{{$.pipeline_job_uuid}}/{{$.pipeline_task_name}}"
    assert keys[0] == f"{stem}[{{{{$.pipeline_task_uuid}}}}]"
    assert keys[1].startswith(f"{stem}[{{{{$.inputs.parameters['pipelinechannel--loop-item-param-1")


def test_retries_title_and_order_are_told(tmp_path: Path) -> None:
    def body() -> None:
        first = LIBRARY.start(act, {"folder": "f"})
        LIBRARY(title="The second", after=[first], retries=3, backoff=20).start(act, {"folder": "f"})

    task = _compiled(body, tmp_path)[0]["root"]["dag"]["tasks"]["act-2"]

    assert task["taskInfo"]["name"] == "The second"
    assert task["dependentTasks"] == ["act"]
    assert task["retryPolicy"] == {
        "maxRetryCount": 3,
        "backoffDuration": "20s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "3600s",
    }


def test_what_kubernetes_is_told_of_a_pod(tmp_path: Path) -> None:
    pod = PodSettings(
        cpu="2",
        memory="4Gi",
        accelerator="nvidia.com/gpu",
        accelerators=1,
        node_selector={"pool": "gpu"},
        tolerations=(Toleration(key="gpu", operator="Exists"),),
        secrets={"MLFLOW_TRACKING_TOKEN": SecretKey("mlflow", "token")},
        variables={"OMP_NUM_THREADS": "1"},
        volumes={"/state": "ml-state"},
        image_pull_secrets=("registry",),
        labels={"team": "ml"},
        annotations={"note": "x"},
        timeout=600,
    )
    pipeline, platform = _compiled(lambda: LIBRARY(pod=pod).start(act, {"folder": "f"}), tmp_path)
    ((label, executor),) = pipeline["deploymentSpec"]["executors"].items()
    container, told = executor["container"], platform[label]

    assert container["resources"]["resourceCpuLimit"] == container["resources"]["resourceCpuRequest"] == "2"
    assert container["resources"]["resourceMemoryLimit"] == "4Gi"
    accelerator = container["resources"]["accelerator"]
    assert (accelerator["resourceCount"], accelerator["resourceType"]) == ("1", "nvidia.com/gpu")
    assert container["env"] == [{"name": "OMP_NUM_THREADS", "value": "1"}]
    assert told["nodeSelector"] == {"labels": {"pool": "gpu"}}
    assert told["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert told["pvcMount"][0]["mountPath"] == "/state"
    assert told["pvcMount"][0]["constant"] == "ml-state"
    assert told["secretAsEnv"][0]["keyToEnv"] == [{"envVar": "MLFLOW_TRACKING_TOKEN", "secretKey": "token"}]
    assert told["imagePullSecret"][0]["secretName"] == "registry"
    assert told["podMetadata"] == {"labels": {"team": "ml"}, "annotations": {"note": "x"}}
    assert told["activeDeadlineSeconds"] == "600"


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"accelerators": 1}, "accelerators: must be given together with accelerator, got 1."),
        ({"volumes": {"state": "claim"}}, "volumes: must be an absolute path below /, got 'state'."),
        ({"timeout": -1}, "timeout: must be a whole number, 0 or more seconds, got -1."),
        (
            {"secrets": {"A": "mlflow/token"}},
            "secrets: must be a mapping of texts to SecretKey(\"SECRET\", \"KEY\"), got {'A': 'mlflow/token'}.",
        ),
        (
            {"variables": {"A": "1"}, "secrets": {"A": SecretKey("s", "k")}},
            "variables: must be other variables than those of secrets, got 'A'.",
        ),
        ({"cpu": "two"}, "cpu: must be a quantity of Kubernetes as text, such as 2, 0.5 or 500m, got 'two'."),
        ({"cpu": 2}, "cpu: must be a quantity of Kubernetes as text, such as 2, 0.5 or 500m, got 2."),
        ({"memory": "4GB"}, "memory: must be a quantity of Kubernetes as text, such as 4Gi or 512Mi, got '4GB'."),
        ({"accelerators": True}, "accelerators: must be a whole number, 0 or more, got True."),
        ({"node_selector": None}, "node_selector: must be a mapping to texts, got None."),
        ({"labels": {"team": 1}}, "labels: must be a mapping of texts to texts, got {'team': 1}."),
        ({"tolerations": ("x",)}, "tolerations: must be a tuple of Toleration(…), got ('x',)."),
        ({"image_pull_secrets": "abc"}, "image_pull_secrets: must be a tuple of secrets' names, got 'abc'."),
        ({"timeout": "3"}, "timeout: must be a whole number, 0 or more seconds, got '3'."),
    ],
)
def test_what_kubernetes_would_refuse_is_refused_at_once(settings: dict[str, Any], rule: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        PodSettings(**settings)

    assert str(caught.value) == rule


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: SecretKey("", "KEY"), "secret: must be the name of a Kubernetes secret and of a key in it, got ''."),
        (lambda: SecretKey("s", 3), "key: must be the name of a Kubernetes secret and of a key in it, got 3."),  # type: ignore[arg-type]
        (
            lambda: Toleration(key="a", effect="NoSched"),  # type: ignore[arg-type]
            "effect: must be one of NoExecute, NoSchedule, PreferNoSchedule, got 'NoSched'.",
        ),
        (
            lambda: Toleration(key=""),
            "key: must be the key of a taint, and empty only with the operator Exists, got ''.",
        ),
        (
            lambda: Toleration(key="a", operator="Exists", value="b"),
            "value: must be text, and empty with the operator Exists, got 'b'.",
        ),
    ],
)
def test_secrets_and_tolerations_that_cannot_be_are_refused_at_once(make: Callable[[], object], rule: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        make()
    assert str(caught.value) == rule
    Toleration(key="", operator="Exists")


def test_tasks_that_differ_in_their_content_have_components_of_different_names(tmp_path: Path) -> None:
    # Of one name, KFP numbers them, and gives some the wrong source when their pipeline is put into another.
    @dsl.pipeline(name="inner")
    def inner(word: str) -> None:
        with dsl.ParallelFor(["a"]) as item:
            LIBRARY(pod=PodSettings(cpu="2")).start(act, {"folder": "f"})
            LIBRARY.start(door, {"text": "t", "names": [item, word]})
            LIBRARY.start(door, {"text": "t", "settings": {"word": word}})

    def body() -> None:
        LIBRARY.start(act, {"folder": "f"})
        LIBRARY.start(door, {"text": "t"})
        inner(word="w")

    pipeline, _ = _compiled(body, tmp_path)
    labels = {
        component["executorLabel"]: sorted(component["inputDefinitions"]["parameters"])
        for component in pipeline["components"].values()
        if "executorLabel" in component
    }

    assert len(labels) == len(pipeline["deploymentSpec"]["executors"]) == 5
    for label, names in labels.items():
        source = pipeline["deploymentSpec"]["executors"][label]["container"]["command"][-1]
        assert [name for name in names if f"{name}: " not in source] == []
    assert [label for label in labels if label.endswith(("-2", "-3"))] == []


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"title": 3}, "title: must be text, got 3."),
        ({"after": 3}, "after: must be a list of tasks, got 3."),
        ({"after": ["train"]}, "after: must be a list of tasks, got ['train']."),
        ({"retries": "2"}, "retries: must be 0 or more, got '2'."),
        ({"retries": True}, "retries: must be 0 or more, got True."),
        ({"backoff": 0.5}, "backoff: must be 0 or more whole seconds, got 0.5."),
        ({"cache": "no"}, "cache: must be true or false, got 'no'."),
        ({"pod": None}, "pod: must be PodSettings(…), got None."),
        ({"key": 3}, "key: must be text, or an output of a task, got 3."),
        ({"index": "a"}, "index: must be a whole number, or the item of a loop, got 'a'."),
    ],
)
def test_settings_that_cannot_be_are_refused_where_they_are_written(settings: dict[str, Any], rule: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        LIBRARY(**settings)
    assert str(caught.value) == rule


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (
            lambda: ComponentLibrary(delivery=Installed, project="/app"),  # type: ignore[arg-type]
            "delivery: must be one of Image(…), Pip(…), Embedded(…), Installed(), got <class",
        ),
        (
            lambda: ComponentLibrary(delivery=Installed(), project=3),  # type: ignore[arg-type]
            "project: must be git+URL@commit#subfolder, or a path in the image, as text, got 3.",
        ),
        (
            lambda: ComponentLibrary(delivery=Installed(), project="/app", pod=3),  # type: ignore[arg-type]
            "pod: must be PodSettings(…), got 3.",
        ),
        (lambda: Pip(requirements=None), "requirements: must be several texts"),  # type: ignore[arg-type]
        (lambda: Pip(index_urls="https://pypi.example.com"), "index_urls: must be several texts"),  # type: ignore[arg-type]
        (lambda: Pip(base_image=""), "base_image: must be text that is not empty, got ''."),
        (lambda: Embedded(install="no"), "install: must be true or false, got 'no'."),  # type: ignore[arg-type]
        (lambda: KfpApi(endpoint=3), "endpoint: must be an address as text, got 3."),  # type: ignore[arg-type]
    ],
)
def test_what_the_library_is_told_once_is_checked_at_once(make: Callable[[], object], rule: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        make()
    assert str(caught.value).startswith(rule)


def test_an_unknown_setting_is_named_with_the_nearest() -> None:
    with pytest.raises(SettingInvalid, match=r"got 'titel'\. Did you mean title\?"):
        LIBRARY(titel="x")  # type: ignore[call-arg]


def test_a_function_that_is_no_component_is_refused() -> None:
    with pytest.raises(NotAComponent, match="len is not the component of an operation"):
        LIBRARY.start(len, {})


def _container(delivery: Delivery, path: Path) -> tuple[str, str]:
    library = Components(delivery=delivery, project="/app")
    pipeline, _ = _compiled(lambda: library.undeploy(endpoint="e"), path)
    container = pipeline["deploymentSpec"]["executors"]["exec-undeploy"]["container"]
    return container["image"], " ".join(container["command"])


def test_an_image_has_everything(tmp_path: Path) -> None:
    image, command = _container(Image(DIGEST), tmp_path)

    assert image == DIGEST
    assert "pip install" not in command


@pytest.mark.parametrize("name", ["flights", "flights:v1", "flights@sha256:abc", f"a b@sha256:{'0' * 64}"])
def test_an_image_without_its_digest_is_refused(name: str) -> None:
    with pytest.raises(ImageNotPinned):
        Image(name)


def test_pip_installs_this_release_and_kfp(tmp_path: Path) -> None:
    image, command = _container(Pip(requirements=("lightgbm>=4",), index_urls=("https://pypi.example.com",)), tmp_path)

    assert image == "python:3.11"
    assert f"'modelyard[ml]=={version('modelyard')}'" in command
    assert "'lightgbm>=4'" in command
    assert "--index-url https://pypi.example.com" in command
    assert "'kfp==" in command


def test_a_requirement_that_would_keep_kfp_away_is_refused() -> None:
    with pytest.raises(SettingInvalid, match="a distribution whose name does not begin with kfp, got 'kfp-extras'"):
        Pip(requirements=("kfp-extras",))


def test_a_library_without_delivery_or_project_and_extras_that_are_one_text_are_refused() -> None:
    nothing: Any = None
    with pytest.raises(SettingInvalid, match=r"delivery: must be one of Image\(…\), .*, got None\."):
        Components(delivery=nothing, project="/app")
    with pytest.raises(SettingInvalid, match=r"project: must be git\+URL@commit#subfolder, .*, got ''\."):
        Components(delivery=Installed(), project="")
    text: Any = "ml"
    for delivery in (Pip, Embedded):
        with pytest.raises(SettingInvalid, match=r"extras: must be several texts, such as \(\"ml\",\), got 'ml'\."):
            delivery(extras=text)
    with pytest.raises(ImageNotPinned, match="must be named by its digest, got None"):
        Image(nothing)


def test_an_embedded_library_brings_its_sources_and_installs_what_it_needs(tmp_path: Path) -> None:
    image, command = _container(Embedded(), tmp_path)

    assert image == "python:3.11"
    assert "msgspec>=" in command
    assert "mlflow>=" in command
    assert "apache-airflow" not in command
    assert "'modelyard" not in command
    assert len(command) > 500_000


def test_no_argument_of_an_embedded_library_is_longer_than_linux_takes() -> None:
    assert max(len(each) for each in Embedded().prefix()) < 128 * 1024


def test_compiling_is_deterministic(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        _compiled(lambda: Components(delivery=Image(DIGEST), project="/app").call(function="f"), tmp_path / name)
        found.append((tmp_path / name / "pipeline.yaml").read_bytes())

    assert found[0] == found[1]
