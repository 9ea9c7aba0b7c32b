"""Runs the command line as ``python -m modelyard.cli``."""

from modelyard.cli.main import main

if __name__ == "__main__":
    main()
