"""The example for Jenkins: read by Groovy, its steps in order, and their commands run. Jenkins itself is not here."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_forge import Forge
from loans_project import git, write_loans

from modelyard.projects import open_project
from modelyard.projects.dispatch import dispatch
from modelyard.tracking import open_tracking

ROOT = Path(__file__).parents[3]
STUB = Path(__file__).with_name("pipeline_stub.groovy")
JARS = Path(sys.prefix).parent / "node/node_modules/npm-groovy-lint/lib/java/groovy/lib"
MISSING = "Java is not installed" if not shutil.which("java") else "" if JARS.is_dir() else "Groovy is not installed"
TOKEN = "forge-secret-write"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=MISSING or "all is here")]


def read(file: Path) -> subprocess.CompletedProcess[str]:
    command = ["java", "-cp", f"{JARS}/*", "groovy.ui.GroovyMain", str(STUB), str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def steps() -> list[str]:
    """The steps of the example, in the order in which they stand."""
    ended = read(ROOT / "examples" / "jenkins" / "Jenkinsfile")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_the_example_does_what_a_job_needs_in_order(steps: list[str]) -> None:
    assert [line for line in steps if line.startswith(("sh modelyard", "input", "stage ", "end"))] == [
        "stage Set up",
        "stage Judge",
        "sh modelyard ci detect",
        "sh modelyard ci report --pending",
        "sh modelyard ci plan",
        "end withCredentials",
        'sh modelyard ci run || echo "the report and the gate tell of it"',
        "sh modelyard ci preview",
        'sh modelyard ci report --artifacts "${BUILD_URL}artifact/"',
        "end withCredentials",
        "stage Gate",
        "sh modelyard ci gate",
        "stage Promote and deploy",
        "input [message:Promote the models that were measured?, submitter:ml-owners]",
        "sh modelyard ci promote",
        "sh modelyard ci operation deploy",
        "sh modelyard ci promote --back",
    ]
    assert steps.index("branch main") < steps.index("sh modelyard ci promote")
    assert steps.count("string [credentialsId:forge-token, variable:MODELYARD_FORGE_TOKEN]") == 2


def test_a_bracket_that_is_missing_is_found(tmp_path: Path) -> None:
    broken = tmp_path / "Jenkinsfile"
    broken.write_text((ROOT / "examples" / "jenkins" / "Jenkinsfile").read_text().removesuffix("}\n"))
    ended = read(broken)
    assert ended.returncode != 0
    assert "Jenkinsfile: " in ended.stderr


class Agent:
    """Runs the commands of a pipeline's stages, each with the variables that Jenkins gives it there."""

    def __init__(self, steps: list[str], workspace: Path, programs: Path, forge: Forge) -> None:
        self.steps = steps
        self.workspace = workspace
        self.variables = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(workspace.parent),
            "JENKINS_URL": "https://ci.example.com/",
            "BUILD_URL": "https://ci.example.com/job/loans/1/",
            "GIT_URL": "https://github.com/Codertocat/Hello-World.git",
            "GITHUB_API_URL": forge.github,
            "MODELYARD_INPUT_GRAPH": "approve",
            "MODELYARD_FORGE_PATIENCE": "30",
            "NO_PROXY": "127.0.0.1",
        }

    def run(self, *stages: str, **variables: str) -> dict[str, tuple[int, str]]:
        """Return the exit code of each command, and what it said."""
        commit = git(self.workspace, "rev-parse", "HEAD")
        told: dict[str, tuple[int, str]] = {}
        stage = token = ""
        for line in self.steps:
            word, _, rest = line.partition(" ")
            if word == "stage":
                stage = rest
            token = TOKEN if word == "string" and stage else "" if word == "end" else token
            if word != "sh" or stage not in stages or rest.endswith("--back"):
                continue
            surroundings = {**self.variables, "GIT_COMMIT": commit, **variables}
            ended = subprocess.run(
                ["sh", "-e", "-c", rest],
                cwd=self.workspace,
                env=surroundings | ({"MODELYARD_FORGE_TOKEN": token} if token else {}),
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            told[rest] = (ended.returncode, ended.stdout + ended.stderr)
        return told


@pytest.fixture
def agent(steps: list[str], tmp_path: Path, warm: Path, forge: Forge) -> Iterator[Agent]:
    folder = tmp_path / "loans"
    folder.mkdir()
    write_loans(folder)
    settings = folder / "modelyard.yaml"
    settings.write_text(settings.read_text().replace("  quick: loans.flows:quick\n", ""))
    git(folder, "commit", "-q", "-a", "-m", "one workflow that trains")
    git(folder, "branch", "-q", "-f", "main")
    yield Agent(steps, folder, warm, forge)
    dispatch("undeploy", {"endpoint": "approve"}, project=folder)


def test_the_main_branch_promotes_and_a_worse_request_is_told_so(agent: Agent, forge: Forge) -> None:
    loans = agent.workspace
    git(loans, "switch", "-q", "main")
    built = agent.run("Judge", "Gate", "Promote and deploy", BRANCH_NAME="main")
    assert {code for code, _ in built.values()} == {0}, built
    registry = open_tracking(open_project(loans).environment(), "loans").registry
    assert registry.aliases("loans") == {"champion": 1}
    assert "approve" in built["modelyard ci operation deploy"][1]
    assert forge.comments == {}
    assert [each["conclusion"] for each in forge.check_runs if each["status"] == "completed"] == ["success"]

    git(loans, "switch", "-q", "-C", "change", "main")
    path = loans / "loans/training.py"
    seen = loans.parent / "seen"
    spying = f"    import os\n    open({str(seen)!r}, 'w').write(str(sorted(os.environ)))\n    import numpy as np\n"
    text = path.read_text().replace('USED = ["income", "age"]', 'USED = ["income"]')
    path.write_text(text.replace("    import numpy as np\n", spying, 1))
    git(loans, "commit", "-q", "-a", "-m", "worse")
    head = git(loans, "rev-parse", "HEAD")
    forge.requests[7] = {
        "number": 7,
        "state": "open",
        "head": {"sha": head, "ref": "change", "repo": {"full_name": "Codertocat/Hello-World"}},
        "base": {
            "sha": git(loans, "rev-parse", "main"),
            "ref": "main",
            "repo": {"full_name": "Codertocat/Hello-World"},
        },
    }
    change = {"CHANGE_URL": "https://github.com/Codertocat/Hello-World/pull/7", "CHANGE_TARGET": "main"}
    built = agent.run("Judge", "Gate", BRANCH_NAME="PR-7", CHANGE_ID="7", CHANGE_BRANCH="change", **change)

    assert {command: code for command, (code, _) in built.items() if code} == {"modelyard ci gate": 6}, built
    assert TOKEN not in json.dumps(built)
    assert ("'JENKINS_URL'" in seen.read_text(), "FORGE_TOKEN" in seen.read_text()) == (True, False)
    (comment,) = forge.comments[7]
    assert "**Gate failed:** <code>roc&#95;auc &#62;= champion - 0&#46;005&#58; " in comment["body"]
    assert "[artifacts](https://ci.example.com/job/loans/1/artifact/)" in comment["body"]
    assert "- beside the champion: " in comment["body"]
    last = forge.check_runs[-1]
    assert (last["head_sha"], last["conclusion"]) == (head, "failure")
    assert registry.aliases("loans") == {"champion": 1}
