"""Finds what of a project a change touches: what is not known to be the same counts as touched."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from modelyard.ci.hosts import CiContext
from modelyard.ci.planning.changes import Changes, changes_of
from modelyard.ci.planning.modules import FirstParty
from modelyard.ci.records import Affected, PlanRecord
from modelyard.projects import Project
from modelyard.projects.document import FILE_NAME
from modelyard.projects.tree import is_skipped

__all__ = ["plan_change"]

_PROSE = re.compile(
    r"^docs?/|(^|/)((LICEN[CS]E|NOTICE|AUTHORS|CODEOWNERS)(\.txt)?|\.gitignore|\.gitattributes|\.editorconfig)$"
    r"|(^|/)\.github/[^/]*TEMPLATE|\.(md|rst|adoc|png|jpe?g|gif|svg|drawio)$",
    re.IGNORECASE,
)
# A folder such as inputs/test may hold the rows that a model is judged on.
_TESTS = re.compile(r"^tests/|(^|/)(tests?/([^/]+/)*[^/]+\.py|conftest\.py|test_[^/]*\.py|[^/]*_test\.py)$")
_DEPENDENCIES = re.compile(
    r"^(pyproject\.toml|setup\.(py|cfg)|[^/]*requirements[^/]*\.(txt|in)|constraints[^/]*\.txt|uv\.lock|poetry\.lock"
    r"|Pipfile(\.lock)?|environment\.ya?ml|\.python-version|Dockerfile[^/]*|\.gitmodules)$"
)
_HOST_FILES = re.compile(r"^(\.github/(workflows|actions)/|\.gitlab-ci|Jenkinsfile)")
_UPWARDS = re.compile(r"(?:\.\./)+[\w./-]*")
_PARTS = ("functions", "graphs", "workflows")


def plan_change(
    project: Project, context: CiContext, *, base: str = "", head: str = "", everything: bool = False
) -> PlanRecord:
    """Return what of a project a change touches.

    Nothing of the project is run: files are compared by git, imports followed by reading.

    Parameters
    ----------
    project
        The project, as checked out.
    context
        The job.
    base, head
        What to compare, instead of what the job says.
    everything
        Take all of the project for touched.

    Raises
    ------
    ChangesUnknown
        There is no such base or head.
    """
    changes = changes_of(project.source, context, base, head)
    planning = _Planning(project, changes)
    reason = "it was asked for" if everything else changes.unknown or planning.reason_for_everything()
    found = planning.everything(reason) if reason else planning.touched()
    return PlanRecord(
        project=project.name,
        base=changes.base,
        head=changes.head,
        changed=changes.paths,
        functions=tuple(found["functions"]),
        graphs=tuple(found["graphs"]),
        workflows=tuple(found["workflows"]),
        everything=reason,
    )


class _Planning:
    """One look at one change."""

    def __init__(self, project: Project, changes: Changes) -> None:
        self._project = project
        self._changes = changes
        self._modules = FirstParty(project.source)
        inside = project.source.resolve()
        top = changes.top.resolve()
        self._folder = inside.relative_to(top).as_posix() if inside.is_relative_to(top) else "."
        self._own = [path for each in changes.paths if (path := self._inside(each)) is not None]
        self._handlers: dict[str, dict[str, str]] = {
            "functions": {name: each.handler for name, each in project.definition.functions.items()},
            "graphs": dict(project.definition.graphs),
            "workflows": dict(project.definition.workflows),
        }
        self._differences = self._project_differences()

    def _inside(self, path: str) -> str | None:
        """Return a path of the repository relative to the project; None if it is outside."""
        if self._folder == ".":
            return path
        found = PurePosixPath(path)
        return found.relative_to(self._folder).as_posix() if found.is_relative_to(self._folder) else None

    # --- everything ---------------------------------------------------------------------------------------------------

    def reason_for_everything(self) -> str:
        """Return why all of the project counts as touched; empty if it does not."""
        known = {path.resolve() for path in self._modules.files.values()}
        for path in self._changes.paths:
            inside = self._inside(path)
            if inside is None:
                if reason := self._reason_outside(path):
                    return reason
                continue
            if reason := self._reason(inside, known):
                return reason
        return self._differences.get("", "")

    def _reason_outside(self, path: str) -> str:
        """Return why a file outside of the project is of concern: it is for all, or in a folder that this one names."""
        if "/" not in path and _DEPENDENCIES.match(path):
            return f"{path} says what is installed"
        if _HOST_FILES.match(path):
            return f"{path} says how the job runs"
        named = next((place for place in self._places_outside if path == place or path.startswith(f"{place}/")), "")
        return f"{path} is in {named}, which the project names" if named else ""

    @cached_property
    def _places_outside(self) -> tuple[str, ...]:
        """Return what the project's settings name outside of it, such as ``../common`` in its requirements."""
        found = set[str]()
        for each in self._project.source.iterdir():
            if each.is_file() and (each.name == FILE_NAME or _DEPENDENCIES.match(each.name)):
                for text in _UPWARDS.findall(each.read_text(encoding="utf-8", errors="replace")):
                    place = posixpath.normpath(posixpath.join(self._folder, text))
                    if place != "." and not place.startswith(".."):
                        found.add(place)
        return tuple(sorted(found))

    def _reason(self, path: str, known: set[Path]) -> str:
        if path == FILE_NAME or is_skipped(path) or _PROSE.search(path) or _TESTS.search(path):
            return ""
        if _DEPENDENCIES.match(path):
            return f"{path} says what is installed"
        if _HOST_FILES.match(path):
            return f"{path} says how the job runs"
        place = (self._project.source / path).resolve()
        if path.endswith(".py"):
            # One that was deleted may be what another module failed to be hidden by.
            return "" if place in known or place.exists() else f"{path} is gone"
        return f"{path} may be read by anything"

    def everything(self, reason: str) -> dict[str, list[Affected]]:
        """Return all that the project names, for one reason."""
        return {part: [Affected(name, (reason,)) for name in names] for part, names in self._handlers.items()}

    # --- what the change reaches --------------------------------------------------------------------------------------

    def touched(self) -> dict[str, list[Affected]]:
        """Return what depends on something that has changed."""
        changed = {(self._project.source / path).resolve(): path for path in self._own if path.endswith(".py")}
        found: dict[str, list[Affected]] = {}
        for part, names in self._handlers.items():
            found[part] = []
            for name, handler in names.items():
                reasons = [*self._of_definition(part, name), *self._of_files(handler, changed)]
                if part == "workflows":
                    reasons += self._of_functions(handler, found["functions"])
                    reasons += self._of_missing(handler)
                if reasons:
                    found[part].append(Affected(name, tuple(dict.fromkeys(reasons))))
        return found

    def _of_definition(self, part: str, name: str) -> Iterator[str]:
        if f"{part}.{name}" in self._differences:
            yield self._differences[f"{part}.{name}"]

    def _of_files(self, handler: str, changed: Mapping[Path, str]) -> Iterator[str]:
        reach = self._modules.reach(handler.partition(":")[0])
        yield from sorted(changed[path.resolve()] for path in reach.files if path.resolve() in changed)
        if reach.unknown and changed:
            yield reach.unknown

    def _of_functions(self, handler: str, functions: list[Affected]) -> Iterator[str]:
        """Yield the touched functions that a workflow names; of one that cannot be read, all may be."""
        module, _, attribute = handler.partition(":")
        texts = self._modules.texts(module, attribute)
        for each in functions:
            own = self._handlers["functions"][each.name]
            if texts is None:
                if not module.startswith("modelyard."):
                    yield f"function {each.name}, which it may run"
            elif texts.written_out(each.name, own):
                yield f"function {each.name}"
            elif texts.may_compute(each.name, own):
                yield f"function {each.name}, which it may run"

    def _of_missing(self, handler: str) -> Iterator[str]:
        """Yield the functions and graphs that a workflow still names, though modelyard.yaml does not any more."""
        module, _, attribute = handler.partition(":")
        gone = [each.partition(".")[::2] for each in self._differences if each]
        gone = [(part, name) for part, name in gone if name not in self._handlers[part]]
        texts = self._modules.texts(module, attribute) if gone else None
        if texts is not None:
            yield from (
                f"{part.removesuffix('s')} {name}, which is gone" for part, name in gone if texts.written_out(name)
            )

    # --- modelyard.yaml -----------------------------------------------------------------------------------------------

    def _project_differences(self) -> dict[str, str]:
        """Return what differs in modelyard.yaml: ``functions.NAME`` → why; under no name, what concerns everything."""
        if FILE_NAME not in self._own:
            return {}
        path = FILE_NAME if self._folder == "." else f"{self._folder}/{FILE_NAME}"
        earlier = _mapping(self._changes.earlier(path))
        present = _mapping((self._project.source / FILE_NAME).read_text(encoding="utf-8-sig"))
        if earlier is None or present is None:
            return {"": f"{FILE_NAME} is new, or was not readable before"}
        differences: dict[str, str] = {}
        for part in {*earlier, *present}:
            before, now = earlier.get(part), present.get(part)
            if before == now:
                continue
            if part not in _PARTS or not isinstance(before or {}, dict) or not isinstance(now or {}, dict):
                differences[""] = f"{part} in {FILE_NAME} has changed"
                continue
            for name in {*(before or {}), *(now or {})}:
                if (before or {}).get(name) != (now or {}).get(name):
                    differences[f"{part}.{name}"] = f"its definition in {FILE_NAME}"
        return differences


def _mapping(text: str | None) -> dict[str, Any] | None:
    try:
        found = yaml.safe_load(text) if text is not None else None
    except yaml.YAMLError:
        return None
    return found if isinstance(found, dict) else None
