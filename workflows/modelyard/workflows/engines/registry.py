"""The engines: where each one's code is, so that nothing of it is imported before it is asked for."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from modelyard.workflows.engines.remote import Publication, RemoteRun, RunRequest
from modelyard.workflows.errors import EngineUnknown

__all__ = ["ENGINES", "EngineEntry", "compiler_of", "publisher_of", "submitter_of"]

Submit = Callable[[RunRequest], RemoteRun]
Compile = Callable[[RunRequest, Mapping[str, str]], str]
"""Returns the text of the file: for a workflow, and options of the engine's own."""
Publish = Callable[[RunRequest, str, str], Publication]
"""Publishes a workflow under a version's name; the last is a schedule, or empty."""


class EngineEntry(NamedTuple):
    """One engine.

    Parameters
    ----------
    submit
        The function that starts a run, as ``package.module:name``; empty where runs are not started elsewhere.
    compile
        The function that makes the engine's own file of a workflow; empty where it has none.
    publish
        The function that puts a workflow where people start it; empty where there is no such place.
    """

    submit: str = ""
    compile: str = ""
    publish: str = ""


ENGINES: dict[str, EngineEntry] = {
    "local": EngineEntry(compile="modelyard.workflows.engines.compiling:as_definition"),
    "airflow": EngineEntry(
        submit="modelyard.workflows.engines.airflow_submission:submit",
        compile="modelyard.workflows.engines.compiling:as_dag_file",
    ),
    "kfp": EngineEntry(
        submit="modelyard.workflows.engines.kfp_entry:submit",
        compile="modelyard.workflows.engines.kfp_entry:as_pipeline",
        publish="modelyard.workflows.engines.kfp_entry:publish",
    ),
    "github": EngineEntry(compile="modelyard.workflows.engines.jobs.github:as_github_workflow"),
    "gitlab": EngineEntry(compile="modelyard.workflows.engines.jobs.gitlab:as_gitlab_pipeline"),
}
"""Engine → its entry."""


def submitter_of(engine: str) -> Submit:
    """Return what starts a run on an engine.

    Raises
    ------
    EngineUnknown
        There is no such engine, or it starts no runs elsewhere.
    """
    submit: Submit = _loaded(engine, "submit", "engine that runs elsewhere is")
    return submit


def compiler_of(engine: str) -> Compile:
    """Return what makes an engine's own file of a workflow.

    Raises
    ------
    EngineUnknown
        There is no such engine, or it has no file of its own.
    """
    compile_: Compile = _loaded(engine, "compile", "engine with a file of its own is")
    return compile_


def publisher_of(engine: str) -> Publish:
    """Return what puts a workflow where people start it.

    Raises
    ------
    EngineUnknown
        There is no such engine, or it has no such place.
    """
    publish: Publish = _loaded(engine, "publish", "engine that keeps versions is")
    return publish


def _loaded(engine: str, what: str, words: str) -> Any:
    place = getattr(ENGINES.get(engine, EngineEntry()), what)
    if not place:
        known = [name for name, entry in ENGINES.items() if getattr(entry, what)]
        raise EngineUnknown(engine, known, what=words.removesuffix(" is"))
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
