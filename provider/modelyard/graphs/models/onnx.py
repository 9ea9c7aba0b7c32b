"""An ONNX file as a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from modelyard.data.digests import file_digest
from modelyard.graphs.errors import LibraryMissing, ModelFilesInvalid
from modelyard.graphs.models.estimators import EstimatorModel, Output
from modelyard.graphs.models.files import LoadedModel, ModelCard
from modelyard.graphs.models.sessions import OnnxClassifier, OnnxLabels, onnx_estimator

__all__ = ["OnnxModel"]


class OnnxModel(EstimatorModel):
    """An ONNX model, run by onnxruntime (extra ``onnx``); answers as `EstimatorModel` does.

    A model with two outputs, labels and probabilities, is a classification. One with a single output gives a number
    for each row, or the class of the greatest score if it gives several and `classes` are named. A registered model
    of the ONNX flavour needs no class: ``graph.model(name, "models:/…")`` knows it by its files.

    Parameters
    ----------
    file
        The file's path; without one, the step's ``source`` names the model.
    features
        The names of the columns, in order; without them rows are lists of values.
    dtypes
        Their Arrow type names; by default ``double``.
    classes
        The classes, in the order of the scores or probabilities.
    task
        ``classification``, ``regression`` or empty: then the outputs tell.
    output, examples, background
        As for `EstimatorModel`.

    Raises
    ------
    ModelFilesInvalid
        The file is not there, or no ONNX model.
    LibraryMissing
        onnxruntime is not installed.
    """

    platform: ClassVar[str] = "onnx_onnxruntime"

    def __init__(
        self,
        *,
        file: str = "",
        features: Sequence[str] = (),
        dtypes: Sequence[str] = (),
        classes: Sequence[Any] = (),
        task: str = "",
        output: Output = "answer",
        examples: Sequence[Any] = (),
        background: Sequence[Any] = (),
    ) -> None:
        super().__init__(output=output, examples=examples, background=background)
        if dtypes and len(dtypes) != len(features):
            raise ValueError(f"dtypes names {len(dtypes)} columns, features names {len(features)}")
        if task not in ("", "classification", "regression"):
            raise ValueError(f"task is classification, regression or empty, not {task!r}")
        self._file, self._task, self._known = file, task, tuple(classes)
        self._features, self._dtypes = tuple(features), tuple(dtypes) or ("double",) * len(features)

    def load(self) -> None:
        """Read the file, or find the model that the step's source names."""
        if not self._file:
            super().load()
            return
        path = Path(self._file)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelFilesInvalid(self._file, f"the file cannot be read: {error.strerror}") from None
        self.serve(self._loaded(data, path))

    def _loaded(self, data: bytes, path: Path) -> LoadedModel:
        try:
            estimator = onnx_estimator(data, features=self._features, classes=self._known, task=self._task)
        except LibraryMissing:
            raise
        except Exception as error:  # onnxruntime has many, and no base of them
            said = str(error).partition("\n")[0]
            raise ModelFilesInvalid(self._file, f"the file is no ONNX model: {said}") from error
        classifies = isinstance(estimator, OnnxClassifier)
        labels = classifies or isinstance(estimator, OnnxLabels)
        card = ModelCard(
            features=self._features,
            dtypes=self._dtypes,
            input="matrix",
            task=self._task or ("classification" if labels or self._known else "regression"),
            classes=self._known,
            label="",
            file=path.name,
            format="onnx",
        )
        return LoadedModel(estimator, card, file_digest(path), self._known, path.name, one_call=classifies)
