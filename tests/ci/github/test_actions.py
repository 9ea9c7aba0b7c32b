"""Actions really run, in a project, as steps of a job."""

import json
import re
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from github_emulator import OURS, Emulator, missing
from loans_project import git

pytestmark = [pytest.mark.skipif(bool(missing()), reason=missing() or "there is an emulator"), pytest.mark.slow]

PUSH: dict[str, Any] = {"ref": "refs/heads/main", "before": "0" * 40}
EVIL = 'x\'; touch pwned; echo "$(touch pwned)" `touch pwned` <!-- @all -->|::error::forged'
TRAINING = """
name: caller
on: push
permissions: {}
jobs:
  only:
    runs-on: ubuntu-latest
    outputs:
      steps: ${{ toJSON(steps) }}
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0
      - uses: OWNER/REPO/github-actions/setup@v1
      - run: python -c "from loans.data import prepare; prepare(300)"
      - id: train
        uses: OWNER/REPO/github-actions/train@v1
        with:
          function: fit
          dataset: data/train.parquet
          label-column: late
          feature-columns: |
            income
            age
          tags: note=EVIL
"""
SERVING = """
      - id: register
        uses: OWNER/REPO/github-actions/register@v1
        with: {model: "${{ steps.train.outputs.model-uri }}", name: loans}
      - id: evaluate
        uses: OWNER/REPO/github-actions/evaluate@v1
        with: {model: "${{ steps.register.outputs.model-uri }}", dataset: data/test.parquet, label-column: late}
      - id: strict
        continue-on-error: true
        uses: OWNER/REPO/github-actions/promote@v1
        with: {model: "${{ steps.register.outputs.model-uri }}", gates: "roc_auc >= 1"}
      - id: promote
        uses: OWNER/REPO/github-actions/promote@v1
        with:
          model: ${{ steps.register.outputs.model-uri }}
          evaluation: ${{ steps.evaluate.outputs.evaluation }}
          gates: |
            roc_auc >= 0.6
            accuracy >= 0.5
      - id: deploy
        uses: OWNER/REPO/github-actions/deploy@v1
        with: {graph: approve, endpoint: first}
      - id: smoke
        uses: OWNER/REPO/github-actions/smoke@v1
        with: {endpoint-url: "${{ steps.deploy.outputs.endpoint-url }}", requests: requests.json}
      - run: echo "# said anew" >> loans/serving.py
      - id: again
        uses: OWNER/REPO/github-actions/deploy@v1
        with: {graph: approve, endpoint: first}
      - id: back
        uses: OWNER/REPO/github-actions/rollback@v1
        with: {endpoint: first}
      - id: predict
        uses: OWNER/REPO/github-actions/predict@v1
        with: {model: models:/loans@champion, dataset: data/test.parquet, destination: output, key-columns: income}
      - id: undeploy
        uses: OWNER/REPO/github-actions/undeploy@v1
        with: {endpoint: first}
      - uses: OWNER/REPO/github-actions/undeploy@v1
        with: {endpoint: "${{ github.event.head_commit.message }}"}
"""


def test_a_model_goes_through_actions(emulator: Emulator) -> None:
    (emulator.project / "requests.json").write_text('[{"income": 1.0, "age": 1.0}]')
    git(emulator.project, "add", ".")
    git(emulator.project, "commit", "-q", "-m", "requests")
    event = {**PUSH, "head_commit": {"message": EVIL}}
    run = emulator.run((TRAINING + SERVING).replace("EVIL", json.dumps(EVIL)[1:-1]), "push", event)

    assert run.message == ""
    only = run.jobs["only"]
    steps = json.loads(only["outputs"]["steps"])
    outcomes = {name: each["outcome"] for name, each in steps.items() if each["outcome"] != "success"}
    assert outcomes == {"strict": "failure"}, only["log"]
    found = {name: each["outputs"] for name, each in steps.items()}
    assert (found["train"]["rows"], found["train"]["held-out-rows"]) == ("240", "60")
    assert found["train"]["model-uri"].startswith("models:/m-")
    assert (found["register"]["model-uri"], found["register"]["model-version"]) == ("models:/loans/1", "1")
    assert (found["evaluate"]["rows"], found["evaluate"]["baseline"]) == ("300", "")
    auc = json.loads(found["evaluate"]["metrics"])["roc_auc"]
    assert json.loads(Path(found["evaluate"]["metrics-file"]).read_text())["roc_auc"] == auc
    assert found["strict"].get("model-uri", "") == ""
    assert found["promote"] | {"gates": "", "result-file": ""} == {
        "model-uri": "models:/loans/1",
        "name": "loans",
        "alias": "champion",
        "previous": "",
        "gates": "",
        "first": "true",
        "model-version": "1",
        "result-file": "",
    }
    assert [*json.loads(found["promote"]["gates"])] == ["roc_auc >= 0.6", "accuracy >= 0.5"]
    deployed, again, back = found["deploy"], found["again"], found["back"]
    assert json.loads(deployed["models"]) == {"model": "models:/loans/1"}
    assert (deployed["endpoint"], deployed["changed"], deployed["previous"]) == ("first", "true", "")
    assert found["smoke"] == {"answered": "1", "failed": "0"}
    assert (again["previous"], again["changed"]) == (deployed["revision"], "true")
    assert (back["revision"], back["previous"]) == (deployed["revision"], again["revision"])
    predicted = found["predict"]
    assert (predicted["rows"], predicted["rejected"], predicted["model-uri"]) == ("300", "0", "models:/loans/1")
    assert (found["undeploy"]["endpoint"], found["undeploy"]["removed"]) == ("first", "true")
    assert "| held out rows | <code>60</code> |" in only["summary"]
    names = re.findall(r"^### (\w+)$", only["summary"], re.MULTILINE)
    assert names == ["train", "register", "evaluate", "promote", "deploy", "deploy", "rollback", "predict", "undeploy"]
    # The last action got a commit's message for a name: it is refused as a name, and nothing of it has run.
    assert (run.result, only["codes"]) == ("failure", [0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 2])
    assert not list(emulator.temp.glob("**/pwned"))
    assert [each["message"] for each in only["annotations"] if each["message"] == "forged"] == []


def test_an_error_of_the_project_is_shown_at_its_line(emulator: Emulator) -> None:
    path = emulator.project / "loans/training.py"
    path.write_text(path.read_text().replace("    matrix = np.array(", "    1 / 0\n    matrix = np.array("))
    git(emulator.project, "commit", "-q", "-a", "-m", "broken")

    run = emulator.run(TRAINING.replace("EVIL", "none"), "push", PUSH)

    (shown,) = [each for each in run.jobs["only"]["annotations"] if each["level"] == "error"]
    assert (shown["file"], shown["line"]) == ("loans/training.py", "13")
    assert "ZeroDivisionError" in shown["message"]
    assert (run.jobs["only"]["result"], run.jobs["only"]["codes"]) == ("failure", [0, 7])


def test_setup_installs_a_wheel_and_what_the_project_needs(emulator: Emulator) -> None:
    _write_wheel(emulator.project / "wheels", "modelyard", "0.0.7")
    other = _write_wheel(emulator.project / "wheels", "loan_tools", "1.2")
    (emulator.project / "needs.txt").write_text(f"wheels/{other.name}\n")
    git(emulator.project, "add", ".")
    git(emulator.project, "commit", "-q", "-m", "wheels")
    emulator.real = (f"{OURS}/github-actions/setup",)
    emulator.machine = {"PIP_NO_INDEX": "1"}

    run = emulator.run(
        """
name: caller
on: push
permissions: {}
jobs:
  only:
    runs-on: ubuntu-latest
    outputs: {version: "${{ steps.setup.outputs.version }}"}
    steps:
      - uses: actions/checkout@v5
      - id: setup
        uses: OWNER/REPO/github-actions/setup@v1
        with: {version: wheels/modelyard-0.0.7-py3-none-any.whl, extras: "", requirements: needs.txt}
      - run: python -c "import loan_tools; print('have', loan_tools.__name__)"
      - id: wrong
        uses: OWNER/REPO/github-actions/setup@v1
        with: {version: "1.0; touch pwned #"}
      - {if: failure(), run: "touch after"}
""",
        "push",
        PUSH,
    )

    only = run.jobs["only"]
    assert only["outputs"] == {"version": "0.0.7"}, run.message + only["log"]
    assert "have loan_tools" in only["log"]
    assert (run.result, only["codes"]) == ("failure", [0, 0, 2, 0])
    assert [each["message"] for each in only["annotations"]] == [
        "version is a number such as 0.3.1, or the path of a wheel"
    ]
    assert not list(emulator.temp.glob("**/pwned"))
    used = [each for each in only["uses"] if each["uses"].startswith("actions/cache")]
    assert used[0]["with"]["key"].startswith("modelyard-Linux-X64-3.11-wheels/modelyard-0.0.7-py3-none-any.whl--")
    assert len(used[0]["with"]["key"].rsplit("-", 1)[1]) == 64


@pytest.mark.parametrize("permission", ["id-token: write", "contents: read"])
def test_the_proof_of_identity_is_in_a_file_and_in_no_log(emulator: Emulator, permission: str) -> None:
    with HTTPServer(("127.0.0.1", 0), Issuer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/token?api=1"
        emulator.machine = {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job-key"}
        run = emulator.run(
            f"""
name: caller
on: push
permissions: {{}}
jobs:
  only:
    runs-on: ubuntu-latest
    permissions: {{{permission}}}
    steps:
      - uses: OWNER/REPO/github-actions/identity@v1
        with: {{role: "arn:aws:iam::1:role/models", audience: "a&b=c d"}}
      - run: |
          cat "$AWS_WEB_IDENTITY_TOKEN_FILE"; stat -c %a "$AWS_WEB_IDENTITY_TOKEN_FILE"; echo "$AWS_ROLE_ARN"
""",
            "push",
            PUSH,
        )
        server.shutdown()
    only = run.jobs["only"]
    if permission != "id-token: write":
        assert (run.result, only["codes"]) == ("failure", [2])
        assert only["annotations"][0]["message"] == "the job needs the permission id-token: write"
        return
    assert (run.message, run.result) == ("", "success"), run.log
    assert "proof" not in only["log"]
    assert only["log"].split() == ["::add-mask::***", "***600", "arn:aws:iam::1:role/models"]


class Issuer(BaseHTTPRequestHandler):
    """Hands out proofs as GitHub does."""

    def do_GET(self) -> None:
        """Answer for the audience, to who shows the job's key."""
        asked = parse_qs(urlsplit(self.path).query)
        known = self.headers["Authorization"] == "bearer job-key" and asked == {"api": ["1"], "audience": ["a&b=c d"]}
        self.send_response(200 if known else 403)
        self.end_headers()
        self.wfile.write(b'{"value": "proof-of-the-job"}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _write_wheel(folder: Path, name: str, version: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    facts = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": "",
        f"{facts}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{facts}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for inside, text in files.items():
            wheel.writestr(inside, text)
        wheel.writestr(f"{facts}/RECORD", "".join(f"{inside},,\n" for inside in [*files, f"{facts}/RECORD"]))
    return path
