"""Restores the estimator of a model from its file: a pickle, a file of skops, or ONNX."""

import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.graphs.errors import LibraryMissing, ModelFilesInvalid, ModelNotTrusted

if TYPE_CHECKING:
    from modelyard.graphs.models.files import ModelCard

__all__ = ["restored"]

SAFE_TYPES = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
"""Types that skops does not know and that run no code when they are restored."""


def restored(folder: Path, card: "ModelCard", *, vouched: bool) -> Any:
    """Return the estimator in a model folder; the modules that it brought along stay loaded, their path does not.

    Parameters
    ----------
    folder, card
        The folder, and what it says about its model.
    vouched
        Whether somebody vouches for the files.

    Raises
    ------
    ModelFilesInvalid
        The file is not there, or cannot be read.
    ModelNotTrusted
        Nobody vouches for a file that names types to trust.
    LibraryMissing
        The environment lacks what the model was made with.
    """
    file = (folder / card.file).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        raise ModelFilesInvalid(str(folder), f"the model's file {card.file!r} is not there")
    if card.format not in _READERS:
        raise ModelFilesInvalid(str(folder), f"the format {card.format!r} is not one of {', '.join(_READERS)}")
    try:
        with _modules_of(folder, card):
            return _READERS[card.format](file, card, vouched)
    except ModuleNotFoundError as error:
        library = (error.name or "a library").partition(".")[0]
        extra = _EXTRAS.get(library, "")
        raise LibraryMissing(library, f"the model in {folder}", extra) from error
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError) as error:
        raise ModelFilesInvalid(str(folder), f"the model cannot be restored: {error}") from error


_EXTRAS = {
    "cloudpickle": "serving",
    "numpy": "serving",
    "onnxruntime": "onnx",
    "sklearn": "serving",
    "skops": "ml",
}


def _read_pickle(file: Path, card: "ModelCard", vouched: bool) -> Any:
    del card, vouched
    with file.open("rb") as stream:
        return pickle.load(stream)  # noqa: S301 (open_model has checked who vouches for it)


def _read_cloudpickle(file: Path, card: "ModelCard", vouched: bool) -> Any:
    import cloudpickle

    del cloudpickle  # its pickles refer to it; importing it first gives the clearer error
    return _read_pickle(file, card, vouched)


def _read_skops(file: Path, card: "ModelCard", vouched: bool) -> Any:
    from skops.io import get_untrusted_types, load

    trusted = {*SAFE_TYPES, *(card.skops_types if vouched else ())}
    unknown = sorted(set(get_untrusted_types(file=file)) - trusted)
    if unknown and not vouched:
        raise ModelNotTrusted(str(file.parent), f"it holds the types {', '.join(unknown)}")
    return load(file, trusted=[*trusted, *unknown])


def _read_onnx(file: Path, card: "ModelCard", vouched: bool) -> Any:
    from modelyard.graphs.models.sessions import onnx_estimator

    del vouched  # an ONNX file is data: it runs no code of its own
    return onnx_estimator(file.read_bytes(), features=card.features, classes=card.classes, task=card.task)


_READERS = {"pickle": _read_pickle, "cloudpickle": _read_cloudpickle, "skops": _read_skops, "onnx": _read_onnx}


@contextmanager
def _modules_of(folder: Path, card: "ModelCard") -> Iterator[None]:
    """Make the modules importable that the model brought along."""
    if not card.code:
        yield
        return
    path = str((folder / card.code).resolve())
    sys.path.insert(0, path)
    try:
        yield
    finally:
        sys.path.remove(path)
