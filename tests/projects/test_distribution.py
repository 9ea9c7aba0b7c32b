"""How to install elsewhere the modelyard that runs here."""

import json
from collections.abc import Callable
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from modelyard.projects.distribution import editable_root, own_requirement, split_requirements

Installed = Callable[[object], PathDistribution]


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    def install(place: object) -> PathDistribution:
        folder = tmp_path / "modelyard-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: modelyard\nVersion: 1.2\n")
        if place is not None:
            (folder / "direct_url.json").write_text(json.dumps(place))
        return PathDistribution(folder)

    return install


def test_from_an_index_it_is_the_version(installed: Installed) -> None:
    running = installed(None)

    assert own_requirement([], running) == ["modelyard==1.2"]
    assert own_requirement(["ml", "features", "ml"], running) == ["modelyard[features,ml]==1.2"]
    assert editable_root(running) is None


def test_from_a_checkout_it_is_the_checkout(installed: Installed) -> None:
    running = installed({"url": "file:///srv/my%20yard", "dir_info": {"editable": True}})

    assert own_requirement(["ml"], running) == ["--editable", "/srv/my yard[ml]"]
    assert editable_root(running) == Path("/srv/my yard")


def test_from_a_file_it_is_the_file_while_it_is_there(installed: Installed, tmp_path: Path) -> None:
    wheel = tmp_path / "modelyard-1.2-py3-none-any.whl"
    running = installed({"url": wheel.as_uri(), "archive_info": {}})

    assert own_requirement([], running) == ["modelyard==1.2"]
    wheel.write_bytes(b"")
    assert own_requirement(["ml"], running) == [f"modelyard[ml] @ {wheel.as_uri()}"]


def test_from_git_it_is_the_commit(installed: Installed) -> None:
    running = installed({"url": "https://example.com/m.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}})

    assert own_requirement([], running) == ["modelyard @ git+https://example.com/m.git@abc"]


def test_what_runs_here_can_be_named() -> None:
    assert own_requirement()[-1]


@pytest.mark.parametrize(
    ("given", "others", "extras"),
    [
        (["pandas", "modelyard"], ["pandas"], []),
        (["modelyard[ml, features]>=0.1", "x==1"], ["x==1"], ["ml", "features"]),
        (["Modelyard[ml]"], [], ["ml"]),
        (["modelyard-extras", "modelyardx"], ["modelyard-extras", "modelyardx"], []),
    ],
)
def test_what_asks_for_modelyard_itself_gives_its_extras(
    given: list[str], others: list[str], extras: list[str]
) -> None:
    assert split_requirements(given) == (others, extras)
