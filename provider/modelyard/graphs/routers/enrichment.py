"""The step that looks features up before a router or model: enrichment."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from modelyard.graphs.bodies import part_of
from modelyard.graphs.context import Context
from modelyard.graphs.errors import EventInvalid, FeatureMissing, ResourceMissing
from modelyard.graphs.failures import PathMissing
from modelyard.graphs.isolation import isolated
from modelyard.graphs.routers.errors import FeaturesUnfit

__all__ = ["Enrich"]


class Enrich:
    """Adds features to the body, looked up by the body's keys; a whole batch with one look-up.

    Parameters
    ----------
    features
        Their names, as the feature reader knows them.
    keys
        The body's fields (dotted) that tell whose features they are: a list, or key's name → field.
    impute
        Feature → value that stands for one that has none (None, or not a number); ``*`` is any other feature. A
        feature that is not named must have a value.
    into
        The field that gets the mapping of features; empty puts them beside the body's own fields, which they replace.

    Raises
    ------
    ResourceMissing
        The graph was opened without a feature reader.
    EventInvalid
        A body lacks a key, or is no mapping.
    FeatureMissing
        A feature has no value, and nothing stands for it.
    FeaturesUnfit
        The feature reader did not give a mapping for each key.

    Examples
    --------
    >>> from modelyard.graphs import Graph, Resources
    >>> class Reader:
    ...     def read(self, features, keys):
    ...         ages = {"N1": 12.0}
    ...         return [{"age": ages.get(key["tail"])} for key in keys]
    >>> graph = Graph("flights")
    >>> step = graph.to(Enrich, features=["age"], keys=["tail"], impute={"age": 9.5})
    >>> ports = Resources(features=Reader())
    >>> graph.test({"tail": "N1"}, resources=ports), graph.test({"tail": "N2"}, resources=ports)
    ({'tail': 'N1', 'age': 12.0}, {'tail': 'N2', 'age': 9.5})
    """

    def __init__(
        self,
        features: Sequence[str],
        keys: Sequence[str] | Mapping[str, str],
        impute: Mapping[str, Any] | None = None,
        into: str = "",
        *,
        context: Context | None = None,
    ) -> None:
        if isinstance(features, str) or not features:
            raise ValueError(f"features is a list of at least one name, not {features!r}")
        if isinstance(keys, str) or not keys:
            raise ValueError(f"keys is a list of at least one field, or maps names to fields, not {keys!r}")
        if context is None or context.ports.features is None:
            place = ("", "enrich") if context is None else (context.graph, context.step)
            raise ResourceMissing(*place, "features")
        self.features = tuple(features)
        self.keys = dict(keys) if isinstance(keys, Mapping) else {key.rpartition(".")[2]: key for key in keys}
        self.impute = dict(impute or {})
        unknown = [name for name in self.impute if name != "*" and name not in self.features]
        if unknown:
            raise ValueError(f"impute names {unknown[0]!r}, which is none of the features: {', '.join(self.features)}")
        self.into = into
        self._reader = context.ports.features

    def do(self, body: Any) -> dict[str, Any]:
        """Return the body with its features."""
        return self._with_features(body, self._read([self._key(body)])[0], 0)

    def do_batch(self, bodies: Any) -> list[dict[str, Any]]:
        """Return many bodies with their features, looked up at once."""
        rows = self._read([self._key(body) for body in bodies])
        told = zip(bodies, rows, strict=True)
        return [self._with_features(body, row, index) for index, (body, row) in enumerate(told)]

    def _read(self, keys: list[dict[str, Any]]) -> Sequence[Mapping[str, Any]]:
        rows: Any = self._reader.read(self.features, keys)
        if not isinstance(rows, list | tuple) or len(rows) != len(keys):
            raise FeaturesUnfit(len(keys), rows)
        if not all(isinstance(row, Mapping) for row in rows):
            raise FeaturesUnfit(len(keys), next(row for row in rows if not isinstance(row, Mapping)))
        return rows

    def _key(self, body: Any) -> dict[str, Any]:
        if not isinstance(body, Mapping):
            raise EventInvalid(f"features are added to a mapping of fields, not to {type(body).__name__}")
        found = {}
        for name, field in self.keys.items():
            try:
                found[name] = part_of(body, field)
            except PathMissing:
                raise EventInvalid("the key of the features is missing", field=field) from None
        return found

    def _with_features(self, body: Any, row: Mapping[str, Any], index: int) -> dict[str, Any]:
        found = {}
        for name in self.features:
            value = row.get(name)
            if _is_nothing(value):
                if name in self.impute:
                    value = isolated(self.impute[name])
                elif "*" in self.impute:
                    value = isolated(self.impute["*"])
                else:
                    raise FeatureMissing(name, [key for key, each in row.items() if not _is_nothing(each)], index)
            found[name] = value
        return {**body, self.into: found} if self.into else {**body, **found}


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and isnan(value))
