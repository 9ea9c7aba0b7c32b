"""A request's graph is deployed with its model, asked beside the champion, taken away; and the model promoted."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from command_lines import Command
from fake_forge import Forge
from loans_project import git, write_loans

from modelyard.ci.previewing import LastingPreview, PreviewRegister
from modelyard.ci.previewing.preview import endpoint_name
from modelyard.cli.main import run_command_line
from modelyard.projects import open_project
from modelyard.projects.dispatch import dispatch
from modelyard.tracking import Tracking, open_tracking

Job = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A champion, version 1, and a candidate, version 2, that a request has judged."""
    folder = write_loans(tmp_path_factory.mktemp("loans"))
    words = ("ci", "run", "main", "--input", "rows=600", "--quiet", "--project", str(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_command_line([*words, "--all", "--baseline", "none"]) == 0
        tracking(folder).registry.point_alias("loans", "champion", 1)
        path = folder / "loans/training.py"
        path.write_text(path.read_text().replace("LogisticRegression()", "LogisticRegression(C=0.01)"))
        git(folder, "commit", "-q", "-a", "-m", "change")
        shutil.rmtree(folder / ".modelyard/ci")
        assert run_command_line([*words, "--base", "main"]) == 0
    yield folder
    for endpoint in ("approve", "approve-pr-2"):
        dispatch("undeploy", {"endpoint": endpoint}, project=folder)


def tracking(folder: Path) -> Tracking:
    return open_tracking(open_project(folder).environment(), "loans")


@pytest.fixture
def here(judged: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(judged)
    return judged


@pytest.fixture
def requests(tmp_path: Path) -> str:
    path = tmp_path / "requests.jsonl"
    bodies = [{"income": 0.5, "age": 1.5}, {"income": -1.0, "age": 0.25}]
    path.write_text("".join(f"{json.dumps(each)}\n" for each in bodies))
    return str(path)


def preview(folder: Path) -> Any:
    (found,) = json.loads((folder / ".modelyard/ci/preview.json").read_text())["previews"]
    return found


def endpoints(folder: Path) -> list[str]:
    state = folder / ".modelyard/endpoints"
    return sorted(each.name for each in state.iterdir() if (each / "endpoint.json").exists()) if state.exists() else []


@pytest.mark.slow
def test_a_preview_lives_for_the_job_and_is_asked_beside_the_champion(
    command: Command, here: Path, requests: str, github_job: Job, forge: Forge
) -> None:
    variables = github_job()
    ended = command("ci", "preview", "--requests", requests)
    assert ended.code == 0, ended.err

    found = preview(here)
    assert (found["graph"], found["endpoint"], found["failure"]) == ("approve", "approve-pr-2", "")
    assert (found["models"], found["url"]) == ({"model": "models:/loans/2"}, "")
    assert (found["smoke_requests"], found["smoke_failures"]) == (2, 0)
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"]
    beside = found["shadow"]
    assert (beside["requests"], beside["same"], beside["errors"], beside["baseline_errors"]) == (2, 0, 0, 0)
    assert 0 < beside["largest_difference"] < 0.5
    assert endpoints(here) == []
    assert "\npass\n" in Path(variables["GITHUB_OUTPUT"]).read_text()

    report = command("ci", "report", "--dry-run").out
    assert "- beside the champion: 0 of 2 answers are the champion's; largest difference of a number " in report


@pytest.mark.slow
def test_what_stood_in_for_the_champion_is_asked_the_same(
    command: Command, here: Path, requests: str, tmp_path: Path
) -> None:
    run = json.loads((here / ".modelyard/ci/run.json").read_text())
    assert run["workflows"][0]["candidates"][0]["baseline"] == "models:/loans/1"
    run["workflows"][0]["candidates"][0]["baseline_kind"] = "merge-base"
    (tmp_path / "run.json").write_text(json.dumps(run))
    registry = tracking(here).registry
    registry.point_alias("loans", "champion", 2)  # asked in its place, all answers would be the same
    try:
        assert command("ci", "preview", "--folder", str(tmp_path), "--requests", requests).code == 0
    finally:
        registry.point_alias("loans", "champion", 1)

    (found,) = json.loads((tmp_path / "preview.json").read_text())["previews"]
    beside = found["shadow"]
    assert (beside["baseline"], beside["requests"], beside["same"], found["remark"]) == ("merge-base", 2, 0, "")
    assert "- beside the merge base: 0 of 2 answers are the merge base's; " in (
        command("ci", "report", "--folder", str(tmp_path), "--dry-run").out
    )


@pytest.mark.slow
def test_a_lasting_preview_answers_until_it_is_stopped(
    command: Command, here: Path, requests: str, github_job: Job, forge: Forge
) -> None:
    github_job()
    assert command("ci", "preview", "--lasting", "--requests", requests).code == 0
    found = preview(here)
    reply = httpx.post(found["url"], json={"income": 0.5, "age": 1.5}, trust_env=False)
    assert (reply.status_code, set(reply.json())) == (200, {"label", "probability"})
    assert found["expires"] > 0
    command("ci", "report")
    assert [each["environment_url"] for each in forge.deployment_statuses] == [found["url"]]

    github_job("pull_request_closed")  # the request is closed
    assert command("ci", "preview", "--stop", "--dry-run").out == "would end approve-pr-2\n"
    assert endpoints(here) == ["approve-pr-2"]
    assert command("ci", "preview", "--stop").out == "ended approve-pr-2\n"
    assert endpoints(here) == []
    assert forge.deployment_statuses[-1]["state"] == "inactive"
    with pytest.raises(httpx.ConnectError):
        httpx.post(found["url"], json={}, trust_env=False)
    assert command("ci", "preview", "--stop").out == "There is no such preview.\n"


@pytest.mark.slow
def test_a_change_of_the_graph_alone_is_asked_beside_what_answers_now(
    command: Command, here: Path, requests: str, tmp_path: Path
) -> None:
    dispatch("deploy", {"graph": "approve"}, project=here)
    asked = ("ci", "preview", "--graph", "approve", "--endpoint", "approve-new", "--requests", requests)
    assert command(*asked, "--folder", str(tmp_path)).code == 0
    (found,) = json.loads((tmp_path / "preview.json").read_text())["previews"]
    assert (found["models"], found["failure"]) == ({"model": "models:/loans/1"}, "")
    beside = found["shadow"]
    assert (beside["requests"], beside["same"], beside["largest_difference"]) == (2, 2, 0.0)
    assert endpoints(here) == ["approve"]
    dispatch("undeploy", {"endpoint": "approve"}, project=here)


@pytest.mark.slow
def test_wrong_requests_and_graphs_that_do_not_start_are_in_the_report_and_no_error(
    command: Command, here: Path, tmp_path: Path, github_job: Job, forge: Forge
) -> None:
    github_job()
    path = tmp_path / "requests.json"
    path.write_text('[{"income": 1, "age": 2}, {"nonsense": true}]')
    assert command("ci", "preview", "--requests", str(path)).code == 0
    assert (preview(here)["smoke_requests"], preview(here)["smoke_failures"]) == (2, 1)
    assert (
        "**Preview failed:** <code>approve&#58; 1 of 2 requests failed</code>"
        in command("ci", "report", "--dry-run").out
    )

    assert command("ci", "preview", "--graph", "aprove").code == 0
    assert preview(here)["failure"].endswith("Did you mean approve?")


@pytest.mark.slow
def test_exactly_what_the_report_names_is_promoted(command: Command, here: Path) -> None:
    registry = tracking(here).registry
    run = here / ".modelyard/ci/run.json"
    honest = run.read_text()
    (here / ".modelyard/ci/preview.json").unlink(missing_ok=True)  # another test's, whose preview failed

    digest = json.loads(honest)["workflows"][0]["candidates"][0]["digest"]
    run.write_text(honest.replace(digest, "0" * 64))
    ended = command("ci", "promote")
    assert (ended.code, registry.aliases("loans")) == (4, {"champion": 1})
    assert "models:/loans/2: the report is of files with the digest 0000000000000000" in ended.err

    run.write_text(honest.replace('"held": true', '"held": false'))
    assert (command("ci", "promote").code, registry.aliases("loans")) == (6, {"champion": 1})

    run.write_text(honest)
    ended = command("ci", "promote", "--model", "models:/loans/9")
    assert (
        ended.code,
        "--model: the report has no candidate models:/loans/9. Known: models:/loans/2." in ended.err,
    ) == (2, True)
    assert command("ci", "promote", "--dry-run").out == "would promote models:/loans/2 to champion\n"
    assert command("ci", "promote", "--back").out == "Nothing was promoted.\n"
    assert registry.aliases("loans") == {"champion": 1}

    told = command("ci", "promote")
    assert (told.code, told.out.splitlines()[1].split()) == (
        0,
        ["models:/loans/2", "champion", "promoted", "models:/loans/1", "2"],
    )
    assert registry.aliases("loans") == {"champion": 2}
    again = command("ci", "promote", "--json")
    (found,) = json.loads(again.out)["promotions"]
    assert (found["model"], found["previous"], found["moved"]) == ("models:/loans/2", "models:/loans/1", False)

    assert "would be taken back" in command("ci", "promote", "--back", "--dry-run").out
    assert registry.aliases("loans") == {"champion": 2}
    told = command("ci", "promote", "--back")
    assert told.out.splitlines()[1].split() == ["models:/loans/2", "champion", "taken", "back", "models:/loans/1"]
    assert registry.aliases("loans") == {"champion": 1}
    assert "was taken back already" in command("ci", "promote", "--back").out


@pytest.mark.slow
def test_each_registered_model_of_a_report_is_promoted_by_its_best_candidate(
    command: Command, here: Path, github_job: Job, forge: Forge
) -> None:
    """A push may touch several workflows: of two that bring versions of one model the better is taken."""
    registry = tracking(here).registry
    path = here / ".modelyard/ci/run.json"
    honest = path.read_text()
    (here / ".modelyard/ci/preview.json").unlink(missing_ok=True)
    other = dispatch("register", {"model": "models:/loans/2", "name": "others"}, project=here).result
    run = json.loads(honest)
    (mine,) = run["workflows"][0]["candidates"]
    worse = json.loads(json.dumps(mine)) | {"model": "models:/loans/1", "workflow": "tune"}
    worse["metrics"][0]["candidate"] -= 0.1
    new = mine | {"model": other["model"], "digest": other["digest"], "evaluation": "", "gates": [], "workflow": "new"}
    unregistered = mine | {"model": "models:/m-0123", "workflow": "quick"}
    run["workflows"][0]["candidates"] = [worse, mine, new, unregistered]
    path.write_text(json.dumps(run))
    variables = github_job()

    told = command("ci", "promote")
    assert [line.split() for line in told.out.splitlines()[1:]] == [
        ["models:/loans/2", "champion", "promoted", "models:/loans/1", "2"],
        ["models:/others/1", "champion", "promoted", "-", "0"],
        ["models:/loans/1", "-", "passed", "over:", "models:/loans/2", "is", "better", "-", "-"],
    ]
    assert (registry.aliases("loans"), registry.aliases("others")) == ({"champion": 2}, {"champion": 1})
    outputs = Path(variables["GITHUB_OUTPUT"]).read_text()
    assert '\n["models:/loans/2","models:/others/1"]\n' in outputs
    assert outputs.index("\nmodels:/loans/2\n") < outputs.index("\nmodels:/loans/1\n")  # model-uri, previous

    told = command("ci", "promote", "--back", "--json")
    assert [(each["model"], each["said"]) for each in json.loads(told.out)["promotions"]] == [
        ("models:/others/1", "stays: there was none before"),
        ("models:/loans/2", "taken back"),
    ]
    assert (registry.aliases("loans"), registry.aliases("others")) == ({"champion": 1}, {"champion": 1})

    run["workflows"][0]["candidates"][0]["rows"] = 7
    path.write_text(json.dumps(run))
    refused = command("ci", "promote", "--dry-run")
    said = "--model: the report has several candidates of one registered model, measured on other rows"
    assert (refused.code, said in refused.err, "models:/loans/1, models:/loans/2." in refused.err) == (2, True, True)
    narrowed = command("ci", "promote", "--dry-run", "--json", "--model", "models:/loans/2")
    assert [each["model"] for each in json.loads(narrowed.out)["promotions"]] == ["models:/loans/2"]
    path.write_text(honest)


def test_a_graph_whose_model_is_not_here_is_not_previewed_and_no_failure(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fresh runner has no champion, and a change of the graph alone brings none."""
    outputs = tmp_path / "outputs.env"
    monkeypatch.setenv("MODELYARD_OUTPUTS", str(outputs))
    folder = tmp_path / "fresh"
    folder.mkdir()
    monkeypatch.chdir(write_loans(folder))
    (folder / "loans/serving.py").write_text((folder / "loans/serving.py").read_text() + "# more\n")
    git(folder, "commit", "-q", "-a", "-m", "the graph alone")
    assert command("ci", "plan", "--base", "main").code == 0
    assert command("ci", "run").code == 0
    ended = command("ci", "preview")
    assert (ended.code, "\napprove: It was not deployed: " in ended.out) == (0, True)
    assert "SMOKE=none\n" in outputs.read_text()

    assert (preview(folder)["note"].startswith("It was not deployed: "), preview(folder)["failure"]) == (True, "")
    assert "- graph <code>approve</code>: <code>It was not deployed&#58; " in command("ci", "report", "--dry-run").out
    assert command("ci", "gate").code == 0


def test_the_reaper_ends_what_is_over_and_nothing_else(command: Command, flights: Path) -> None:
    register = PreviewRegister(flights / ".modelyard")
    register.keep(LastingPreview("a-pr-1", "a", "local", 1, "x", expires=1.0))
    register.keep(LastingPreview("a-pr-2", "a", "local", 2, "y", expires=4e9))
    register.keep(LastingPreview("a-pr-3", "a", "local", 3, "z", expires=0.0))
    (flights / ".modelyard/previews/broken.json").write_text("{")

    assert command("ci", "preview", "--expired", "--dry-run").out == "would end a-pr-1\n"
    assert json.loads(command("ci", "preview", "--expired", "--json").out) == {"ended": ["a-pr-1"]}
    assert [each.endpoint for each in register.all()] == ["a-pr-2", "a-pr-3"]


def test_previews_belong_to_a_request_or_a_branch(flights: Path) -> None:
    register = PreviewRegister(flights / ".modelyard")
    register.keep(LastingPreview("a-pr-1", "a", "local", 1, "x", 0))
    register.keep(LastingPreview("a-x", "a", "local", 0, "x", 0))
    assert [each.endpoint for each in register.of_request(1, "x")] == ["a-pr-1"]
    assert [each.endpoint for each in register.of_request(0, "x")] == ["a-pr-1", "a-x"]
    assert register.of_request(0, "") == []


def test_no_graph_no_preview(command: Command, flights: Path) -> None:
    ended = command("ci", "preview")
    assert (ended.code, ended.out) == (0, "The change needs no preview.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ttl", "soon"), "--ttl takes a number and s, m, h or d, such as 72h; got soon."),
        (("--endpoint", "x", "--graph", "a", "--graph", "b"), "--endpoint names one endpoint"),
        (("--requests", "nowhere.json"), "--requests: nowhere.json: No such file or directory."),
    ],
)
def test_wrong_flags(command: Command, flights: Path, words: tuple[str, ...], said: str) -> None:
    ended = command("ci", "preview", *words)
    assert (ended.code, said in ended.err) == (2, True)


def test_the_name_of_an_endpoint_can_be_one() -> None:
    from modelyard.deploy.endpoints import check_endpoint_name

    for branch in ("$(touch x)", "", "ü/ß", "a" * 300, "-.-"):
        assert check_endpoint_name(endpoint_name("delays", 0, branch))
