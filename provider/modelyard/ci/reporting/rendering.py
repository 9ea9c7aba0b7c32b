"""Writes a report as Markdown that GitHub and GitLab show alike, cut to the space that there is."""

from collections.abc import Sequence

from modelyard.ci.reporting.escaping import code
from modelyard.ci.reporting.history import Push, extended, history_section, kept
from modelyard.ci.reporting.report import Report, Section

__all__ = ["LIMIT", "marker", "render", "summary"]

LIMIT = 65_000
"""Characters of a comment: a little below what GitHub takes, so that both hosts show the same."""


def marker(project: str) -> str:
    """Return the hidden first line of a project's comment.

    Examples
    --------
    >>> marker("flights")
    '<!-- modelyard:report flights -->'
    """
    return f"<!-- modelyard:report {project} -->"


def render(report: Report, earlier: Sequence[Push] = (), *, limit: int = LIMIT) -> str:
    """Return the comment: marker, verdict, sections, earlier pushes.

    Where it is too long, details go first, from the least important on; the verdict always stays.

    Parameters
    ----------
    report
        The report.
    earlier
        The pushes that the comment has kept so far.
    limit
        How many characters there may be.
    """
    pushes = [each for each in earlier if each.commit != report.push.commit]
    head = f"{marker(report.project)}\n{_head(report)}"
    hidden = kept(extended(pushes, report.push))
    folded = history_section(pushes)
    parts = [_shown(each) for each in report.sections]
    briefs = [_shown(each._replace(body=each.short)) if each.short else "" for each in report.sections]
    left_out = 0

    def text() -> str:
        note = _cut_note(left_out)
        return "\n\n".join(each for each in (head, *parts, folded, note, hidden) if each) + "\n"

    for index in reversed(range(len(parts))):
        if len(text()) <= limit:
            return text()
        if parts[index] != briefs[index]:
            left_out += 1
            parts[index] = briefs[index]
    for index in reversed(range(len(parts))):
        if len(text()) <= limit:
            return text()
        if parts[index]:
            parts[index] = ""
    if len(text()) > limit:
        folded, hidden = "", kept([report.push])
    return text() if len(text()) <= limit else f"{head}\n"[:limit]


def summary(report: Report, notices: Sequence[str], *, limit: int = 250_000) -> str:
    """Return the same for the page of a job, with what could not be told elsewhere in front.

    Parameters
    ----------
    report
        The report.
    notices
        Sentences, such as why there is no comment.
    limit
        How many characters there may be; GitHub takes a mebibyte, and a character may have four bytes.
    """
    told = "\n".join(f"> {code(each, 600)}" for each in notices)
    text = render(report, limit=limit - len(told) - 4)
    return f"{told}\n\n{text}" if told else text


def _head(report: Report) -> str:
    verdict = report.verdict
    words = f"{verdict.words[:1].upper()}{verdict.words[1:]}"
    return f"### modelyard: {code(report.project)}\n\n**{words}:** {code(verdict.sentence, 500)}"


def _shown(section: Section) -> str:
    if not section.body:
        return ""
    if not section.title:
        return section.body
    if section.folded:
        return f"<details>\n<summary>{section.title}</summary>\n\n{section.body}\n\n</details>"
    return f"**{section.title}**\n\n{section.body}"


def _cut_note(left_out: int) -> str:
    return f"_{left_out} details did not fit; the full report is among the job's artifacts._" if left_out else ""
