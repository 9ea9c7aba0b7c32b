"""A report as data: a verdict and its sections, the most important first."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from modelyard.ci.hosts import CiContext
from modelyard.ci.previews import PreviewRecord
from modelyard.ci.records import Candidate, PlanRecord, RunRecord
from modelyard.ci.reporting.escaping import code, fenced, one_line
from modelyard.ci.reporting.history import Push
from modelyard.ci.reporting.tables import data_table, figure, gates_table, metrics_table, slices_chart, slices_table
from modelyard.ci.reporting.verdict import Verdict, verdict_of

__all__ = ["Report", "Section", "build_report"]

_MOST_FILES, _MOST_REASONS = 40, 3
_ADDRESS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?#!$'+,;=%")


class Section(NamedTuple):
    """A part of a report.

    Parameters
    ----------
    title
        What it is about; our own words.
    body
        Markdown.
    folded
        Whether it is hidden until somebody opens it.
    short
        What stands for it where there is too little space; empty leaves it out.
    """

    title: str
    body: str
    folded: bool = False
    short: str = ""


class Report(NamedTuple):
    """A report.

    Parameters
    ----------
    project
        The project's name.
    commit
        The commit that is judged.
    verdict
        What it says first.
    sections
        Its parts, the most important first.
    push
        What is kept of it after the next push.
    """

    project: str
    commit: str
    verdict: Verdict
    sections: tuple[Section, ...]
    push: Push


def build_report(
    project: str,
    context: CiContext,
    *,
    plan: PlanRecord | None = None,
    run: RunRecord | None = None,
    previews: Sequence[PreviewRecord] = (),
    artifacts: str = "",
    at: str = "",
) -> Report:
    """Return the report on what a job has left.

    Parameters
    ----------
    project
        The project's name.
    context
        The job.
    plan, run, previews
        What the commands before have left; None where one did not get so far.
    artifacts
        The address of the job's artifacts.
    at
        When, as ``2026-11-21 18:20``, in UTC.
    """
    verdict = verdict_of(plan, run, previews)
    commit = context.head_commit or (run.commit if run else "")
    sections = [
        *_failures(run),
        *(section for each in (run.candidates if run else ()) for section in _candidate(each, linked=not context.fork)),
        *(section for each in previews for section in _preview(each, linked=not context.fork)),
        Section("", _links(context, artifacts, commit)),
        *_graphs(run),
        *_plan(plan),
    ]
    main = next((found for each in (run.candidates if run else ()) if (found := _main_metric(each))), None)
    push = Push(commit, verdict.words, *(main or ("", None)), at=at)
    return Report(project, commit, verdict, tuple(each for each in sections if each.body), push)


def _main_metric(candidate: Candidate) -> tuple[str, float | None] | None:
    return next(((each.name, each.candidate) for each in candidate.metrics if each.name == candidate.main_metric), None)


def _failures(run: RunRecord | None) -> Iterator[Section]:
    if run is None or not run.all_failures:
        return
    lines = []
    for each in run.all_failures:
        place = f" at {code(f'{each.path}:{each.line}')}" if each.path else ""
        lines.append(f"- {code(each.step, 80)}{place}: {code(each.message, 800)}")
    yield Section("What failed", "\n".join(lines))


def _candidate(candidate: Candidate, *, linked: bool) -> Iterator[Section]:
    about = [f"{code(candidate.model)}, judged on {candidate.rows} rows"]
    if candidate.baseline:
        kind = "the merge base's model" if candidate.baseline_kind == "merge-base" else "the champion"
        about.append(f"compared with {kind} {code(candidate.baseline)}")
    if candidate.digest:
        about.append(f"digest {code(candidate.digest[:16])}")
    if candidate.evaluation:
        run = code(candidate.evaluation)
        page = candidate.evaluation_url if linked else ""
        about.append(f"evaluation {f'[{run}]({_target(page)})' if page else run}")
    if candidate.report:
        about.append(f"page {code(candidate.report)} among the artifacts")
    note = f"\n\n{code(candidate.baseline_note, 400)}" if candidate.baseline_note else ""
    head = f"{'; '.join(about)}.{note}"
    whole, brief = (f"{head}\n\n{metrics_table(candidate, short=short)}" for short in (False, True))
    yield Section("Candidate", whole, short=brief)
    yield Section("Gates", gates_table(candidate.gates))
    slices = slices_table(candidate.slices)
    yield Section("Slices that got worse", slices and f"{slices}\n\n{slices_chart(candidate.slices)}", True, slices)
    yield Section("Data that changed", data_table(candidate.data), folded=True)


def _preview(preview: PreviewRecord, *, linked: bool) -> Iterator[Section]:
    if preview.note:
        yield Section("Preview", f"- graph {code(preview.graph)}: {code(preview.note, 400)}")
        return
    lines = [f"- graph {code(preview.graph)} on {code(preview.target)}, revision {code(preview.revision[:12])}"]
    lines += [f"- model {code(step)}: {code(model)}" for step, model in preview.models.items()]
    lines.append(
        f"- answers at {_address(preview.url, linked=linked)}" if preview.url else "- it lived for this job only"
    )
    if preview.failure:
        lines.append(f"- failed: {code(preview.failure, 800)}")
    if preview.smoke_requests:
        told = f"{preview.smoke_requests} requests, {preview.smoke_failures} failed"
        latency = preview.latency_ms
        spans = ", ".join(f"{name} {latency[name]:.3g} ms" for name in ("p50", "p95") if name in latency)
        lines.append(f"- smoke test: {told}{f'; latency {spans}' if spans else ''}")
    if preview.shadow is not None:
        beside = preview.shadow
        whose, where = ("merge base's", "merge base") if beside.baseline == "merge-base" else ("champion's", "champion")
        told = f"{beside.same} of {beside.requests} answers are the {whose}"
        largest = f"largest difference of a number {figure(beside.largest_difference)}"
        errors = f"{beside.errors} errors against {beside.baseline_errors}"
        lines.append(f"- beside the {where}: {told}; {largest}; {errors}")
    if preview.remark:
        lines.append(f"- {code(preview.remark, 400)}")
    yield Section("Preview", "\n".join(lines))


def _links(context: CiContext, artifacts: str, commit: str) -> str:
    parts = [f"Commit {code(commit[:12])}"] if commit else []
    if context.run_url:
        parts.append(f"[run]({_target(context.run_url)})")
    if artifacts:
        parts.append(f"[artifacts]({_target(artifacts)})")
    return " · ".join(parts)


def _graphs(run: RunRecord | None) -> Iterator[Section]:
    if run is None:
        return
    for workflow in run.workflows:
        left_out = f"\n\nNot run for a request: {', '.join(map(code, workflow.left_out))}." if workflow.left_out else ""
        states = "\n".join(f"| {code(step)} | {code(state)} |" for step, state in workflow.states.items())
        table = f"| step | state |\n|---|---|\n{states}\n\n" if states else ""
        skipped = f"{code(workflow.skipped, 300)}\n\n" if workflow.skipped else ""
        drawn = fenced("mermaid", workflow.mermaid) if workflow.mermaid else ""
        yield Section(f"Workflow {code(workflow.name)}", f"{skipped}{table}{drawn}{left_out}".strip(), folded=True)
    for name, drawn in run.graphs.items():
        yield Section(f"Graph {code(name)}", fenced("mermaid", drawn), folded=True)


def _plan(plan: PlanRecord | None) -> Iterator[Section]:
    if plan is None:
        return
    lines = [f"{plan.summary}.", ""]
    if plan.everything:
        lines += [f"All of the project counts as touched: {code(plan.everything, 300)}", ""]
    for kind, found in (("function", plan.functions), ("graph", plan.graphs), ("workflow", plan.workflows)):
        for each in found:
            why = ", ".join(code(reason, 120) for reason in each.reasons[:_MOST_REASONS])
            lines.append(f"- {kind} {code(each.name)}: {why}{', …' if len(each.reasons) > _MOST_REASONS else ''}")
    shown = ", ".join(code(path, 160) for path in plan.changed[:_MOST_FILES])
    more = f" and {len(plan.changed) - _MOST_FILES} more" if len(plan.changed) > _MOST_FILES else ""
    lines += ["", f"Changed: {shown}{more}"] if shown else []
    yield Section("What the change touches", "\n".join(lines).strip(), folded=True, short=f"{plan.summary}.")


def _address(url: str, *, linked: bool) -> str:
    """Return an address; what a fork says of itself is shown, and leads nowhere."""
    shown = code(url)
    return f"[{shown}]({_target(url)})" if linked and url.startswith(("http://", "https://")) else shown


def _target(url: str) -> str:
    """Return an address that ends nothing in Markdown; one that is no web page leads nowhere."""
    if not url.startswith(("http://", "https://")):
        return "#"
    return "".join(_in_address(each) for each in one_line(url, 2_000))


def _in_address(character: str) -> str:
    if character in _ADDRESS:
        return character
    # Markdown reads entities in addresses, too: a bare & could begin one.
    return "&amp;" if character == "&" else quote(character, safe="")
