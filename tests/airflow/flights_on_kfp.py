"""Runs the flights workflow in an environment with KFP: as a pipeline, by KFP's own local runner.

Takes the project's folder and the workflow's inputs as JSON; prints what the run has left as JSON.
"""

import json
import sys
from pathlib import Path

from kfp import local

from modelyard.operators.kfp import Installed
from modelyard.projects import open_project
from modelyard.workflows.engines.kfp import KfpEngine
from modelyard.workflows.engines.kfp_inputs import pipeline_arguments


def main(folder: Path, inputs: dict[str, int]) -> None:
    """Run it."""
    workflow = open_project(str(folder)).load_workflow("main")
    pipeline = KfpEngine(delivery=Installed(), project=str(folder)).pipeline(workflow)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder.parent / "kfp"))
    pipeline(**pipeline_arguments(workflow, inputs))
    (left,) = (open_project(str(folder)).environment().state / "workflows" / "kfp").glob("*/outcome.json")
    (folder.parent / "outcome.json").write_bytes(left.read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
