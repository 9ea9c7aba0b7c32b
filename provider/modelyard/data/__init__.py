"""Datasets at any address, as Arrow batches: schemas, digests, profiles, and writing that is seen whole or not at all.

What is named here is loaded when it is first used: `modelyard.data.digests` and the errors need no Arrow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard.data.dataset import Dataset, open_dataset
    from modelyard.data.digests import digest_of, digest_of_digests, digest_of_files, file_digest
    from modelyard.data.errors import (
        ColumnAllNull,
        ColumnMissing,
        ColumnTypeWrong,
        DatasetChanged,
        DatasetEmpty,
        DatasetNotFound,
        DatasetUnfinished,
        DatasetUnreadable,
        HoldoutWrong,
        LabelMissing,
        LibraryMissing,
        OutputChanged,
        OutputOccupied,
        ProfileMismatch,
        StorageDenied,
        StorageFull,
        StorageNotFound,
        StorageUnavailable,
    )
    from modelyard.data.locations import Location, locate
    from modelyard.data.manifest import Manifest
    from modelyard.data.matrix import to_array, to_matrix
    from modelyard.data.profile import ColumnProfile, ReferenceProfile, profile_of
    from modelyard.data.schemas import check_columns, check_features, kind_named, kind_of, schema_types
    from modelyard.data.sources import DatasetSource
    from modelyard.data.training_set import TrainingSet
    from modelyard.data.writer import ShardWriter

__all__ = [
    "ColumnAllNull",
    "ColumnMissing",
    "ColumnProfile",
    "ColumnTypeWrong",
    "Dataset",
    "DatasetChanged",
    "DatasetEmpty",
    "DatasetNotFound",
    "DatasetSource",
    "DatasetUnfinished",
    "DatasetUnreadable",
    "HoldoutWrong",
    "LabelMissing",
    "LibraryMissing",
    "Location",
    "Manifest",
    "OutputChanged",
    "OutputOccupied",
    "ProfileMismatch",
    "ReferenceProfile",
    "ShardWriter",
    "StorageDenied",
    "StorageFull",
    "StorageNotFound",
    "StorageUnavailable",
    "TrainingSet",
    "check_columns",
    "check_features",
    "digest_of",
    "digest_of_digests",
    "digest_of_files",
    "file_digest",
    "kind_named",
    "kind_of",
    "locate",
    "open_dataset",
    "profile_of",
    "schema_types",
    "to_array",
    "to_matrix",
]

_HOMES = {
    "dataset": "Dataset open_dataset",
    "digests": "digest_of digest_of_digests digest_of_files file_digest",
    "locations": "Location locate",
    "manifest": "Manifest",
    "matrix": "to_array to_matrix",
    "profile": "ColumnProfile ReferenceProfile profile_of",
    "schemas": "check_columns check_features kind_named kind_of schema_types",
    "sources": "DatasetSource",
    "training_set": "TrainingSet",
    "writer": "ShardWriter",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOME.get(name, 'errors')}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("pyarrow", "numpy", "datasketches"):
            raise
        from modelyard.data.errors import LibraryMissing as Missing

        raise Missing(error.name, f"modelyard.data.{name}") from error
