"""Lets the tests import the project as its operations do: from its root."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
