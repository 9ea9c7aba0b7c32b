"""A project: its definition, its code, its environments, and the stamp of what exactly runs."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from modelyard.projects.definition import HANDLER, FunctionDefinition, ProjectDefinition
from modelyard.projects.environment import Environment, chosen_environment, written_folders
from modelyard.projects.errors import FunctionNotFound, GraphNotFound, NameNotFound, WorkflowNotFound
from modelyard.projects.folders import absolute, is_uri
from modelyard.projects.loading import load_attribute, load_callable
from modelyard.projects.snapshot import take_snapshot
from modelyard.projects.stamp import Stamp, stamp_of
from modelyard.projects.validation import ProjectFile

__all__ = ["Project"]

_HANDLER = re.compile(HANDLER)


@dataclass(frozen=True)
class Project:
    """An opened project; make one with `open_project`.

    Parameters
    ----------
    root
        Where relative paths of environments and datasets resolve: the folder of modelyard.yaml; for a snapshot that of
        the original; for a git reference a folder that outlives commits.
    source
        Where the code is imported from: the root, a snapshot of it, or the checkout of a commit.
    file
        The modelyard.yaml of the source, read and checked.
    fixed_stamp
        The stamp of a source that cannot change.
    """

    root: Path
    source: Path
    file: ProjectFile = field(repr=False)
    fixed_stamp: Stamp | None = field(repr=False, default=None)

    @property
    def name(self) -> str:
        """The project's name."""
        return self.file.definition.name

    @property
    def definition(self) -> ProjectDefinition:
        """What modelyard.yaml says."""
        return self.file.definition

    @property
    def reference(self) -> str:
        """The reference that opens exactly this again, in another process of this machine."""
        return str(self.source)

    @cached_property
    def stamp(self) -> Stamp:
        """What exactly this is: commit, dirty flag, content hash and origin, taken when first asked for.

        Raises
        ------
        ContentUnreadable, GitFailed
            The files cannot be read.
        """
        return self.fixed_stamp or stamp_of(self.source, self._written)

    @property
    def _written(self) -> list[Path]:
        return written_folders(self.file, self.root)

    def environment(self, name: str = "", variables: Mapping[str, str] | None = None) -> Environment:
        """Return an environment with its variables filled in.

        Parameters
        ----------
        name
            Its name; empty is what ``MODELYARD_ENVIRONMENT`` says, else the first in modelyard.yaml, else the embedded
            ``dev``.
        variables
            Where variables and secrets come from; the process's own unless given.

        Raises
        ------
        EnvironmentNotFound
            There is no such environment.
        VariableMissing
            It needs a variable that is not set.
        ProjectInvalid
            A filled-in value breaks a rule.
        """
        return chosen_environment(self.file, self.root, name, variables)

    def function(self, name: str) -> FunctionDefinition:
        """Return what modelyard.yaml says of a function; ``package.module:name`` needs no entry there.

        Raises
        ------
        FunctionNotFound
            There is no such function.
        """
        functions = self.definition.functions
        return functions.get(name) or FunctionDefinition(handler=self._handler(name, {}, FunctionNotFound, functions))

    def load_function(self, name: str) -> Callable[..., Any]:
        """Import a function by its name in modelyard.yaml, or as ``package.module:name``.

        Raises
        ------
        FunctionNotFound
            There is no such function, module or attribute.
        NotCallable
            It is no function.
        ModuleHidden, ProjectImportFailed
            Its module cannot be imported.
        """
        function: Callable[..., Any] = load_callable(self.source, self.function(name).handler, self.root)
        return function

    def load_graph(self, name: str) -> Any:
        """Import a serving graph by its name in modelyard.yaml, or as ``package.module:name``.

        Raises
        ------
        GraphNotFound
            There is no such graph, module or attribute.
        ModuleHidden, ProjectImportFailed
            Its module cannot be imported.
        """
        handler = self._handler(name, self.definition.graphs, GraphNotFound)
        return load_attribute(self.source, handler, GraphNotFound, self.root)

    def load_workflow(self, name: str) -> Any:
        """Import a workflow by its name in modelyard.yaml, or as ``package.module:name``.

        Raises
        ------
        WorkflowNotFound
            There is no such workflow, module or attribute.
        ModuleHidden, ProjectImportFailed
            Its module cannot be imported.
        """
        handler = self._handler(name, self.definition.workflows, WorkflowNotFound)
        return load_attribute(self.source, handler, WorkflowNotFound, self.root)

    def interpreter(self, function: str = "", environment: str = "", extras: Sequence[str] = ("ml",)) -> str:
        """Return the interpreter that work of an environment runs in; see docs/projects.md for the order of choice.

        A virtual environment for the function's requirements is made if it is not there yet, which can take minutes.

        Parameters
        ----------
        function
            The function that the work runs; empty when it runs none.
        environment
            The environment's name; empty as in `environment`.
        extras
            The extras of modelyard that the work needs, installed with the function's requirements.

        Raises
        ------
        FunctionNotFound, EnvironmentNotFound
            There is no such function or environment.
        InterpreterInvalid
            The interpreter does not run, is too old or has no modelyard.
        RequirementsInvalid, RequirementsUnavailable
            The requirements cannot be installed.
        """
        from modelyard.projects.interpreters import function_interpreter

        definition = self.function(function) if function else FunctionDefinition(handler="")
        return function_interpreter(definition, self.environment(environment).python, self.root, extras=extras)

    def _handler(
        self,
        name: str,
        handlers: Mapping[str, str],
        missing: type[NameNotFound],
        known: Mapping[str, object] | Sequence[str] = (),
    ) -> str:
        if name in handlers:
            return handlers[name]
        if _HANDLER.fullmatch(name):
            return name
        raise missing(name, [*handlers, *known], where=str(self.file.path))

    def resolve_uri(self, uri: str) -> str:
        """Return a relative path made absolute; a URI stays as it is.

        A path resolves under `root`. What is not there but is in `source` (a file in the commit of a git reference) is
        read from `source`.

        Examples
        --------
        >>> Project.resolve_uri(Project(Path("/srv/flights"), Path("/srv/flights"), None), "data/july.parquet")
        '/srv/flights/data/july.parquet'
        """
        if is_uri(uri):
            return uri
        path, committed = absolute(uri, self.root), absolute(uri, self.source)
        return str(committed if committed.exists() and not path.exists() else path)

    def snapshot(self, folder: Path) -> Path:
        """Copy the project's files to `folder`, complete or not at all, and return it.

        `open_project` of that folder gives a project with this root and stamp, whose code cannot change. A snapshot of
        this project that is already there is kept, so that a retry runs what the first try ran.

        Raises
        ------
        SnapshotConflict
            The folder holds something else.
        SnapshotDiskFull, SnapshotFailed
            It cannot be copied; nothing is left behind.
        """
        return take_snapshot(self.source, self.root, folder.absolute(), self.fixed_stamp, self._written)
