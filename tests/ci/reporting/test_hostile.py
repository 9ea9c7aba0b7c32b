"""Text from outside changes nothing but itself, wherever it comes from; secrets are nowhere."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from command_lines import Command
from fake_forge import Forge
from hypothesis import given
from hypothesis import strategies as st
from judged import METRICS
from markdown_it import MarkdownIt

from modelyard.ci.folder import CiFolder
from modelyard.ci.hosts import CiContext
from modelyard.ci.job import open_job
from modelyard.ci.previews import PreviewRecord, PreviewsRecord
from modelyard.ci.records import (
    Affected,
    Candidate,
    DataUse,
    FailureRecord,
    GateRecord,
    MetricRecord,
    PlanRecord,
    RunRecord,
    SliceRecord,
    WorkflowRecord,
)
from modelyard.ci.reporting import Report, build_report, junit, openmetrics, render, summary, workflow_command
from modelyard.ci.reporting.annotations import annotations_of
from modelyard.ci.reporting.escaping import code, loggable

Job = Callable[..., dict[str, str]]

HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    '"; touch pwned; "',
    "a | b | c",
    "a \\| b",
    "x](javascript:alert(1)) [y",
    "![x](https://evil.example/pixel.png)",
    "**bold** _it_ ~~gone~~ # head",
    "```\n# out of the fence\n```mermaid",
    "~~~~\nout\n~~~~",
    "<!-- modelyard:report flights -->",
    "--> <!-- modelyard:history W10= -->",
    "<img src=x onerror=alert(1)>",
    "</code></details><script>alert(1)</script>",
    "&lt;b&gt; &#64;ada &amp;",
    "@acme/owners please look, @ada",
    "#1 !7 acme/flights#2 GH-3 &4 %5 ~6 $7",
    "\n/close\n/merge",
    ":tada: www.evil.example https://evil.example ada@evil.example",
    "::set-output name=gate::pass",
    "\n::add-mask::x\n::error::x",
    "##[command]x",
    "%0A::warning::x%0D",
    "a\u202egnp.exe\u2066\u200b\ufeff",
    "\x1b[31mred\x00\x07",
    'end subgraph\n    click a href "https://evil.example"',
    "y" * 5_000,
]


def hostile_run(text: str) -> RunRecord:
    """Return a run in which everything that can come from outside is `text`."""
    candidate = Candidate(
        workflow=text,
        step=text,
        model=f"models:/{text}/4",
        digest=text,
        evaluation=text,
        baseline=f"models:/{text}/3",
        baseline_kind="champion",
        baseline_note=text,
        metrics=(*METRICS, MetricRecord(text, text, 0.5, 0.6, True)),
        gates=(
            GateRecord(text, False, text),
            GateRecord(f"{text} >= 1", True, text),
            GateRecord(f"{text} >= champion", True, text, judged=False),
        ),
        slices=(SliceRecord(text, text, 9, text, 0.5, 0.6, True), SliceRecord(text, "b", 9, text, 0.5, 0.6, True)),
        data=(DataUse(text, text, text, f"other {text}", 1, 2),),
        main_metric="roc_auc",
        rows=1,
        report=text,
        verdict="worse",
        evaluation_url=f"https://evil.example/{text}",
    )
    flow = WorkflowRecord(text, {text: text}, (text,), f"flowchart TD\n    a[{text!r}]", (candidate,), (), 1.0, text)
    return RunRecord("flights", text, "a" * 40, workflows=(flow,), graphs={text: f"flowchart LR\n    a[{text!r}]"})


def hostile_report(text: str, run: RunRecord | None = None) -> Report:
    context = CiContext(
        host="github",
        branch=text,
        base_branch=text,
        head_commit="a" * 40,
        run_url=f"https://github.com/{text}",
        actor=text,
        comment=text,
    )
    touched = (Affected(text, (text, text)),)
    plan = PlanRecord("flights", text, text, (text, f"{text}.py"), touched, touched, touched, text)
    preview = PreviewRecord(
        text, text, text, {text: text}, f"https://evil.example/{text}", text, 2, 0, {"p50": 1.0}, remark=text
    )
    return build_report(
        "flights",
        context,
        plan=plan,
        run=run or hostile_run(text),
        previews=[preview],
        artifacts=text,
        at="2026-11-21 19:00",
    )


class _Shape(HTMLParser):
    """The elements of a page, with what they may do; not its text, and not where its own links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.shape: list[Any] = []
        self.links: list[str] = []
        self.comments: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shape.append((tag, sorted(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        self.shape.append(tag)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data.split(maxsplit=1)[0])


def shape(text: str) -> _Shape:
    found = _Shape()
    found.feed(MarkdownIt("gfm-like", {"html": True, "linkify": True}).render(text))
    return found


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_page_has_the_same_shape_whatever_the_text(text: str) -> None:
    harmless, hostile = shape(render(hostile_report("harmless"))), shape(render(hostile_report(text)))

    assert hostile.shape == harmless.shape
    assert hostile.comments == ["modelyard:report", "modelyard:history"]
    hosts = {re.match(r"(https://[a-z.]+/|#$|)", link).group() for link in hostile.links}  # type: ignore[union-attr]
    assert hosts == {"https://github.com/", "https://evil.example/", "#"}  # the run, the preview, the artifacts: none


@given(st.text(alphabet=st.sampled_from("|`<>&@#!*_[]()\\/:~$%-=+. \n\tab1\u202e\"'{}^"), max_size=40))
def test_any_text_is_one_element(text: str) -> None:
    row = f"| a | {code(text)} | b |\n"
    page = shape(f"| 1 | 2 | 3 |\n|---|---|---|\n{row}")
    plain = shape("| 1 | 2 | 3 |\n|---|---|---|\n| a | <code>x</code> | b |\n")
    if code(text) != "–":
        assert page.shape == plain.shape


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nobody_is_mentioned_and_no_line_is_a_command(text: str) -> None:
    page = summary(hostile_report(text), [f"The comment was not written: {text}"])
    outside = re.sub(r"^(`{3,})(mermaid|text)\n.*?\n\1$", "", page, flags=re.DOTALL | re.MULTILINE)

    assert re.findall(r"@\w|(?:&#64;)\w", outside) == []
    assert [line for line in page.splitlines() if line.startswith(("/", "::", "##["))] == []
    assert "\u202e" not in page
    assert "\x1b" not in page


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_remark_is_one_command(text: str) -> None:
    run = RunRecord("flights", failures=(FailureRecord(text, "user_code", text, text, 3),))
    (remark,) = annotations_of(run)
    line = workflow_command(remark)
    assert "\n" not in line
    assert "\r" not in line
    place, _, _ = line.removeprefix("::error ").partition("::")
    assert [part.partition("=")[0] for part in place.split(",")] == ["file", "line", "title"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_the_files_for_the_host_stay_well_formed(text: str) -> None:
    from xml.etree import ElementTree

    run = hostile_run(text)
    suite = ElementTree.fromstring(junit(run))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    lines = openmetrics(run).splitlines()
    assert lines[-1] == "# EOF"
    for line in lines[:-1]:
        assert re.fullmatch(
            r'modelyard_\w+\{workflow="(?:[^"\\\n]|\\.)*",model="(?:[^"\\\n]|\\.)*"\} [-0-9.e]+', line
        ), line


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_line_of_the_log_is_no_command(text: str) -> None:
    shown = loggable(text)
    assert "::" not in shown
    assert "##[" not in shown
    assert "\n" not in shown


def _outputs(text: str) -> dict[str, str]:
    """Read a file of outputs as GitHub's runner does."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, mark, end = line.partition("<<")
        assert mark, line
        value = []
        for each in lines:
            if each == end:
                break
            value.append(each)
        found[name] = "\n".join(value)
    return found


@pytest.mark.parametrize("text", HOSTILE[:-1], ids=range(len(HOSTILE) - 1))
def test_a_whole_job_on_github(
    command: Command, github_job: Job, forge: Forge, flights: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = github_job()
    event = Path(variables["GITHUB_EVENT_PATH"])
    payload = json.loads(event.read_text())
    payload["pull_request"].update(title=text, body=text)
    payload["pull_request"]["head"].update(ref=text, label=text)
    event.write_text(json.dumps(payload))
    monkeypatch.setenv("GITHUB_HEAD_REF", text.replace("\x00", ""))
    folder = CiFolder(flights / ".modelyard/ci")
    folder.write("run.json", hostile_run(text))
    folder.write("preview.json", PreviewsRecord((PreviewRecord(text, failure=text),)))

    seen = [command("ci", "detect"), command("ci", "report"), command("ci", "gate")]

    assert [each.code for each in seen] == [0, 0, 6]
    for each in seen:
        for line in (each.out + each.err).splitlines():
            assert not line.lstrip().startswith("::"), line
            assert "##[" not in line
    outputs = _outputs(Path(variables["GITHUB_OUTPUT"]).read_text())
    assert list(outputs) == [
        *("host", "event", "request", "head-commit", "base-commit", "fork", "may-command", "may-write"),
        *("verdict", "report-path", "gate"),
    ]
    assert (outputs["request"], outputs["verdict"], outputs["gate"]) == ("2", "failure", "fail")
    assert len(forge.comments[2]) == 1
    assert len(forge.check_runs) == 1
    assert not list(flights.rglob("pwned"))


@pytest.mark.parametrize("text", HOSTILE[:-1], ids=range(len(HOSTILE) - 1))
def test_a_whole_job_on_gitlab(
    command: Command, gitlab_job: Job, forge: Forge, flights: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Branch, title and message of the commit reach a job as variables; names and messages by its files."""
    outside = text.replace("\x00", "")
    named = ("CI_COMMIT_REF_NAME", "CI_COMMIT_MESSAGE", "CI_COMMIT_TITLE", "CI_COMMIT_DESCRIPTION")
    asked = ("CI_MERGE_REQUEST_TITLE", "CI_MERGE_REQUEST_DESCRIPTION", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")
    variables = gitlab_job(**dict.fromkeys((*named, *asked, "GITLAB_USER_LOGIN"), outside))
    folder = CiFolder(flights / ".modelyard/ci")
    assert command("ci", "plan").code == 0
    folder.write("run.json", hostile_run(text))
    folder.write("preview.json", PreviewsRecord((PreviewRecord(text, text, failure=text, url=f"https://evil/{text}"),)))

    words = (("detect",), ("report",), ("gate",), ("preview", "--stop"))
    seen = [command("ci", *each) for each in words]

    assert [each.code for each in seen] == [0, 0, 6, 0]
    for each in seen:
        for line in (each.out + each.err).splitlines():
            assert not line.lstrip().startswith(("::", "##[", "section_")), line
            assert "\x1b" not in line
    (note,) = forge.notes[7]
    assert shape(note["body"]).comments == ["modelyard:report", "modelyard:history"]
    assert [line for line in note["body"].splitlines() if line.startswith("/")] == []
    assert re.findall(r"@\w", re.sub(r"^(`{3,})mermaid\n.*?\n\1$", "", note["body"], flags=re.S | re.M)) == []
    assert {each["name"] for each in forge.statuses} == {"modelyard/flights"}
    left = dict(line.split("=", 1) for line in Path(variables["MODELYARD_OUTPUTS"]).read_text().splitlines())
    planned = ("AFFECTED", "FUNCTIONS", "GRAPHS", "WORKFLOWS", "MATRIX")
    told = ("HOST", "EVENT", "REQUEST", "HEAD_COMMIT", "BASE_COMMIT", "FORK", "MAY_COMMAND", "MAY_WRITE")
    assert list(left) == [*planned, *told, "VERDICT", "REPORT_PATH", "GATE"]
    assert (left["REQUEST"], left["VERDICT"], left["GATE"]) == ("7", "failure", "fail")
    (link,) = json.loads((folder.path / "annotations.json").read_text())["modelyard"]
    assert link["external_link"]["url"].startswith("https://evil/")
    assert not list(flights.rglob("pwned"))


def test_no_secret_leaves_the_job(
    command: Command, github_job: Job, forge: Forge, flights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (flights / "modelyard.yaml").write_text(
        "name: flights\nenvironments:\n  dev: {secrets: [WAREHOUSE]}\n", encoding="utf-8"
    )
    secrets = {
        "DB_PASSWORD": "s3cr3t|<pass>_word",
        "WAREHOUSE": "warehouse://ada",
        "AWS_SECRET_ACCESS_KEY": "first line 1\nsecond line 2",
        "MY_API_KEY": 'quoted"\\secret',
    }
    variables = github_job(**secrets)
    told = " ".join([*secrets.values(), "https://ada:hunter22@db.example.com", variables["GITHUB_TOKEN"]])
    folder = open_job(".").folder
    run = hostile_run(told)
    folder.write(
        "run.json",
        RunRecord("flights", failures=(FailureRecord(told, "user_code", told, "a.py", 1),), workflows=run.workflows),
    )

    preview = PreviewRecord(told, "x", url=told, failure=told, note=told, remark=told)
    folder.write("preview.json", PreviewsRecord((preview, msgspec.structs.replace(preview, note=""))))
    told_by = (("detect", "--json"), ("report",), ("report", "--json"), ("gate",), ("gate", "--dry-run", "--json"))
    seen = [command("ci", *words) for words in (*told_by, ("promote",))]

    left = [path.read_text(errors="replace") for path in (flights / ".modelyard").rglob("*") if path.is_file()]
    left += [Path(variables[name]).read_text() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")]
    left += [json.dumps(forge.state()), json.dumps(forge.log), *(each.out + each.err for each in seen)]
    parts = [
        "s3cr3t",
        "pass&#62;",
        "<pass>",
        "warehouse:",
        "warehouse&#58;",
        "first line 1",
        "second line 2",
        "hunter22",
    ]
    parts += ["quoted", variables["GITHUB_TOKEN"]]
    for text in left:
        assert [part for part in parts if part in text] == []
    assert len(forge.comments[2]) == 1
