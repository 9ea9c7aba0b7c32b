"""Keys: what makes two starts the same piece of work."""

import hashlib
import re
import uuid

import msgspec

__all__ = ["RunKey", "folder_name", "random_key"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._+=-]+")
_SLUG_LENGTH = 80


class RunKey(msgspec.Struct, frozen=True):
    """The key of one step of one run of a workflow; the number of the try is no part of it.

    Parameters
    ----------
    project
        The project's name.
    workflow_run
        The run of the workflow, such as an Airflow run id.
    step
        The step or task.
    map_index
        The item of a fan-out, from 0; -1 outside one.
    """

    project: str
    workflow_run: str
    step: str
    map_index: int = -1

    @property
    def text(self) -> str:
        """The key as a string: stable, and different for different keys.

        Examples
        --------
        >>> RunKey("flights", "manual__2026-01-01", "train").text
        'flights/manual__2026-01-01/train'
        >>> RunKey("flights", "a/b", "train", 3).text
        'flights/a%2Fb/train[3]'
        """
        parts = "/".join(_escaped(part) for part in (self.project, self.workflow_run, self.step))
        return parts if self.map_index < 0 else f"{parts}[{self.map_index}]"


def random_key() -> str:
    """Return a key that no other start has.

    Examples
    --------
    >>> random_key() != random_key()
    True
    """
    return f"once-{uuid.uuid4().hex}"


def folder_name(key: str) -> str:
    """Return the name of the folder of a key: legible, and different for different keys.

    Examples
    --------
    >>> folder_name("flights/manual__2026-01-01/train")
    'flights-manual__2026-01-01-train-aa1ab6bf53f4'
    """
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    slug = _UNSAFE.sub("-", key).strip(".-")[:_SLUG_LENGTH]
    return f"{slug}-{digest}" if slug else digest


def _escaped(part: str) -> str:
    for character in "%/[":
        part = part.replace(character, f"%{ord(character):02X}")
    return part
