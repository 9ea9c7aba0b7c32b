import threading
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest

from modelyard.tracking import ModelNotLoggable
from modelyard.tracking.requirements import needs_of, own_modules, requirements_of


class Own:
    """A class of this very module, which no distribution owns."""

    def __init__(self, part: Any = None) -> None:
        self.part = part


def test_a_pickle_names_the_modules_it_needs() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows = np.arange(80, dtype=float).reshape(40, 2)
    model = HistGradientBoostingClassifier(max_iter=2).fit(rows, rows[:, 0] > 40)
    needs = needs_of({"model": model, "own": Own(Decimal("1.5")), "words": "pandas mlflow"})
    assert needs.format == "pickle"
    assert {"sklearn", "numpy", "decimal"} < set(needs.modules)
    assert not {"pandas", "mlflow", "mlflow pandas"} & set(needs.modules)
    assert own_modules(needs.modules) == [Own.__module__.partition(".")[0]]
    assert requirements_of(needs.modules) == [
        f"numpy=={version('numpy')}",
        f"scikit-learn=={version('scikit-learn')}",
    ]


def test_what_pickle_cannot_name_goes_to_cloudpickle() -> None:
    needs = needs_of(Own(lambda row: np.asarray(row) + 1))
    assert needs.format == "cloudpickle"
    assert {"cloudpickle", "numpy"} <= set(needs.modules)
    local = type("Local", (), {"__module__": "__main__"})
    assert needs_of(local()).format == "cloudpickle"
    assert "__main__" not in needs_of(local()).modules


def test_what_cannot_be_pickled_is_said() -> None:
    with pytest.raises(ModelNotLoggable, match=r"Own cannot be stored as a model: it cannot be pickled \(.*lock"):
        needs_of(Own(threading.Lock()))


def test_declared_requirements_get_the_installed_versions() -> None:
    declared = [
        "scikit-learn",
        "numpy>=1",
        "PyYAML[x]",
        "not-installed>=2",
        "thing @ https://example.com/thing.zip",
        "??",
    ]
    assert requirements_of(["sklearn", "json"], declared) == [
        "??",
        f"PyYAML[x]=={version('pyyaml')}",
        "not-installed>=2",
        f"numpy=={version('numpy')}",
        f"scikit-learn=={version('scikit-learn')}",
        "thing @ https://example.com/thing.zip",
    ]
