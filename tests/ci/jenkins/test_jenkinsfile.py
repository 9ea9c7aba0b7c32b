"""The example for Jenkins: read by Groovy, and its steps in order. Jenkins itself is not here."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STUB = Path(__file__).with_name("pipeline_stub.groovy")
JARS = Path(sys.prefix).parent / "node/node_modules/npm-groovy-lint/lib/java/groovy/lib"
MISSING = "Java is not installed" if not shutil.which("java") else "" if JARS.is_dir() else "Groovy is not installed"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=MISSING or "all is here")]


def read(file: Path) -> subprocess.CompletedProcess[str]:
    command = ["java", "-cp", f"{JARS}/*", "groovy.ui.GroovyMain", str(STUB), str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_example_does_what_a_job_needs_in_order() -> None:
    ended = read(ROOT / "examples" / "jenkins" / "Jenkinsfile")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert [line for line in lines if line.startswith(("sh modelyard", "input", "stage "))] == [
        "stage Set up",
        "stage Judge",
        "sh modelyard ci plan",
        'sh modelyard ci run || echo "the report and the gate tell of it"',
        "sh modelyard ci preview",
        "sh modelyard ci report",
        "sh modelyard ci gate",
        "stage Promote and deploy",
        "input [message:Promote the model that was measured?, submitter:ml-owners]",
        "sh modelyard ci promote",
        "sh modelyard ci operation deploy",
    ]
    assert lines.index("branch main") < lines.index("sh modelyard ci promote")
    assert "string [credentialsId:forge-token, variable:MODELYARD_FORGE_TOKEN]" in lines


def test_a_bracket_that_is_missing_is_found(tmp_path: Path) -> None:
    broken = tmp_path / "Jenkinsfile"
    broken.write_text((ROOT / "examples" / "jenkins" / "Jenkinsfile").read_text().removesuffix("}\n"))
    ended = read(broken)
    assert ended.returncode != 0
    assert "Jenkinsfile: " in ended.stderr
