"""The models of `voted` as a graph finds them: by reference, through a model loader."""

from voted import FEATURES, MODELS

from modelyard.graphs import LoadedModel, ModelCard, Resources
from modelyard.graphs.models.labels import labels_follow


class _Shelf:
    """Gives ``models:/NAME/1``, as if it had been read from its folder."""

    def load(self, reference: str) -> LoadedModel:
        """Return the model of that name."""
        model = MODELS[reference.split("/")[1]]
        classes = tuple(model.classes_.tolist())
        types = ("double",) * len(FEATURES)
        card = ModelCard(FEATURES, types, "matrix", "classification", classes, "benign", "", "")
        alone = labels_follow(model, None)
        return LoadedModel(model, card, digest="", classes=classes, name=reference, one_call=alone)


RESOURCES = Resources(models=_Shelf())
REFERENCES = {name: f"models:/{name}/1" for name in MODELS}
