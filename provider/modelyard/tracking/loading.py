"""Opens the files of a model: scikit-learn's and ONNX without MLflow, every other flavour through it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from modelyard.data.digests import digest_of
from modelyard.graphs.errors import ModelNotTrusted
from modelyard.graphs.models.examples import read_examples
from modelyard.graphs.models.files import LoadedModel, ModelCard, open_model
from modelyard.tracking.connection import unwarned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["open_files"]


def open_files(folder: Path, *, digest: str | None, trust: bool, name: str) -> LoadedModel:
    """Load the model in `folder`; see `modelyard.graphs.models.files.open_model` for the rule of trust.

    Parameters
    ----------
    folder
        The fetched files.
    digest
        The digest that the registry vouches for; None if it does not.
    trust
        Load it in any case.
    name
        How errors call the model.

    Raises
    ------
    ModelNotTrusted
        Nobody vouches for the model.
    """
    described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    flavors = described.get("flavors") or {}
    if "sklearn" in flavors or "onnx" in flavors or "python_function" not in flavors:
        return open_model(folder, digest=digest, trust=trust, name=name)
    if digest is None and not trust:
        raise ModelNotTrusted(name, "no digest of it is registered")
    said = (described.get("metadata") or {}).get("modelyard") or {}
    card = ModelCard(
        features=tuple(said.get("features") or ()),
        dtypes=tuple(said.get("dtypes") or ()),
        input="frame" if said.get("features") else "matrix",
        task=said.get("task") or "",
        classes=tuple(said.get("classes") or ()),
        label=said.get("label") or "",
        file=".",
        format=next(iter(sorted(set(flavors) - {"python_function"})), "python_function"),
    )
    found = digest or digest_of(folder)
    return LoadedModel(_estimator(folder), card, found, card.classes, name, read_examples(folder))


class FlavouredModel:
    """A model of any MLflow flavour that answers like an estimator.

    Parameters
    ----------
    model
        What `mlflow.pyfunc.load_model` returned.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, rows: Any) -> "NDArray[Any]":
        """Return one label per row."""
        import numpy as np

        said = self.model.predict(rows)
        said = said.to_numpy() if hasattr(said, "to_numpy") else np.asarray(said)
        return cast("NDArray[Any]", said[:, 0] if said.ndim == 2 and said.shape[1] == 1 else said)


class ProbableModel(FlavouredModel):
    """One whose own class offers probabilities, too."""

    def predict_proba(self, rows: Any) -> "NDArray[np.float64]":
        """Return rows by classes."""
        import numpy as np

        return np.asarray(self.model.unwrap_python_model().predict_proba(rows), dtype=np.float64)


def _estimator(folder: Path) -> FlavouredModel:
    with unwarned():
        import mlflow.pyfunc

        model = mlflow.pyfunc.load_model(str(folder))
        try:
            own = model.unwrap_python_model()
        except Exception:  # noqa: BLE001 (MLflow's way to say that the flavour has no such object)
            own = None
    return ProbableModel(model) if callable(getattr(own, "predict_proba", None)) else FlavouredModel(model)
