"""How the library reaches the pod: in the image, by pip, inside the pipeline, or because it is there already."""

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution, requires, version
from pathlib import Path
from typing import Any, Protocol

from modelyard.operators.kfp.errors import ImageNotPinned, SettingInvalid

__all__ = ["EMBEDDED_MARK", "Delivery", "Embedded", "Image", "Installed", "Pip"]

EMBEDDED_MARK = ".modelyard-embedded"
"""The file that marks a library which came inside a pipeline."""

_PYTHON = "python:3.11"
_PINNED = re.compile(r"^[^\s@]+@sha256:[0-9a-f]{64}$")
_REQUIREMENT = re.compile(r"^(?P<requirement>[^;]+?)\s*(?:;\s*(?P<marker>.*))?$")
_EXTRA = re.compile(r"""extra\s*==\s*['"](?P<extra>[\w-]+)['"]""")
_METADATA = ("METADATA", "entry_points.txt")


class Delivery(Protocol):
    """Says what `kfp.dsl.component` is told, so that a task's container has the library."""

    def options(self) -> Mapping[str, Any]:
        """Return keyword arguments of `kfp.dsl.component`."""
        ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class Image:
    """The library is in an image, together with kfp: the way for production.

    Parameters
    ----------
    reference
        The image, by its digest: a tag can mean another library tomorrow, and KFP's cache would not notice.

    Raises
    ------
    ImageNotPinned
        It is named by a tag.

    Examples
    --------
    >>> Image("registry.example.com/flights:v1")
    Traceback (most recent call last):
    modelyard.operators.kfp.errors.ImageNotPinned: image: the image must be named by its digest, got \
'registry.example.com/flights:v1'. Write NAME@sha256:…, as docker inspect or the registry shows it.
    """

    reference: str

    def __post_init__(self) -> None:
        """Check that the image is named by its digest."""
        if not _PINNED.match(self.reference):
            raise ImageNotPinned(self.reference)

    def options(self) -> Mapping[str, Any]:
        """Return keyword arguments of `kfp.dsl.component`."""
        return {"base_image": self.reference, "install_kfp_package": False}


@dataclass(frozen=True)
class Pip:
    """The library is installed when the pod starts, from an index.

    Parameters
    ----------
    extras
        The extras to install with it; ``ml`` is what training and batch prediction need.
    release
        The release; the running one if empty.
    requirements
        What to install besides, such as a project's own libraries.
    index_urls
        Package indexes; the client's own if empty.
    base_image
        The image to install into.
    """

    extras: tuple[str, ...] = ("ml",)
    release: str = ""
    requirements: tuple[str, ...] = ()
    index_urls: tuple[str, ...] = ()
    base_image: str = _PYTHON

    def __post_init__(self) -> None:
        """Refuse a requirement that would keep KFP from installing itself."""
        _check(self.requirements)

    def options(self) -> Mapping[str, Any]:
        """Return keyword arguments of `kfp.dsl.component`."""
        name = f"modelyard[{','.join(sorted(self.extras))}]" if self.extras else "modelyard"
        packages = [f"{name}=={self.release or version('modelyard')}", *self.requirements]
        options = {"base_image": self.base_image, "packages_to_install": packages}
        return {**options, "pip_index_urls": list(self.index_urls)} if self.index_urls else options


@dataclass(frozen=True)
class Embedded:
    """The library rides inside the pipeline, and what it needs comes from an index: for trying out a checkout.

    Each component carries its own copy, some hundred kilobytes, and two compilations differ: not for production.

    Parameters
    ----------
    extras
        The extras whose requirements are installed.
    requirements
        What to install besides.
    base_image
        The image to install into.
    install
        Whether to install anything at all; not if the image has what is needed.
    """

    extras: tuple[str, ...] = ("ml",)
    requirements: tuple[str, ...] = ()
    base_image: str = _PYTHON
    install: bool = True

    def __post_init__(self) -> None:
        """Refuse a requirement that would keep KFP from installing itself."""
        _check(self.requirements)

    def options(self) -> Mapping[str, Any]:
        """Return keyword arguments of `kfp.dsl.component`."""
        options: dict[str, Any] = {"base_image": self.base_image, "embedded_artifact_path": str(_staged())}
        if self.install:
            return {**options, "packages_to_install": [*_own_requirements(self.extras), *self.requirements]}
        return {**options, "install_kfp_package": False}


@dataclass(frozen=True)
class Installed:
    """The library is there already: for ``kfp.local`` in the environment that runs it.

    Parameters
    ----------
    base_image
        What the pipeline names as its image; the local runner ignores it.
    """

    base_image: str = _PYTHON

    def options(self) -> Mapping[str, Any]:
        """Return keyword arguments of `kfp.dsl.component`."""
        return {"base_image": self.base_image, "install_kfp_package": False}


def _check(requirements: tuple[str, ...]) -> None:
    for each in requirements:
        if each.strip().lower().startswith("kfp"):
            raise SettingInvalid("requirements", "a distribution whose name does not begin with kfp", each)


def _own_requirements(extras: tuple[str, ...]) -> list[str]:
    """Return what the running library requires, without what only other extras need."""
    found = []
    for text in requires("modelyard") or []:
        match = _REQUIREMENT.match(text)
        extra = _EXTRA.search(match["marker"] or "") if match else None
        if match and (extra is None or extra["extra"] in extras):
            found.append(match["requirement"])
    return sorted(dict.fromkeys(found))


@cache
def _staged() -> Path:
    """Return a folder with the sources of all portions of the library, and with what its distribution says of it."""
    import modelyard

    folder = Path(tempfile.mkdtemp(prefix="modelyard-embedded-"))
    (folder / EMBEDDED_MARK).touch()
    for portion in modelyard.__path__:
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(portion, folder / "modelyard", dirs_exist_ok=True, ignore=ignored)
    running = distribution("modelyard")
    metadata = folder / f"modelyard-{running.version}.dist-info"
    metadata.mkdir()
    for name in _METADATA:
        (metadata / name).write_text(running.read_text(name) or "", "utf-8")
    return folder
