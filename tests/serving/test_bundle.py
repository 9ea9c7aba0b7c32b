import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from probe_models import fitted, save_model

from modelyard.data.digests import digest_of
from modelyard.graphs import Event, FlavorUnsupported, GraphSpec, ModelDigestWrong, StepSpec
from modelyard.serving import BundleInvalid, ModelNotBundled, ModelTooLarge
from modelyard.serving.bundle import (
    BundledModel,
    Manifest,
    open_bundle,
    open_bundle_async,
    read_manifest,
    write_manifest,
)

LOOP_BOUND = """
import asyncio

told = []


class Own:
    async def __aenter__(self):
        self.loop = asyncio.get_running_loop()
        told.append("opened")
        return self

    async def __aexit__(self, *error):
        told.append("closed on the same loop" if asyncio.get_running_loop() is self.loop else "closed elsewhere")

    async def do(self, body):
        return "the same loop" if asyncio.get_running_loop() is self.loop else "another loop"
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Path]:
    """A bundle whose project has its module under src/, and one model."""
    folder = tmp_path / "bundle"
    (folder / "project/src").mkdir(parents=True)
    (folder / "project/src/bundled_steps.py").write_text("def answer(said):\n    return {'late': said['label']}\n")
    save_model(folder / "models/delays", fitted())
    steps = (
        StepSpec("delays", "model", "models:/delays@champion"),
        StepSpec("answer", "call", "bundled_steps:answer", respond=True),
    )
    model = BundledModel("models:/delays/3", digest_of(folder / "models/delays"), "models/delays")
    roots = ("project", "project/src")
    write_manifest(folder, Manifest(GraphSpec("delays", steps), {"delays": model}, "abc", ("a==1",), "p", roots))
    before = list(sys.path)
    yield folder
    sys.path[:] = before
    sys.modules.pop("bundled_steps", None)


def test_a_bundle_is_all_that_a_graph_needs(bundle: Path) -> None:
    plan = open_bundle(bundle)
    assert plan.run(Event({"a": 2.0, "b": 0.0, "c": 0.0})) == {"late": True}
    assert plan.models["delays"].name == "models:/delays/3"


def test_what_steps_open_belongs_to_the_loop_that_serves(bundle: Path) -> None:
    """A client made on another loop could not be used on this one; and it is closed where it was opened."""
    (bundle / "project/src/bundled_steps.py").write_text(LOOP_BOUND)
    steps = (StepSpec("own", "call", "bundled_steps:Own", respond=True),)
    write_manifest(bundle, Manifest(GraphSpec("own", steps), {}, "abc", (), "p", ("project/src",)))

    async def scene() -> tuple[Any, list[str]]:
        plan = await open_bundle_async(bundle)
        reply = await plan.run_async(Event({}))
        await plan.close_async()
        return reply, sys.modules["bundled_steps"].told

    assert asyncio.run(scene()) == ("the same loop", ["opened", "closed on the same loop"])


def test_the_revision_is_a_hash_of_what_counts(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest.revision == read_manifest(bundle).revision
    same = msgspec.structs.replace(manifest, provenance={"commit": "other"})
    assert same.revision == manifest.revision
    changes: tuple[dict[str, Any], ...] = (
        {"content": "other"},
        {"requirements": ("a==2",)},
        {"models": {}},
        {"graph": GraphSpec("delays", ())},
        {"project": "other"},
    )
    others = {msgspec.structs.replace(manifest, **change).revision for change in changes}
    assert len(others | {manifest.revision}) == len(changes) + 1


def test_a_changed_model_is_not_loaded(bundle: Path) -> None:
    (bundle / "models/delays/extra").write_text("x")
    with pytest.raises(ModelDigestWrong, match="not the registered"):
        open_bundle(bundle)


def test_a_damaged_bundle_is_said(bundle: Path) -> None:
    (bundle / "revision.json").write_text('{"graph": 3}')
    with pytest.raises(BundleInvalid, match=r"revision\.json is damaged"):
        open_bundle(bundle)
    with pytest.raises(BundleInvalid, match=r"there is no revision\.json"):
        open_bundle(bundle / "project")


def test_a_model_of_another_flavour_goes_to_mlflow(bundle: Path) -> None:
    files = bundle / "models/delays"
    shutil.rmtree(files)
    files.mkdir()
    (files / "MLmodel").write_text("flavors: {xgboost: {}}")
    manifest = read_manifest(bundle)
    model = BundledModel("models:/delays/3", digest_of(files), "models/delays")
    write_manifest(bundle, msgspec.structs.replace(manifest, models={"delays": model}))
    with pytest.raises(FlavorUnsupported, match="it has: xgboost"):
        open_bundle(bundle)


def test_a_revision_never_changes_its_models(bundle: Path) -> None:
    with open_bundle(bundle) as plan:
        [server] = plan.models.values()
        assert server.reload() == "models:/delays/3"
        with pytest.raises(ModelNotBundled) as refused:
            server.reload("models:/delays/4")
    assert str(refused.value) == (
        "the revision holds no model 'models:/delays/4', and never changes: delays is models:/delays/3. "
        "Deploy the graph with the other version."
    )


def test_a_model_above_the_limit_is_not_loaded(bundle: Path) -> None:
    size = sum(each.stat().st_size for each in (bundle / "models/delays").rglob("*") if each.is_file())
    open_bundle(bundle, model_limit=size).close()
    with pytest.raises(ModelTooLarge) as refused:
        open_bundle(bundle, model_limit=size - 1)
    assert str(refused.value) == (
        f"deploy.limits.model: the files of models:/delays/3 have {size} bytes, more than the limit of {size - 1}. "
        "Raise the limit, or compress the model."
    )
