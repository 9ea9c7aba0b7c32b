"""What the airline cares about, beyond the usual metrics."""

from typing import TYPE_CHECKING

from modelyard.graphs import Predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def caught_in_top_tenth(truth: "NDArray[np.bool_]", predictions: Predictions) -> float:
    """Of the late flights, the share among the tenth that the model fears most."""
    import numpy as np

    probability = predictions.probability
    if probability is None:
        return float("nan")
    most_feared = np.argsort(-probability, kind="stable")[: max(1, len(truth) // 10)]
    return float(truth[most_feared].sum() / truth.sum())


caught_in_top_tenth.greater_is_better = True  # type: ignore[attr-defined]
caught_in_top_tenth.title = "Caught in the top tenth"  # type: ignore[attr-defined]
