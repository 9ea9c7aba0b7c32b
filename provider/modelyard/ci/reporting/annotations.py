"""Remarks on the source lines where a project's function failed, for each host in its own form."""

from collections.abc import Sequence

from modelyard.ci.forges import Annotation
from modelyard.ci.records import RunRecord
from modelyard.ci.reporting.escaping import one_line

__all__ = ["annotations_of", "gitlab_annotations", "junit", "workflow_command"]

_ESCAPED = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_IN_PROPERTY = ((":", "%3A"), (",", "%2C"))


def annotations_of(run: RunRecord | None) -> tuple[Annotation, ...]:
    """Return a remark for each failure whose line is known."""
    if run is None:
        return ()
    return tuple(
        Annotation(each.path, max(1, each.line), f"{one_line(each.step, 80)} failed", one_line(each.message, 2_000))
        for each in run.all_failures
        if each.path
    )


def workflow_command(annotation: Annotation) -> str:
    r"""Return the line that lets GitHub Actions show a remark; nothing in it can be another command.

    Examples
    --------
    >>> workflow_command(Annotation("flights/training.py", 7, "train failed", "50 % of\n::set-output name=x::y"))
    '::error file=flights/training.py,line=7,title=train failed::50 %25 of%0A::set-output name=x::y'
    """
    level = {"failure": "error", "warning": "warning", "notice": "notice"}[annotation.level]
    place = f"file={_property(annotation.path)},line={annotation.line},title={_property(annotation.title)}"
    return f"::{level} {place}::{_escaped(annotation.message)}"


def gitlab_annotations(links: Sequence[tuple[str, str]]) -> dict[str, list[dict[str, dict[str, str]]]]:
    """Return links as GitLab's report of annotations shows them beside a job.

    Examples
    --------
    >>> gitlab_annotations([("Preview", "https://preview.example.com")])
    {'modelyard': [{'external_link': {'label': 'Preview', 'url': 'https://preview.example.com'}}]}
    """
    return {"modelyard": [{"external_link": {"label": label, "url": url}} for label, url in links]}


def junit(run: RunRecord | None) -> str:
    """Return gates and failures as a JUnit report: each a test that passed or failed."""
    from xml.etree import ElementTree as Xml

    suite = Xml.Element("testsuite", name="modelyard")
    failures = skipped = 0
    for candidate in run.candidates if run else ():
        for gate in candidate.gates:
            case = Xml.SubElement(suite, "testcase", classname=_text(candidate.workflow), name=_text(gate.gate))
            if not gate.held:
                failures += 1
                Xml.SubElement(case, "failure", message=_text(gate.said))
            elif not gate.judged:
                skipped += 1
                Xml.SubElement(case, "skipped", message=_text(gate.said))
    for each in run.all_failures if run else ():
        case = Xml.SubElement(suite, "testcase", classname="work", name=_text(each.step))
        failures += 1
        Xml.SubElement(case, "failure", message=_text(each.message))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    suite.set("skipped", str(skipped))
    return Xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _text(text: str) -> str:
    return one_line(text, 2_000)


def _escaped(text: str) -> str:
    for character, code in _ESCAPED:
        text = text.replace(character, code)
    return text


def _property(text: str) -> str:
    text = _escaped(text)
    for character, code in _IN_PROPERTY:
        text = text.replace(character, code)
    return text
