"""How the library reaches the pod: in the image, by pip, inside the pipeline, or because it is there already."""

import base64
import gzip
import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution, requires, version
from pathlib import Path
from typing import Any, Protocol

from modelyard.operators.kfp.errors import ImageNotPinned, SettingInvalid
from modelyard.operators.kfp.setting_rules import check_items, check_kind, check_text

__all__ = ["Delivery", "Embedded", "Image", "Installed", "Pip"]

_PYTHON = "python:3.11"
_PINNED = re.compile(r"^[^\s@]+@sha256:[0-9a-f]{64}$")
_REQUIREMENT = re.compile(r"^(?P<requirement>[^;]+?)\s*(?:;\s*(?P<marker>.*))?$")
_EXTRA = re.compile(r"""extra\s*==\s*['"](?P<extra>[\w-]+)['"]""")
_METADATA = ("METADATA", "entry_points.txt")

_PIECE = 98_304
"""Characters of one argument; Linux takes 131 072 at most. A multiple of 4, so that each piece is base64 by itself."""

_UNPACK = """
folder=$(mktemp -d)
while [ "$1" != "--" ]; do printf %s "$1" | base64 -d >> "$folder/library.tar.gz"; shift; done
shift
tar -xzf "$folder/library.tar.gz" -C "$folder"
export PYTHONPATH="$folder${PYTHONPATH:+:$PYTHONPATH}"
exec "$@"
"""


class Delivery(Protocol):
    """Says what `kfp.dsl.component` is told, so that a task's container has the library."""

    def options(self) -> Mapping[str, Any]:
        """Return keyword arguments of `kfp.dsl.component`."""
        ...

    def prefix(self) -> Sequence[str]:
        """Return what stands before the container's command."""
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
        if not (isinstance(self.reference, str) and _PINNED.match(self.reference)):
            raise ImageNotPinned(self.reference)

    def options(self) -> Mapping[str, Any]:
        """Return keyword arguments of `kfp.dsl.component`."""
        return {"base_image": self.reference, "install_kfp_package": False}

    def prefix(self) -> Sequence[str]:
        """Return nothing: the container's command stays as it is."""
        return ()


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
        """Refuse a text in the place of several, and a requirement that would keep KFP from installing itself."""
        _check(extras=self.extras, requirements=self.requirements, index_urls=self.index_urls)
        check_kind("release", self.release, str, "text, such as 1.0")
        check_text("base_image", self.base_image)

    def options(self) -> Mapping[str, Any]:
        """Return keyword arguments of `kfp.dsl.component`."""
        name = f"modelyard[{','.join(sorted(self.extras))}]" if self.extras else "modelyard"
        packages = [f"{name}=={self.release or version('modelyard')}", *self.requirements]
        options = {"base_image": self.base_image, "packages_to_install": packages}
        return {**options, "pip_index_urls": list(self.index_urls)} if self.index_urls else options

    def prefix(self) -> Sequence[str]:
        """Return nothing: the container's command stays as it is."""
        return ()


@dataclass(frozen=True)
class Embedded:
    """The library rides inside the pipeline, and what it needs comes from an index: for trying out a checkout.

    Each component carries its own copy, three quarters of a megabyte, and a cluster takes one and a half for a run: for
    pipelines of one or two kinds of task.

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
        """Refuse a text in the place of several, and a requirement that would keep KFP from installing itself."""
        _check(extras=self.extras, requirements=self.requirements)
        check_text("base_image", self.base_image)
        check_kind("install", self.install, bool, "true or false")

    def options(self) -> Mapping[str, Any]:
        """Return keyword arguments of `kfp.dsl.component`."""
        if not self.install:
            return {"base_image": self.base_image, "install_kfp_package": False}
        packages = [*_own_requirements(self.extras), *self.requirements]
        return {"base_image": self.base_image, "packages_to_install": packages}

    def prefix(self) -> Sequence[str]:
        """Return the command that unpacks the library and then goes on with the container's own."""
        return ("sh", "-ec", _UNPACK, "sh", *_packed(), "--")


@dataclass(frozen=True)
class Installed:
    """The library is there already: for ``kfp.local`` in the environment that runs it.

    Parameters
    ----------
    base_image
        What the pipeline names as its image; the local runner ignores it.
    """

    base_image: str = _PYTHON

    def __post_init__(self) -> None:
        """Refuse what is no name of an image."""
        check_text("base_image", self.base_image)

    def options(self) -> Mapping[str, Any]:
        """Return keyword arguments of `kfp.dsl.component`."""
        return {"base_image": self.base_image, "install_kfp_package": False}

    def prefix(self) -> Sequence[str]:
        """Return nothing: the container's command stays as it is."""
        return ()


def _check(*, requirements: Sequence[str], **others: Sequence[str]) -> None:
    for name, given in {"requirements": requirements, **others}.items():
        check_items(name, given, str, 'several texts, such as ("ml",)')
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
def _packed() -> tuple[str, ...]:
    """Return the library as an archive in pieces of text: the same every time, as long as the library is the same."""
    import modelyard

    portions = [Path(each) for each in modelyard.__path__]
    files = {
        f"modelyard/{file.relative_to(portion).as_posix()}": file.read_bytes()
        for portion in portions
        for file in portion.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    running = distribution("modelyard")
    for name in _METADATA:
        text = running.read_text(name) or ""
        files[f"modelyard-{running.version}.dist-info/{name}"] = text.encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            archive.addfile(entry, io.BytesIO(files[name]))
    text = base64.b64encode(gzip.compress(buffer.getvalue(), mtime=0)).decode()
    return tuple(text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
