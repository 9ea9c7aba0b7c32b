"""The catalogue: every operation that is installed, by name, without importing what implements it."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import msgspec

from modelyard.operations.atomic import write_atomically
from modelyard.operations.declaration import Operation, OperationSpec
from modelyard.operations.errors import DeclarationInvalid, OperationAmbiguous, OperationNotFound

__all__ = ["GROUP", "Catalogue", "build_catalogue", "load_catalogue", "load_operation", "write_catalogue"]

GROUP = "modelyard.operations"
"""The entry-point group: name → ``package.module:object``."""

_OURS = "modelyard"
_FILE = Path(__file__).with_name("catalogue.json")


class Catalogue(Mapping[str, OperationSpec]):
    """Operations by name.

    Our own come from a packaged file. Those of other distributions are known by the names of their entry points; one is
    imported when its specification is asked for. An operation of ours cannot be replaced by another distribution's.

    Parameters
    ----------
    own
        The specifications of our own operations.
    foreign
        The entry points of other distributions, by name.
    """

    def __init__(self, own: Mapping[str, OperationSpec], foreign: Mapping[str, tuple[EntryPoint, ...]]) -> None:
        self._own = dict(own)
        self._foreign = {name: points for name, points in foreign.items() if name not in own}

    def __getitem__(self, name: str) -> OperationSpec:
        if name in self._own:
            return self._own[name]
        if name in self._foreign:
            return self._load_foreign(name).spec
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._foreign

    def __iter__(self) -> Iterator[str]:
        yield from sorted({*self._own, *self._foreign})

    def __len__(self) -> int:
        return len(self._own) + len(self._foreign)

    def spec(self, name: str) -> OperationSpec:
        """Return the specification of an operation.

        Raises
        ------
        OperationNotFound
            No installed distribution declares it; the error suggests the nearest name.
        """
        if name not in self:
            raise OperationNotFound(name, list(self))
        return self[name]

    def load(self, name: str) -> Operation[Any]:
        """Import and return an operation.

        Raises
        ------
        OperationNotFound
            No installed distribution declares it.
        OperationAmbiguous
            Two other distributions declare it.
        DeclarationInvalid
            What the entry point names is no operation of that name.
        """
        spec = self._own.get(name)
        if spec is None:
            if name not in self._foreign:
                raise OperationNotFound(name, list(self))
            return self._load_foreign(name)
        module, _, attribute = spec.implementation.partition(":")
        return _checked(name, spec.implementation, getattr(import_module(module), attribute, None))

    def _load_foreign(self, name: str) -> Operation[Any]:
        point, *others = self._foreign[name]
        if others:
            raise OperationAmbiguous(name, [each.dist.name if each.dist else each.value for each in (point, *others)])
        try:
            return _checked(name, point.value, point.load())
        except AttributeError as error:
            raise DeclarationInvalid(f"entry point {name} = {point.value}", str(error)) from error


def _checked(name: str, value: str, found: object) -> Operation[Any]:
    where = f"entry point {name} = {value}"
    if not isinstance(found, Operation):
        raise DeclarationInvalid(where, f"must name an operation, got {type(found).__name__}")
    if found.spec.name != name:
        raise DeclarationInvalid(where, f"names the operation {found.spec.name!r}; both names must be the same")
    return found


@cache
def load_catalogue() -> Catalogue:
    """Return the catalogue of what is installed: our packaged file, and other distributions' entry points.

    Examples
    --------
    >>> load_catalogue().spec("train").parameters[0].name
    'function'
    """
    specs = msgspec.json.decode(_FILE.read_bytes(), type=list[OperationSpec])
    foreign: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=GROUP):
        if not _is_ours(point):
            foreign[point.name] = (*foreign.get(point.name, ()), point)
    return Catalogue({spec.name: spec for spec in specs}, foreign)


def load_operation(name: str) -> Operation[Any]:
    """Import and return an installed operation.

    Raises
    ------
    OperationNotFound
        No installed distribution declares it.
    DeclarationInvalid
        What its entry point names is no operation of that name.
    """
    return load_catalogue().load(name)


def build_catalogue() -> bytes:
    """Import our own operations and return the content of ``catalogue.json``: sorted, indented, the same every time.

    Raises
    ------
    ImportError
        An implementation cannot be imported.
    DeclarationInvalid
        An entry point names no operation of that name.
    """
    points = sorted((point for point in entry_points(group=GROUP) if _is_ours(point)), key=lambda point: point.name)
    specs = [_checked(point.name, point.value, point.load()).spec for point in points]
    return msgspec.json.format(msgspec.json.encode(specs), indent=2) + b"\n"


def write_catalogue(path: Path = _FILE) -> bool:
    """Write ``catalogue.json`` from our entry points; return whether it changed."""
    content = build_catalogue()
    if path.exists() and path.read_bytes() == content:
        return False
    write_atomically(path, content)
    load_catalogue.cache_clear()
    return True


def _is_ours(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name == _OURS
