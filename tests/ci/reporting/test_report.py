import msgspec
from judged import FAILED, HELD, PLAN, PREVIEW, candidate, run_of

from modelyard.ci.hosts import CiContext
from modelyard.ci.records import FailureRecord, GateRecord, PlanRecord, RunRecord
from modelyard.ci.reporting import build_report, render
from modelyard.ci.reporting.history import Push, history_of

CONTEXT = CiContext(head_commit="a" * 40, run_url="https://github.com/acme/flights/actions/runs/99")


def test_a_failed_gate_is_the_verdict_with_its_number() -> None:
    report = build_report("flights", CONTEXT, plan=PLAN, run=run_of(candidate(HELD, FAILED)), previews=[PREVIEW])

    assert report.verdict == (
        "failure",
        "gate failed",
        "roc_auc >= champion - 0.005: 0.7245 >= 0.7395 (champion 0.7445 - 0.005): failed (models:/flights-delay/4)",
    )
    lines = render(report).splitlines()
    assert lines[:2] == ["<!-- modelyard:report flights -->", "### modelyard: <code>flights</code>"]
    assert lines[3].startswith("**Gate failed:** <code>roc&#95;auc &#62;= champion - 0&#46;005&#58; 0&#46;7245 &#62;= ")


def test_every_part_is_there() -> None:
    text = render(build_report("flights", CONTEXT, plan=PLAN, run=run_of(candidate(HELD, FAILED)), previews=[PREVIEW]))

    for line in [
        "| **<code>roc&#95;auc</code>** | 0.7245 | 0.7445 | −0.0200 | **worse** |",
        "| <code>log&#95;loss</code> | 0.4100 | 0.4300 | −0.0200 | better |",
        "| <code>caught-in-top-tenth</code> | 0.3100 | 0.3100 | 0.0000 | same |",
        "| <code>carrier</code> = <code>EV</code> | 900 | <code>roc&#95;auc</code> | 0.7000 | 0.7500 | −0.0500 |",
        "| <code>carrier</code> = <code>UA</code> | 800 | <code>roc&#95;auc</code> | 0.7300 | 0.7400 | −0.0100 |",
        "| <code>training</code> <code>train</code> | <code>cccccccccccc</code>, 1000 rows "
        "| <code>dddddddddddd</code>, 900 rows |",
        "- smoke test: 20 requests, 0 failed; latency p50 1.23 ms, p95 3.5 ms",
        "- beside the champion: 18 of 20 answers are the champion's; largest difference of a number 0.0312; "
        "0 errors against 0",
        "Commit <code>aaaaaaaaaaaa</code> · [run](https://github.com/acme/flights/actions/runs/99)",
        "Not run for a request: <code>promote</code>, <code>deploy</code>.",
        '    step_0["train"]',
        "- function <code>delay-trainer</code>: <code>flights&#47;training&#46;py</code>",
        '    x-axis ["EV", "UA", "B6"]',
        "    bar [0.7000, 0.7300, 0.7500]",
        "    line [0.7500, 0.7400, 0.7400]",
    ]:
        assert line in text.splitlines(), line
    assert "<code>B6</code>" not in text  # it got better
    assert "july" not in text  # it is the same data
    assert text.index("**Gates**") < text.index("**Preview**") < text.index("What the change touches")


def test_what_a_preview_was_not_asked_is_told() -> None:
    told = msgspec.structs.replace(PREVIEW, shadow=None, remark="Nothing was asked beside it: there is no champion.")
    text = render(build_report("flights", CONTEXT, run=run_of(candidate(HELD)), previews=[told]))
    assert "- <code>Nothing was asked beside it&#58; there is no champion&#46;</code>" in text.splitlines()


def test_where_more_is_to_be_seen() -> None:
    page = "https://tracking.example.com/#/experiments/3/runs/0123"
    made = candidate(HELD, evaluation="0123", evaluation_url=page, report="reports/main.html")
    run = run_of(made)
    text = render(build_report("flights", CONTEXT, run=run, artifacts="https://ci.example.com/artifacts"))
    links = f"evaluation [<code>0123</code>]({page}); page <code>reports&#47;main&#46;html</code> among the artifacts."
    assert links in text
    assert "[artifacts](https://ci.example.com/artifacts)" in text
    fork = render(build_report("flights", CiContext(fork=True), run=run))
    assert ("evaluation <code>0123</code>; " in fork, page in fork) == (True, False)  # a stranger wrote it


def test_a_gate_that_was_not_judged_says_why() -> None:
    skipped = GateRecord("roc_auc >= champion", True, "0.7. It is new.", judged=False)
    unjudged = GateRecord("roc_auc >= champion", False, "0.7. The clone is shallow.", judged=False)
    passed = build_report("flights", CONTEXT, run=run_of(candidate(HELD, skipped, verdict="")))
    assert passed.verdict.line == "Passed: 1 gate holds, 1 was skipped, as there is no baseline"
    assert "| skipped | <code>0&#46;7&#46; It is new&#46;</code> |" in render(passed)
    failed = build_report("flights", CONTEXT, run=run_of(candidate(HELD, unjudged)))
    assert failed.verdict.line == (
        "Gate failed: roc_auc >= champion: could not be judged: 0.7. The clone is shallow. (models:/flights-delay/4)"
    )
    assert "| **could not be judged** | <code>0&#46;7&#46; The clone is shallow&#46;</code> |" in render(failed)


def test_the_gates_that_failed_come_first() -> None:
    text = render(build_report("flights", CONTEXT, run=run_of(candidate(HELD, FAILED))))
    assert text.index("0&#46;7395") < text.index("**Gates**") < text.index("| **failed** |") < text.index("| held |")


def test_verdicts() -> None:
    def words(**found: object) -> tuple[str, str]:
        verdict = build_report("flights", CONTEXT, **found).verdict  # type: ignore[arg-type]
        return verdict.state, verdict.line

    docs = PlanRecord("flights", "b", "a", ("README.md",))
    passed = candidate(HELD, verdict="better")
    merge_base = candidate(HELD, verdict="even", baseline_kind="merge-base")
    broken = FailureRecord("train", "user_code", "no such column", "flights/training.py", 12)
    assert words(plan=docs) == ("nothing", "Nothing to run: 1 changed file touches no function, graph or workflow")
    assert words(plan=docs, run=RunRecord("flights")) == words(plan=docs)
    assert words() == ("failure", "Not finished: the job ended before it could judge anything")
    assert words(plan=PLAN) == words()
    assert words(run=run_of(passed)) == ("success", "Passed: 1 gate holds; better than the champion")
    assert words(run=run_of(merge_base)) == ("success", "Passed: 1 gate holds; no clear difference from the merge base")
    assert words(run=run_of(candidate(verdict=""))) == ("success", "No gates: measured, and no gate is declared")
    assert words(run=run_of(passed, failures=(broken,))) == ("failure", "Failed: train: no such column")
    assert words(run=run_of(), plan=PLAN, previews=[PREVIEW]) == ("success", "Passed: 1 preview answers")
    assert words(run=run_of(), plan=PLAN) == (
        "nothing",
        "Nothing judged: 2 changed files touch 1 function, 1 workflow",
    )


def test_a_merge_base_says_so() -> None:
    made = candidate(HELD, baseline_kind="merge-base", baseline_note="There is no champion here.")
    text = render(build_report("flights", CONTEXT, run=run_of(made)))
    assert "compared with the merge base's model <code>models&#58;&#47;flights-delay&#47;3</code>" in text
    assert "<code>There is no champion here&#46;</code>" in text
    assert "| metric | candidate | merge base | difference | |" in text


def test_earlier_pushes_are_folded_and_kept() -> None:
    report = build_report("flights", CONTEXT, run=run_of(candidate(FAILED)), at="2026-11-21 18:30")
    first = Push("c" * 40, "passed", "roc_auc", 0.7445, "2026-11-20 09:00")
    text = render(report, [first, Push("a" * 40, "failed")])  # this very commit was judged before: it is judged anew

    assert "<summary>1 earlier push</summary>" in text
    row = "| <code>cccccccccccc</code> | <code>2026-11-20 09&#58;00</code> | <code>passed</code> | "
    assert f"{row}<code>roc&#95;auc</code> 0.7445 |" in text.splitlines()
    assert history_of(text) == [first, Push("a" * 40, "gate failed", "roc_auc", 0.7245, "2026-11-21 18:30")]


def test_details_are_cut_and_never_the_verdict() -> None:
    made = candidate(FAILED)
    report = build_report("flights", CONTEXT, plan=PLAN, run=run_of(made), previews=[PREVIEW])
    whole = render(report)

    sizes = []
    for limit in (len(whole), len(whole) - 1, 3_000, 2_000, 1_000):
        text = render(report, limit=limit)
        sizes.append(len(text))
        assert len(text) <= limit
        assert "**Gate failed:** <code>roc&#95;auc" in text
        assert text.startswith("<!-- modelyard:report flights -->\n")
    assert sizes[0] == len(whole)
    assert sizes == sorted(sizes, reverse=True)
    assert "_1 details did not fit" in render(report, limit=len(whole) - 1)
    assert "roc&#95;auc</code>** | 0.7245" in render(report, limit=3_000)  # the main metric stays longest


def test_a_comment_never_exceeds_what_a_forge_takes() -> None:
    many = tuple(candidate(FAILED) for _ in range(200))
    assert 40_000 < len(render(build_report("flights", CONTEXT, run=run_of(*many)))) <= 65_000
