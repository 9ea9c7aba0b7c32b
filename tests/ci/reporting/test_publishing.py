"""The report is put where people look, once, and nothing that a forge does is an error of the job."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_lines import Command
from fake_forge import Fault, Forge
from judged import FAILED, HELD, candidate, leave, run_of

from modelyard.ci.folder import CiFolder
from modelyard.ci.previews import PreviewRecord, PreviewsRecord
from modelyard.ci.records import FailureRecord
from modelyard.ci.reporting.history import history_of

Job = Callable[..., dict[str, str]]
HEAD = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"


@pytest.fixture
def left(flights: Path) -> CiFolder:
    """A job whose candidate failed a gate."""
    folder = CiFolder(flights / ".modelyard/ci")
    leave(folder, run_of(candidate(HELD, FAILED)))
    return folder


def _deliveries(out: str) -> dict[str, str]:
    return {each["channel"]: each["state"] for each in json.loads(out)["deliveries"]}


def test_a_second_push_updates_the_same_comment(
    command: Command, github_job: Job, forge: Forge, left: CiFolder
) -> None:
    github_job()
    first = command("ci", "report", "--json")
    assert (first.code, _deliveries(first.out)) == (0, {"comment": "created", "check": "created", "summary": "created"})

    leave(left, run_of(candidate(HELD)))
    github_job(GITHUB_RUN_ID="100")
    second = command("ci", "report", "--json")

    assert (second.code, _deliveries(second.out)["comment"]) == (0, "updated")
    (comment,) = forge.comments[2]
    assert comment["updates"] == 1
    assert comment["body"].startswith(
        "<!-- modelyard:report flights -->\n### modelyard: <code>flights</code>\n\n**Passed:**"
    )
    assert [each.words for each in history_of(comment["body"])] == ["passed"]  # the same commit, judged anew


def test_earlier_commits_are_kept_in_the_comment(
    command: Command, github_job: Job, forge: Forge, left: CiFolder
) -> None:
    github_job()
    command("ci", "report")
    event = Path(github_job()["GITHUB_EVENT_PATH"])
    event.write_text(event.read_text().replace(HEAD, "b" * 40))
    command("ci", "report")

    (comment,) = forge.comments[2]
    assert [each.commit for each in history_of(comment["body"])] == [HEAD, "b" * 40]
    assert "<summary>1 earlier push</summary>" in comment["body"]


def test_the_check_has_the_number_and_the_line_that_failed(
    command: Command, github_job: Job, forge: Forge, left: CiFolder
) -> None:
    broken = FailureRecord("train", "user_code", "KeyError: 'late'", "flights/training.py", 31)
    leave(left, run_of(failures=(broken,)))
    github_job()
    ended = command("ci", "report")

    (check,) = forge.check_runs
    assert (check["name"], check["head_sha"], check["conclusion"]) == ("modelyard/flights", HEAD, "failure")
    assert check["output"]["title"] == "Failed: train: KeyError: 'late'"
    assert check["output"]["annotations"] == [
        {
            "path": "flights/training.py",
            "start_line": 31,
            "end_line": 31,
            "annotation_level": "failure",
            "title": "train failed",
            "message": "KeyError: 'late'",
        }
    ]
    assert "::error file=flights/training.py,line=31,title=train failed::KeyError: 'late'" in ended.err.splitlines()


def test_more_than_fifty_annotations_are_sent_in_turns(
    command: Command, github_job: Job, forge: Forge, left: CiFolder
) -> None:
    broken = tuple(FailureRecord("train", "user_code", "no", "a.py", line) for line in range(1, 121))
    leave(left, run_of(failures=broken))
    github_job()
    command("ci", "report")

    assert [each["start_line"] for each in forge.check_runs[0]["output"]["annotations"]] == list(range(1, 121))
    assert len(forge.asked("PATCH", "check-runs")) == 2


def test_a_token_for_statuses_alone_gets_a_status(
    command: Command, github_job: Job, forge: Forge, left: CiFolder
) -> None:
    github_job(token="forge-secret-statuses")
    ended = command("ci", "report", "--json")

    assert _deliveries(ended.out) == {"comment": "failed", "status": "created", "summary": "created"}
    (status,) = forge.statuses
    assert (status["sha"], status["state"], status["context"]) == (HEAD, "failure", "modelyard/flights")
    assert status["description"].startswith("Gate failed: roc_auc >= champion - 0.005: 0.7245 >= 0.7395")
    assert len(status["description"]) <= 140
    assert status["target_url"] == "https://github.com/Codertocat/Hello-World/actions/runs/99"


def test_the_same_text_on_gitlab(
    command: Command, github_job: Job, gitlab_job: Job, forge: Forge, left: CiFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    github_job()
    command("ci", "report")
    monkeypatch.delenv("GITHUB_ACTIONS")
    gitlab_job()
    first = command("ci", "report", "--json")
    again = command("ci", "report", "--json")

    assert [_deliveries(each.out)["comment"] for each in (first, again)] == ["created", "updated"]
    (note,) = forge.notes[7]
    (comment,) = forge.comments[2]

    def same(body: str) -> list[str]:
        return [line for line in body.splitlines() if not line.startswith(("Commit ", "<!-- modelyard:history"))]

    assert same(note["body"]) == same(comment["body"])
    assert forge.statuses[-1]["state"] == "failed"
    assert forge.statuses[-1]["pipeline_id"] == 1234


def test_a_fork_reports_on_the_page_of_the_job(command: Command, github_job: Job, forge: Forge, left: CiFolder) -> None:
    variables = github_job("pull_request_fork")
    ended = command("ci", "report")

    assert ended.code == 0
    assert forge.log == []
    page = Path(variables["GITHUB_STEP_SUMMARY"]).read_text()
    assert page.startswith("> <code>The comment was not written&#58; The request comes from a fork")
    assert "**Gate failed:**" in page


def test_the_job_token_of_gitlab_is_no_error(command: Command, gitlab_job: Job, forge: Forge, left: CiFolder) -> None:
    gitlab_job(GITLAB_TOKEN="")
    ended = command("ci", "report")
    assert (ended.code, forge.notes) == (0, {})
    assert "CI_JOB_TOKEN cannot comment on a merge request." in ended.out
    assert "**Gate failed:**" in (left.path / "report.md").read_text()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=401, message="Bad credentials", times=99), "401: Bad credentials"),
        (Fault(status=403, message="Resource not accessible", times=99), "403: Resource not accessible"),
        (Fault(status=404, message="Not Found", times=99), "404: Not Found"),
        (Fault(status=500, message="oops", times=99), "status 500, oops"),
        (Fault(status=429, headers={"Retry-After": "900"}, times=99), "asks to come again in 900 s"),
        (Fault(status=0, times=99), "RemoteProtocolError"),
    ],
    ids=["401", "403", "404", "5xx", "limit", "no answer"],
)
def test_nothing_is_lost_for_a_forge_that_fails(
    command: Command,
    github_job: Job,
    forge: Forge,
    left: CiFolder,
    fault: Fault,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MODELYARD_FORGE_PATIENCE", "0.6")
    variables = github_job()
    forge.faults.append(fault)
    ended = command("ci", "report")

    assert ended.code == 0
    assert said in ended.out
    assert "**Gate failed:**" in Path(variables["GITHUB_STEP_SUMMARY"]).read_text()
    assert "**Gate failed:**" in (left.path / "report.md").read_text()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("GITHUB_TOKEN", "größe-of-a-token", "it has characters that no token has"),
        ("GITHUB_TOKEN", "forge\nsecret", "it has characters that no token has"),
        ("GITHUB_API_URL", "http://forge:port", "InvalidURL"),
        ("HTTP_PROXY", "not a proxy", "the forge does not answer: "),
        ("SSL_CERT_FILE", "nowhere.pem", "the forge does not answer: FileNotFoundError"),
        ("GITHUB_API_URL", "{url}/_forge/nothing", "comment"),
    ],
)
def test_nothing_is_lost_for_settings_that_cannot_work(
    command: Command, github_job: Job, forge: Forge, left: CiFolder, variable: str, value: str, said: str
) -> None:
    variables = github_job(**{variable: value.format(url=forge.url), "MODELYARD_FORGE_PATIENCE": "0.6"})
    ended = command("ci", "report")
    assert (ended.code, forge.comments) == (0, {})
    assert said in ended.out
    assert variables["GITHUB_TOKEN"] not in ended.out
    assert "**Gate failed:**" in Path(variables["GITHUB_STEP_SUMMARY"]).read_text()
    assert "**Gate failed:**" in (left.path / "report.md").read_text()


def test_a_line_end_after_the_token_is_none_of_it(
    command: Command, github_job: Job, forge: Forge, left: CiFolder
) -> None:
    github_job(token="forge-secret-write\n")
    assert _deliveries(command("ci", "report", "--json").out)["comment"] == "created"


def test_without_the_extra_the_report_is_on_the_page_of_the_job(
    command: Command, github_job: Job, forge: Forge, left: CiFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = github_job()
    monkeypatch.setitem(sys.modules, "httpx", None)
    ended = command("ci", "report")
    assert (ended.code, forge.log) == (0, [])
    assert 'pip install "modelyard[ci]"' in ended.out
    assert "**Gate failed:**" in Path(variables["GITHUB_STEP_SUMMARY"]).read_text()


def test_a_comment_whose_answer_was_lost_is_there_once(
    command: Command, github_job: Job, forge: Forge, left: CiFolder
) -> None:
    github_job()
    forge.faults.append(Fault(method="POST", path="comments", status=0, after=True))
    ended = command("ci", "report", "--json")
    assert _deliveries(ended.out)["comment"] == "updated"
    assert len(forge.comments[2]) == 1


def test_a_comment_that_somebody_deleted_is_written_anew(
    command: Command, github_job: Job, forge: Forge, left: CiFolder
) -> None:
    github_job()
    command("ci", "report")
    forge.faults.append(Fault(method="PATCH", path="comments", status=404))
    listed = forge.comments[2]
    ended = command("ci", "report", "--json")
    assert _deliveries(ended.out)["comment"] == "updated"  # it was there after all
    assert len(listed) == 1


def test_a_comment_with_our_marker_by_somebody_else_is_left_alone(
    command: Command, github_job: Job, forge: Forge, left: CiFolder
) -> None:
    forged = {"id": 1, "body": "<!-- modelyard:report flights -->\nfine", "user": {"login": "eve"}, "updates": 0}
    quoted = {
        "id": 2,
        "body": "> <!-- modelyard:report flights -->",
        "user": {"login": "github-actions[bot]"},
        "updates": 0,
    }
    forge.comments[2] += [forged, quoted]
    github_job()
    command("ci", "report")

    assert [each["updates"] for each in forge.comments[2]] == [0, 0, 0]
    assert forge.comments[2][2]["user"]["login"] == "github-actions[bot]"


def test_two_projects_have_a_comment_each(
    command: Command, github_job: Job, forge: Forge, left: CiFolder, flights: Path
) -> None:
    github_job()
    command("ci", "report")
    (flights / "modelyard.yaml").write_text("name: trains\n")
    command("ci", "report")
    assert [each["body"].splitlines()[0] for each in forge.comments[2]] == [
        "<!-- modelyard:report flights -->",
        "<!-- modelyard:report trains -->",
    ]


def test_a_lasting_preview_is_a_deployment(command: Command, github_job: Job, forge: Forge, left: CiFolder) -> None:
    left.write(
        "preview.json",
        PreviewsRecord((PreviewRecord("delays", "delays-2", url="https://preview.example.com/delays-2"),)),
    )
    github_job()
    command("ci", "report")

    (deployment,) = forge.deployments
    assert (deployment["ref"], deployment["environment"]) == (HEAD, "preview/delays-2")
    assert deployment["transient_environment"] is True
    (status,) = forge.deployment_statuses
    assert (status["state"], status["environment_url"]) == ("success", "https://preview.example.com/delays-2")


def test_what_a_fork_has_left_is_told_and_leads_nowhere(
    command: Command, github_job: Job, forge: Forge, left: CiFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two stages: a run of the repository's own reports what a run of a fork has left."""
    commit = "5779607b49aab1200488439f02372c57b4f75444"
    forge.requests[9] = {
        "number": 9,
        "state": "open",
        "head": {"sha": commit, "ref": "x", "repo": {"full_name": "eve/fork"}},
        "base": {"sha": "b" * 40, "ref": "main", "repo": {"full_name": "Codertocat/Hello-World"}},
    }
    left.write("preview.json", PreviewsRecord((PreviewRecord("delays", "x", url="https://evil.example/"),)))
    github_job("workflow_run_fork")
    ended = command("ci", "report", "--json")

    assert _deliveries(ended.out) == {"comment": "created", "check": "created", "summary": "created"}
    (comment,) = forge.comments[9]
    assert "<code>https&#58;&#47;&#47;evil&#46;example&#47;</code>" in comment["body"]
    assert "(https://evil.example/)" not in comment["body"]
    assert forge.check_runs[0]["head_sha"] == commit
    assert json.loads((left.path / "annotations.json").read_text()) == {"modelyard": []}


def test_a_damaged_file_is_named(command: Command, flights: Path, left: CiFolder) -> None:
    (left.path / "run.json").write_text('{"project": 3}')
    ended = command("ci", "gate")
    assert (ended.code, "run.json: cannot be read: Expected `str`, got `int`" in ended.err) == (3, True)


@pytest.mark.parametrize("name", ["plan.json", "run.json", "main/run.json", "preview.json"])
def test_a_damaged_file_is_reported(command: Command, github_job: Job, forge: Forge, left: CiFolder, name: str) -> None:
    (left.path / name).parent.mkdir(exist_ok=True)
    (left.path / name).write_text('{"project": ')
    github_job()
    ended = command("ci", "report")
    assert ended.code == 0, ended.err
    (comment,) = forge.comments[2]
    assert f"**Failed:** <code>{name.rpartition('/')[2].replace('.', '&#46;')}&#58; " in comment["body"]
    assert "cannot be read&#58; Input data was truncated" in comment["body"]
    assert forge.check_runs[0]["conclusion"] == "failure"


def test_a_folder_that_cannot_be_written_keeps_no_report_from_the_request(
    command: Command, github_job: Job, forge: Forge, flights: Path
) -> None:
    (flights / "file").write_text("")
    github_job()
    place = str(flights / "file/ci")
    ended = command("ci", "report", "--folder", place, "--json")
    assert (ended.code, _deliveries(ended.out)["comment"]) == (0, "created")
    (files, *_) = json.loads(ended.out)["deliveries"]
    said = f"{place}/report.md: cannot be written: Not a directory. Name another place with --folder."
    assert (files["channel"], files["state"], files["reason"]) == ("files", "failed", said)

    planned = command("ci", "plan", "--folder", place)
    assert (planned.code, planned.err) == (2, f"error: {said.replace('report.md', 'plan.json')}\n")


@pytest.mark.parametrize("token", ["forge-secret-write", "forge-secret-statuses"])
def test_the_work_has_begun_and_ends_by_the_same_means(
    command: Command, github_job: Job, forge: Forge, left: CiFolder, token: str
) -> None:
    """A status that stays pending beside a check run that ended would hold the request for ever."""
    github_job(token=token)
    assert command("ci", "report", "--pending").code == 0
    assert forge.comments == {}
    command("ci", "report")

    if token == "forge-secret-write":
        assert [each["status"] for each in forge.check_runs] == ["in_progress", "completed"]
        assert len({(each["name"], each["head_sha"]) for each in forge.check_runs}) == 1
        assert forge.statuses == []
    else:
        assert [each["state"] for each in forge.statuses] == ["pending", "failure"]
        assert len({(each["context"], each["sha"]) for each in forge.statuses}) == 1
        assert forge.check_runs == []


def test_a_dry_run_asks_nobody(command: Command, github_job: Job, forge: Forge, left: CiFolder) -> None:
    variables = github_job()
    ended = command("ci", "report", "--dry-run")
    assert ended.out.startswith("<!-- modelyard:report flights -->\n")
    assert (forge.log, Path(variables["GITHUB_STEP_SUMMARY"]).exists(), (left.path / "report.md").exists()) == (
        [],
        False,
        False,
    )


def test_a_project_that_cannot_be_read_is_reported(
    command: Command, github_job: Job, forge: Forge, flights: Path
) -> None:
    (flights / "modelyard.yaml").write_text("name: [\n")
    github_job()
    ended = command("ci", "report")
    assert ended.code == 0
    assert "**Failed:** <code>project&#58; " in forge.comments[2][0]["body"]


def test_files_for_the_host(command: Command, gitlab_job: Job, forge: Forge, left: CiFolder) -> None:
    variables = gitlab_job()
    command("ci", "report")

    metrics = (left.path / "metrics.txt").read_text().splitlines()
    assert metrics[0] == 'modelyard_roc_auc{workflow="main",model="flights-delay"} 0.7245'
    assert metrics[-1] == "# EOF"
    suite = (left.path / "junit.xml").read_text()
    assert '<testsuite name="modelyard" tests="2" failures="1" skipped="0">' in suite
    outputs = Path(variables["MODELYARD_OUTPUTS"]).read_text().splitlines()
    assert outputs == ["VERDICT=failure", f"REPORT_PATH={left.path / 'report.md'}"]


def test_the_fake_forge_runs_as_a_process_too() -> None:
    import httpx

    doubles = Path(__file__).parents[1] / "doubles"
    process = subprocess.Popen(
        [sys.executable, "-m", "fake_forge"],
        cwd=doubles,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        places = json.loads(process.stdout.readline())
        head = {"Authorization": "Bearer forge-secret-write"}
        with httpx.Client(headers=head, trust_env=False) as client:
            made = client.post(f"{places['github']}/repos/a/b/issues/7/comments", json={"body": "hello"})
            assert made.status_code == 201
            state = client.get(f"{places['url']}/_forge/state").json()
        assert [each["body"] for each in state["comments"]["7"]] == ["hello"]
        process.stdin.close()
        assert process.wait(60) == 0
