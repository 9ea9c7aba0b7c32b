"""A vote of three models as a custom runtime of MLServer."""

import pickle
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Vote(MLModel):
    """Answers with the label that most of the models say."""

    async def load(self) -> bool:
        """Load the models."""
        folder = Path(self.settings.parameters.uri)
        names = ("linear", "boosted", "bayes")
        self._models = [pickle.loads((folder / f"{name}.pkl").read_bytes()) for name in names]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Ask the models one after the other."""
        rows = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        votes = np.sum([model.predict(rows) for model in self._models], axis=0)
        labels = (votes * 2 > len(self._models)).astype(int)
        output = NumpyCodec.encode_output(name="predict", payload=labels.reshape(-1, 1))
        return InferenceResponse(model_name=self.name, outputs=[output])
