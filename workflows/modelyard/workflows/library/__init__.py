"""Ready workflows: name one in modelyard.yaml, or include it in one of your own.

::

    workflows: {train: "modelyard.workflows.library:train_register_deploy"}
"""

from modelyard.workflows.library.batch import batch_predict
from modelyard.workflows.library.training import train_register_deploy, tune_then_train

__all__ = ["batch_predict", "train_register_deploy", "tune_then_train"]
