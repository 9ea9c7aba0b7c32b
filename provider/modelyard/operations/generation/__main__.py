"""Runs the generator: ``python -m modelyard.operations.generation``."""

import sys

from modelyard.operations.generation.command import main

if __name__ == "__main__":
    sys.exit(main())
