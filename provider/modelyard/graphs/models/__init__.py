"""Models in a graph: their files, the rows they take, and what they answer."""

from modelyard.graphs.models.files import LoadedModel, ModelCard, Predictions, open_model, read_card
from modelyard.graphs.models.rows import matrix_of

__all__ = ["LoadedModel", "ModelCard", "Predictions", "matrix_of", "open_model", "read_card"]
