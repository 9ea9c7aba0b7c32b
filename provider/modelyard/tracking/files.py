"""The files of a model: fetched whole and exact, or not at all."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from modelyard.data.digests import digest_of
from modelyard.graphs.errors import ModelDigestWrong
from modelyard.tracking.errors import ModelNotFound, shown
from modelyard.tracking.references import ResolvedModel
from modelyard.tracking.translation import is_not_found

__all__ = ["fetch_files"]


def fetch_files(model: ResolvedModel, folder: Path, uri: str, *, verify: bool = True) -> tuple[Path, str]:
    """Bring the files of `model` into `folder`, and return it with the digest of the files.

    Parameters
    ----------
    model
        The resolved model.
    folder
        Where to; made by a rename, so that it is there whole or not at all. If it holds these files already it is
        left alone.
    uri
        The tracking store, for artifacts that a server hands out.
    verify
        Whether to refuse files that do not have the recorded digest.

    Raises
    ------
    ModelDigestWrong
        The files are not those whose digest is recorded.
    ModelNotFound
        The files are gone.
    """
    if folder.exists() and model.digest and digest_of(folder) == model.digest:
        return folder, model.digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        files = scratch / "files"
        files.mkdir()
        _download(model, files, uri)
        found = digest_of(files)
        if verify and model.digest and found != model.digest:
            raise ModelDigestWrong(model.uri, model.digest, found)
        if folder.exists():
            shutil.rmtree(folder)
        files.rename(folder)
        return folder, found
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _download(model: ResolvedModel, files: Path, uri: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    try:
        # The repository of models:/ URIs adds a file of its own to what it brings; that of the location does not.
        repository: Any = get_artifact_repository(model.location, tracking_uri=uri, registry_uri=uri)
        repository.download_artifacts("", str(files))
    except MlflowException as error:
        if not is_not_found(error):
            raise
        raise _gone(model) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _gone(model) from error
    if not (files / "MLmodel").is_file():
        raise _gone(model)


def _gone(model: ResolvedModel) -> ModelNotFound:
    return ModelNotFound(model.uri, reason=f"the files of {model.uri} are gone from {shown(model.location)}")
